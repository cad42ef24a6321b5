/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether the pages of a file come in order, as its extents are listed or recorded. */
#ifndef PAGE2CACHE_ORDER_H
#define PAGE2CACHE_ORDER_H

#include <stdbool.h>
#include <stdint.h>

struct order {
	uint64_t pages, ascending; /* of extents that began behind the one before */
	uint64_t end;		   /* of the latest extent */
};

static inline void order_add(struct order *o, uint64_t index, uint64_t nr)
{
	o->pages += nr;
	if (index >= o->end)
		o->ascending += nr;
	o->end = index + nr;
}

/* Random is an order in which fewer than nine tenths ascend: page2cache-offsets(5). */
static inline bool order_is_random(const struct order *o)
{
	return o->ascending < o->pages - o->pages / 10;
}

#endif
