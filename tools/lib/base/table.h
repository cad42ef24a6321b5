/* SPDX-License-Identifier: GPL-2.0-only */
/* Tables for people, by libsmartcols. */
#ifndef PAGE2CACHE_TABLE_H
#define PAGE2CACHE_TABLE_H

#include <stdio.h>

#include "base/util.h"

struct libscols_table;

/* Columns are right-aligned numbers but for those with names of texts, as FILE. */
struct libscols_table *table_new(const char *const *columns, size_t n, FILE *f);
/* One cell a column; takes them. */
void table_row(struct libscols_table *t, char *const *cells, size_t n);
/* Print and free. */
void table_print(struct libscols_table *t);

/* Cells, to be handed to table_row(). "-" stands for what is not known. */
char *cell_u64(uint64_t v);
char *cell_known(bool known, uint64_t v);
char *cell_percent(double ratio);
char *cell_us(bool known, double us);
char *cell_text(const char *s);

#endif
