// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>

#include "list/order.h"
#include "list/plan.h"
#include "list/sort.h"

/* Querying across a gap of up to this many pages is cheaper than a second system call. */
#define NEAR_PAGES 32

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
	sort_extents(copy, n);
	runs = merge(copy, copy, n);
	free(copy);
	return pages / runs < PLAN_HEAD_MAX_RUN;
}

/* Reads gain by forcing whatever their order; only page faults in order do not. */
static bool may_leave(const struct list_file *f)
{
	return f->state == LIST_READY &&
	       (f->pattern == PATTERN_MMAP || f->pattern == PATTERN_UNKNOWN);
}

static void leave_long(struct plan *p, const struct extent *stream)
{
	if (stream->nr_pages < PLAN_LONG_PAGES)
		return;
	p->left = xrealloc(p->left, p->nr_left + 1, sizeof(*p->left));
	p->left[p->nr_left++] = *stream;
}

/*
 * Find the streams of each file: extents that follow one another, whatever the list has of
 * other files between them.
 */
static void find_left(struct plan *p, const struct list *l)
{
	struct extent *streams = xcalloc(l->nr_files, sizeof(*streams)), *s;
	const struct extent *e;
	size_t i;

	for (i = 0; i < l->nr_extents; i++) {
		e = &l->extents[i];
		s = &streams[e->file];
		if (!may_leave(&l->files[e->file]))
			continue;
		if (s->index + s->nr_pages == e->index && s->nr_pages <= UINT32_MAX - e->nr_pages) {
			s->nr_pages += e->nr_pages;
			s->file = e->file;
		} else {
			leave_long(p, s);
			*s = *e;
		}
	}
	for (i = 0; i < l->nr_files; i++)
		leave_long(p, &streams[i]);
	free(streams);
	sort_extents(p->left, p->nr_left);
}

/* Orders a listed extent before or behind one of those left; 0: it is a part of it. */
static int by_left(const void *extent, const void *left)
{
	const struct extent *e = extent, *l = left;

	if (e->file == l->file && e->index >= l->index && e->index - l->index < l->nr_pages)
		return 0;
	return by_place(e, l);
}

/* Take what is left out of the list: whole extents, as the list has each page once. */
static void take_left(struct plan *p, struct list *l)
{
	size_t i, kept = 0;

	find_left(p, l);
	if (!p->nr_left)
		return;
	for (i = 0; i < l->nr_extents; i++) {
		if (!bsearch(&l->extents[i], p->left, p->nr_left, sizeof(*p->left), by_left))
			l->extents[kept++] = l->extents[i];
	}
	l->nr_extents = kept;
}

uint64_t plan_left_pages(const struct plan *p, uint32_t file)
{
	uint64_t pages = 0;
	size_t i;

	for (i = 0; i < p->nr_left; i++)
		pages += p->left[i].file == file ? p->left[i].nr_pages : 0;
	return pages;
}

static bool is_mostly_listed(const struct list_file *f)
{
	return f->state == LIST_READY && f->listed_pages >= PLAN_SHUFFLED_BYTES / page_size() &&
	       f->listed_pages >= f->nr_pages / 2;
}

static size_t find_shuffled(const struct list *l)
{
	size_t i, found = PLAN_NO_FILE;
	struct order *orders;

	for (i = 0; i < l->nr_files && !is_mostly_listed(&l->files[i]); i++)
		;
	if (i == l->nr_files)
		return PLAN_NO_FILE;
	orders = xcalloc(l->nr_files, sizeof(*orders));
	for (i = 0; i < l->nr_extents; i++)
		order_add(&orders[l->extents[i].file], l->extents[i].index, l->extents[i].nr_pages);
	for (i = 0; i < l->nr_files && found == PLAN_NO_FILE; i++) {
		if (is_mostly_listed(&l->files[i]) && order_is_random(&orders[i]))
			found = i;
	}
	free(orders);
	return found;
}

void plan_make(struct plan *p, struct list *l, bool beside_reader)
{
	struct extent *e = l->extents;
	size_t left, n, runs;

	memset(p, 0, sizeof(*p));
	p->shuffled = find_shuffled(l);
	if (beside_reader)
		take_left(p, l);
	left = l->nr_extents;
	p->runs = e;
	while (left) {
		n = window_extents(e, left, PLAN_WINDOW_PAGES);
		if (e == p->runs && is_scattered(e, n))
			n = window_extents(e, left, PLAN_HEAD_PAGES);
		sort_extents(e, n);
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
	free(p->left);
	memset(p, 0, sizeof(*p));
}
