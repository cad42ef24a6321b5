/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PAGEHINT_CACHED_H
#define PAGEHINT_CACHED_H

#include <stdbool.h>
#include <stdint.h>

/*
 * How many pages of the range (0 BYTES: to the end) are in the page cache, including pages that are
 * being read; -1 if the kernel does not tell: before Linux 6.5, and of a file that this process
 * neither owns nor may write.
 */
int64_t cached_pages(int fd, uint64_t offset, uint64_t bytes);

/* Is cached_pages() right for this file? Not on overlayfs, where the pages belong to another file. */
bool cached_is_told(int fd);

#endif
