// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>

#include "list/renew.h"

#define NONE UINT32_MAX
/*
 * Fault-around maps what is cached of 16 pages around the one that a fault is about; which 16 these
 * are depends on where the file is mapped, and so on chance.
 */
#define AROUND 15

/* What is known of a slot's file. */
struct slot {
	struct bitmap accessed; /* pages that a fault or read was about */
	struct bitmap mapped;	/* pages, by a fault or along with others */
	struct bitmap listed;	/* pages in the new list by now */
	uint64_t nr_pages;
	const struct list_file *old; /* in the old list, NULL: not there, or not as it is now */
};

struct renewal {
	struct list_writer *w;
	struct offsets_section *sections;
	uint32_t nr;
	struct slot *slots;
	const struct list *old;
	uint32_t *slot_of; /* a file of the old list each; NONE: it is not ready */
	uint64_t pages;	   /* in the new list */
};

/* A slot by its file. */
struct key {
	const struct identity *id;
	uint32_t slot;
};

static int by_identity(const void *a, const void *b)
{
	return identity_compare(((const struct key *)a)->id, ((const struct key *)b)->id);
}

/* A slot for a file that was not accessed. */
static uint32_t add_slot(struct renewal *r, const struct list_file *f)
{
	uint32_t slot = r->nr++;

	r->sections = xrealloc(r->sections, r->nr, sizeof(*r->sections));
	r->sections[slot] = (struct offsets_section){
		.file = xstrdup(f->target.path),
		.id = f->target.id,
		.has = OFFSETS_ALL_FIELDS & ~OFFSETS_MISSES,
		.page_size = page_size(),
		.pattern = f->pattern,
	};
	return slot;
}

/* Which slot is each file of the old list? What changed since is recorded anew. */
static void match_files(struct renewal *r)
{
	struct key *keys = xcalloc(r->nr, sizeof(*keys)), key = { 0 }, *found;
	/* Sections move when one is added. */
	struct identity *ids = xcalloc(r->nr, sizeof(*ids));
	size_t i, n = 0;
	uint32_t slot;

	for (slot = 0; slot < r->nr; slot++) {
		ids[slot] = r->sections[slot].id;
		if (r->sections[slot].file)
			keys[n++] = (struct key){ &ids[slot], slot };
	}
	qsort(keys, n, sizeof(*keys), by_identity);
	r->slot_of = xcalloc(r->old->nr_files, sizeof(*r->slot_of));
	for (i = 0; i < r->old->nr_files; i++) {
		r->slot_of[i] = NONE;
		if (r->old->files[i].state != LIST_READY)
			continue;
		key.id = &r->old->files[i].target.id;
		found = bsearch(&key, keys, n, sizeof(*keys), by_identity);
		r->slot_of[i] = found ? found->slot : add_slot(r, &r->old->files[i]);
	}
	free(ids);
	free(keys);
}

static void make_slots(struct renewal *r)
{
	uint32_t slot;
	size_t i;

	r->slots = xcalloc(r->nr, sizeof(*r->slots));
	for (slot = 0; slot < r->nr; slot++) {
		struct slot *s = &r->slots[slot];

		if (!r->sections[slot].file)
			continue;
		s->nr_pages = (r->sections[slot].id.size + page_size() - 1) / page_size();
		/* A file without bitmaps is as one without pages. */
		if (bitmap_init(&s->accessed, s->nr_pages) ||
		    bitmap_init(&s->mapped, s->nr_pages) || bitmap_init(&s->listed, s->nr_pages))
			s->nr_pages = 0;
	}
	for (i = 0; i < r->old->nr_files; i++) {
		if (r->slot_of[i] != NONE)
			r->slots[r->slot_of[i]].old = &r->old->files[i];
	}
}

static void free_slots(struct renewal *r)
{
	uint32_t slot;

	for (slot = 0; slot < r->nr; slot++) {
		bitmap_free(&r->slots[slot].accessed);
		bitmap_free(&r->slots[slot].mapped);
		bitmap_free(&r->slots[slot].listed);
	}
	free(r->slots);
	free(r->slot_of);
}

/* Where a run ends within the file: a read may ask for more than there is. */
static uint64_t end_of(const struct slot *s, uint64_t index, uint64_t nr)
{
	return index + nr < s->nr_pages ? index + nr : s->nr_pages;
}

static void list_page(struct renewal *r, uint32_t slot, uint64_t index)
{
	const struct p2c_page_record one = { .index = index, .nr_pages = 1, .slot = slot };

	bitmap_set(&r->slots[slot].listed, index);
	list_writer_add(r->w, &one);
	r->pages++;
}

static bool is_wanted(const struct slot *s, bool along, uint64_t index)
{
	if (bitmap_test(&s->listed, index))
		return false;
	return !along || !s->old || bitmap_test(&s->accessed, index) ||
	       (index < s->old->nr_pages && bitmap_test(&s->old->listed, index));
}

static void note_run(struct slot *s, const struct p2c_page_record *run)
{
	uint64_t end = end_of(s, run->index, run->nr_pages);

	if (run->index >= end)
		return;
	if (run->use != PAGE_ALONG)
		bitmap_fill(&s->accessed, run->index, end - run->index, true);
	if (run->use != PAGE_READ)
		bitmap_fill(&s->mapped, run->index, end - run->index, true);
}

/* What the start accessed, in that order. */
static void list_accessed(struct renewal *r, const struct p2c_page_record *runs, size_t nr)
{
	const struct p2c_page_record *run, *last = runs + nr;
	uint64_t index, end;
	struct slot *s;

	for (run = runs; run < last; run++) {
		if (run->slot < r->nr)
			note_run(&r->slots[run->slot], run);
	}
	for (run = runs; run < last; run++) {
		if (run->slot >= r->nr)
			continue;
		s = &r->slots[run->slot];
		end = end_of(s, run->index, run->nr_pages);
		for (index = run->index; index < end; index++) {
			if (is_wanted(s, run->use == PAGE_ALONG, index))
				list_page(r, run->slot, index);
		}
	}
}

/* Could a page have been mapped along with one that was? Then it is as good as used. */
static bool is_around(const struct slot *s, uint64_t index)
{
	uint64_t first = index > AROUND ? index - AROUND : 0, end = end_of(s, index, AROUND + 1);

	return bitmap_next(&s->mapped, first, end, true) < end;
}

/* List the pages of the old list that STARTS starts did without by now; 0: those that are used. */
static void list_others(struct renewal *r, uint64_t starts)
{
	const struct list_mark *mark = r->old->marks, *last_mark = mark + r->old->nr_marks;
	const struct extent *e = r->old->extents;
	uint64_t i, page, end, unused = 0;
	bool marked = !starts;
	uint32_t slot;
	struct slot *s;

	for (i = 0; i < r->old->nr_extents; i++, e++) {
		/* What the old list says of this extent: how many starts did without it. */
		for (; mark < last_mark && mark->extent <= i; mark++)
			unused = mark->unused;
		slot = r->slot_of[e->file];
		if (slot == NONE || (starts && unused != starts - 1))
			continue;
		s = &r->slots[slot];
		end = end_of(s, e->index, e->nr_pages);
		for (page = e->index; page < end; page++) {
			if (bitmap_test(&s->listed, page) || (!starts && !is_around(s, page)))
				continue;
			if (!marked)
				list_writer_unused(r->w, starts);
			marked = true;
			list_page(r, slot, page);
		}
	}
}

/* How many pages of the old list were accessed again. */
static uint64_t pages_again(const struct renewal *r)
{
	const struct extent *e = r->old->extents, *last = e + r->old->nr_extents;
	uint64_t page, end, again = 0;
	const struct slot *s;

	for (; e < last; e++) {
		if (r->slot_of[e->file] == NONE)
			continue;
		s = &r->slots[r->slot_of[e->file]];
		end = end_of(s, e->index, e->nr_pages);
		for (page = e->index; page < end; page++)
			again += bitmap_test(&s->listed, page);
	}
	return again;
}

/* Is a file of the old list no longer what its section says? */
static bool files_changed(const struct list *old)
{
	const struct list_file *f;

	for (f = old->files; f < old->files + old->nr_files; f++) {
		if (f->state != LIST_READY || f->written || f->past_eof)
			return true;
	}
	return false;
}

static uint64_t pages_of(const struct list *l)
{
	uint64_t pages = 0;
	size_t i;

	for (i = 0; i < l->nr_files; i++)
		pages += l->files[i].listed_pages;
	return pages;
}

bool list_renew(struct list_writer *w, struct offsets_section **sections, uint32_t *nr,
		const struct list *old, unsigned int keep)
{
	struct renewal r = { .w = w, .sections = *sections, .nr = *nr, .old = old };
	struct p2c_page_record *runs = w->runs;
	size_t nr_runs = w->nr;
	uint64_t starts, used, again;

	w->runs = NULL;
	w->nr = w->room = 0;
	match_files(&r);
	make_slots(&r);
	list_accessed(&r, runs, nr_runs);
	free(runs);
	list_others(&r, 0);
	used = r.pages;
	again = pages_again(&r);
	for (starts = 1; starts <= keep; starts++)
		list_others(&r, starts);
	free_slots(&r);
	*sections = r.sections;
	*nr = r.nr;
	return old->nr_marks || again != used || again != pages_of(old) || files_changed(old);
}
