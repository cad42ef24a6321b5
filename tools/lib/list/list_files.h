/* SPDX-License-Identifier: GPL-2.0-only */
/* The files and pages of lists as they are written, and which files of several lists are one. */
#ifndef PAGE2CACHE_LIST_FILES_H
#define PAGE2CACHE_LIST_FILES_H

#include <stdio.h>

#include "list/offsets.h"
#include "list/page_runs.h"

struct list_files {
	/* A file is its index here. One whose name is NULL is left out, with its pages. */
	struct offsets_section *sections;
	size_t nr;
	bool incomplete; /* one of the lists says that pages may be missing in it */
	bool unify;	 /* files that are the same one are, whatever they are called */
	bool newest; /* of two files with the same name, the one that was written to later stays */
	void *by_path, *by_ino; /* tsearch(3) */
};

/*
 * Read PATH ("-": standard input) as well. RUNS gets its pages, each once. Returns 0, or -EINVAL
 * with *why: the list is malformed, or has a file by the name of another one.
 */
int list_files_read(struct list_files *l, const char *path, struct page_runs *runs, char **why);
/* Add a file by name, of which nothing else is known. Returns its index. */
uint32_t list_files_add(struct list_files *l, const char *path);
/*
 * What is called FROM, or is below it, is called TO from now on, and can be any file of that
 * name. Returns how many files that are, or -EINVAL with *why.
 */
ssize_t list_files_rebase(struct list_files *l, const char *from, const char *to, char **why);
/* Write a list of these pages to F. */
void list_files_write(const struct list_files *l, const struct page_runs *runs, FILE *f);
void list_files_free(struct list_files *l);

#endif
