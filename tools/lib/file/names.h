/* SPDX-License-Identifier: GPL-2.0-only */
/* Which files a run is about, by name: those of -f, of --files0-from, and below directories. */
#ifndef PAGE2CACHE_NAMES_H
#define PAGE2CACHE_NAMES_H

#include <sys/types.h>

#include "file/remote.h"
#include "file/target.h"

struct name {
	char *path;
	bool found; /* below a directory, or one of many names: without it the run goes on */
	dev_t dev;  /* of stat(2), to know a file again under another name */
	ino_t ino;
};

/* All zero: none yet. */
struct names {
	struct name *all;
	size_t nr;
	bool any_found;	 /* one of them */
	bool incomplete; /* something could not be opened, which has been said */
	struct remote remote;
};

/*
 * FILES as they are named, and those whose names are in FILES0 ("-": standard input, NULL:
 * none), each ended by NUL. A directory stands for all regular files below it on the same
 * file system: symbolic links are not followed, and of several links to a file the first one
 * counts. Returns STATUS_DONE, or STATUS_BAD_INPUT when it was said why.
 */
enum status names_collect(struct names *n, const char *const *files, size_t nr, const char *files0);
/*
 * Open the file of one name for reading. Returns false if that is not possible, which has been
 * said; n->incomplete is then set, unless the file has just been deleted.
 */
bool names_open(struct names *n, const struct name *name, struct target *t);
/* The run goes on without a file that was found: says WHY, which is freed, as names_open() does. */
void names_leave_out(struct names *n, const char *path, char *why);
/* Free the names; any_found and incomplete stay as they are. */
void names_free(struct names *n);

#endif
