// SPDX-License-Identifier: GPL-2.0-only
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <libsmartcols.h>

#include "base/table.h"

static bool is_text(const char *column)
{
	static const char *const text[] = { "FILE", "WHAT", "NAME", "HOOK", "USABLE", "REASON" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(text); i++) {
		if (!strcmp(column, text[i]))
			return true;
	}
	return false;
}

struct libscols_table *table_new(const char *const *columns, size_t n, FILE *f)
{
	struct libscols_table *t;
	size_t i;

	scols_init_debug(0);
	t = scols_new_table();
	if (!t) {
		say("out of memory");
		exit(STATUS_FAILED);
	}
	for (i = 0; i < n; i++)
		scols_table_new_column(t, columns[i], 0, is_text(columns[i]) ? 0 : SCOLS_FL_RIGHT);
	scols_table_set_stream(t, f);
	/* A table in a file or pipe is as wide as it is. */
	scols_table_enable_nowrap(t, 1);
	scols_table_set_termforce(t, SCOLS_TERMFORCE_NEVER);
	return t;
}

void table_row(struct libscols_table *t, char *const *cells, size_t n)
{
	struct libscols_line *line = scols_table_new_line(t, NULL);
	size_t i;

	for (i = 0; i < n && line; i++)
		scols_line_refer_data(line, i, cells[i]);
}

void table_print(struct libscols_table *t)
{
	scols_print_table(t);
	scols_unref_table(t);
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

char *cell_us(bool known, double us)
{
	return known ? xasprintf("%.0f", us) : xstrdup("-");
}

char *cell_text(const char *s)
{
	return xstrdup(s);
}
