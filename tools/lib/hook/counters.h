/* SPDX-License-Identifier: GPL-2.0-only */
/* The user side of bpf/target.bpf.h and bpf/lookup.bpf.h: files, tasks, counters. */
#ifndef PAGE2CACHE_WATCH_H
#define PAGE2CACHE_WATCH_H

#include <sys/types.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/command.h"
#include "hook/hooks.h"
#include "hook/kallsyms.h"
#include "file/target.h"

struct counters_options {
	bool auto_files;	/* every file that is accessed, not named ones */
	bool tree;		/* COMMAND and its descendants only */
	pid_t pid;		/* 0: any */
	const char *cgroup_dir; /* NULL: any */
	uint32_t nr_files;	/* named ones */
};

struct counters {
	struct bpf_object *obj;
	__u64 *watch_bits;
	struct p2c_file_key *first_file;
	__u32 *nr_slots;
	__u64 *tasks_lost;
	__u32 *command_tid;
	unsigned int nr_cpus;
	uint32_t max_slots;
	bool late_known;
	struct p2c_file_counts *per_cpu; /* of one slot, while it is read */
};

/* A row a line: */
/* clang-format off */
/*
 * What turns the kernel's events into accesses: bpf/points.bpf.h. Linux 6.1 has no
 * tracepoints for lookups and faults, 6.12 has; those of readahead are younger.
 * At the end of a lookup and of fault-around the functions' return tells more
 * than the tracepoints do: there these come second.
 */
#define HOOK_READ_LOOKUP \
	{ "read_lookup", false, { { { "lookup_fexit" } }, { { "lookup_tp" } }, { { "lookup_kprobe", "lookup_kretprobe" } } } }
#define HOOK_READ_MISS \
	{ "read_miss", false, { { { "miss_tp" } }, { { "miss_fentry" } }, { { "miss_kprobe" } } } }
#define HOOK_MMAP_ACCESS \
	{ "mmap_access", false, { { { "fault_tp" } }, { { "fault_fentry" } }, { { "fault_kprobe" } } } }
#define HOOK_MMAP_FAULT_AROUND \
	{ "mmap_fault_around", false, { { { "around_fexit" } }, { { "around_tp" } }, { { "around_kprobe", "around_kretprobe" } } } }
#define HOOK_MMAP_MAPPED { "mmap_mapped", false, { { { "mapped_rss" } } } }
#define HOOK_PAGE_FAULT { "page_fault", false, { { { "begin_user", "begin_kernel" } } } }
#define HOOK_LATE_HIT	{ "late_hit", true, { { { "task_sleep" } } } }
/* The patched kernel's own, where it forces. */
#define HOOK_FORCE	{ "force", true, { { { "force_at_miss" } } } }
/* Where the module is given files; an overlay's own comes with Linux 6.12 or later. */
#define HOOK_HOLD	{ "hold", true, { { { "map_file", "map_backing_file" } }, { { "map_file" } } } }
#define HOOK_OPEN	{ "open", true, { { { "open_file" } } } }
#define HOOK_INSERT	{ "insert", false, { { { "page_insert" } } } }
#define HOOK_REMOVAL	{ "removal", false, { { { "page_remove" } } } }
#define HOOK_TASK_START { "task_start", true, { { { "task_new" } } } }
#define HOOK_TASK_EXIT	{ "task_exit", true, { { { "task_exit" } } } }

/* What readahead decides: bpf/ratrace.bpf.c. */
#define READAHEAD_HOOKS \
	{ "readahead_sync", false, { { { "sync_tp" } }, { { "sync_fentry" } }, { { "sync_kprobe" } } } }, \
	{ "readahead_async", false, { { { "async_tp" } }, { { "async_fentry" } }, { { "async_kprobe" } } } }, \
	{ "readahead_order", false, { { { "order_tp" } }, { { "order_fentry" } }, { { "order_kprobe" } } } }, \
	{ "readahead_unbounded", false, { { { "unbounded_tp" } }, { { "unbounded_fentry" } }, { { "unbounded_kprobe" } } } }

#define COUNTERS_HOOKS \
	HOOK_READ_LOOKUP, HOOK_READ_MISS, HOOK_MMAP_ACCESS, HOOK_MMAP_FAULT_AROUND, \
	HOOK_MMAP_MAPPED, HOOK_PAGE_FAULT, HOOK_LATE_HIT, HOOK_REMOVAL, HOOK_TASK_START, HOOK_TASK_EXIT
/* clang-format on */

/* Maps and memory are bounded: this many files without names, the rest is counted as one. */
#define COUNTERS_AUTO_FILES 8192

struct counters_config {
	uint32_t max_slots;
	uint64_t pidns_dev, pidns_ino;
	bool around_hidden; /* by the tracepoint alone, see bpf/points.bpf.h */
	unsigned int nr_ranges;
	struct p2c_text_range ranges[MAX_RANGES];
};

/*
 * What the read-only data of the BPF side has to say, with the hooks that were chosen
 * (hooks_plan()); those that this run does not need are no longer. Returns 0 or -errno.
 */
int counters_config(const struct counters_options *opt, struct hook *hooks, size_t n,
		    struct counters_config *cfg);

/*
 * The same variables lie in each program's skeleton, at places of its own: hence
 * a macro. Between open and load.
 */
#define COUNTERS_CONFIGURE(skel, opt, cfg)                                                    \
	do {                                                                                  \
		(skel)->rodata->auto_files = (opt)->auto_files;                               \
		(skel)->rodata->filter_tree = (opt)->tree;                                    \
		(skel)->rodata->filter_cgroup = (opt)->cgroup_dir != NULL;                    \
		(skel)->rodata->filter_tgid = (opt)->pid;                                     \
		(skel)->rodata->self_tgid = getpid();                                         \
		(skel)->rodata->pidns_dev = (cfg)->pidns_dev;                                 \
		(skel)->rodata->pidns_ino = (cfg)->pidns_ino;                                 \
		(skel)->rodata->max_slots = (cfg)->max_slots;                                 \
		(skel)->rodata->nr_ranges = (cfg)->nr_ranges;                                 \
		(skel)->rodata->around_hidden = (cfg)->around_hidden;                         \
		memcpy((void *)(skel)->rodata->ranges, (cfg)->ranges, sizeof((cfg)->ranges)); \
	} while (0)

#define COUNTERS_BIND(w, skel)                                \
	do {                                                  \
		(w)->watch_bits = (skel)->bss->watch_bits;    \
		(w)->first_file = &(skel)->bss->first_file;   \
		(w)->nr_slots = &(skel)->bss->nr_slots;       \
		*(w)->nr_slots = SLOT_OTHERS + 1;             \
		(w)->tasks_lost = &(skel)->bss->tasks_lost;   \
		(w)->command_tid = &(skel)->bss->command_tid; \
	} while (0)

/* Sizes the maps, between open and load. Returns 0 or -errno. */
int counters_size(struct counters *w, struct bpf_object *obj, const struct counters_config *cfg,
		  const struct counters_options *opt);

/* After load: the cgroup. Returns 0 or -errno with *why. */
int counters_cgroup(struct counters *w, const char *dir, char **why);
/* Watch a resolved target; its slot is set. Returns 0 or -errno. */
int counters_add_file(struct counters *w, struct target *t);
/* Count COMMAND's first task, which waits, from now on. Returns 0 or -errno. */
int counters_add_command(struct counters *w);

/* Per-CPU counters, added up. */
void file_counts_add(struct p2c_file_counts *to, const struct p2c_file_counts *what);
void file_counts_sum(const struct p2c_file_counts *per_cpu, unsigned int nr_cpus,
		     struct p2c_file_counts *sum);
/* Counters of one slot. Returns 0 or -errno. */
int counters_read(struct counters *w, uint32_t slot, struct p2c_file_counts *sum);

/* Says so if not all of COMMAND's descendants were counted. */
void counters_complain(const struct counters *w);

void counters_free(struct counters *w);

/* A cgroup v2 directory? Returns an O_RDONLY descriptor, or -errno with *why. */
int cgroup_open(const char *dir, char **why);

#endif
