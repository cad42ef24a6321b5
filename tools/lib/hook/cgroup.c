// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "file/mountinfo.h"
#include "hook/cgroup.h"

int cgroup_open(const char *dir, char **why)
{
	struct statfs fs;
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fstatfs(fd, &fs)) {
		*why = xasprintf("%s: %s", dir, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -ENOENT;
	}
	if (fs.f_type != CGROUP2_SUPER_MAGIC) {
		*why = xasprintf("%s: is not a cgroup v2 directory", dir);
		close(fd);
		return -EINVAL;
	}
	return fd;
}

/* How many levels a folder of cgroups is below the top of its mount. */
static int cgroup_depth(int fd)
{
	struct stat here, above;
	int depth = 0, up = fd, next;

	while (!fstat(up, &here) && (next = openat(up, "..", O_PATH | O_CLOEXEC)) >= 0) {
		if (up != fd)
			close(up);
		up = next;
		if (fstat(up, &above) || above.st_dev != here.st_dev || above.st_ino == here.st_ino)
			break;
		depth++;
	}
	if (up != fd)
		close(up);
	return depth;
}

/* What /proc/PID/cgroup calls it: its path from the top of the mount on. */
static char *cgroup_name(int fd)
{
	char link[64], path[PATH_MAX], *name;
	ssize_t len;
	int depth = cgroup_depth(fd);

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, sizeof(path) - 1);
	if (len < 0)
		return NULL;
	path[len] = 0;
	for (name = path + len; depth && name > path; depth--) {
		while (name > path && *--name != '/')
			;
	}
	return xstrdup(name);
}

/*
 * Ask the kernel for the number and level of the cgroup whose folder is open. Returns 0 or -errno.
 */
static int place_of(const struct counters *w, int fd, struct p2c_cgroup_place *place)
{
	union bpf_iter_link_info info = {
		.cgroup = { .order = BPF_CGROUP_ITER_SELF_ONLY, .cgroup_fd = fd },
	};
	LIBBPF_OPTS(bpf_iter_attach_opts, opts, .link_info = &info, .link_info_len = sizeof(info));
	struct bpf_link *link = bpf_program__attach_iter(
		bpf_object__find_program_by_name(w->obj, "cgroup_place"), &opts);
	int iter = link ? bpf_iter_create(bpf_link__fd(link)) : -errno;
	ssize_t got = iter >= 0 ? read(iter, place, sizeof(*place)) : iter;

	if (got < 0)
		got = -errno;
	if (iter >= 0)
		close(iter);
	bpf_link__destroy(link);
	return got == sizeof(*place) ? 0 : got < 0 ? (int)got : -ENOENT;
}

static int open_and_place(const struct counters *w, const char *dir, struct p2c_cgroup_place *place,
			  char **why)
{
	int err, fd = cgroup_open(dir, why);

	if (fd < 0)
		return fd;
	err = place_of(w, fd, place);
	if (err)
		*why = xasprintf("%s: %s", dir, strerror(-err));
	if (err)
		close(fd);
	return err ? err : fd;
}

/* Counts from now on. The number comes last: a program that sees it finds its level. */
static void count_cgroup(struct counters *w, const struct p2c_cgroup_place *place)
{
	w->watch->cgroup_level = place->level;
	__atomic_store_n(&w->watch->cgroup_id, place->id, __ATOMIC_SEQ_CST);
}

/* Where cgroups of version 2 are, to be freed; NULL: nowhere. */
static char *find_top(void)
{
	struct mountinfo m;
	char *top = NULL;

	mountinfo_open(&m);
	while (!top && mountinfo_next(&m)) {
		if (!strcmp(m.type, "cgroup2"))
			top = xstrdup(m.point);
	}
	mountinfo_close(&m);
	return top;
}

static enum status prepare_unit(struct counters *w, char **why)
{
	struct p2c_cgroup_place place;
	int fd;

	w->top = find_top();
	if (!w->top)
		*why = xstrdup("--unit: no cgroup2 is mounted: a unit is told by its cgroup v2");
	else if (!w->sees_starts)
		*why = xstrdup("--unit: this kernel does not tell of new cgroups (tracepoint "
			       "cgroup_mkdir)");
	if (*why)
		return STATUS_UNSUPPORTED;
	fd = open_and_place(w, w->top, &place, why);
	if (fd < 0)
		return STATUS_UNSUPPORTED;
	close(fd);
	w->watch->top_level = place.level;
	return STATUS_DONE;
}

enum status counters_cgroup(struct counters *w, const struct counters_options *opt, char **why)
{
	struct p2c_cgroup_place place;
	int fd;

	w->unit = opt->unit;
	if (opt->unit)
		return prepare_unit(w, why);
	if (!opt->cgroup_dir)
		return STATUS_DONE;
	fd = open_and_place(w, opt->cgroup_dir, &place, why);
	if (fd < 0)
		return STATUS_BAD_INPUT;
	count_cgroup(w, &place);
	w->cgroup = cgroup_name(fd);
	close(fd);
	return STATUS_DONE;
}

/* Where systemd runs, it makes this folder (sd_booted(3)). */
#define SYSTEMD_RUNS "/run/systemd/system"

static void say_waiting(const struct sd_unit *u)
{
	char *unit = sd_unit_text(u);

	if (access(SYSTEMD_RUNS, F_OK))
		say("%s: systemd does not run here (no " SYSTEMD_RUNS "): waiting for a cgroup of "
		    "that name",
		    unit);
	else
		say_verbose("%s: does not run: waiting for its start", unit);
	free(unit);
}

/*
 * Count the cgroup of DIR, the unit's folder. False: the cgroup has gone before unit_stop() was
 * told that it counts.
 */
static bool count_folder(struct counters *w, const char *dir, struct p2c_cgroup_place *place)
{
	uint64_t id = place->id;
	struct stat st;

	count_cgroup(w, place);
	if (!stat(dir, &st) && st.st_ino == id)
		return true;
	/* Unless another start is known by now. */
	__atomic_compare_exchange_n(&w->watch->cgroup_id, &id, 0, false, __ATOMIC_SEQ_CST,
				    __ATOMIC_SEQ_CST);
	return false;
}

int counters_find_unit(struct counters *w, const struct counters_options *opt, char **why)
{
	struct p2c_cgroup_place place;
	bool counts = false;
	char *dir;
	int fd;

	while (opt->unit && !counts && (dir = sd_unit_find(opt->unit, w->top))) {
		fd = open_and_place(w, dir, &place, why);
		if (fd >= 0) {
			counts = count_folder(w, dir, &place);
			close(fd);
		}
		if (counts)
			say_verbose("%s: runs", dir);
		/*
		 * The folder is still there, so that no other has taken its place: this is an
		 * error.
		 */
		if (fd < 0 && !access(dir, F_OK)) {
			free(dir);
			return fd;
		}
		free(fd < 0 ? *why : NULL);
		free(dir);
	}
	if (opt->unit && !counts && !w->watch->unit_ns)
		say_waiting(opt->unit);
	return 0;
}

bool cgroup_unit_runs(const struct counters *w)
{
	return w->unit && __atomic_load_n(&w->watch->cgroup_id, __ATOMIC_SEQ_CST);
}

bool cgroup_unit_over(const struct counters *w)
{
	/* The start is read first, as it is written last. */
	return w->unit && __atomic_load_n(&w->watch->unit_ns, __ATOMIC_SEQ_CST) &&
	       !cgroup_unit_runs(w);
}

bool cgroup_counts_path(const struct counters *w, const char *path)
{
	size_t len;

	if (w->unit)
		return sd_unit_has(w->unit, path);
	if (!w->cgroup)
		return true;
	len = strlen(w->cgroup);
	return !strncmp(path, w->cgroup, len) && (!path[len] || path[len] == '/');
}
