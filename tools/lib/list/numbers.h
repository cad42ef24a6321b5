/* SPDX-License-Identifier: GPL-2.0-only */
/* Which file each number of a list stands for: @N of page2cache-offsets(5). */
#ifndef PAGE2CACHE_NUMBERS_H
#define PAGE2CACHE_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A hash table, as numbers may be any. All zero: empty. */
struct numbers {
	struct numbered *slots;
	size_t nr, room; /* room is a power of two, and more than nr */
};

/* NUMBER, which is not 0 and not there yet, stands for FILE. */
void numbers_add(struct numbers *n, uint32_t number, uint32_t file);
bool numbers_find(const struct numbers *n, uint32_t number, uint32_t *file);
/* Empty it. */
void numbers_free(struct numbers *n);

#endif
