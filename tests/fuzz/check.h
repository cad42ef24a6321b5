/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PAGE2CACHE_FUZZ_CHECK_H
#define PAGE2CACHE_FUZZ_CHECK_H

#include <stdio.h>
#include <stdlib.h>

/* Not assert(): it must not vanish with NDEBUG. */
#define CHECK(what)                                                    \
	do {                                                           \
		if (!(what)) {                                         \
			fprintf(stderr, "does not hold: %s\n", #what); \
			abort();                                       \
		}                                                      \
	} while (0)

#endif
