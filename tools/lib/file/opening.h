/* SPDX-License-Identifier: GPL-2.0-only */
/* Many files opened at once, by threads: a hung mount holds up none but its own. */
#ifndef PAGE2CACHE_OPENING_H
#define PAGE2CACHE_OPENING_H

#include "file/target.h"

struct opened {
	enum target_error error;
	struct target target; /* on TARGET_OK; the path is set by whoever takes it */
	char *why;	      /* else, to be freed */
};

/*
 * target_open_in() for N paths. Those on mounts of a server (FUSE, NFS) are tried by another
 * process first. Those that nothing is heard of for ten seconds are TARGET_GONE: their threads
 * stay behind, and close what they open after that. Returns N results, to be freed. ROOT stays
 * until the process ends.
 */
struct opened *targets_open(const struct target_root *root, const char *const *paths, size_t n);

#endif
