// SPDX-License-Identifier: LGPL-2.1-or-later
#include <linux/magic.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cached.h"

/* Linux 6.5: not in the headers of Debian 12. */
#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif

int64_t cached_pages(int fd, uint64_t offset, uint64_t bytes)
{
	const uint64_t range[2] = { offset, bytes };
	/* The cached pages, and four counts that are not used here. */
	uint64_t counts[5];

	return syscall(SYS_cachestat, fd, range, counts, 0) ? -1 : (int64_t)counts[0];
}

bool cached_is_told(int fd)
{
	struct statfs fs;

	return !fstatfs(fd, &fs) && fs.f_type != OVERLAYFS_SUPER_MAGIC &&
	       cached_pages(fd, 0, 1) >= 0;
}
