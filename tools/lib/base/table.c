// SPDX-License-Identifier: GPL-2.0-only
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <libsmartcols.h>

#include "base/table.h"

struct table {
	const struct table_layout *layout;
	const struct table_options *opt;
	struct libscols_table *scols;
	const struct column **columns; /* in the order in which they were asked for */
	size_t nr;
	uint64_t rows;
	bool heading; /* is due before the next row */
	bool pending;
	bool lower_bounds; /* counted cells are shown as such */
};

/* Whether the text of LEN bytes is that name. ASCII only: a locale has letters of its own. */
static bool is_named(const struct column *c, const char *text, size_t len)
{
	size_t i;
	char letter;

	for (i = 0; i < len; i++) {
		letter = text[i] >= 'A' && text[i] <= 'Z' ? text[i] + 'a' - 'A' : text[i];
		if (letter !=
		    (c->name[i] >= 'A' && c->name[i] <= 'Z' ? c->name[i] + 'a' - 'A' : c->name[i]))
			return false;
	}
	return !c->name[len];
}

static const struct column *find_column(const struct table_layout *layout, const char *text,
					size_t len)
{
	size_t i;

	for (i = 0; i < layout->nr; i++) {
		if (is_named(&layout->columns[i], text, len))
			return &layout->columns[i];
	}
	return NULL;
}

/* Each column of the tables once, although several may have it. */
static char *all_names(const struct table_layout *const *tables, size_t n)
{
	char *text = xstrdup(""), *longer;
	const char *name;
	size_t i, k, before;

	for (i = 0; i < n; i++) {
		for (k = 0; k < tables[i]->nr; k++) {
			name = tables[i]->columns[k].name;
			for (before = 0; before < i; before++) {
				if (find_column(tables[before], name, strlen(name)))
					break;
			}
			if (before < i)
				continue;
			longer = xasprintf("%s%s%s", text, *text ? "," : "", name);
			free(text);
			text = longer;
		}
	}
	return text;
}

char *table_columns_wrong(const char *names, const struct table_layout *const *tables, size_t n)
{
	char *all, *wrong;
	size_t i, len;

	for (;; names += len + 1) {
		len = strcspn(names, ",");
		for (i = 0; i < n && !find_column(tables[i], names, len); i++)
			;
		if (i == n)
			break;
		if (!names[len])
			return NULL;
	}
	all = all_names(tables, n);
	wrong = xasprintf("no column is named '%.*s'; the names are %s", (int)len, names, all);
	free(all);
	return wrong;
}

static void choose_columns(struct table *t)
{
	const char *names = t->opt->columns;
	const struct column *c;
	size_t i, len;

	if (!names) {
		t->columns = xcalloc(t->layout->nr, sizeof(*t->columns));
		for (i = 0; i < t->layout->nr; i++)
			t->columns[t->nr++] = &t->layout->columns[i];
		return;
	}
	t->columns = xcalloc(strlen(names) + 1, sizeof(*t->columns));
	for (len = strcspn(names, ",");; names += len + 1, len = strcspn(names, ",")) {
		c = find_column(t->layout, names, len);
		if (c)
			t->columns[t->nr++] = c;
		if (!names[len])
			return;
	}
}

/*
 * libsmartcols 2.38 heeds the wanted width of a column only where a cell is as wide as the
 * heading, so it is the heading that has this width. 2.41 heeds no heading that is not
 * printed: so the column wants the width of its heading.
 */
static void add_column(struct table *t, const struct column *c, bool last)
{
	int width = t->opt->raw || (c->text && last) ? 0 : c->width;
	char *heading = xasprintf("%*s", c->text ? -width : width, c->name);

	scols_table_new_column(t->scols, heading, strlen(heading), c->text ? 0 : SCOLS_FL_RIGHT);
	free(heading);
}

struct table *table_new(const struct table_layout *layout, const struct table_options *opt, FILE *f)
{
	struct table *t = xcalloc(1, sizeof(*t));
	size_t i;

	t->layout = layout;
	t->opt = opt;
	choose_columns(t);
	if (!t->nr) {
		free(t->columns);
		free(t);
		return NULL;
	}
	scols_init_debug(0);
	t->scols = scols_new_table();
	if (!t->scols) {
		say("out of memory");
		exit(STATUS_FAILED);
	}
	for (i = 0; i < t->nr; i++)
		add_column(t, t->columns[i], i + 1 == t->nr);
	scols_table_set_stream(t->scols, f);
	scols_table_enable_raw(t->scols, opt->raw);
	/* A table in a file or pipe is not cut at any width. */
	scols_table_enable_nowrap(t->scols, 1);
	scols_table_set_termforce(t->scols, SCOLS_TERMFORCE_NEVER);
	return t;
}

/* Control characters stay out of tables; --raw has an escape of its own, \xNN. */
static char *shown(const struct table *t, const struct column *c, char *cell)
{
	char *text;

	if (t->lower_bounds && c->counted && strcmp(cell, "-")) {
		text = xasprintf(">=%s", cell);
		free(cell);
		return text;
	}

	if (!*cell) {
		free(cell);
		return xstrdup("-");
	}
	if (t->opt->raw)
		return cell;
	text = percent_escape(cell, ESCAPE_CONTROLS);
	free(cell);
	return text;
}

void table_row(struct table *t, const void *row)
{
	struct libscols_line *line;
	unsigned int again;
	size_t i;

	if (!t)
		return;
	/* With --raw the heading comes once: a script has no use for more. */
	again = t->opt->raw ? 0 : t->layout->heading_rows;
	if (again ? t->rows % again == 0 : !t->rows) {
		table_flush(t);
		t->heading = true;
	}
	t->rows++;
	line = scols_table_new_line(t->scols, NULL);
	if (!line)
		return;
	for (i = 0; i < t->nr; i++)
		scols_line_refer_data(
			line, i, shown(t, t->columns[i], t->columns[i]->cell(t->columns[i], row)));
	t->pending = true;
}

void table_lower_bounds(struct table *t, bool lower)
{
	if (t)
		t->lower_bounds = lower;
}

void table_flush(struct table *t)
{
	if (!t || !t->pending)
		return;
	scols_table_enable_noheadings(t->scols, t->opt->no_headings || !t->heading);
	scols_print_table(t->scols);
	scols_table_remove_lines(t->scols);
	t->heading = t->pending = false;
}

void table_end(struct table *t)
{
	if (!t)
		return;
	table_flush(t);
	scols_unref_table(t->scols);
	free(t->columns);
	free(t);
}

const void *column_at(const struct column *c, const void *row)
{
	return (const char *)row + c->at;
}

char *column_u64(const struct column *c, const void *row)
{
	return cell_u64(*(const uint64_t *)column_at(c, row));
}

char *column_percent(const struct column *c, const void *row)
{
	return cell_percent(*(const double *)column_at(c, row));
}

char *column_text(const struct column *c, const void *row)
{
	const char *text = *(const char *const *)column_at(c, row);

	return xstrdup(text ? text : "");
}

char *cell_u64(uint64_t v)
{
	return xasprintf("%" PRIu64, v);
}

char *cell_known(bool known, uint64_t v)
{
	return known ? cell_u64(v) : xstrdup("-");
}

char *cell_percent(double ratio)
{
	return ratio < 0 ? xstrdup("-") : xasprintf("%.2f%%", ratio * 100);
}
