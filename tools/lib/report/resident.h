/* SPDX-License-Identifier: GPL-2.0-only */
/* cachemiss --resident: what of each file is cached now. */
#ifndef PAGE2CACHE_RESIDENT_H
#define PAGE2CACHE_RESIDENT_H

#include "base/output.h"
#include "file/names.h"
#include "list/list_writer.h"
#include "report/list_naming.h"

extern const struct table_layout resident_table, map_table;

/*
 * A row for each file; what is cached goes into a list as well if rec is not NULL, by NAMING, one
 * without pages only if ALLOW_EMPTY. With MAP the rows have a picture of which pages these are.
 */
enum status report_resident(struct names *names, struct output *out, struct list_writer *rec,
			    struct list_naming *naming, bool map, bool allow_empty);

#endif
