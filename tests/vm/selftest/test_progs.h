/* SPDX-License-Identifier: GPL-2.0-only */
/* What the selftest uses of the kernel's tools/testing/selftests/bpf/test_progs.h. */
#ifndef TEST_PROGS_H
#define TEST_PROGS_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/bpf.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

bool check(bool good, const char *name, long got);

/* What is compared is evaluated once: it may be a call. */
#define ASSERT_CMP(got, op, want, name)                 \
	({                                              \
		typeof(got) got_ = (got);               \
		check(got_ op(want), name, (long)got_); \
	})
#define ASSERT_OK(err, name)	    ASSERT_CMP(err, ==, 0, name)
#define ASSERT_ERR(err, name)	    ASSERT_CMP(err, <, 0, name)
#define ASSERT_OK_PTR(ptr, name)    ASSERT_CMP(ptr, !=, NULL, name)
#define ASSERT_EQ(got, want, name)  ASSERT_CMP(got, ==, want, name)
#define ASSERT_NEQ(got, want, name) ASSERT_CMP(got, !=, want, name)
#define ASSERT_GE(got, want, name)  ASSERT_CMP(got, >=, want, name)
#define ASSERT_TRUE(got, name)	    ASSERT_CMP(got, ==, true, name)
#define ASSERT_FALSE(got, name)	    ASSERT_CMP(got, ==, false, name)

#define ASSERT_HAS_SUBSTR(text, part, name)                         \
	({                                                          \
		const char *text_ = text;                           \
		bool has_ = strstr(text_, part) != NULL;            \
		if (!check(has_, name, 0))                          \
			printf("not in it: %s\n%s\n", part, text_); \
		has_;                                               \
	})

bool test__start_subtest(const char *name);

/* The test itself, test_NAME: whoever compiles this says which. */
void SELFTEST(void);

#endif
