// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages may be any of 2^64, too many for the bitmaps that a loaded list has. So runs are sorted by
 * place, and swept.
 */
#include <stdlib.h>
#include <string.h>

#include "list/page_runs.h"
#include "list/sort.h"

void page_runs_add(struct page_runs *r, uint32_t file, uint64_t first, uint64_t last)
{
	struct page_run *before = r->nr ? &r->runs[r->nr - 1] : NULL;

	if (before && before->file == file && first && before->last == first - 1) {
		before->last = last;
		return;
	}
	if (r->nr == r->room) {
		r->room = r->room ? r->room + r->room / 2 : 1024;
		r->runs = xrealloc(r->runs, r->room, sizeof(*r->runs));
	}
	r->runs[r->nr++] = (struct page_run){ first, last, file };
}

void page_runs_free(struct page_runs *r)
{
	free(r->runs);
	memset(r, 0, sizeof(*r));
}

/* Where a run begins, with its index in place of a length, as sort_extents() sorts extents. */
static struct extent *starts_by_place(const struct page_runs *r)
{
	struct extent *starts = xrealloc(NULL, r->nr, sizeof(*starts));
	size_t i;

	for (i = 0; i < r->nr; i++)
		starts[i] = (struct extent){ r->runs[i].first, i, r->runs[i].file };
	sort_extents(starts, r->nr);
	return starts;
}

/* Does B lie behind A, in a later file or in the same one? */
static bool is_behind(const struct page_run *b, const struct page_run *a)
{
	return b->file != a->file ? b->file > a->file : b->first > a->last;
}

static bool in_order(const struct page_runs *r)
{
	size_t i;

	for (i = 1; i < r->nr; i++) {
		if (!is_behind(&r->runs[i], &r->runs[i - 1]))
			return false;
	}
	return true;
}

/* The runs that cover the page where a sweep is, by index: the first of the list is on top. */
struct heap {
	uint32_t *at;
	size_t nr;
};

static void swap(uint32_t *a, uint32_t *b)
{
	uint32_t was = *a;

	*a = *b;
	*b = was;
}

static void heap_push(struct heap *h, uint32_t run)
{
	size_t i = h->nr++;

	h->at[i] = run;
	for (; i && h->at[i] < h->at[(i - 1) / 2]; i = (i - 1) / 2)
		swap(&h->at[i], &h->at[(i - 1) / 2]);
}

static void heap_pop(struct heap *h)
{
	size_t i = 0, child;

	h->at[0] = h->at[--h->nr];
	while ((child = 2 * i + 1) < h->nr) {
		if (child + 1 < h->nr && h->at[child + 1] < h->at[child])
			child++;
		if (h->at[i] <= h->at[child])
			break;
		swap(&h->at[i], &h->at[child]);
		i = child;
	}
}

/* What is left of the runs: each piece, by place, and the run that it is of. */
struct pieces {
	struct page_run *runs;
	uint32_t *of;
	size_t nr, room;
};

static void add_piece(struct pieces *p, uint32_t of, uint32_t file, uint64_t first, uint64_t last)
{
	/* The sweep stops wherever a run begins, also one that has nothing to add. */
	if (p->nr && p->of[p->nr - 1] == of) {
		struct page_run *before = &p->runs[p->nr - 1];

		if (before->last + 1 == first) {
			before->last = last;
			return;
		}
	}
	if (p->nr == p->room) {
		p->room += p->room / 2 + 1;
		p->runs = xrealloc(p->runs, p->room, sizeof(*p->runs));
		p->of = xrealloc(p->of, p->room, sizeof(*p->of));
	}
	p->of[p->nr] = of;
	p->runs[p->nr++] = (struct page_run){ first, last, file };
}

/* Each page of R goes to the first run that has it. */
static void sweep(struct pieces *p, const struct page_runs *r)
{
	struct extent *starts = starts_by_place(r);
	struct heap open = { .at = xrealloc(NULL, r->nr, sizeof(*open.at)) };
	uint64_t at = 0, last;
	uint32_t file = 0;
	size_t i = 0;

	while (i < r->nr || open.nr) {
		if (!open.nr) {
			at = starts[i].index;
			file = starts[i].file;
		}
		for (; i < r->nr && starts[i].file == file && starts[i].index == at; i++)
			heap_push(&open, starts[i].nr_pages);
		last = r->runs[open.at[0]].last;
		if (last < at) {
			heap_pop(&open);
			continue;
		}
		if (i < r->nr && starts[i].file == file && starts[i].index <= last)
			last = starts[i].index - 1;
		add_piece(p, open.at[0], file, at, last);
		/* Behind the last page that there can be, no run is open. */
		if (last == UINT64_MAX)
			open.nr = 0;
		at = last + 1;
	}
	free(open.at);
	free(starts);
}

/* The pieces in the order of the N runs that they are of; those of one run keep theirs. */
static void put_back(struct page_runs *r, const struct pieces *p)
{
	uint32_t *next = xcalloc(r->nr + 1, sizeof(*next));
	struct page_run *ordered = xrealloc(NULL, p->nr, sizeof(*ordered));
	size_t i;

	for (i = 0; i < p->nr; i++)
		next[p->of[i] + 1]++;
	for (i = 1; i <= r->nr; i++)
		next[i] += next[i - 1];
	for (i = 0; i < p->nr; i++)
		ordered[next[p->of[i]]++] = p->runs[i];
	free(next);
	r->nr = 0;
	for (i = 0; i < p->nr; i++)
		page_runs_add(r, ordered[i].file, ordered[i].first, ordered[i].last);
	free(ordered);
}

void page_runs_settle(struct page_runs *r)
{
	struct pieces p = { .room = r->nr };

	/* Most lists of one file are in order, or nearly. */
	if (in_order(r))
		return;
	p.runs = xrealloc(NULL, p.room, sizeof(*p.runs));
	p.of = xrealloc(NULL, p.room, sizeof(*p.of));
	sweep(&p, r);
	put_back(r, &p);
	free(p.runs);
	free(p.of);
}

/* The same pages by place, as few runs as can be. */
static struct page_runs all_by_place(const struct page_runs *r)
{
	struct extent *starts = starts_by_place(r);
	struct page_runs all = { 0 };
	size_t i;

	for (i = 0; i < r->nr; i++) {
		const struct page_run *run = &r->runs[starts[i].nr_pages];
		struct page_run *before = all.nr ? &all.runs[all.nr - 1] : NULL;

		if (!before || is_behind(run, before))
			page_runs_add(&all, run->file, run->first, run->last);
		else if (run->last > before->last)
			before->last = run->last;
	}
	free(starts);
	return all;
}

/* The first run of ALL, which is by place, that does not lie before RUN. */
static size_t find_place(const struct page_runs *all, const struct page_run *run)
{
	size_t low = 0, high = all->nr, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (is_behind(run, &all->runs[mid]))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void keep_of(struct page_runs *out, const struct page_run *run, const struct page_runs *all,
		    bool in)
{
	uint64_t at = run->first, first, last;
	size_t i;

	for (i = find_place(all, run); i < all->nr && !is_behind(&all->runs[i], run); i++) {
		first = all->runs[i].first > at ? all->runs[i].first : at;
		last = all->runs[i].last < run->last ? all->runs[i].last : run->last;
		if (in)
			page_runs_add(out, run->file, first, last);
		else if (first > at)
			page_runs_add(out, run->file, at, first - 1);
		if (last == run->last)
			return;
		at = last + 1;
	}
	if (!in)
		page_runs_add(out, run->file, at, run->last);
}

void page_runs_keep(struct page_runs *r, const struct page_runs *of, bool in)
{
	struct page_runs all = all_by_place(of), out = { 0 };
	size_t i;

	for (i = 0; i < r->nr; i++)
		keep_of(&out, &r->runs[i], &all, in);
	page_runs_free(&all);
	page_runs_free(r);
	*r = out;
}

void page_runs_trim(struct page_runs *r, uint64_t pages)
{
	size_t i;

	for (i = 0; i < r->nr && pages; i++) {
		struct page_run *run = &r->runs[i];

		if (run->last - run->first >= pages)
			run->last = run->first + pages - 1;
		pages -= run->last - run->first + 1;
	}
	r->nr = i;
}
