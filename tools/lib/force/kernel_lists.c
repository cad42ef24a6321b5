// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>

#include "force/kernel_lists.h"

/* The kernel's errors are within this range. */
#define MAX_ERRNO 4095

void kernel_lists_count(struct kernel_lists *k, const struct force *f)
{
	const struct list *l = f->list;
	uint32_t file;
	size_t i;

	k->first = xcalloc(l->nr_files, sizeof(*k->first));
	k->nr = xcalloc(l->nr_files, sizeof(*k->nr));
	for (i = 0; i < f->plan.nr_runs; i++) {
		file = f->plan.runs[i].file;
		/* A file that is not ready has nothing to be read. */
		k->nr[file] += l->files[file].state == LIST_READY;
	}
}

int kernel_lists_lay_out(struct kernel_lists *k, size_t nr_files)
{
	uint64_t at = 0;
	size_t i;

	for (i = 0; i < nr_files; i++) {
		k->first[i] = at;
		at += PAGE2CACHE_HEAD + k->nr[i];
	}
	k->nr_extents = at;
	return at > UINT32_MAX ? -E2BIG : 0;
}

size_t kernel_lists_bytes(const struct kernel_lists *k)
{
	return (k->nr_extents ? k->nr_extents : 1) * sizeof(*k->extents);
}

struct page2cache_head *kernel_lists_head(const struct kernel_lists *k, size_t file)
{
	return (void *)&k->extents[k->first[file]];
}

uint64_t kernel_lists_state(const struct kernel_lists *k, size_t file)
{
	return __atomic_load_n(&kernel_lists_head(k, file)->state, __ATOMIC_ACQUIRE);
}

static void fill_extents(const struct kernel_lists *k, const struct force *f)
{
	uint64_t *filled = xcalloc(f->list->nr_files, sizeof(*filled));
	const struct extent *run;
	struct page2cache_extent *e;
	size_t i;

	for (i = 0; i < f->plan.nr_runs; i++) {
		run = &f->plan.runs[i];
		if (!k->nr[run->file])
			continue;
		e = (void *)(kernel_lists_head(k, run->file) + 1);
		e[filled[run->file]++] = (struct page2cache_extent){ .index = run->index,
								     .nr_pages = run->nr_pages };
	}
	free(filled);
}

/*
 * What no list needs is divided among them: where data is compressed, more than the listed
 * pages is read.
 */
static void fill_heads(struct kernel_lists *k, const struct force *f, uint64_t max_pages)
{
	uint64_t *share = xcalloc(f->list->nr_files, sizeof(*share));
	size_t i, nr = 0;

	for (i = 0; i < f->list->nr_files; i++) {
		if (!k->nr[i])
			continue;
		share[i] = f->list->files[i].listed_pages - plan_left_pages(&f->plan, i);
		share[i] = share[i] < max_pages ? share[i] : max_pages;
		max_pages -= share[i];
		if (share[i])
			nr++;
		else
			k->nr[i] = 0;
	}
	for (i = 0; i < f->list->nr_files; i++) {
		if (k->nr[i])
			*kernel_lists_head(k, i) = (struct page2cache_head){
				.nr_extents = k->nr[i],
				.max_pages = share[i] + max_pages / nr,
			};
	}
	free(share);
}

void kernel_lists_fill(struct kernel_lists *k, const struct force *f, uint64_t max_pages)
{
	fill_extents(k, f);
	fill_heads(k, f, max_pages);
}

struct page2cache_extent kernel_lists_extent(const struct kernel_lists *k, size_t file, uint64_t i,
					     uint64_t end)
{
	const struct page2cache_extent *e = (void *)(kernel_lists_head(k, file) + 1);
	uint64_t index = __atomic_load_n(&e[i].index, __ATOMIC_RELAXED);
	uint64_t nr_pages = __atomic_load_n(&e[i].nr_pages, __ATOMIC_RELAXED);

	index = index < end ? index : end;
	return (struct page2cache_extent){
		.index = index,
		.nr_pages = nr_pages < end - index ? nr_pages : end - index,
	};
}

bool kernel_lists_answer(const struct kernel_lists *k, size_t file, uint64_t max_pages,
			 struct page2cache_head *answer)
{
	const uint64_t *from = (void *)kernel_lists_head(k, file);
	uint64_t *to = (void *)answer;
	const __u64 *const counts[] = { &answer->resident, &answer->read, &answer->failed,
					&answer->past_eof, &answer->skipped };
	size_t i;

	for (i = 0; i < sizeof(*answer) / sizeof(*to); i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		if (*counts[i] > max_pages)
			return false;
		max_pages -= *counts[i];
	}
	return answer->error <= 0 && answer->error >= -MAX_ERRNO;
}

void kernel_lists_free(struct kernel_lists *k)
{
	free(k->first);
	free(k->nr);
}
