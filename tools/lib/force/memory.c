// SPDX-License-Identifier: GPL-2.0-only
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file/mountinfo.h"
#include "force/memory.h"

/* What the two versions of cgroups have of memory, each in a file of its own but for `stat`. */
struct version {
	const char *type;	/* of the file system */
	const char *controller; /* in /proc/self/cgroup */
	const char *limits[2];
	const char *usage;
	const char *cached[2];	 /* page cache, in memory.stat: it can be reclaimed */
	const char *hits;	 /* how often a limit was met: in a file, ... */
	const char *counters[2]; /* ... under these names; NULL: it is the file's only number */
};

/* If a system has both versions, the first one controls memory if it has the controller. */
static const struct version versions[] = {
	{ .type = "cgroup",
	  .controller = "memory",
	  .limits = { "memory.limit_in_bytes" },
	  .usage = "memory.usage_in_bytes",
	  .cached = { "total_active_file", "total_inactive_file" },
	  .hits = "memory.failcnt" },
	{ .type = "cgroup2",
	  .controller = "",
	  .limits = { "memory.max", "memory.high" },
	  .usage = "memory.current",
	  .cached = { "active_file", "inactive_file" },
	  .hits = "memory.events",
	  .counters = { "max", "high" } },
};

/* A cgroup: its folder, and the version's own file system, above which nothing is seen. */
struct group {
	const struct version *version;
	char dir[2 * PATH_MAX];
	size_t mount_len;
};

static FILE *open_in(const struct group *g, const char *name)
{
	char path[2 * PATH_MAX + 64];

	snprintf(path, sizeof(path), "%s/%s", g->dir, name);
	return fopen(path, "re");
}

/* The number in a file, or behind KEY in a file that has more; OTHERWISE if there is none. */
static uint64_t read_number(const struct group *g, const char *name, const char *key,
			    uint64_t otherwise)
{
	FILE *f = open_in(g, name);
	char line[256], *at, *end;
	size_t len = key ? strlen(key) : 0;
	unsigned long long n;

	while (f && fgets(line, sizeof(line), f)) {
		if (key && (strncmp(line, key, len) || line[len] != ' '))
			continue;
		at = line + (key ? len + 1 : 0);
		n = strtoull(at, &end, 10);
		if (end != at) /* "max" is no number */
			otherwise = n;
		break;
	}
	if (f)
		fclose(f);
	return otherwise;
}

/* In a list with commas. */
static bool is_listed(const char *list, const char *name)
{
	size_t len = strlen(name);

	for (; list; list = strchr(list, ',')) {
		list += *list == ',';
		if (!strncmp(list, name, len) && (!list[len] || list[len] == ','))
			return true;
	}
	return false;
}

/* The path of a process, 0: this one, in the hierarchy that has the memory of a version. */
static bool find_path(const struct version *v, pid_t pid, char path[PATH_MAX])
{
	char line[PATH_MAX + 256], *controllers, *at;
	bool found = false;
	FILE *f;

	snprintf(line, sizeof(line), pid ? "/proc/%d/cgroup" : "/proc/self/cgroup", pid);
	f = fopen(line, "re");
	while (f && !found && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		controllers = strchr(line, ':');
		at = controllers ? strchr(controllers + 1, ':') : NULL;
		if (!at)
			continue;
		*at++ = 0;
		found = *v->controller ? is_listed(controllers + 1, v->controller)
				       : !controllers[1];
		snprintf(path, PATH_MAX, "%s", at);
	}
	if (f)
		fclose(f);
	return found;
}

/*
 * Where the group of this PATH has its folder in a mount. A container may see the hierarchy from some
 * level on only: then its path begins with what the mount leaves out.
 */
static bool folder_in(struct group *g, const struct mountinfo *m, const char *path)
{
	size_t len = strcmp(m->root, "/") ? strlen(m->root) : 0;

	if (strcmp(m->type, g->version->type) ||
	    (*g->version->controller && !is_listed(m->options, g->version->controller)))
		return false;
	if (strncmp(path, m->root, len) || (path[len] && path[len] != '/'))
		return false;
	/* A group outside of the namespace of cgroups. */
	if (!strncmp(path + len, "/..", 3))
		return false;
	g->mount_len = strlen(m->point);
	snprintf(g->dir, sizeof(g->dir), "%s%s", m->point,
		 strcmp(path + len, "/") ? path + len : "");
	return true;
}

static bool find_folder(struct group *g, const char *path)
{
	struct mountinfo m;
	bool found = false;

	mountinfo_open(&m);
	while (!found && mountinfo_next(&m))
		found = folder_in(g, &m, path);
	mountinfo_close(&m);
	return found;
}

static bool find_group(struct group *g, pid_t pid)
{
	char path[PATH_MAX];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(versions); i++) {
		g->version = &versions[i];
		if (find_path(g->version, pid, path))
			return find_folder(g, path);
	}
	return false;
}

/* Go one level up; false at the top of what is seen. */
static bool go_up(struct group *g)
{
	char *last = strrchr(g->dir, '/');

	if (strlen(g->dir) <= g->mount_len || !last)
		return false;
	*last = 0;
	return true;
}

/* What a level leaves: its limit less the memory in use that cannot be reclaimed. */
static uint64_t level_room(const struct group *g)
{
	uint64_t limit = UINT64_MAX, used, n;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(g->version->limits) && g->version->limits[i]; i++) {
		n = read_number(g, g->version->limits[i], NULL, UINT64_MAX);
		limit = n < limit ? n : limit;
	}
	if (limit == UINT64_MAX)
		return limit;
	used = read_number(g, g->version->usage, NULL, 0);
	for (i = 0; i < ARRAY_SIZE(g->version->cached); i++) {
		n = read_number(g, "memory.stat", g->version->cached[i], 0);
		used -= n < used ? n : used;
	}
	return used < limit ? limit - used : 0;
}

static uint64_t system_room(void)
{
	const struct group proc = { .dir = "/proc" };
	uint64_t n = read_number(&proc, "meminfo", "MemAvailable:", 0);

	return n ? n * 1024 : UINT64_MAX;
}

/* What a group leaves, and each level above it; ROOM at most. */
static uint64_t group_room(struct group *g, uint64_t room)
{
	uint64_t n;

	do {
		n = level_room(g);
		room = n < room ? n : room;
	} while (go_up(g));
	return room;
}

uint64_t memory_room(bool own)
{
	uint64_t room = system_room();
	struct group g;

	if (own && find_group(&g, 0))
		room = group_room(&g, room);
	return room / 10 * 9;
}

uint64_t memory_room_for(pid_t pid)
{
	uint64_t room = system_room();
	struct group ours, its;
	bool limited = find_group(&ours, 0);

	/* One group is looked at once. */
	if (find_group(&its, pid) && !(limited && !strcmp(ours.dir, its.dir)))
		room = group_room(&its, room);
	if (limited)
		room = group_room(&ours, room);
	return room / 10 * 9;
}

uint64_t memory_limit_hits(void)
{
	struct group g;
	bool at = find_group(&g, 0);
	uint64_t hits = 0;
	size_t i;

	for (; at; at = go_up(&g)) {
		for (i = 0; i < ARRAY_SIZE(g.version->counters); i++) {
			if (!i || g.version->counters[i])
				hits += read_number(&g, g.version->hits, g.version->counters[i], 0);
		}
	}
	return hits;
}
