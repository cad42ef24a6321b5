/* SPDX-License-Identifier: GPL-2.0-only */
/* Whose cgroup counts: that of -c, or that of a systemd unit whenever it runs. */
#ifndef PAGE2CACHE_CGROUP_H
#define PAGE2CACHE_CGROUP_H

#include "hook/counters.h"

/* A cgroup v2 directory? Returns an O_RDONLY descriptor, or -errno with *why. */
int cgroup_open(const char *dir, char **why);
/* After load, before the attaching. STATUS_UNSUPPORTED: units cannot be told here. */
enum status counters_cgroup(struct counters *w, const struct counters_options *opt, char **why);
/* After the attaching: a unit that runs already. Returns 0, or -errno with *why. */
int counters_find_unit(struct counters *w, const struct counters_options *opt, char **why);

/* Has the unit started since the attaching, and stopped again? */
bool cgroup_unit_over(const struct counters *w);
/* Does a unit run now? */
bool cgroup_unit_runs(const struct counters *w);

/* What PATH is in /proc/PID/cgroup: is the process in the cgroup that counts, if one does? */
bool cgroup_counts_path(const struct counters *w, const char *path);

#endif
