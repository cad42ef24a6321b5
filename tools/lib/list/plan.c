// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>

#include "list/plan.h"

static int by_place(const void *a, const void *b)
{
	const struct extent *x = a, *y = b;

	if (x->file != y->file)
		return x->file < y->file ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

void plan_init(struct plan *p, const struct list *l)
{
	memset(p, 0, sizeof(*p));
	p->list = l;
}

/* Extents that a window of at least one holds. */
static size_t window_extents(const struct plan *p, uint64_t limit)
{
	uint64_t pages = 0;
	size_t i;

	for (i = p->next; i < p->list->nr_extents; i++) {
		pages += p->list->extents[i].nr_pages;
		if (pages > limit && i > p->next)
			break;
	}
	return i - p->next;
}

static void merge(struct plan *p)
{
	size_t i, out = 0;

	for (i = 1; i < p->nr_runs; i++) {
		struct extent *last = &p->runs[out], *run = &p->runs[i];

		if (run->file == last->file && last->index + last->nr_pages == run->index &&
		    last->nr_pages <= UINT32_MAX - run->nr_pages)
			last->nr_pages += run->nr_pages;
		else
			p->runs[++out] = *run;
	}
	p->nr_runs = out + 1;
}

/* Sort and merge the next n extents into p->runs; returns their pages. */
static uint64_t make_window(struct plan *p, size_t n)
{
	uint64_t pages = 0;
	size_t i;

	if (n > p->room) {
		p->room = n;
		p->runs = xrealloc(p->runs, n, sizeof(*p->runs));
	}
	memcpy(p->runs, p->list->extents + p->next, n * sizeof(*p->runs));
	p->nr_runs = n;
	qsort(p->runs, n, sizeof(*p->runs), by_place);
	merge(p);
	for (i = 0; i < p->nr_runs; i++)
		pages += p->runs[i].nr_pages;
	return pages;
}

bool plan_next(struct plan *p)
{
	size_t n = window_extents(p, PLAN_WINDOW_PAGES);

	if (!n)
		return false;
	if (make_window(p, n) / p->nr_runs < PLAN_HEAD_MAX_RUN && !p->next) {
		n = window_extents(p, PLAN_HEAD_PAGES);
		make_window(p, n);
	}
	p->next += n;
	return true;
}

/* To ask about this many pages more is cheaper than to ask once more. */
#define NEAR_PAGES 32

size_t plan_near(const struct plan *p, size_t i, uint64_t max_pages)
{
	const struct extent *first = &p->runs[i], *last = first, *next;

	for (i++; i < p->nr_runs; i++, last = next) {
		next = &p->runs[i];
		if (next->file != first->file ||
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
