// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "list/list_writer.h"
#include "list/order.h"

int list_writer_open(struct list_writer *r, const char *path, char **why)
{
	memset(r, 0, sizeof(*r));
	r->path = path;
	return list_place_open(&r->place, path, why);
}

void list_writer_add(struct list_writer *r, const struct p2c_page_record *run)
{
	struct p2c_page_record *last = r->nr ? &r->runs[r->nr - 1] : NULL;

	if (last && last->slot == run->slot && last->index + last->nr_pages == run->index &&
	    last->along == run->along && last->nr_pages <= UINT32_MAX - run->nr_pages) {
		last->nr_pages += run->nr_pages;
		return;
	}
	if (r->nr == r->room) {
		r->room = r->room ? r->room * 2 : 1024;
		r->runs = xrealloc(r->runs, r->room, sizeof(*r->runs));
	}
	r->runs[r->nr++] = *run;
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
	uint32_t current = UINT32_MAX;
	size_t i;

	offsets_write_version(f);
	if (c->writer->incomplete)
		fprintf(f,
			"# incomplete: events of the recording were lost, so pages may be missing\n");
	for (i = 0; i < c->writer->nr; i++) {
		const struct p2c_page_record *run = &c->writer->runs[i];

		if (!is_listed(run, c->sections, c->nr_slots))
			continue;
		if (run->slot != current) {
			offsets_write_section(f, &c->sections[run->slot]);
			current = run->slot;
		}
		offsets_write_extent(f, run->index, run->nr_pages);
		/* At once, while errno is that of what failed. */
		if (ferror(f))
			return -errno;
	}
	/* Files without a page to list are named all the same if they are the only ones. */
	for (i = 0; current == UINT32_MAX && i < c->nr_slots && !ferror(f); i++) {
		if (c->sections[i].file)
			offsets_write_section(f, &c->sections[i]);
	}
	return ferror(f) ? -errno : 0;
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
	memset(r, 0, sizeof(*r));
}
