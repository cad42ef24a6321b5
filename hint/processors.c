// SPDX-License-Identifier: LGPL-2.1-or-later
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "processors.h"

/* Read at most two numbers from file NAME of the folder. Returns how many there are. */
static int read_numbers(const char *folder, const char *name, long long numbers[2])
{
	char path[2 * PATH_MAX];
	int n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "re");
	if (f) {
		n = fscanf(f, "%lld %lld", &numbers[0], &numbers[1]);
		fclose(f);
	}
	return n;
}

/* Has this group less than two processors? "No limit" is "max" in version 2, and -1 in version 1. */
static bool is_short(const char *folder)
{
	long long quota[2], period[2];

	if (read_numbers(folder, "cpu.max", quota) == 2)
		return quota[0] < 2 * quota[1];
	return read_numbers(folder, "cpu.cfs_quota_us", quota) > 0 && quota[0] >= 0 &&
	       read_numbers(folder, "cpu.cfs_period_us", period) > 0 && quota[0] < 2 * period[0];
}

/*
 * Look at the group at PATH below the folder, and at all groups above it. A container may see only
 * the folder itself, though its list of groups has the whole path.
 */
static bool any_is_short(const char *folder, const char *path)
{
	char at[2 * PATH_MAX];
	size_t root = strlen(folder);

	snprintf(at, sizeof(at), "%s%s", folder, path);
	while (strlen(at) > root) {
		if (is_short(at))
			return true;
		*strrchr(at, '/') = 0;
	}
	return is_short(folder);
}

/* Is this list of controllers that of version 2, which is empty, or one that names "cpu"? */
static bool has_processors(char *controllers)
{
	char *name, *rest = NULL;

	if (!*controllers)
		return true;
	for (name = strtok_r(controllers, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
		if (!strcmp(name, "cpu"))
			return true;
	}
	return false;
}

/* Look at a line of the list of groups, "NUMBER:CONTROLLERS:PATH"; PATH begins with a slash. */
static bool line_is_short(char *line, const char *folders)
{
	char folder[PATH_MAX], *controllers, *path;
	bool is_v2;

	line[strcspn(line, "\n")] = 0;
	controllers = strchr(line, ':');
	path = controllers ? strchr(++controllers, ':') : NULL;
	if (!path || path[1] != '/')
		return false;
	*path++ = 0;
	is_v2 = !*controllers;
	if (!has_processors(controllers))
		return false;
	snprintf(folder, sizeof(folder), "%s%s", folders, is_v2 ? "" : "/cpu");
	return any_is_short(folder, path);
}

static bool groups_are_short(const char *groups, const char *folders)
{
	char line[PATH_MAX + 256];
	bool is = false;
	FILE *f = fopen(groups, "re");

	while (f && !is && fgets(line, sizeof(line), f))
		is = line_is_short(line, folders);
	if (f)
		fclose(f);
	return is;
}

bool processors_spare(const char *groups, const char *folders)
{
	cpu_set_t set;

	/* If the set has no room, there are more than 1,024 processors. */
	if (!sched_getaffinity(0, sizeof(set), &set) && CPU_COUNT(&set) < 2)
		return false;
	return !groups_are_short(groups, folders);
}
