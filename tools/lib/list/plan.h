/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * In which order a list is read in. The listed order is the reader's; the
 * device likes the file's, and merged. So: windows of the listed order, each
 * sorted by file and index and merged.
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

struct plan {
	struct extent *runs; /* disjoint, window after window */
	size_t nr_runs;
};

/* Plan the reading of L. The plan takes the list's extents over: L has none afterwards. */
void plan_make(struct plan *p, struct list *l);
/*
 * Where those runs end that lie close to run I and to each other, in no more than
 * MAX_PAGES from its first page on: the index behind the last of them.
 */
size_t plan_near(const struct plan *p, size_t i, uint64_t max_pages);
void plan_free(struct plan *p);

#endif
