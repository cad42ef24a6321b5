/* SPDX-License-Identifier: GPL-2.0-only */
/* Which pages of a file are in the page cache, asked without changing it. */
#ifndef PAGE2CACHE_RESIDENCY_H
#define PAGE2CACHE_RESIDENCY_H

#include "file/bitmap.h"

/*
 * How many of NR pages from INDEX are in the page cache: cachestat(2), which
 * counts pages still being read and those whose read failed; mincore(2), which
 * does not, where cachestat(2) cannot be had (kernels before 6.5, a container's profile) or
 * knows no pages of the file (overlayfs). Returns 0, -EPERM where the kernel does not tell
 * this user, or -errno.
 */
int residency_count(int fd, uint64_t index, uint64_t nr, uint64_t *cached);

/*
 * Call RUN for each run of pages in [index, index + nr) that are in the page
 * cache (cached true) or not, in file order. Returns 0, -errno, or what RUN
 * returned if not 0.
 */
typedef int residency_run(void *ctx, uint64_t index, uint64_t nr, bool cached);
int residency_runs(int fd, uint64_t index, uint64_t nr, residency_run *run, void *ctx);

/*
 * Which of NR pages have been read: in the cache and up to date (mincore(2)).
 * One byte a page in vec, bit 0. Returns 0 or -errno.
 */
struct residency_map {
	int fd;
	char *at; /* the window that is mapped, NULL: none yet */
	uint64_t index;
	uint64_t nr;
};

int residency_uptodate(struct residency_map *m, uint64_t index, uint64_t nr, unsigned char *vec);
void residency_unmap(struct residency_map *m);

#endif
