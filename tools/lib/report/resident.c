// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>

#include "base/progress.h"
#include "file/residency.h"
#include "report/picture.h"
#include "report/report.h"
#include "report/resident.h"

struct resident_file {
	const char *path;
	size_t nr_files; /* not 1: it is their sum */
	bool known;	 /* which pages are resident */
	uint64_t pages, resident;
	const char *map; /* see picture_text(); NULL: none */
};

static double resident_ratio(const struct resident_file *f)
{
	return f->known && f->pages ? (double)f->resident / f->pages : -1;
}

static char *resident_cell(const struct column *c, const void *row)
{
	const struct resident_file *f = row;

	return cell_known(f->known, f->resident);
}

static char *resident_ratio_cell(const struct column *c, const void *row)
{
	return cell_percent(resident_ratio(row));
}

static char *resident_file_cell(const struct column *c, const void *row)
{
	const struct resident_file *f = row;

	return f->nr_files == 1 ? xstrdup(f->path) : xasprintf("(all %zu files)", f->nr_files);
}

/* A row a line: */
/* clang-format off */
#define AT(field) offsetof(struct resident_file, field)
static const struct column resident_columns[] = {
	{ "PAGES",    false, 0, column_u64,     AT(pages) },
	{ "RESIDENT", false, 0, resident_cell },
	{ "RES%",     false, 0, resident_ratio_cell },
	{ "FILE",     true,  0, resident_file_cell },
};
static const struct column map_columns[] = {
	{ "RES%",     false, 0, resident_ratio_cell },
	{ "MAP",      true,  0, column_text,    AT(map) },
	{ "FILE",     true,  0, resident_file_cell },
};
#undef AT
/* clang-format on */

const struct table_layout resident_table = { resident_columns, ARRAY_SIZE(resident_columns), 0 };
const struct table_layout map_table = { map_columns, ARRAY_SIZE(map_columns), 0 };

/* The width of the other columns: a ratio, and what is between the columns. */
#define MAP_BESIDE    (sizeof("100.00%") + 1)
#define MIN_MAP_WIDTH 10

/* What the names leave of the terminal, which is at least half of it. */
static unsigned int map_width(const struct names *names, FILE *f)
{
	unsigned int all = terminal_width(f);
	size_t longest = sizeof("(all 200000 files)") - 1, i;

	for (i = 0; i < names->nr; i++) {
		if (strlen(names->all[i].path) > longest)
			longest = strlen(names->all[i].path);
	}
	if (longest > all / 2)
		longest = all / 2;
	return all > longest + MAP_BESIDE + MIN_MAP_WIDTH ? all - longest - MAP_BESIDE
							  : MIN_MAP_WIDTH;
}

struct resident {
	uint64_t pages;
	uint32_t slot;
	struct list_writer *rec;
	struct picture picture;
};

static int add_resident(void *ctx, uint64_t index, uint64_t nr, bool cached)
{
	struct resident *r = ctx;
	struct p2c_page_record run = { .slot = r->slot };

	if (!cached)
		return 0;
	r->pages += nr;
	picture_add(&r->picture, index, nr);
	for (; r->rec && nr; nr -= run.nr_pages) {
		run.index = index;
		run.nr_pages = nr > 1U << 31 ? 1U << 31 : nr;
		list_writer_add(r->rec, &run);
		index += run.nr_pages;
	}
	return 0;
}

static void resident_record(struct output *out, const struct resident_file *f)
{
	struct json_object *o = json_new("resident");

	json_name(o, "file", f->path);
	json_u64(o, "pages", f->pages);
	json_u64_if(o, "resident", f->known, f->resident);
	json_ratio(o, "resident_ratio", resident_ratio(f));
	output_record(out, o);
}

/*
 * What of an open file is cached, in ROW; its pages go to r->rec as well, and into a picture that
 * is MAP_WIDTH characters wide. Returns 0 or -errno.
 */
static int look_at(struct resident *r, const struct target *t, unsigned int map_width,
		   struct resident_file *row)
{
	uint64_t pages = (t->id.size + page_size() - 1) / page_size();
	int err;

	picture_init(&r->picture, map_width, pages);
	err = residency_runs(t->fd, 0, pages, add_resident, r);
	if (err)
		say("%s: cannot find out which pages are cached: %s", t->path, strerror(-err));
	*row = (struct resident_file){ t->path, 1, !err, pages, r->pages };
	return err;
}

/* A row of a directory's file of which nothing is cached is left out of tables. */
static void show_resident(const struct target *t, const struct picture *picture,
			  struct resident_file *row, struct output *out, struct table *table)
{
	char *map = row->known ? picture_text(picture) : NULL;

	row->map = map;
	if (out->json)
		resident_record(out, row);
	else if (!t->found || row->resident || !row->known || verbose)
		table_row(table, row);
	free(map);
}

static void add_row(struct resident_file *sum, const struct resident_file *row)
{
	sum->nr_files++;
	sum->known &= row->known;
	sum->pages += row->pages;
	sum->resident += row->resident;
}

static void set_section(struct offsets_section *s, struct list_naming *naming,
			const struct target *t, uint64_t pages)
{
	if (!list_naming_set(naming, s, t->path))
		return;
	s->id = list_naming_identity(naming, &t->id);
	s->page_size = page_size();
	s->misses = pages;
	/* Residency says nothing about the order in which pages are needed. */
	s->pattern = PATTERN_RANDOM;
}

static enum status write_resident(struct list_writer *rec, const struct offsets_section *sections,
				  uint32_t n, bool allow_empty)
{
	int err;

	if (!allow_empty && list_writer_empty(rec, sections, n)) {
		say("no page of the files is cached: no list was written (--allow-empty writes one)");
		return STATUS_FAILED;
	}
	err = list_writer_write(rec, sections, n);
	if (!err)
		return STATUS_DONE;
	say("%s: %s: nothing was written", rec->path, strerror(-err));
	return STATUS_FAILED;
}

enum status report_resident(struct names *names, struct output *out, struct list_writer *rec,
			    struct list_naming *naming, bool map, bool allow_empty)
{
	unsigned int width = map ? map_width(names, out->f) : 0;
	struct offsets_section *sections = xcalloc(names->nr, sizeof(*sections));
	struct resident_file row, sum = { .known = true };
	enum status status = STATUS_DONE;
	struct table *table = NULL;
	struct target t;
	size_t i;

	if (out->json)
		output_record(out, json_meta("cachemiss", json_object_new_object()));
	else
		table = table_new(map ? &map_table : &resident_table, &out->tables, out->f);
	progress_begin(false);
	for (i = 0; i < names->nr; i++) {
		struct resident r = { .slot = i, .rec = rec };

		progress_set(i, names->nr);
		if (!names_open(names, &names->all[i], &t))
			continue;
		if (look_at(&r, &t, width, &row))
			status = STATUS_FAILED;
		show_resident(&t, &r.picture, &row, out, table);
		picture_free(&r.picture);
		add_row(&sum, &row);
		if (rec && (r.pages || !t.found))
			set_section(&sections[i], naming, &t, r.pages);
		target_close(&t);
	}
	progress_end();
	if (sum.nr_files != 1)
		table_row(table, &sum);
	table_end(table);
	if (rec && !status)
		status = write_resident(rec, sections, names->nr, allow_empty);
	report_sections_free(sections, names->nr);
	return status;
}
