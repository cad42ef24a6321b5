/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The lists of the engines `helper` and `kfunc`, in memory that is shared with the kernel: one for
 * each file, its head first. Any process with the rights may map this memory, too, and write to it.
 * So nothing that is read back is taken for a place or a size before it is known to be a possible one.
 */
#ifndef PAGE2CACHE_KERNEL_LISTS_H
#define PAGE2CACHE_KERNEL_LISTS_H

#include "force/force.h"
#include "shared.h"

struct kernel_lists {
	struct page2cache_extent *extents; /* the memory; NULL: not mapped yet */
	uint64_t nr_extents;		   /* in it, heads included */
	uint64_t *first;		   /* a file each: where its head is */
	uint64_t *nr;			   /* a file each: extents of its list; 0: it has none */
};

/* Count the extents of each ready file of the plan. */
void kernel_lists_count(struct kernel_lists *k, const struct force *f);
/* Give each file its place. Returns 0, or -E2BIG: no map is that large. */
int kernel_lists_lay_out(struct kernel_lists *k, size_t nr_files);
size_t kernel_lists_bytes(const struct kernel_lists *k);
/*
 * Write the lists into the memory. They share MAX_PAGES, in the plan's order; a file without a
 * share has no list any more.
 */
void kernel_lists_fill(struct kernel_lists *k, const struct force *f, uint64_t max_pages);

struct page2cache_head *kernel_lists_head(const struct kernel_lists *k, size_t file);
/* Whatever the kernel has written before this state is seen, too. */
uint64_t kernel_lists_state(const struct kernel_lists *k, size_t file);
/* Extent I of a file's list, within its first END pages. */
struct page2cache_extent kernel_lists_extent(const struct kernel_lists *k, size_t file, uint64_t i,
					     uint64_t end);
/*
 * A copy of what the kernel says of a list of MAX_PAGES pages. False: it cannot be what the kernel has
 * written.
 */
bool kernel_lists_answer(const struct kernel_lists *k, size_t file, uint64_t max_pages,
			 struct page2cache_head *answer);

void kernel_lists_free(struct kernel_lists *k);

#endif
