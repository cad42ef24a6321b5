/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which tasks are watched: those of a process, of a process with its descendants, of a control
 * group, of a user. And how the tool's namespaces number them.
 */
#ifndef PAGE2CACHE_TASKS_BPF_H
#define PAGE2CACHE_TASKS_BPF_H

#include "compat.bpf.h"
#include "shared.h"

const volatile struct p2c_config cfg = {};
struct p2c_watch watch = {};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 16);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u32);
} counted_tasks SEC(".maps");

/* With cfg.by_process: processes that count, by number; the value tells them apart. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_PROCESSES);
	__type(key, __u32);
	__type(value, __u32);
} processes SEC(".maps");

static __always_inline bool task_is_self(void)
{
	return bpf_get_current_pid_tgid() >> 32 == watch.self_tgid;
}

/* CLOCK_MONOTONIC, as the tool reads it. */
static __always_inline __u64 clock_now(void)
{
	return bpf_ktime_get_ns() + watch.clock_ns;
}

/* COMMAND or -P's process with its descendants. Threads and io_uring workers are among these. */

static __always_inline bool in_tree(__u32 tid)
{
	return bpf_map_lookup_elem(&counted_tasks, &tid);
}

static __always_inline void add_to_tree(__u32 tid)
{
	__u32 one = 1;

	if (bpf_map_update_elem(&counted_tasks, &tid, &one, BPF_ANY))
		__sync_fetch_and_add(&watch.tasks_lost, 1);
}

#define MAX_ANCESTORS 64

/* Is a task part of a process that is counted already, or does it descend from one? */
static __always_inline bool descends(struct task_struct *task)
{
	__u32 tgid = BPF_CORE_READ(task, tgid);
	int i;

	for (i = 0; i < MAX_ANCESTORS && tgid != watch.self_tgid; i++) {
		/* The thread that forked, and its process. */
		if (in_tree(BPF_CORE_READ(task, pid)) || in_tree(tgid))
			return true;
		if (tgid <= 1)
			break;
		task = BPF_CORE_READ(task, real_parent);
		tgid = BPF_CORE_READ(task, tgid);
	}
	return false;
}

/* Tasks known not to descend from a counted one. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u32);
} strangers SEC(".maps");

/*
 * The kernel may have left task_new() out (hooks_exactness()): so a task that nobody has added is
 * looked at once, while its parent lives. A global function: the verifier sees the loop once.
 */
__noinline int adopt(void)
{
	struct task_struct *task = bpf_get_current_task_btf();

	/* Do not add an exiting task: nothing removes its number after task_exit(). */
	if (task->flags & PF_EXITING || bpf_task_storage_get(&strangers, task, 0, 0))
		return 0;
	if (descends(task)) {
		add_to_tree(task->pid);
		return 1;
	}
	bpf_task_storage_get(&strangers, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	return 0;
}

/* The kernel keeps the number of each cgroup that a task is in, by level: one comparison. */
static __always_inline bool in_cgroup(void)
{
	return watch.cgroup_id &&
	       bpf_get_current_ancestor_cgroup_id(watch.cgroup_level) == watch.cgroup_id;
}

/* Do the accesses of the current task count? */
static __always_inline bool task_counted(void)
{
	__u64 id = bpf_get_current_pid_tgid();
	__u32 tid = id, tgid = id >> 32;

	if (cfg.by_process)
		return bpf_map_lookup_elem(&processes, &tgid);
	if (cfg.filter_cgroup && !in_cgroup())
		return false;
	if (cfg.filter_uid && (__u32)bpf_get_current_uid_gid() != cfg.uid)
		return false;
	if (cfg.filter_tree)
		return in_tree(tid) || adopt();
	return cfg.filter_tgid ? tgid == watch.filter_tgid : tgid != watch.self_tgid;
}

/* What a task or process is in the PID namespace so many levels below the first one. */
static __always_inline struct upid *number_at(struct pid *pid, __u32 level)
{
	return (void *)pid + bpf_core_field_offset(struct pid, numbers) +
	       level * bpf_core_type_size(struct upid);
}

/* Its number in the tool's PID namespace, 0: it is not in there. */
static __always_inline __u32 number_seen(struct pid *pid)
{
	__u32 level = watch.pidns_level;
	struct upid *number = number_at(pid, level);

	if (level &&
	    (BPF_CORE_READ(pid, level) < level || (__u64)BPF_CORE_READ(number, ns) != watch.pidns))
		return 0;
	return BPF_CORE_READ(number, nr);
}

static __always_inline __u32 tgid_seen(struct task_struct *task)
{
	return number_seen(BPF_CORE_READ(task, group_leader, thread_pid));
}

/*
 * Where the tool is in a namespace of its own, or cannot tell: which namespaces these are,
 * and how the processes that it sees, and its own threads, are numbered elsewhere.
 */
SEC("iter/task")
int numbers(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task, *reader = bpf_get_current_task_btf();
	struct pid *pid = BPF_CORE_READ(reader, thread_pid);
	__u32 level = BPF_CORE_READ(pid, level);
	struct upid *number = number_at(pid, level);
	struct p2c_task_number r;

	watch.pidns_level = level;
	watch.pidns = (__u64)BPF_CORE_READ(number, ns);
	if (bpf_core_field_exists(reader->nsproxy->time_ns))
		watch.clock_ns = BPF_CORE_READ(reader, nsproxy, time_ns, offsets.monotonic.tv_sec) *
					 1000000000 +
				 BPF_CORE_READ(reader, nsproxy, time_ns, offsets.monotonic.tv_nsec);
	if (!task || (task->pid != task->tgid && task->tgid != reader->tgid))
		return 0;
	r.seen = number_seen(BPF_CORE_READ(task, thread_pid));
	r.number = task->pid;
	bpf_seq_write(ctx->meta->seq, &r, sizeof(r));
	return 0;
}

static __always_inline bool has_children(struct task_struct *task)
{
	struct list_head *head = (void *)task + bpf_core_field_offset(struct task_struct, children);

	return BPF_CORE_READ(head, next) != head;
}

/*
 * -P: count those tasks that are there already. task_new() is attached by then: what a task
 * forks before it is counted has that parent and is found here, what it forks later is counted
 * at once. Children of a task that ends meanwhile get another parent: they are lost.
 */
SEC("iter/task")
int find_tree(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	__u32 tid;

	if (!task || task->tgid == bpf_get_current_task_btf()->tgid)
		return 0;
	tid = task->pid;
	if (in_tree(tid) || (tgid_seen(task) != watch.tree_tgid && !descends(task)))
		return 0;
	add_to_tree(tid);
	if (!(BPF_CORE_READ(task, flags) & PF_EXITING)) {
		__sync_fetch_and_add(&watch.tasks_found, 1);
		return 0;
	}
	/* After task_exit() nothing would remove the number, which will be reused. */
	bpf_map_delete_elem(&counted_tasks, &tid);
	if (has_children(task))
		__sync_fetch_and_add(&watch.tasks_lost, 1);
	return 0;
}

static __always_inline void new_task(__u32 child)
{
	__u32 tid = bpf_get_current_pid_tgid();

	if (in_tree(tid))
		add_to_tree(child);
}

SEC("tp_btf/task_newtask")
int BPF_PROG(task_new, struct task_struct *task, unsigned long clone_flags)
{
	new_task(task->pid);
	return 0;
}

SEC("tp/task/task_newtask")
int task_new_classic(struct trace_event_raw_task_newtask *task)
{
	new_task(task->pid);
	return 0;
}

/*
 * A thread that calls execve(2) becomes the process's only one and takes over its number, though
 * the thread that had it has ended: so that number stays until the process ends.
 */
static __always_inline void task_ends(struct task_struct *task)
{
	__u32 tid = task->pid, tgid = task->tgid;
	bool last = !BPF_CORE_READ(task, signal, live.counter);

	if (last && tid != tgid)
		bpf_map_delete_elem(&counted_tasks, &tgid);
	if (tid == tgid && !last)
		return;
	if (bpf_map_delete_elem(&counted_tasks, &tid) && watch.tree_tgid &&
	    descends(BPF_CORE_READ(task, real_parent)) && has_children(task))
		__sync_fetch_and_add(&watch.tasks_lost, 1);
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(task_exit, struct task_struct *task)
{
	task_ends(task);
	return 0;
}

SEC("tp/sched/sched_process_exit")
int task_exit_classic(void *record)
{
	task_ends(bpf_get_current_task_btf());
	return 0;
}

/* Remove the thread's former number, which will be reused. */
static __always_inline void task_execs(__u32 tid, __u32 old_tid)
{
	if (tid != old_tid)
		bpf_map_delete_elem(&counted_tasks, &old_tid);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(task_exec, struct task_struct *task, pid_t old_tid)
{
	task_execs(task->pid, old_tid);
	return 0;
}

/* The record of this classic tracepoint. */
struct p2c_exec {
	__u64 entry;
	__u32 filename;
	pid_t pid, old_pid;
};

SEC("tp/sched/sched_process_exec")
int task_exec_classic(struct p2c_exec *exec)
{
	task_execs(exec->pid, exec->old_pid);
	return 0;
}

#endif
