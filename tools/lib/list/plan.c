// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>

#include "list/plan.h"

/* Querying across a gap of up to this many pages is cheaper than a second system call. */
#define NEAR_PAGES 32

static int by_place(const void *a, const void *b)
{
	const struct extent *x = a, *y = b;

	if (x->file != y->file)
		return x->file < y->file ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

/* Sort N extents, unless they are in order already: most recorded lists are, in part. */
static void sort(struct extent *e, size_t n)
{
	size_t i;

	for (i = 1; i < n; i++) {
		if (by_place(&e[i - 1], &e[i]) > 0) {
			qsort(e, n, sizeof(*e), by_place);
			return;
		}
	}
}

/* How many of N extents a window of LIMIT pages holds, at least one. */
static size_t window_extents(const struct extent *e, size_t n, uint64_t limit)
{
	uint64_t pages = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		pages += e[i].nr_pages;
		if (pages > limit && i)
			break;
	}
	return i;
}

/* Merge neighbours among N sorted extents into the runs at TO; returns how many these are. */
static size_t merge(struct extent *to, const struct extent *e, size_t n)
{
	size_t i, out = 0;

	to[0] = e[0];
	for (i = 1; i < n; i++) {
		struct extent *last = &to[out];

		if (e[i].file == last->file && last->index + last->nr_pages == e[i].index &&
		    last->nr_pages <= UINT32_MAX - e[i].nr_pages)
			last->nr_pages += e[i].nr_pages;
		else
			to[++out] = e[i];
	}
	return out + 1;
}

/* Do the first N extents stay scattered when they are sorted and merged? */
static bool is_scattered(const struct extent *e, size_t n)
{
	struct extent *copy = xcalloc(n, sizeof(*copy));
	uint64_t pages = 0;
	size_t i, runs;

	for (i = 0; i < n; i++)
		pages += e[i].nr_pages;
	memcpy(copy, e, n * sizeof(*copy));
	sort(copy, n);
	runs = merge(copy, copy, n);
	free(copy);
	return pages / runs < PLAN_HEAD_MAX_RUN;
}

void plan_make(struct plan *p, struct list *l)
{
	struct extent *e = l->extents;
	size_t left = l->nr_extents, n, runs;

	memset(p, 0, sizeof(*p));
	p->runs = e;
	while (left) {
		n = window_extents(e, left, PLAN_WINDOW_PAGES);
		if (e == p->runs && is_scattered(e, n))
			n = window_extents(e, left, PLAN_HEAD_PAGES);
		sort(e, n);
		runs = merge(&p->runs[p->nr_runs], e, n);
		p->nr_runs += runs;
		e += n;
		left -= n;
	}
	l->extents = NULL;
	l->nr_extents = l->room = 0;
}

size_t plan_near(const struct plan *p, size_t i, uint64_t max_pages)
{
	const struct extent *first = &p->runs[i], *last = first, *next;

	for (i++; i < p->nr_runs; i++, last = next) {
		next = &p->runs[i];
		/* A window may begin anywhere, also before the end of the one before it. */
		if (next->file != first->file || next->index < last->index + last->nr_pages ||
		    next->index > last->index + last->nr_pages + NEAR_PAGES ||
		    next->index + next->nr_pages > first->index + max_pages)
			break;
	}
	return i;
}

void plan_free(struct plan *p)
{
	free(p->runs);
	memset(p, 0, sizeof(*p));
}
