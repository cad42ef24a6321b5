/* SPDX-License-Identifier: GPL-2.0-only */
/* Where a list is written to: a name in a folder, or something that is written to as it is. */
#ifndef PAGE2CACHE_LIST_PLACE_H
#define PAGE2CACHE_LIST_PLACE_H

#include <stdio.h>
#include <sys/stat.h>

#include "base/util.h"

struct list_place {
	char *name;		 /* no symbolic link; NULL: nothing is open */
	int folder;		 /* that it is in: later changes of the path move nothing */
	bool nameless;		 /* files can be made there that get a name when they are whole */
	FILE *stream;		 /* standard output, a device or a FIFO; NULL: the list is a file */
	const struct stat *like; /* of this mode and owner; NULL: as any new file */
};

/*
 * Look PATH up ("-": standard output), and try whether a file can be made there. A final
 * symbolic link is followed if it is root's or the caller's. Unless STREAMS, what is no regular file
 * is -EINVAL: a FIFO would be waited for until it has a reader. Returns 0, or -errno with *why.
 */
int list_place_open(struct list_place *p, const char *path, bool streams, char **why);
void list_place_close(struct list_place *p);

/*
 * Replace what has the name by what EMIT writes, whole or not at all; EMIT returns 0 or -errno.
 * A stream is written to and closed. Returns 0 or -errno.
 */
int list_place_write(struct list_place *p, int (*emit)(void *ctx, FILE *f), void *ctx);

#endif
