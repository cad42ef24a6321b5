/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The mounts of this process's mount namespace, from /proc/self/mountinfo, the oldest first. Without
 * /proc there are none. Not by libmount, which pcforce's start would have to load.
 */
#ifndef PAGE2CACHE_MOUNTINFO_H
#define PAGE2CACHE_MOUNTINFO_H

#include <stdio.h>

#include "base/util.h"

struct mountinfo {
	FILE *file;
	char *line;
	size_t room;
	/* Of the latest mount; the strings are parts of `line`, with blanks and all as they are. */
	uint32_t dev;	     /* super_block.s_dev, which the page cache's inodes have */
	const char *root;    /* what of the file system is mounted */
	const char *point;   /* where */
	const char *type;    /* of the file system: ext4, fuse.sshfs */
	const char *options; /* of the file system */
};

void mountinfo_open(struct mountinfo *m);
/* Go on to the next mount; false: there is none. */
bool mountinfo_next(struct mountinfo *m);
void mountinfo_close(struct mountinfo *m);

#endif
