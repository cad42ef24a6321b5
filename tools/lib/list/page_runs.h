/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pages of files in an order, whatever the files are now: what lists that are combined are made
 * of. A file is a number here.
 */
#ifndef PAGE2CACHE_PAGE_RUNS_H
#define PAGE2CACHE_PAGE_RUNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* LAST is in it: a run may reach to the last page that 64 bits can number. */
struct page_run {
	uint64_t first, last;
	uint32_t file;
};

/* All zero: none. */
struct page_runs {
	struct page_run *runs;
	size_t nr, room;
};

/* One more at the end; joined to the one before if it goes on there. */
void page_runs_add(struct page_runs *r, uint32_t file, uint64_t first, uint64_t last);
/* Of pages that come several times the first occurrence keeps its place, the others go. */
void page_runs_settle(struct page_runs *r);
/* Keep, in their order, the pages that are in OF, or those that are not. */
void page_runs_keep(struct page_runs *r, const struct page_runs *of, bool in);
/* Keep the first PAGES pages. */
void page_runs_trim(struct page_runs *r, uint64_t pages);
void page_runs_free(struct page_runs *r);

#endif
