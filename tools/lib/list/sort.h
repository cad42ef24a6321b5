/* SPDX-License-Identifier: GPL-2.0-only */
/* Extents in the order of their places: by file, and by index in it. */
#ifndef PAGE2CACHE_SORT_H
#define PAGE2CACHE_SORT_H

#include "list/list.h"

/* Below, at or above 0, as bsearch(3) wants it. */
int by_place(const void *a, const void *b);
/* Sort N extents, in time that grows with N alone. */
void sort_extents(struct extent *e, size_t n);

#endif
