/* SPDX-License-Identifier: GPL-2.0-only */
/* How much can be read before it evicts pages that were read before. */
#ifndef PAGE2CACHE_MEMORY_H
#define PAGE2CACHE_MEMORY_H

#include <sys/types.h>

#include "base/util.h"

/*
 * Bytes of memory that page cache may still take: 90 % of what the system has available,
 * or of what the memory cgroup of this process leaves, each level above it included, if OWN.
 */
uint64_t memory_room(bool own);
/*
 * The same for page cache that is charged to this process, but stands for process PID: 90 % of what
 * is least of the system's and what either's memory cgroup leaves.
 */
uint64_t memory_room_for(pid_t pid);

/* How often this process and others in its memory cgroup have met a limit so far. */
uint64_t memory_limit_hits(void);

#endif
