/* SPDX-License-Identifier: GPL-2.0-only */
/* What a list comes to, file by file, and what has become of its files. */
#ifndef PAGE2CACHE_LIST_SHOW_H
#define PAGE2CACHE_LIST_SHOW_H

#include "base/output.h"
#include "list/list_files.h"

extern const struct table_layout list_table;

/*
 * A row or record a file, and one of all. STRICT: a newer mtime is stale as well. Returns
 * whether all files are what they were when the list was recorded; -v says why one is not.
 */
bool list_show(const struct list_files *l, const struct page_runs *runs, bool strict,
	       struct output *out);
/* The same of the files alone that are not what they were, and why. */
bool list_check(const struct list_files *l, const struct page_runs *runs, bool strict,
		struct output *out);

#endif
