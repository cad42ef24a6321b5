// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "list/list_emit.h"
#include "list/list_writer.h"
#include "list/order.h"

int list_writer_open(struct list_writer *r, const char *path, bool streams, char **why)
{
	memset(r, 0, sizeof(*r));
	r->path = path;
	return list_place_open(&r->place, path, streams, why);
}

void list_writer_add(struct list_writer *r, const struct p2c_page_record *run)
{
	size_t begin = r->nr_unused ? r->unused[r->nr_unused - 1].run : 0;
	struct p2c_page_record *last = r->nr > begin ? &r->runs[r->nr - 1] : NULL;

	if (last && last->slot == run->slot && last->index + last->nr_pages == run->index &&
	    last->use == run->use && last->nr_pages <= UINT32_MAX - run->nr_pages) {
		last->nr_pages += run->nr_pages;
		return;
	}
	if (r->nr == r->room) {
		r->room = r->room ? r->room * 2 : 1024;
		r->runs = xrealloc(r->runs, r->room, sizeof(*r->runs));
	}
	r->runs[r->nr++] = *run;
}

void list_writer_unused(struct list_writer *r, uint64_t starts)
{
	r->unused = xrealloc(r->unused, r->nr_unused + 1, sizeof(*r->unused));
	r->unused[r->nr_unused++] = (struct unused_runs){ r->nr, starts };
}

static bool is_listed(const struct p2c_page_record *run, const struct offsets_section *sections,
		      uint32_t nr_slots)
{
	return run->slot < nr_slots && sections[run->slot].file;
}

bool list_writer_empty(const struct list_writer *r, const struct offsets_section *sections,
		       uint32_t nr_slots)
{
	size_t i;

	for (i = 0; i < r->nr; i++) {
		if (is_listed(&r->runs[i], sections, nr_slots))
			return false;
	}
	return true;
}

/* What is to be written, for emit(). */
struct list_content {
	const struct list_writer *writer;
	const struct offsets_section *sections;
	uint32_t nr_slots;
};

static int emit(void *ctx, FILE *f)
{
	const struct list_content *c = ctx;
	const struct p2c_page_record *run, *end = c->writer->runs + c->writer->nr;
	struct list_emit e;
	size_t mark = 0;
	int err = 0;

	list_emit_init(&e, f, c->sections, c->nr_slots);
	for (run = c->writer->runs; run < end; run++) {
		if (run->slot < c->nr_slots)
			list_emit_use(&e, run->slot);
	}
	list_emit_begin(&e, c->writer->learned, c->writer->incomplete);
	for (run = c->writer->runs; run < end && !err; run++) {
		for (; mark < c->writer->nr_unused &&
		       c->writer->runs + c->writer->unused[mark].run == run;
		     mark++)
			offsets_write_unused(f, c->writer->unused[mark].starts);
		if (run->slot < c->nr_slots)
			list_emit_run(&e, run->slot, run->index, run->nr_pages);
		/* Take errno at once, before another call changes it. */
		err = ferror(f) ? -errno : 0;
	}
	list_emit_free(&e);
	return err ? err : ferror(f) ? -errno : 0;
}

void list_writer_find_random(const struct list_writer *r, struct offsets_section *sections,
			     uint32_t nr_slots)
{
	struct order *orders = xcalloc(nr_slots, sizeof(*orders));
	uint32_t slot;
	size_t i;

	for (i = 0; i < r->nr; i++) {
		if (r->runs[i].slot < nr_slots)
			order_add(&orders[r->runs[i].slot], r->runs[i].index, r->runs[i].nr_pages);
	}
	for (slot = 0; slot < nr_slots; slot++) {
		if (!orders[slot].pages)
			sections[slot].pattern = PATTERN_UNKNOWN;
		else if (order_is_random(&orders[slot]))
			sections[slot].pattern = PATTERN_RANDOM;
	}
	free(orders);
}

int list_writer_write(struct list_writer *r, const struct offsets_section *sections,
		      uint32_t nr_slots)
{
	struct list_content content = { r, sections, nr_slots };

	return list_place_write(&r->place, emit, &content);
}

void list_writer_free(struct list_writer *r)
{
	list_place_close(&r->place);
	free(r->runs);
	free(r->unused);
	memset(r, 0, sizeof(*r));
}
