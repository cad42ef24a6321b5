// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "hook/cgroup.h"
#include "hook/counters.h"

/* The first namespaces have fixed inode numbers (include/linux/proc_ns.h). */
#define PROC_PID_INIT_INO  0xEFFFFFFCU
#define PROC_TIME_INIT_INO 0xEFFFFFFAU

/* Elements of an LRU map that a CPU takes at once (kernel/bpf/bpf_lru_list.c). */
#define LRU_ASIDE 128

bool in_first_pidns(void)
{
	struct stat ns;

	return !stat("/proc/self/ns/pid", &ns) && ns.st_ino == PROC_PID_INIT_INO;
}

/* Where processes and clocks are what they are to the kernel; false if that cannot be told. */
static bool in_first_namespaces(void)
{
	struct stat ns;

	if (!in_first_pidns())
		return false;
	/* There are kernels without namespaces of clocks. */
	return stat("/proc/self/ns/time", &ns) || ns.st_ino == PROC_TIME_INIT_INO;
}

/* Every hook costs the whole system time, so hooks that this run does not need are not attached. */
static void drop_hooks(struct hook *hooks, size_t n, const struct p2c_config *config)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if ((!strncmp(hooks[i].event, "task_", 5) && !config->filter_tree) ||
		    (!strncmp(hooks[i].event, "unit_", 5) && !config->unit_depth))
			hooks[i].chosen = NULL;
	}
}

static void set_unit(struct p2c_config *config, const struct sd_unit *unit)
{
	size_t i;

	for (i = 0; unit && i < unit->nr; i++)
		snprintf(config->unit[i], UNIT_NAME, "%s", unit->names[i]);
	config->unit_depth = i;
}

int counters_configure(struct counters *w, struct p2c_config *config,
		       const struct counters_options *opt, struct hook *hooks, size_t n)
{
	size_t i;

	memset(w, 0, sizeof(*w));
	memset(config, 0, sizeof(*config));
	config->auto_files = opt->auto_files != 0;
	config->filter_tree = opt->tree;
	config->filter_cgroup = opt->cgroup_dir || opt->unit;
	config->filter_tgid = opt->pid != 0;
	config->filter_uid = opt->by_user;
	config->uid = opt->uid;
	config->by_process = opt->by_process;
	set_unit(config, opt->unit);
	config->subvolumes = types_btrfs_mounted();
	config->max_slots = 1 + (opt->auto_files ? opt->auto_files : opt->nr_files);
	config->near_slots = config->max_slots;
	if (config->max_slots > 1 + COUNTERS_NEAR_FILES)
		config->near_slots = 1 + COUNTERS_NEAR_FILES;
	for (i = 0; i < n; i++) {
		if (!hooks[i].chosen)
			continue;
		config->around_hidden |= !strcmp(hooks[i].chosen->programs[0], "around_tp") ||
					 !strcmp(hooks[i].chosen->programs[0], "around_classic");
		w->by_record |= hooks[i].chosen->named;
		w->sees_starts |= !strcmp(hooks[i].event, "unit_start");
		config->late |= !strcmp(hooks[i].event, "late_hit");
	}
	drop_hooks(hooks, n, config);
	w->config = config;
	w->pid = opt->pid;
	w->elsewhere = !in_first_namespaces();
	w->finds_tree = opt->tree_pid;
	w->max_slots = config->max_slots;
	w->near_slots = config->near_slots;
	w->nr_cpus = libbpf_num_possible_cpus();
	config->nr_cpus = w->nr_cpus;
	w->per_cpu = xcalloc(w->nr_cpus, sizeof(*w->per_cpu));
	return 0;
}

static int size_map(struct bpf_object *obj, const char *name, uint32_t entries)
{
	struct bpf_map *map = bpf_object__find_map_by_name(obj, name);

	return map ? bpf_map__set_max_entries(map, entries) : 0;
}

/*
 * Where there are more files than histograms, those have one that miss most: of the others the
 * kernel takes it away again. Each CPU sets some free elements aside.
 */
static int size_latency(struct bpf_object *obj, uint32_t slots, bool far)
{
	struct bpf_map *map = bpf_object__find_map_by_name(obj, "latency");
	int err = 0;

	if (map && far) {
		err = bpf_map__set_type(map, BPF_MAP_TYPE_LRU_HASH);
		slots += LRU_ASIDE * libbpf_num_possible_cpus();
	}
	return err || !map ? err : bpf_map__set_max_entries(map, slots);
}

/*
 * Processes that count each on their own are shown their counts while they run. So the counts are
 * in memory that the user side maps, one element a slot: bpf(2) on a map keeps programs of classic
 * tracepoints from running meanwhile, and events would be missed.
 */
static int size_by_process(const struct counters *w, struct bpf_object *obj)
{
	struct bpf_map *counts = bpf_object__find_map_by_name(obj, "counts");
	bool needed = w->config->by_process;
	int err;

	bpf_map__set_autocreate(bpf_object__find_map_by_name(obj, "processes"), needed);
	bpf_map__set_autocreate(bpf_object__find_map_by_name(obj, "process_slots"), needed);
	if (!needed)
		return 0;
	err = bpf_map__set_type(counts, BPF_MAP_TYPE_ARRAY);
	err = err ? err : bpf_map__set_map_flags(counts, BPF_F_MMAPABLE);
	return err ? err : size_map(obj, "process_slots", w->max_slots);
}

int counters_size(struct counters *w, struct bpf_object *obj)
{
	bool found = w->config->auto_files, far = w->max_slots > w->near_slots;
	int err;

	w->obj = obj;
	/* Only named files are resolved: files found at their first access need not be. */
	bpf_program__set_autoload(bpf_object__find_program_by_name(obj, "identify"),
				  !w->config->auto_files);
	bpf_program__set_autoload(bpf_object__find_program_by_name(obj, "find_tree"),
				  w->finds_tree);
	bpf_program__set_autoload(bpf_object__find_program_by_name(obj, "numbers"), w->elsewhere);
	bpf_program__set_autoload(bpf_object__find_program_by_name(obj, "cgroup_place"),
				  w->config->filter_cgroup);
	err = types_write(obj);
	err = err ? err : size_map(obj, "files", found ? COUNTERS_TOLD_FILES : w->max_slots);
	err = err ? err : size_map(obj, "counts", w->near_slots);
	err = err ? err : size_map(obj, "far_counts", far ? w->max_slots : 1);
	err = err ? err : size_by_process(w, obj);
	err = err ? err : size_latency(obj, w->near_slots, far);
	err = err ? err : size_map(obj, "short_names", found ? w->max_slots : 1);
	err = err ? err : size_map(obj, "named_files", w->by_record ? w->max_slots : 1);
	return err ? err : size_map(obj, "names", found ? w->near_slots : 1);
}

void counters_bind(struct counters *w, struct p2c_watch *watch)
{
	w->watch = watch;
	watch->nr_slots = SLOT_OTHERS + 1;
}

void counters_on(struct counters *w, bool on)
{
	__atomic_store_n(&w->watch->on, on, __ATOMIC_SEQ_CST);
}

int counters_number(const struct counters *w, pid_t pid, uint32_t *number)
{
	struct p2c_task_number r[64];
	ssize_t got, i;
	int fd;

	*number = w->elsewhere ? 0 : pid;
	if (!w->elsewhere)
		return 0;
	fd = bpf_iter_create(bpf_link__fd(w->numbers));
	if (fd < 0)
		return -errno;
	while (!*number && (got = read(fd, r, sizeof(r))) > 0) {
		for (i = 0; i < got / (ssize_t)sizeof(r[0]); i++) {
			if (r[i].seen == (uint32_t)pid)
				*number = r[i].number;
		}
	}
	close(fd);
	return *number ? 0 : -ESRCH;
}

int counters_locate(struct counters *w)
{
	int err;

	if (w->elsewhere) {
		w->numbers = bpf_program__attach_iter(
			bpf_object__find_program_by_name(w->obj, "numbers"), NULL);
		if (!w->numbers)
			return -errno;
	}
	err = counters_number(w, getpid(), &w->watch->self_tgid);
	if (!err && w->pid)
		err = counters_number(w, w->pid, &w->watch->filter_tgid);
	return err;
}

/* For programs that are told a file's device and inode number only. */
static int name_file(const struct counters *w, const struct target *t, uint32_t slot)
{
	struct p2c_named_key key = { .ino = t->key.ino, .dev = t->key.dev };
	struct p2c_named_file file = { .inode = t->inode, .slot = slot };

	return bpf_map_update_elem(bpf_object__find_map_fd_by_name(w->obj, "named_files"), &key,
				   &file, BPF_NOEXIST);
}

/* The line of a file of /proc/PID that begins with KEY: what follows there, false if there is none. */
static bool read_proc(pid_t pid, const char *file, const char *key, char *text, size_t size)
{
	char path[64], line[PATH_MAX + 64];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	f = fopen(path, "re");
	while (f && !found && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		found = !strncmp(line, key, strlen(key));
		if (found)
			snprintf(text, size, "%s", line + strlen(key));
	}
	if (f)
		fclose(f);
	return found;
}

static bool is_user(pid_t pid, uint32_t uid)
{
	char text[128];

	/* The first of four is the real one, as the kernel's programs have it. */
	return read_proc(pid, "status", "Uid:", text, sizeof(text)) &&
	       strtoul(text, NULL, 10) == uid;
}

static bool is_in_cgroup(const struct counters *w, pid_t pid)
{
	char text[PATH_MAX];

	return read_proc(pid, "cgroup", "0::", text, sizeof(text)) && cgroup_counts_path(w, text);
}

/* PF_EXITING of include/linux/sched.h, which is set before the programs see the task's end. */
#define PF_EXITING 0x00000004

bool counters_pid_ends(pid_t pid)
{
	const char *state;
	char text[PATH_MAX];
	unsigned int flags;

	/* PID (NAME) STATE PPID PGRP SESSION TTY TPGID FLAGS ... */
	if (!read_proc(pid, "stat", "", text, sizeof(text)))
		return true;
	state = strrchr(text, ')');
	return !state || sscanf(state, ") %*c %*d %*d %*d %*d %*d %u", &flags) != 1 ||
	       flags & PF_EXITING;
}

bool counters_count_pid(const struct counters *w, pid_t pid)
{
	const struct p2c_config *c = w->config;
	uint32_t tid, one;

	if ((c->filter_tgid && pid != w->pid) || (c->filter_uid && !is_user(pid, c->uid)) ||
	    (c->filter_cgroup && !is_in_cgroup(w, pid)))
		return false;
	return !c->filter_tree ||
	       (!counters_number(w, pid, &tid) &&
		!bpf_map_lookup_elem(bpf_object__find_map_fd_by_name(w->obj, "counted_tasks"), &tid,
				     &one));
}

bool counters_has_file(const struct counters *w, struct target *t)
{
	return !bpf_map_lookup_elem(bpf_object__find_map_fd_by_name(w->obj, "files"), &t->key,
				    &t->slot);
}

int counters_put_file(struct counters *w, struct target *t, uint32_t slot)
{
	int fd = bpf_object__find_map_fd_by_name(w->obj, "files");
	int err = bpf_map_update_elem(fd, &t->key, &slot, BPF_NOEXIST);

	if (err)
		return err;
	err = w->by_record ? name_file(w, t, slot) : 0;
	if (err) {
		bpf_map_delete_elem(fd, &t->key);
		return err;
	}
	t->slot = slot;
	w->watch->bits[(t->key.ino / 64) % (WATCH_BITS / 64)] |= 1ULL << (t->key.ino % 64);
	return 0;
}

void counters_drop_file(struct counters *w, const struct p2c_file_key *key)
{
	struct p2c_named_key named = { .ino = key->ino, .dev = key->dev };

	bpf_map_delete_elem(bpf_object__find_map_fd_by_name(w->obj, "files"), key);
	if (w->by_record)
		bpf_map_delete_elem(bpf_object__find_map_fd_by_name(w->obj, "named_files"), &named);
}

int counters_add_file(struct counters *w, struct target *t)
{
	static const struct p2c_file_counts none;
	uint32_t slot = w->watch->nr_slots;
	int err = 0;

	/* The same file under two names is one file. */
	if (counters_has_file(w, t))
		return 0;
	if (slot >= w->near_slots)
		err = bpf_map_update_elem(bpf_object__find_map_fd_by_name(w->obj, "far_counts"),
					  &slot, &none, BPF_NOEXIST);
	err = err ? err : counters_put_file(w, t, slot);
	if (err)
		return err;
	w->watch->nr_slots++;
	if (slot == SLOT_OTHERS + 1) {
		w->watch->first_file = t->key;
		w->watch->first_inode = t->inode;
	}
	return 0;
}

int counters_add_task(struct counters *w, pid_t pid)
{
	uint32_t tid, one = 1;
	int err = counters_number(w, pid, &tid);

	return err ? err
		   : bpf_map_update_elem(bpf_object__find_map_fd_by_name(w->obj, "counted_tasks"),
					 &tid, &one, BPF_ANY);
}

/* One walk over all tasks. Returns 0 or -errno. */
static int walk_tasks(const struct bpf_link *link)
{
	int fd = bpf_iter_create(bpf_link__fd(link));
	ssize_t got;
	char buf[8];

	if (fd < 0)
		return -errno;
	got = read(fd, buf, sizeof(buf));
	close(fd);
	return got < 0 ? -errno : 0;
}

int counters_add_tree(struct counters *w, pid_t pid)
{
	struct bpf_link *link = bpf_program__attach_iter(
		bpf_object__find_program_by_name(w->obj, "find_tree"), NULL);
	uint64_t before;
	int err = link ? 0 : -errno;

	w->watch->tree_tgid = pid;
	/* A walk goes by number. Where numbers have wrapped a child may come before its parent. */
	do {
		before = w->watch->tasks_found;
		err = err ? err : walk_tasks(link);
	} while (!err && w->watch->tasks_found != before);
	w->watch->tree_tgid = 0;
	bpf_link__destroy(link);
	return err ? err : w->watch->tasks_found ? 0 : -ESRCH;
}

int counters_add_command(struct counters *w, pid_t pid)
{
	/* Pages inserted so far were read by the tool itself, not by other programs. */
	w->watch->others_inserted = 0;
	return counters_add_task(w, pid);
}

void file_counts_add(struct p2c_file_counts *to, const struct p2c_file_counts *what)
{
	int i;

	for (i = 0; i < NR_COUNTS; i++)
		to->count[i] += what->count[i];
}

void file_counts_sum(const struct p2c_file_counts *per_cpu, unsigned int nr_cpus,
		     struct p2c_file_counts *sum)
{
	unsigned int cpu;

	memset(sum, 0, sizeof(*sum));
	for (cpu = 0; cpu < nr_cpus; cpu++)
		file_counts_add(sum, &per_cpu[cpu]);
}

enum exactness file_counts_exactness(const struct p2c_file_counts *c)
{
	return c->count[COUNT_READS_UNSEEN] || c->count[COUNT_READS_UNPLACED] ? NOT_EXACT : EXACT;
}

int counters_read(struct counters *w, uint32_t slot, struct p2c_file_counts *sum)
{
	bool near = slot < w->near_slots;
	const char *map = near ? "counts" : "far_counts";
	int err = bpf_map_lookup_elem(bpf_object__find_map_fd_by_name(w->obj, map), &slot,
				      w->per_cpu);

	if (err)
		return err;
	file_counts_sum(w->per_cpu, near ? w->nr_cpus : 1, sum);
	return 0;
}

int counters_total(struct counters *w, struct p2c_file_counts *sum)
{
	struct bpf_program *add_up = bpf_object__find_program_by_name(w->obj, "add_up");
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	int err = bpf_prog_test_run_opts(bpf_program__fd(add_up), &opts);

	if (!err)
		*sum = w->watch->total;
	return err;
}

enum exactness counters_exactness(const struct counters *w, const struct hook *hooks, size_t n)
{
	return w->watch->tasks_lost || w->watch->states_lost ? NOT_EXACT
							     : hooks_exactness(hooks, n);
}

int counters_name(const struct counters *w, uint32_t slot, struct p2c_file_name *name)
{
	int err;

	/* A short one leaves the rest as it is: nothing of it is looked at. */
	err = bpf_map_lookup_elem(bpf_object__find_map_fd_by_name(w->obj, "short_names"), &slot,
				  name);
	return err ? bpf_map_lookup_elem(bpf_object__find_map_fd_by_name(w->obj, "names"), &slot,
					 name)
		   : 0;
}

bool counters_late_known(const struct counters *w)
{
	return w->config->late && !w->watch->late_unknown;
}

void counters_complain(const struct counters *w)
{
	if (w->watch->late_unknown)
		say_verbose(
			"late hits are not known: the kernel shows no function names of its stacks "
			"(CONFIG_KALLSYMS)");
	if (w->watch->tasks_lost)
		say("%llu descendants are not counted: the table of processes is full",
		    (unsigned long long)w->watch->tasks_lost);
	if (w->watch->states_lost)
		say("%llu events were not counted: the kernel had no memory for the state of their "
		    "tasks; counts are lower bounds",
		    (unsigned long long)w->watch->states_lost);
}

void counters_free(struct counters *w)
{
	bpf_link__destroy(w->numbers);
	w->numbers = NULL;
	free(w->cgroup);
	w->cgroup = NULL;
	free(w->top);
	w->top = NULL;
	free(w->per_cpu);
	w->per_cpu = NULL;
}
