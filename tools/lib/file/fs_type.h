/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PAGE2CACHE_FS_TYPE_H
#define PAGE2CACHE_FS_TYPE_H

#include <sys/types.h>

/*
 * The type of the mounted file system that st_dev names, as mountinfo has it: fuse.sshfs,
 * virtiofs. To be freed; NULL where that is not known. Asks no server of a file system.
 */
char *fs_type(dev_t dev);

#endif
