/* SPDX-License-Identifier: GPL-2.0-only */
/* From the page cache's name of a file back to a path. */
#ifndef PAGE2CACHE_MOUNTS_H
#define PAGE2CACHE_MOUNTS_H

#include "shared.h"
#include "base/util.h"

struct mounts;

struct mounts *mounts_read(void);
void mounts_free(struct mounts *m);

/*
 * A path of this mount namespace that leads to the file now, to be freed; NULL
 * if it was deleted, lies on no mount of ours, or its name did not fit. A mount
 * that hangs takes a second, once; then it has no names.
 */
char *mounts_path(const struct mounts *m, const struct p2c_file_name *name);

#endif
