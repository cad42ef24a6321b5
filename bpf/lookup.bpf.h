/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Turns the kernel's events into read lookups and mmap accesses: hit, miss or
 * late. What these words mean is in cachemiss(8), COUNTS. Where the events come
 * from, and that the kinds of hooks agree, is up to points.bpf.h.
 *
 * The program that includes this defines:
 *
 *   on_miss(slot, index, fault)            the page is absent, no I/O has begun
 *   on_lookup(slot, first, last, how)      a read lookup is over: first..last were looked up
 *   on_fault(slot, index, how)             a fault came to filemap_fault()
 *   on_around(slot, inode, first, last, resolved) fault-around mapped what is there of a
 *                                          range, the page that the fault was about or not
 *   on_data(slot, index, ns)               a missed page arrived after ns
 *   on_insert(slot, index, nr), on_remove(slot, index, nr)
 *   on_leave()                             the current task leaves its CPU
 *   on_exit()                              the current task ends
 */
#ifndef PAGE2CACHE_LOOKUP_BPF_H
#define PAGE2CACHE_LOOKUP_BPF_H

#include "request.bpf.h"
#include "target.bpf.h"

/*
 * Tasks marked as having slept inside a lookup, and read lookups that missed
 * and are not closed. While both are zero, which they mostly are on the hit
 * path, no task's state has to be looked at.
 */
__s64 sleepers = 0;
__s64 open_misses = 0;

/* Has a page of a watched file been put into the page cache? */
bool pages_came = false;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct p2c_file_counts);
} counts SEC(".maps"); /* of the slots below cfg.near_slots */

/* Where a task is in its page fault. */
enum p2c_fault_phase {
	FAULT_NONE,
	FAULT_AROUND, /* fault-around mapped something, perhaps the page itself */
	FAULT_HIT,
	FAULT_MISS,
};

enum p2c_fault_origin {
	ORIGIN_UNKNOWN, /* the task is new here: take it for a fault of its own */
	ORIGIN_USER,
	ORIGIN_KERNEL,
	ORIGIN_TAKEN, /* the fault that began has its access already */
};

/* A call that a return probe has to know the arguments of. */
struct p2c_call {
	__u64 inode; /* 0: none */
	__u64 vmf;   /* of fault-around; 0: a read lookup */
	__u64 batch; /* of a read lookup: where it puts what it finds */
	__u64 first;
	__u64 last;
	__u32 slot;
	__u32 pad;
};

/* Pages that are being put into the page cache. */
struct p2c_insert {
	__u64 inode; /* 0: none */
	__u64 index;
	__u32 nr;
	__s32 slot;
};

/* Where a task is in its reads: what shows that lookups ended unseen (struct p2c_lookup). */
struct p2c_reads {
	__u64 missing; /* inode of a lookup that missed and has not ended yet; 0: none */
	__u64 missing_index;
	__u64 call; /* the latest system call that a lookup was seen of, */
	__u64 next; /* and up to which page on_lookup() was told of it */
};

struct p2c_task_state {
	__u64 inode; /* of the fault */
	__u64 index;
	__u64 ts;		  /* of the miss; 0: its latency is taken */
	__u64 address;		  /* that the latest exception was about */
	struct p2c_insert insert; /* kprobes, as call: reads insert pages before they return */
	struct p2c_call call;	  /* kprobes: what the function was asked for, until it returns */
	struct p2c_reads reads;
	__u32 slot;
	__u32 open;	 /* read lookups of this task that missed and are not closed */
	__u64 neighbour; /* struct page, 0: none */
	__s32 neighbour_count;
	__u8 phase;
	__u8 origin;
	__u8 slept;	/* for I/O, inside a read lookup */
	__u8 readahead; /* the fault's own synchronous readahead was seen */
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct p2c_task_state);
} states SEC(".maps");

struct p2c_miss_key {
	__u64 inode;
	__u64 index;
	__u64 tid;
};

struct p2c_miss {
	__u64 ts;
	__u64 failed; /* the lookup failed, or (NOWAIT) will fail unless the page arrives first */
};

/*
 * LRU: a lookup that failed is never closed. A thread has one that is open; all
 * elements are allocated at the start, 35 ns each.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 14);
	__type(key, struct p2c_miss_key);
	__type(value, struct p2c_miss);
} misses SEC(".maps");

enum p2c_how {
	HOW_HIT,
	HOW_LATE,
	HOW_MISS,
};

static __always_inline void on_miss(__u32 slot, __u64 index, bool fault);
static __always_inline void on_lookup(__u32 slot, __u64 first, __u64 last, enum p2c_how how);
static __always_inline void on_fault(__u32 slot, __u64 index, enum p2c_how how);
static __always_inline void on_around(__u32 slot, __u64 inode, __u64 first, __u64 last,
				      bool resolved);
static __always_inline void on_data(__u32 slot, __u64 index, __u64 ns);
static __always_inline void on_insert(__u32 slot, __u64 index, __u32 nr);
static __always_inline void on_remove(__u32 slot, __u64 index, __u32 nr);
static __always_inline void on_leave(void);
static __always_inline void on_exit(void);

/* Not every kind of program runs with preemption off: a per-CPU slot can have two writers. */
static __always_inline void count(__u32 slot, enum p2c_count what, __u64 by)
{
	struct p2c_file_counts *c = bpf_map_lookup_elem(&counts, &slot);

	if (!c && cfg.max_slots > cfg.near_slots)
		c = bpf_map_lookup_elem(&far_counts, &slot);
	if (c)
		__sync_fetch_and_add(&c->count[what], by);
}

/* NULL: there is no memory for it, or before Linux 7 another task was preempted just here. */
static __always_inline struct p2c_task_state *state_get(void)
{
	struct p2c_task_state *st = bpf_task_storage_get(&states, bpf_get_current_task_btf(), 0,
							 BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!st)
		__sync_fetch_and_add(&watch.states_lost, 1);
	return st;
}

static __always_inline struct p2c_task_state *state_if_any(void)
{
	return bpf_task_storage_get(&states, bpf_get_current_task_btf(), 0, 0);
}

static __always_inline bool take_slept(struct p2c_task_state *st)
{
	if (!st || !st->slept)
		return false;
	st->slept = 0;
	__sync_fetch_and_add(&sleepers, -1);
	return true;
}

/* A task's sleep in a lookup of a file that is not watched is no late hit of ours. */
static __always_inline void forget_sleep(void)
{
	if (sleepers > 0)
		take_slept(state_if_any());
}

/* Read lookups. */

/* What came before a lookup in the request that it is part of. */
enum p2c_before {
	BEFORE_NOTHING,
	BEFORE_SEEN,	/* lookups that were seen, and perhaps others */
	BEFORE_UNSEEN,	/* none that was seen, though there was one */
	BEFORE_UNKNOWN, /* where the request began is not known */
};

/* A lookup that ended with pages. */
struct p2c_lookup {
	__u64 inode;
	__u64 index;
	__u64 first; /* at most index: pages from there on were looked up, by it or unseen ones */
	__u64 last;
	__u32 slot;
	enum p2c_before before;
};

static __always_inline void miss_over(struct p2c_task_state *st, const struct p2c_miss_key *key)
{
	if (bpf_map_delete_elem(&misses, key))
		return;
	__sync_fetch_and_add(&open_misses, -1);
	if (st && st->open)
		st->open--;
}

/*
 * The current task comes to a page of a file. A lookup of it that missed another page of this file
 * is over then, which nothing has shown. True if there was such a lookup.
 */
static __always_inline bool miss_ended_unseen(struct p2c_task_state *st, __u64 inode, __u64 index)
{
	struct p2c_miss_key key = {};

	if (!st || st->reads.missing != inode || st->reads.missing_index == index)
		return false;
	st->reads.missing = 0;
	key.inode = inode;
	key.index = st->reads.missing_index;
	key.tid = (__u32)bpf_get_current_pid_tgid();
	miss_over(st, &key);
	return true;
}

/*
 * A lookup that leaves out its last folio has mostly slept until that was read: so a sleep shows
 * that there was one.
 */
static __always_inline void count_unseen(const struct p2c_lookup *l, bool miss_unseen, bool slept)
{
	bool may_sleep_unseen = !cfg.late || watch.late_unknown;

	if (l->before == BEFORE_UNKNOWN)
		count(l->slot, COUNT_READS_UNPLACED, 1);
	else if (l->before == BEFORE_UNSEEN ||
		 (l->before == BEFORE_SEEN && (miss_unseen || slept || may_sleep_unseen)))
		count(l->slot, COUNT_READS_UNSEEN, 1);
}

/* Closes the miss that a lookup was of, if it was one. */
static __always_inline bool miss_closed(struct p2c_task_state *st, const struct p2c_lookup *l)
{
	struct p2c_miss_key key = {};
	struct p2c_miss *miss;

	key.inode = l->inode;
	key.index = l->index;
	key.tid = (__u32)bpf_get_current_pid_tgid();
	miss = bpf_map_lookup_elem(&misses, &key);
	if (!miss)
		return false;
	on_data(l->slot, l->index, bpf_ktime_get_ns() - miss->ts);
	miss_over(st, &key);
	if (st)
		st->reads.missing = 0;
	return true;
}

static __always_inline void lookup_end(const struct p2c_lookup *l)
{
	struct p2c_task_state *st;
	enum p2c_how how = HOW_HIT;
	bool unseen = false;

	st = sleepers > 0 || open_misses > 0 ? state_get() : NULL;
	if (take_slept(st))
		how = HOW_LATE;
	if (open_misses > 0 && (!st || st->open)) {
		unseen = miss_ended_unseen(st, l->inode, l->index);
		if (miss_closed(st, l))
			how = HOW_MISS;
	}
	count_unseen(l, unseen, how == HOW_LATE);
	/* It is then not known whether this lookup or the one before slept. */
	if (unseen && how == HOW_LATE)
		how = HOW_HIT;
	if (how != HOW_MISS)
		count(l->slot, COUNT_READ_HITS, 1);
	if (how == HOW_LATE)
		count(l->slot, COUNT_READ_LATE, 1);
	on_lookup(l->slot, l->first, l->last, how);
}

/* A lookup that ended with the pages from index to last, and whose end is always seen. */
static __always_inline void lookup_returned(__u32 slot, __u64 inode, __u64 index, __u64 last)
{
	struct p2c_lookup l = {
		.inode = inode,
		.index = index,
		.first = index,
		.last = last,
		.slot = slot,
	};

	lookup_end(&l);
}

/*
 * What the tracepoint tells: a lookup ended at l->index, of a request that ends with l->last. How
 * many pages it found is not known. All up to the end of the request are taken for found, as far as
 * they can be: those that are not are looked up next, or the read ends early. A global function:
 * the verifier sees what follows once, not once a way through here.
 */
__noinline int place_lookup(struct p2c_lookup *l)
{
	struct p2c_request r = {};
	struct p2c_task_state *st;
	struct inode *inode;
	__u64 size, end;

	if (!l)
		return 0;
	l->first = l->index;
	l->before = BEFORE_NOTHING;
	if (!request_of(l->inode, l->last, &r) || r.first > l->index) {
		/* If no page was put into the page cache, none is waited for. */
		if (pages_came && l->last > l->index)
			l->before = BEFORE_UNKNOWN;
	} else if (r.first < l->last) {
		l->first = r.first;
		if (r.first < l->index)
			l->before = r.call ? BEFORE_UNSEEN : BEFORE_SEEN;
		st = state_get();
		if (st && r.call && st->reads.call == r.call && st->reads.next >= r.first &&
		    st->reads.next <= l->index) {
			l->first = st->reads.next;
			if (r.first < l->index)
				l->before = BEFORE_SEEN;
		}
		if (st) {
			st->reads.call = r.call;
			st->reads.next = l->index;
		}
	}
	if (l->last == l->index)
		return 0;
	inode = (struct inode *)l->inode;
	size = BPF_CORE_READ(inode, i_size);
	end = size ? (size - 1) >> PAGE_SHIFT : 0;
	if (l->last > end)
		l->last = end > l->index ? end : l->index;
	if (l->last - l->index >= BATCH_PAGES)
		l->last = l->index + BATCH_PAGES - 1;
	return 0;
}

static __always_inline void lookup_traced(__u32 slot, __u64 inode, __u64 index, __u64 last)
{
	struct p2c_lookup l = {
		.inode = inode,
		.index = index,
		.last = last,
		.slot = slot,
	};

	place_lookup(&l);
	lookup_end(&l);
}

/* A lookup ended with an error: if it missed, the task's next one there may miss again. */
static __always_inline void lookup_fail(__u64 inode, __u64 index)
{
	struct p2c_miss_key key = {};
	struct p2c_task_state *st;
	struct p2c_miss *miss;

	forget_sleep();
	if (open_misses <= 0)
		return;
	key.inode = inode;
	key.index = index;
	key.tid = (__u32)bpf_get_current_pid_tgid();
	miss = bpf_map_lookup_elem(&misses, &key);
	if (!miss)
		return;
	miss->failed = 1;
	st = state_if_any();
	if (st)
		st->reads.missing = 0;
}

/* Kernel threads do read files (loop devices, nfsd); this one collapses them. */
static __always_inline bool by_khugepaged(void)
{
	const char khugepaged[] = "khugepaged";
	char comm[sizeof(khugepaged)];
	int i;

	if (!(bpf_get_current_task_btf()->flags & PF_KTHREAD))
		return false;
	bpf_get_current_comm(comm, sizeof(comm));
	for (i = 0; i < (int)sizeof(khugepaged) - 1; i++)
		if (comm[i] != khugepaged[i])
			return false;
	return true;
}

/*
 * Is a synchronous readahead part of a read lookup? Its state is then that of
 * an open file on the same pages. ext4's readdir and btrfs send pass others.
 */
static __always_inline bool reads_file(struct address_space *mapping, struct file_ra_state *ra)
{
	struct file *file = (void *)ra - bpf_core_field_offset(struct file, f_ra);

	return BPF_CORE_READ(file, f_mapping) == mapping && !by_khugepaged();
}

/* Synchronous readahead at a page that is absent, on behalf of an open file. */
static __always_inline void lookup_miss(__u32 slot, __u64 inode, __u64 index)
{
	struct p2c_task_state *st = state_get();
	struct p2c_miss_key key = {};
	struct p2c_miss miss = {};
	struct p2c_miss *before;

	if (st && st->phase == FAULT_MISS && !st->readahead && st->inode == inode &&
	    st->index == index) {
		/* MADV_SEQUENTIAL: the fault that just missed reads its page like this. */
		st->readahead = 1;
		return;
	}
	miss_ended_unseen(st, inode, index);
	key.inode = inode;
	key.index = index;
	key.tid = (__u32)bpf_get_current_pid_tgid();
	before = bpf_map_lookup_elem(&misses, &key);
	/* Task numbers are reused: a lookup of an earlier task is not one of this task. */
	if (st && !st->open)
		before = NULL;
	/*
	 * A blocking lookup that comes here twice lost its page while it waited
	 * and is still the same one; a non-blocking one has failed in between.
	 */
	if (before && !before->failed)
		return;
	if (!before)
		__sync_fetch_and_add(&open_misses, 1);
	if (!before && st)
		st->open++;
	miss.ts = bpf_ktime_get_ns();
	miss.failed = !!(bpf_get_current_task_btf()->flags & PF_MEMALLOC_NOIO);
	bpf_map_update_elem(&misses, &key, &miss, BPF_ANY);
	if (st && !miss.failed) {
		st->reads.missing = inode;
		st->reads.missing_index = index;
		st->reads.call = reading_call();
		st->reads.next = index;
	}
	count(slot, COUNT_READ_MISSES, 1);
	on_miss(slot, index, false);
}

/* A task ends: its lookups that failed, or that a signal interrupted, are over. */
static __always_inline void forget_lookups(void)
{
	struct p2c_task_state *st = state_if_any();

	if (!st)
		return;
	take_slept(st);
	if (st->open)
		__sync_fetch_and_add(&open_misses, -(__s64)st->open);
	st->open = 0;
}

#endif
