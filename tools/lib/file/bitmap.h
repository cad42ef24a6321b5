/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Bits for the pages of a file. Address space is reserved up front; memory is
 * committed only where bits are set.
 */
#ifndef PAGE2CACHE_BITMAP_H
#define PAGE2CACHE_BITMAP_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/util.h"

struct bitmap {
	uint64_t *words;
	uint64_t bits;
};

/* Up to this size the allocator is quicker than a mapping, and most files of a list are small. */
#define BITMAP_SMALL_BYTES 4096

static inline size_t bitmap_bytes(const struct bitmap *b)
{
	return (b->bits / 64 + 1) * sizeof(uint64_t);
}

/* Returns 0 or -ENOMEM. */
static inline int bitmap_init(struct bitmap *b, uint64_t bits)
{
	b->bits = bits;
	if (bitmap_bytes(b) <= BITMAP_SMALL_BYTES) {
		b->words = calloc(1, bitmap_bytes(b));
	} else {
		b->words = mmap(NULL, bitmap_bytes(b), PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (b->words == MAP_FAILED)
			b->words = NULL;
	}
	if (b->words)
		return 0;
	b->bits = 0;
	return -ENOMEM;
}

static inline void bitmap_free(struct bitmap *b)
{
	if (b->words && bitmap_bytes(b) <= BITMAP_SMALL_BYTES)
		free(b->words);
	else if (b->words)
		munmap(b->words, bitmap_bytes(b));
	b->words = NULL;
}

/* All of them off, and the memory given back. */
static inline void bitmap_clear(struct bitmap *b)
{
	if (b->words && bitmap_bytes(b) <= BITMAP_SMALL_BYTES)
		memset(b->words, 0, bitmap_bytes(b));
	else if (b->words)
		madvise(b->words, bitmap_bytes(b), MADV_DONTNEED);
}

static inline bool bitmap_test(const struct bitmap *b, uint64_t bit)
{
	return b->words[bit / 64] >> (bit % 64) & 1;
}

static inline void bitmap_set(struct bitmap *b, uint64_t bit)
{
	b->words[bit / 64] |= 1ULL << (bit % 64);
}

/* Set or clear NR bits; other threads may do so with their neighbours. */
static inline void bitmap_fill(struct bitmap *b, uint64_t bit, uint64_t nr, bool on)
{
	uint64_t n, mask;

	for (; nr; nr -= n, bit += n) {
		n = 64 - bit % 64 < nr ? 64 - bit % 64 : nr;
		mask = (n == 64 ? ~0ULL : (1ULL << n) - 1) << (bit % 64);
		if (on)
			__atomic_fetch_or(&b->words[bit / 64], mask, __ATOMIC_RELAXED);
		else
			__atomic_fetch_and(&b->words[bit / 64], ~mask, __ATOMIC_RELAXED);
	}
}

/* The first bit from BIT on that is ON, END if there is none before it. */
static inline uint64_t bitmap_next(const struct bitmap *b, uint64_t bit, uint64_t end, bool on)
{
	uint64_t word;

	while (bit < end) {
		word = (on ? b->words[bit / 64] : ~b->words[bit / 64]) >> (bit % 64);
		if (word) {
			bit += __builtin_ctzll(word);
			return bit < end ? bit : end;
		}
		bit = (bit / 64 + 1) * 64;
	}
	return end;
}

#endif
