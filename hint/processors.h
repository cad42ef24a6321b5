/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PAGEHINT_PROCESSORS_H
#define PAGEHINT_PROCESSORS_H

#include <stdbool.h>

/* Of the calling process: the file with its cgroups, and the folders where cgroups are mounted. */
#define PROCESSORS_GROUPS  "/proc/self/cgroup"
#define PROCESSORS_FOLDERS "/sys/fs/cgroup"

/*
 * May the calling thread use a processor that the rest of its process does not need? Not if the
 * thread may run on one processor only, nor if a quota of one of its cgroups (cpu.max,
 * cpu.cfs_quota_us) is less than two processors, as the thread's time would be missing for others of
 * the group. A quota that cannot be read is no limit.
 */
bool processors_spare(const char *groups, const char *folders);

#endif
