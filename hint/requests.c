// SPDX-License-Identifier: LGPL-2.1-or-later
#include "requests.h"

static uint64_t pages_of(uint64_t bytes, uint64_t page_size)
{
	return bytes / page_size + !!(bytes % page_size);
}

static bool by_place(const struct request *a, const struct request *b)
{
	return a->file != b->file ? a->file < b->file : a->first < b->first;
}

static bool by_order(const struct request *a, const struct request *b)
{
	return a->order < b->order;
}

/* Sorts by insertion: requests are few and mostly in order, and qsort(3) may allocate memory. */
static void sort(struct request *requests, size_t n,
		 bool (*before)(const struct request *a, const struct request *b))
{
	size_t i, at;

	for (i = 1; i < n; i++) {
		struct request r = requests[i];

		for (at = i; at && before(&r, &requests[at - 1]); at--)
			requests[at] = requests[at - 1];
		requests[at] = r;
	}
}

/* Cut requests at the end of their file and merge those that touch. REQUESTS are sorted by place. */
static size_t merge(struct request *requests, size_t n, uint64_t page_size, request_size_fn size,
		    void *ctx)
{
	uint64_t pages = 0;
	uint32_t file = 0;
	size_t i, nr = 0;

	for (i = 0; i < n; i++) {
		struct request r = requests[i], *last = nr ? &requests[nr - 1] : NULL;

		if (!i || r.file != file)
			pages = pages_of(size(ctx, r.file), page_size);
		file = r.file;
		if (r.end > pages)
			r.end = pages;
		if (r.first >= r.end)
			continue;
		if (!last || last->file != r.file || last->end < r.first) {
			requests[nr++] = r;
			continue;
		}
		if (last->end < r.end)
			last->end = r.end;
		if (last->order > r.order)
			last->order = r.order;
	}
	return nr;
}

size_t requests_make(struct request *requests, const struct ring_hint *hints, size_t n,
		     uint64_t page_size, request_size_fn size, void *ctx)
{
	size_t i, nr = 0;

	for (i = 0; i < n; i++) {
		const struct pagehint_range *range = &hints[i].range;
		uint64_t left = UINT64_MAX - range->offset;
		uint64_t end = range->offset + (range->length < left ? range->length : left);

		if (range->length)
			requests[nr++] = (struct request){ hints[i].file, i,
							   range->offset / page_size,
							   pages_of(end, page_size) };
	}
	sort(requests, nr, by_place);
	nr = merge(requests, nr, page_size, size, ctx);
	/* The reader comes in this order; the block layer sorts for disks that want another one. */
	sort(requests, nr, by_order);
	return nr;
}
