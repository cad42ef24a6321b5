/* SPDX-License-Identifier: GPL-2.0-only */
/* What the selftest uses of the kernel's tools/testing/selftests/bpf/test_progs.h. */
#ifndef TEST_PROGS_H
#define TEST_PROGS_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <linux/bpf.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

bool check(bool good, const char *name, long got);

#define ASSERT_OK(err, name)	    check(!(err), name, 0)
#define ASSERT_ERR(err, name)	    check((err) < 0, name, 0)
#define ASSERT_OK_PTR(ptr, name)    check((ptr) != NULL, name, 0)
#define ASSERT_EQ(got, want, name)  check((got) == (want), name, (long)(got))
#define ASSERT_NEQ(got, want, name) check((got) != (want), name, (long)(got))
#define ASSERT_GE(got, want, name)  check((got) >= (want), name, (long)(got))

bool test__start_subtest(const char *name);
void test_page2cache(void);

#endif
