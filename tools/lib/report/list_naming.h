/* SPDX-License-Identifier: GPL-2.0-only */
/* What recorded files are called in a list, and which of them are left out. */
#ifndef PAGE2CACHE_LIST_NAMING_H
#define PAGE2CACHE_LIST_NAMING_H

#include "list/offsets.h"

/* All zero: every file, by its absolute path. */
struct list_naming {
	const char *under;    /* only files below this directory; NULL: any */
	const char *relative; /* the same, and names begin there */
	const char **exclude; /* no file that matches one of these patterns */
	size_t nr_exclude;
	char *real_under, *real_relative;
	size_t outside; /* files that were left out as they are not below `relative` */
};

/* Look the directories up. Returns 0, or -errno with *why. */
int list_naming_begin(struct list_naming *n, char **why);
/* Name the section of the file that is PATH now. Returns false if the file is left out. */
bool list_naming_set(struct list_naming *n, struct offsets_section *section, const char *path);
/*
 * The identity for the section: of a relative one without what a copy of the file, on another
 * host, does not have.
 */
struct identity list_naming_identity(const struct list_naming *n, const struct identity *id);
/* Says how many files were left out without having been excluded. */
void list_naming_end(struct list_naming *n);

#endif
