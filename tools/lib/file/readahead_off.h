/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Readahead off on all devices, for files that are opened meanwhile: the page cache then gets
 * only what is accessed, so that fault-around finds no neighbours to map.
 */
#ifndef PAGE2CACHE_READAHEAD_OFF_H
#define PAGE2CACHE_READAHEAD_OFF_H

#include <sys/types.h>

struct readahead_off {
	pid_t guard;  /* puts the settings back, 0: there is none */
	int lifeline; /* the guard does so when this is closed, by the end of the process as well */
	size_t nr;    /* devices */
};

/*
 * Returns 0, -EBUSY if another process does this already, or -errno; *why then says so. The
 * guard is a process of its own, which outlives SIGKILL of this one.
 */
int readahead_off_begin(struct readahead_off *r, char **why);
/*
 * Restores the settings before it returns. May be called twice, or where readahead_off_begin() has
 * failed.
 */
void readahead_off_end(struct readahead_off *r);

#endif
