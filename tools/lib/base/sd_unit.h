/* SPDX-License-Identifier: GPL-2.0-only */
/* A systemd unit that has a cgroup, and where the folder of that lies in the tree of cgroups. */
#ifndef PAGE2CACHE_SD_UNIT_H
#define PAGE2CACHE_SD_UNIT_H

#include "base/util.h"

#define SD_UNIT_NAMES 4

/*
 * The unit's name; those before it are of units that it runs in, such as user@1000.service,
 * which has a systemd of its own. Between them, and above, are slices only.
 */
struct sd_unit {
	char *names[SD_UNIT_NAMES];
	size_t nr; /* 0: no unit */
};

/*
 * TEXT: names with / between them. One without a type is a service, as systemctl has it. Returns
 * NULL, or why there is no such unit, to be freed.
 */
char *sd_unit_parse(struct sd_unit *u, const char *text);
/* The unit's names with / between them, to be freed. */
char *sd_unit_text(const struct sd_unit *u);
/* Does a process with this path in /proc/PID/cgroup run in the unit? */
bool sd_unit_has(const struct sd_unit *u, const char *path);
/* The folder of the unit's cgroup below TOP, to be freed; NULL: it does not run. */
char *sd_unit_find(const struct sd_unit *u, const char *top);

#endif
