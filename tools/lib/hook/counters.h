/* SPDX-License-Identifier: GPL-2.0-only */
/* The user side of bpf/target.bpf.h, bpf/tasks.bpf.h and bpf/lookup.bpf.h. */
#ifndef PAGE2CACHE_COUNTERS_H
#define PAGE2CACHE_COUNTERS_H

#include <sys/types.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/command.h"
#include "base/sd_unit.h"
#include "hook/hooks.h"
#include "hook/types.h"
#include "file/target.h"

struct counters_options {
	uint32_t auto_files; /* so many that are accessed, at most; 0: named ones */
	bool tree;	     /* those tasks that counters_add_...() names, and their descendants */
	pid_t tree_pid;	     /* of them: a process that runs already; 0: none */
	pid_t pid;	     /* 0: any */
	const char *cgroup_dir;	    /* NULL: any */
	const struct sd_unit *unit; /* the cgroup of that unit, NULL: any */
	bool by_process;	    /* those in the map processes, each in slots of its own */
	bool by_user;		    /* processes of UID only */
	uint32_t uid;
	uint32_t nr_files; /* named ones */
};

struct counters {
	struct bpf_object *obj;
	const struct p2c_config *config;
	struct p2c_watch *watch;
	bool by_record; /* some chosen hooks are of classic tracepoints: bpf/named.bpf.h */
	struct bpf_link *numbers; /* see counters_number(); NULL where numbers are the kernel's */
	pid_t pid;		  /* of counters_options */
	char *cgroup;		  /* of cgroup_dir, as in /proc/PID/cgroup; NULL: any */
	const struct sd_unit *unit;
	char *top;	  /* where cgroups are; set if there is a unit */
	bool sees_starts; /* of units */
	bool elsewhere;	  /* not in the first namespaces, or that cannot be told */
	unsigned int nr_cpus;
	uint32_t max_slots, near_slots;
	bool finds_tree;
	enum exactness exact;		 /* of what was counted, as of the latest look */
	struct p2c_file_counts *per_cpu; /* of one slot, while it is read */
};

/* A row a line: */
/* clang-format off */
/*
 * What turns the kernel's events into accesses: bpf/points.bpf.h. Linux 6.1 has no
 * tracepoints for lookups and faults, 6.12 has; those of readahead are younger.
 * At the end of a lookup and of fault-around the functions' return tells more
 * than the tracepoints do: there these come second.
 * Classic tracepoints cost more than the others; those of files count only named ones.
 */
#define HOOK_READ_LOOKUP \
	{ "read_lookup", false, { { { "lookup_fexit" } }, { { "lookup_tp" } }, { { "lookup_kprobe", "lookup_kretprobe" } }, { { "lookup_classic" }, true } } }
#define HOOK_READ_MISS \
	{ "read_miss", false, { { { "miss_tp" } }, { { "miss_fentry" } }, { { "miss_kprobe" } }, { { "miss_classic" }, true } } }
#define HOOK_MMAP_ACCESS \
	{ "mmap_access", false, { { { "fault_tp" } }, { { "fault_fentry" } }, { { "fault_kprobe" } }, { { "fault_classic" }, true } } }
#define HOOK_MMAP_FAULT_AROUND \
	{ "mmap_fault_around", false, { { { "around_fexit" } }, { { "around_tp" } }, { { "around_kprobe", "around_kretprobe" } }, { { "around_classic" }, true } } }
#define HOOK_MMAP_MAPPED { "mmap_mapped", false, { { { "mapped_rss" } }, { { "mapped_kprobe" } } } }
#define HOOK_PAGE_FAULT \
	{ "page_fault", false, { { { "begin_user", "begin_kernel" } }, { { "begin_user_classic", "begin_kernel_classic" } } } }
#define HOOK_LATE_HIT	{ "late_hit", true, { { { "task_sleep" } } } }
/* The patched kernel's own, where it forces. */
#define HOOK_FORCE	{ "force", true, { { { "force_at_miss" } } } }
#define HOOK_OPEN	{ "open", true, { { { "open_file" } } } }
#define HOOK_INSERT	{ "insert", false, { { { "page_insert" } }, { { "insert_kprobe", "insert_kretprobe" } }, { { "insert_classic" }, true } } }
#define HOOK_REMOVAL	{ "removal", false, { { { "page_remove" } } } }
#define HOOK_EXIT	{ "exit", true, { { { "lookup_exit" } }, { { "lookup_exit_classic" } } } }
#define HOOK_TASK_START { "task_start", true, { { { "task_new" } }, { { "task_new_classic" } } } }
#define HOOK_TASK_EXEC	{ "task_exec", true, { { { "task_exec" } }, { { "task_exec_classic" } } } }
#define HOOK_TASK_EXIT	{ "task_exit", true, { { { "task_exit" } }, { { "task_exit_classic" } } } }
/* bpf/unit.bpf.h */
#define HOOK_UNIT_START { "unit_start", true, { { { "unit_start" } } } }
#define HOOK_UNIT_STOP	{ "unit_stop", true, { { { "unit_stop" } } } }

/* What readahead decides: bpf/ratrace.bpf.c. */
#define READAHEAD_HOOKS \
	{ "readahead_sync", false, { { { "sync_tp" } }, { { "sync_fentry" } }, { { "sync_kprobe" } }, { { "sync_classic" }, true } } }, \
	{ "readahead_async", false, { { { "async_tp" } }, { { "async_fentry" } }, { { "async_kprobe" } }, { { "async_classic" }, true } } }, \
	{ "readahead_order", false, { { { "order_tp" } }, { { "order_fentry" } }, { { "order_kprobe" } }, { { "order_classic" }, true } } }, \
	{ "readahead_unbounded", false, { { { "unbounded_tp" } }, { { "unbounded_fentry" } }, { { "unbounded_kprobe" } }, { { "unbounded_classic" }, true } } }

#define COUNTERS_HOOKS \
	HOOK_EXIT, HOOK_READ_LOOKUP, HOOK_READ_MISS, HOOK_MMAP_ACCESS, HOOK_MMAP_FAULT_AROUND, \
	HOOK_MMAP_MAPPED, HOOK_PAGE_FAULT, HOOK_LATE_HIT, HOOK_REMOVAL, HOOK_TASK_START, \
	HOOK_TASK_EXEC, HOOK_TASK_EXIT, HOOK_UNIT_START, HOOK_UNIT_STOP
/* clang-format on */

/*
 * Maps and memory are bounded. This many files have counters for each CPU, and the files that miss
 * most, as many, have a histogram.
 */
#define COUNTERS_NEAR_FILES 8192
/*
 * This many files have counters at all, half a KiB each when they are found at their first access.
 * All others are counted as one file.
 */
#define COUNTERS_FAR_FILES 200000
/* This many files are at least told apart. */
#define COUNTERS_TOLD_FILES (2 * COUNTERS_FAR_FILES)

/*
 * Between open and load: writes the read-only data of an object whose hooks are
 * chosen (hooks_plan()), and un-chooses hooks that this run does not need.
 * Returns 0 or -errno.
 */
int counters_configure(struct counters *w, struct p2c_config *config,
		       const struct counters_options *opt, struct hook *hooks, size_t n);
/*
 * Then, still before load: writes the types, sizes the maps, and loads `identify`
 * if files are named. Returns 0 or -errno.
 */
int counters_size(struct counters *w, struct bpf_object *obj);
/* After load: the memory that the programs share with us. */
void counters_bind(struct counters *w, struct p2c_watch *watch);
/*
 * Then, before anything is attached: the tool's own process, that of counters_options.pid,
 * and the tool's clock are told to the programs. Returns 0, -ESRCH if there is no such process,
 * or -errno.
 */
int counters_locate(struct counters *w);
/* Does a process count, as far as can be told from outside? From any thread. */
bool counters_count_pid(const struct counters *w, pid_t pid);
/* Has a process ended, or is it about to? Then counters_count_pid() may not know it any more. */
bool counters_pid_ends(pid_t pid);
/* Have processes the numbers here that they have for the kernel? False if that cannot be told. */
bool in_first_pidns(void);
/*
 * What the kernel's own number of a process, or of a thread of ours, is. Returns 0, -ESRCH or
 * -errno. From any thread.
 */
int counters_number(const struct counters *w, pid_t pid, uint32_t *number);

/* Is a resolved target watched already? Its slot is set. */
bool counters_has_file(const struct counters *w, struct target *t);
/*
 * Watch one that is not, in a slot that the caller has chosen, and no longer: for callers whose
 * files come and go. SLOT_OTHERS + 1 is not for them, as what adds files takes it to find
 * its first file without a look into a table. Returns 0 or -errno.
 */
int counters_put_file(struct counters *w, struct target *t, uint32_t slot);
void counters_drop_file(struct counters *w, const struct p2c_file_key *key);
/* Watch a resolved target until the end, in the next slot, which is set. Returns 0 or -errno. */
int counters_add_file(struct counters *w, struct target *t);
/* Count a task that runs already, and from now on its descendants. Returns 0 or -errno. */
int counters_add_task(struct counters *w, pid_t pid);
/*
 * After the attaching: count a process that runs already, with the descendants that it has and
 * those that it will have. PID is of our own PID namespace. Returns 0, -ESRCH, or -errno.
 */
int counters_add_tree(struct counters *w, pid_t pid);
/* Count COMMAND's process, which waits, from now on. Returns 0 or -errno. */
int counters_add_command(struct counters *w, pid_t pid);

/*
 * Accesses count from now on, or no longer: after the last program is attached, and before the
 * first is detached, so that no access is seen by some of them only.
 */
void counters_on(struct counters *w, bool on);

/* Per-CPU counters, added up. */
void file_counts_add(struct p2c_file_counts *to, const struct p2c_file_counts *what);
void file_counts_sum(const struct p2c_file_counts *per_cpu, unsigned int nr_cpus,
		     struct p2c_file_counts *sum);
/* Were all reads of a file seen whole? As far as programs ran for all events. */
enum exactness file_counts_exactness(const struct p2c_file_counts *c);
/* Counters of one slot. Returns 0 or -errno. */
int counters_read(struct counters *w, uint32_t slot, struct p2c_file_counts *sum);
/*
 * Counters of all slots, of an object that has the program of bpf/total.bpf.h. To be taken while
 * programs are attached: no event is lost by it. Returns 0 or -errno.
 */
int counters_total(struct counters *w, struct p2c_file_counts *sum);
/* hooks_exactness(), and whether each task that counts could be followed. */
enum exactness counters_exactness(const struct counters *w, const struct hook *hooks, size_t n);
/* The name that a file was found by. Returns 0 or -errno. */
int counters_name(const struct counters *w, uint32_t slot, struct p2c_file_name *name);

/* Are late hits known so far? If not, they are null. */
bool counters_late_known(const struct counters *w);
/* Prints a message if some tasks that count were not followed. */
void counters_complain(const struct counters *w);

void counters_free(struct counters *w);

#endif
