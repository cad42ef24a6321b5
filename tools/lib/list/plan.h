/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * In which order a list is read in. The listed order is the reader's; the
 * device likes the file's, and merged. So: windows of the listed order, each
 * sorted by file and index and merged.
 *
 * Beside a reader that goes through much of a file in order, the kernel's own readahead is as
 * fast. Measured on a virtio disk (2 CPUs, 256 and 512 MiB, whole lines as typed, cold / forced):
 * by page faults 0.94 to 0.96, where nothing forced gave 0.98 to 0.99; by reads 1.09. Up to
 * 96 MiB, and where it goes on elsewhere every few MiB, forcing gained by either (1.01 to 1.25).
 * Forcing just the head of what is long lost most, up to a third: the kernel takes a
 * reader that comes upon cached pages for a random one.
 */
#ifndef PAGE2CACHE_PLAN_H
#define PAGE2CACHE_PLAN_H

#include "list/list.h"

/*
 * A window holds a GiB of 4 KiB pages, so that a file in random order becomes a
 * sequential one. Where its pages stay scattered all the same, a small window
 * goes before: the reader's first pages do not have to wait for a sweep through
 * all. Among long runs that would only break up their large folios.
 */
#define PLAN_HEAD_PAGES	  256
#define PLAN_HEAD_MAX_RUN 16 /* pages in a merged run, on average */
#define PLAN_WINDOW_PAGES (1ULL << 18)
/* What is long: 128 MiB of 4 KiB pages, which follow one another in the list, too. */
#define PLAN_LONG_PAGES (1ULL << 15)
/*
 * A file of which so much is listed, half of it or more, and out of order, is read in faster
 * before its reader starts.
 */
#define PLAN_SHUFFLED_BYTES (64ULL << 20)
#define PLAN_NO_FILE	    SIZE_MAX

struct plan {
	struct extent *runs; /* disjoint, window after window */
	size_t nr_runs;
	struct extent *left; /* to the kernel's readahead; disjoint, by file and index */
	size_t nr_left;
	size_t shuffled; /* the file of PLAN_SHUFFLED_BYTES, or PLAN_NO_FILE */
};

/*
 * Plan the reading of L. BESIDE_READER: what is long and in order is left, unless the list
 * says that the file is not accessed through page faults. The plan takes the list's
 * extents over: L has none afterwards.
 */
void plan_make(struct plan *p, struct list *l, bool beside_reader);
/* Pages of a file that are left. */
uint64_t plan_left_pages(const struct plan *p, uint32_t file);
/*
 * Where those runs end that lie close to run I and to each other, in no more than
 * MAX_PAGES from its first page on: the index behind the last of them.
 */
size_t plan_near(const struct plan *p, size_t i, uint64_t max_pages);
void plan_free(struct plan *p);

#endif
