/* SPDX-License-Identifier: GPL-2.0-only */
/* Bits for the pages of a file: reserved whole, paid for where they are set. */
#ifndef PAGE2CACHE_BITMAP_H
#define PAGE2CACHE_BITMAP_H

#include <errno.h>
#include <sys/mman.h>

#include "util.h"

struct bitmap {
	uint64_t *words;
	uint64_t bits;
};

/* Returns 0 or -ENOMEM. */
static inline int bitmap_init(struct bitmap *b, uint64_t bits)
{
	uint64_t bytes = (bits / 64 + 1) * sizeof(uint64_t);

	b->bits = bits;
	b->words = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (b->words != MAP_FAILED)
		return 0;
	b->words = NULL;
	b->bits = 0;
	return -ENOMEM;
}

static inline void bitmap_free(struct bitmap *b)
{
	if (b->words)
		munmap(b->words, (b->bits / 64 + 1) * sizeof(uint64_t));
	b->words = NULL;
}

static inline bool bitmap_test(const struct bitmap *b, uint64_t bit)
{
	return b->words[bit / 64] >> (bit % 64) & 1;
}

static inline void bitmap_set(struct bitmap *b, uint64_t bit)
{
	b->words[bit / 64] |= 1ULL << (bit % 64);
}

#endif
