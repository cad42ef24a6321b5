/* SPDX-License-Identifier: GPL-2.0-only */
/* A list as it is written: names, headers and extents, before any file is looked at. */
#ifndef PAGE2CACHE_LIST_TEXT_H
#define PAGE2CACHE_LIST_TEXT_H

#include "list/list.h"

/* What a list says of a file. */
struct text_file {
	char *path;
	struct offsets_section header; /* of its first section; header.has is 0 without one */
	uint64_t misses;	       /* its last section's */
	bool misses_known;
	bool found; /* the list is one of whole files: see struct target */
};

#define TEXT_CHUNK_EXTENTS (1 << 16)

/* Extents in listed order; the chunks are freed one by one as they are taken. */
struct text_chunk {
	struct text_chunk *next;
	size_t nr;
	struct extent extents[TEXT_CHUNK_EXTENTS]; /* nr_pages 0: index is that of a long one */
};

/* An extent of more pages than struct extent can count. */
struct long_extent {
	uint64_t index, nr_pages;
};

struct list_text {
	struct text_file *files; /* each path once, in the order of their first sections */
	size_t nr_files;
	struct text_chunk *first, *last;
	struct long_extent *longs;
	size_t nr_longs;
	size_t nr_extents;
	struct list_mark *marks;
	size_t nr_marks;
	bool incomplete; /* it says that pages may be missing */
	void *by_path;	 /* tsearch(3) */
};

/*
 * Read PATH ("-": standard input). With ONLY, opt->only_file's target, there is one file:
 * sections of others are left out. Returns 0, or -EINVAL with *why: where and what.
 */
int list_text_read(struct list_text *t, const char *path, const struct list_options *opt,
		   const struct target *only, char **why);
/* Add a file without a section. Returns its place. */
size_t list_text_add(struct list_text *t, const char *path);
void list_text_free(struct list_text *t);

/*
 * Whether a header can be of a file system: by UUID where both have one, else by fsid, which is
 * compared as well where it tells subvolumes apart.
 */
bool header_is_of_fs(const struct offsets_section *header, const struct identity *id);
/* Whether a header can be of this file, by its file system, inode and generation. */
bool header_matches(const struct offsets_section *header, const struct identity *id);
/* What has become of an opened file since its header was written; NULL: nothing that counts. */
const char *header_stale(const struct offsets_section *header, const struct identity *id,
			 bool strict);

#endif
