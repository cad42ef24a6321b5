/* SPDX-License-Identifier: GPL-2.0-only */
/* Tables for people and, with --raw, for scripts: printed by libsmartcols. */
#ifndef PAGE2CACHE_TABLE_H
#define PAGE2CACHE_TABLE_H

#include <stdio.h>

#include "base/util.h"

/* What --columns, --raw and -n ask of every table. */
struct table_options {
	const char *columns; /* names, separated by commas; NULL: all */
	bool raw;
	bool no_headings;
};

struct column {
	const char *name;
	bool text;	    /* aligned left, as names are; numbers are aligned right */
	unsigned int width; /* at least; for tables whose rows are printed as they come */
	char *(*cell)(const struct column *c, const void *row);
	size_t at;    /* offset in the row of what cell() shows */
	bool counted; /* a number of events, of which some may have been missed */
};

struct table_layout {
	const struct column *columns;
	size_t nr;
	unsigned int heading_rows; /* the heading comes again after so many; 0: it does not */
};

/* Cells that are shown as they stand in the row: a uint64_t, a double, a const char *. */
char *column_u64(const struct column *c, const void *row);
/* A ratio, in percent. */
char *column_percent(const struct column *c, const void *row);
char *column_text(const struct column *c, const void *row);
/* Where the row has what the cell shows. */
const void *column_at(const struct column *c, const void *row);

/* What is wrong with the names of --columns, given the tables there are; NULL: nothing. */
char *table_columns_wrong(const char *names, const struct table_layout *const *tables, size_t n);

/* Returns NULL, which the functions below take, if none of the layout's columns was asked for. */
struct table *table_new(const struct table_layout *layout, const struct table_options *opt,
			FILE *f);
void table_row(struct table *t, const void *row);
/* From the next row on: is what is counted shown as a lower bound, >=N? */
void table_lower_bounds(struct table *t, bool lower);
/* Print the rows that were not printed yet. */
void table_flush(struct table *t);
/* The same, and free it. */
void table_end(struct table *t);

/* Cells, to be freed. "-" stands for what is not known: a ratio below 0. */
char *cell_u64(uint64_t v);
char *cell_known(bool known, uint64_t v);
char *cell_percent(double ratio);

#endif
