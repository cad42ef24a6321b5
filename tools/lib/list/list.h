/* SPDX-License-Identifier: GPL-2.0-only */
/* A list in memory: files that were found to be what they were, and extents. */
#ifndef PAGE2CACHE_LIST_H
#define PAGE2CACHE_LIST_H

#include "file/bitmap.h"
#include "list/offsets.h"
#include "file/names.h"
#include "file/target.h"

/* 16 bytes: ten million of them fit in 160 MB. */
struct extent {
	uint64_t index;
	uint32_t nr_pages;
	uint32_t file;
};

enum list_state {
	LIST_READY,
	LIST_GONE,  /* cannot be opened, or has no page cache */
	LIST_STALE, /* not the file that was recorded */
};

struct list_file {
	struct target target; /* path is set in every state */
	enum list_state state;
	char *why;	       /* it is not ready */
	bool replaced;	       /* it is not what was recorded, be it taken all the same or not */
	bool written;	       /* ready, with a newer mtime than when it was recorded */
	bool planned;	       /* it was ready when the list was loaded */
	char *missing;	       /* why list_reopen() left it closed, NULL: it did not */
	uint64_t nr_pages;     /* of the file when the list was loaded */
	uint64_t listed_pages; /* within the file, each once */
	uint64_t end;	       /* behind the last listed page */
	uint64_t past_eof;     /* listed pages behind the end of the file */
	uint64_t misses;       /* when it was recorded */
	bool misses_known;
	enum offsets_pattern pattern;
	struct bitmap listed;
};

/* `# unused=N`: of the extents from here on */
struct list_mark {
	size_t extent;
	uint64_t unused; /* so many starts did without them */
};

struct list {
	struct list_file *files;
	size_t nr_files;
	struct extent *extents; /* in listed order, disjoint */
	size_t nr_extents, room;
	struct list_mark *marks;
	size_t nr_marks;
	bool closed;			/* list_close() */
	const struct target_root *root; /* see list_options */
};

/* How far a list is being loaded, for other threads. */
struct list_progress {
	uint64_t bytes;	       /* of its text; 0: not known */
	size_t files, extents; /* seen so far */
};

struct list_options {
	const char *only_file;		/* -f: this section; the file of a list without sections */
	const struct target_root *root; /* that the names are in, -f's as well; NULL: none */
	bool stale_ok;
	bool strict;			/* a newer mtime is stale as well */
	struct list_progress *progress; /* NULL: nobody looks */
};

/*
 * Load PATH ("-": standard input). Extents are clipped to the file's size; of
 * overlapping ones the first keeps its place. Returns 0, or -EINVAL for bad
 * input, or -errno; *why then says where and what.
 */
int list_load(struct list *l, const char *path, const struct list_options *opt, char **why);

/*
 * Whole files, for --now without a list. The same returns. Of files that were found, one that
 * cannot be opened is said and left out.
 */
int list_whole_files(struct list *l, struct names *names, char **why);

/* Close the files: open ones keep their file system mounted, and their space when deleted. */
void list_close(struct list *l);
/*
 * Where they are closed, open those again that were ready at first. One that is not the same
 * file any more, or not there, is left closed; unless ALL, it is not even tried the next time.
 */
void list_reopen(struct list *l, bool all);
/* What list_reopen() found becomes the state of the files. */
void list_settle(struct list *l);

void list_free(struct list *l);

#endif
