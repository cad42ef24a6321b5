/* SPDX-License-Identifier: GPL-2.0-only */
/* Mounts whose files a server answers for, which may not answer: FUSE, NFS and their like. */
#ifndef PAGE2CACHE_REMOTE_H
#define PAGE2CACHE_REMOTE_H

#include "base/ask.h"
#include "base/util.h"

struct remote_mount;

struct remote {
	struct asker asker;
	struct remote_mount *mounts;
	size_t nr, nr_silent; /* nr_silent: of them that have not answered */
};

/* Those of this mount namespace, by /proc; without it none is known. */
void remote_read(struct remote *r);
/*
 * Can PATH be opened, or would it hold us? Another process tries it first where the path leads
 * to such a mount; of one that has not answered for a second no other file is asked about.
 */
bool remote_answers(struct remote *r, const char *path);
/*
 * The same, by another process wherever the path leads, as a symbolic link can hide such a mount.
 * Returns 0, -errno, or -ETIMEDOUT.
 */
int remote_try(struct remote *r, const char *path);
/* lstat(2), by another process in the same cases. Returns 0, -errno, or -ETIMEDOUT. */
int remote_lstat(struct remote *r, const char *path, struct stat *st);
/* The first such mount below a directory that does not answer, NULL: none. */
const char *remote_silent_below(struct remote *r, const char *dir);
void remote_free(struct remote *r);

/*
 * Is F_TYPE of statfs(2) that of such a file system? For a descriptor from another mount namespace,
 * whose mount is not listed here.
 */
bool remote_magic(unsigned int f_type);

#endif
