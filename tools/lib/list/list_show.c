// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>

#include "file/opening.h"
#include "list/list.h"
#include "list/list_show.h"
#include "list/list_text.h"

/* One file, or all of a list. */
struct shown {
	const char *name;
	uint64_t pages, runs;
	bool uncountable; /* pages or bytes are more than 64 bits can count */
	enum list_state state;
	char *why;
};

static const char *const state_names[] = {
	[LIST_READY] = "ready",
	[LIST_GONE] = "gone",
	[LIST_STALE] = "stale",
};

static char *cell_pages(const struct column *c, const void *row)
{
	const struct shown *s = row;

	return cell_known(!s->uncountable, s->pages);
}

static char *cell_bytes(const struct column *c, const void *row)
{
	const struct shown *s = row;

	return cell_known(!s->uncountable, s->pages * page_size());
}

static char *cell_state(const struct column *c, const void *row)
{
	return xstrdup(state_names[((const struct shown *)row)->state]);
}

static const struct column columns[] = {
	{ .name = "PAGES", .cell = cell_pages },
	{ .name = "BYTES", .cell = cell_bytes },
	{ .name = "RUNS", .cell = column_u64, .at = offsetof(struct shown, runs) },
	{ .name = "STATE", .text = true, .cell = cell_state },
	{ .name = "FILE", .text = true, .cell = column_text, .at = offsetof(struct shown, name) },
};

const struct table_layout list_table = { columns, ARRAY_SIZE(columns), 0 };

/* The sum has to fit as bytes, too. */
static void count(struct shown *s, uint64_t pages)
{
	uint64_t bytes;

	s->runs++;
	s->uncountable |= __builtin_add_overflow(s->pages, pages, &s->pages) ||
			  __builtin_mul_overflow(s->pages, page_size(), &bytes);
}

/* Files that are open at a time: fewer than any sensible limit of descriptors. */
#define OPEN_AT_ONCE 512

/* What has become of N files. */
static void look_at_files(struct shown *shown, const struct offsets_section *sections, size_t n,
			  bool strict)
{
	const char *paths[OPEN_AT_ONCE], *what;
	struct opened *opened;
	size_t i;

	for (i = 0; i < n; i++)
		paths[i] = sections[i].file;
	opened = targets_open(NULL, paths, n);
	for (i = 0; i < n; i++) {
		if (opened[i].error != TARGET_OK) {
			shown[i].state = LIST_GONE;
			shown[i].why = opened[i].why;
			continue;
		}
		what = header_stale(&sections[i], &opened[i].target.id, strict);
		if (what) {
			shown[i].state = LIST_STALE;
			shown[i].why =
				xasprintf("%s: %s since the list was recorded", paths[i], what);
		}
		target_close(&opened[i].target);
	}
	free(opened);
}

static struct json_object *record(const char *kind, const struct shown *s)
{
	struct json_object *o = json_new(kind);

	if (s->name)
		json_name(o, "file", s->name);
	json_u64_if(o, "pages", !s->uncountable, s->pages);
	json_u64_if(o, "bytes", !s->uncountable, s->pages * page_size());
	json_u64(o, "runs", s->runs);
	return o;
}

static void file_record(struct output *out, const struct shown *s)
{
	struct json_object *o = record("file", s);

	json_text(o, "state", state_names[s->state]);
	json_name(o, "why", s->why);
	output_record(out, o);
}

static void total_record(struct output *out, const struct list_files *l, const struct shown *total,
			 const size_t *in_state)
{
	struct json_object *o = record("list", total);

	json_u64(o, "files", l->nr);
	json_u64(o, "stale", in_state[LIST_STALE]);
	json_u64(o, "gone", in_state[LIST_GONE]);
	json_object_object_add(o, "incomplete", json_object_new_boolean(l->incomplete));
	output_record(out, o);
}

/* Files that are as they were are printed only if ALL. */
static bool print(const struct list_files *l, const struct page_runs *runs, bool strict, bool all,
		  struct output *out)
{
	struct shown *shown = xcalloc(l->nr, sizeof(*shown)), total = { 0 };
	size_t in_state[ARRAY_SIZE(state_names)] = { 0 }, i;
	struct table *t = NULL;
	char *name;

	for (i = 0; i < runs->nr; i++) {
		uint64_t pages = runs->runs[i].last - runs->runs[i].first + 1;

		/* 0: one more than 64 bits can count. */
		count(&shown[runs->runs[i].file], pages ? pages : UINT64_MAX);
		count(&total, pages ? pages : UINT64_MAX);
	}
	for (i = 0; i < l->nr; i += OPEN_AT_ONCE)
		look_at_files(shown + i, l->sections + i,
			      l->nr - i < OPEN_AT_ONCE ? l->nr - i : OPEN_AT_ONCE, strict);
	if (out->json)
		output_record(out, json_meta("pclist", json_object_new_object()));
	else
		t = table_new(&list_table, &out->tables, out->f);
	for (i = 0; i < l->nr; i++) {
		shown[i].name = l->sections[i].file;
		in_state[shown[i].state]++;
		if (total.state == LIST_READY)
			total.state = shown[i].state;
		if (out->json && (all || shown[i].state != LIST_READY))
			file_record(out, &shown[i]);
		else if (all || shown[i].state != LIST_READY)
			table_row(t, &shown[i]);
	}
	name = xasprintf("%zu files", l->nr);
	if (out->json) {
		total_record(out, l, &total, in_state);
	} else if (all && l->nr > 1) {
		total.name = name;
		table_row(t, &total);
	}
	table_end(t);
	for (i = 0; i < l->nr; i++) {
		if (shown[i].why && all)
			say_verbose("%s", shown[i].why);
		else if (shown[i].why)
			say("%s", shown[i].why);
		free(shown[i].why);
	}
	free(name);
	free(shown);
	return total.state == LIST_READY;
}

bool list_show(const struct list_files *l, const struct page_runs *runs, bool strict,
	       struct output *out)
{
	return print(l, runs, strict, true, out);
}

bool list_check(const struct list_files *l, const struct page_runs *runs, bool strict,
		struct output *out)
{
	return print(l, runs, strict, false, out);
}
