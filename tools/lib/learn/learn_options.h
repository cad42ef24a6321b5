/* SPDX-License-Identifier: GPL-2.0-only */
/* The options of pcforce --learn. */
#ifndef PAGE2CACHE_LEARN_OPTIONS_H
#define PAGE2CACHE_LEARN_OPTIONS_H

#include <argp.h>

#include "base/options.h"

struct learn_options {
	bool on;
	uint64_t for_us; /* so long a start is recorded, and a program lives that started well */
	uint64_t relearn_us; /* how old a list gets; 0: each start learns */
	uint64_t keep;	     /* starts in a row that a page stays without being used */
	bool good[256];	     /* statuses of programs that started well */
	bool given;	     /* one of those that go with --learn */
};

/* What holds where no option says otherwise. */
#define LEARN_DEFAULTS                                          \
	{                                                       \
		.for_us = 30000000, .keep = 3, .good = { true } \
	}

extern const struct argp learn_argp;

#endif
