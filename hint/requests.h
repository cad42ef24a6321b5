/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes requests, all of them within existing files, from hints, which may contain any words. */
#ifndef PAGEHINT_REQUESTS_H
#define PAGEHINT_REQUESTS_H

#include "ring.h"

/* Pages FIRST to END - 1 of a file, all of them within it; ORDER is that of the earliest hint. */
struct request {
	uint32_t file;
	uint32_t order;
	uint64_t first;
	uint64_t end;
};

/* The size of a file in bytes; 0 if there is no such file. */
typedef uint64_t (*request_size_fn)(void *ctx, uint32_t file);

/*
 * Make requests of N hints: hints are cut at the end of their file, those that touch become one
 * request, and requests are in the order of their earliest hints. There is room for N requests. SIZE
 * is called once for each file. Returns how many requests there are.
 */
size_t requests_make(struct request *requests, const struct ring_hint *hints, size_t n,
		     uint64_t page_size, request_size_fn size, void *ctx);

#endif
