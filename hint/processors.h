/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PAGEHINT_PROCESSORS_H
#define PAGEHINT_PROCESSORS_H

#include <stdbool.h>

/* Of the calling process: its cgroups, and where these have their folders. */
#define PROCESSORS_GROUPS  "/proc/self/cgroup"
#define PROCESSORS_FOLDERS "/sys/fs/cgroup"

/*
 * May the calling thread use a processor that the rest of its process does not need? Not if it
 * may run on one only, nor if a quota of one of its cgroups (cpu.max, cpu.cfs_quota_us) is
 * less than two: what the thread takes, others of the group would have to do without. What
 * cannot be read is no limit.
 */
bool processors_spare(const char *groups, const char *folders);

#endif
