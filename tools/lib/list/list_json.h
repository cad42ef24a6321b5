/* SPDX-License-Identifier: GPL-2.0-only */
/* The pages of lists as JSON lines of byte ranges: for programs, and from them. */
#ifndef PAGE2CACHE_LIST_JSON_H
#define PAGE2CACHE_LIST_JSON_H

#include "base/output.h"
#include "list/list_files.h"

/* A record a run. Returns 0, or -EINVAL with *why: bytes of a page have no number of 64 bits. */
int list_export(const struct list_files *l, const struct page_runs *runs, struct output *out,
		char **why);
/*
 * Read PATH ("-": standard input): of each object with "file" the pages that its bytes are on,
 * each once. Returns 0, or -EINVAL with *why.
 */
int list_import(struct list_files *l, const char *path, struct page_runs *runs, char **why);

#endif
