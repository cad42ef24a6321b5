/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Turns the kernel's events into read lookups and mmap accesses: hit, miss or
 * late. What these words mean is in cachemiss(8), COUNTS. Where the events come
 * from, and that the kinds of hooks agree, is up to points.bpf.h.
 *
 * The program that includes this defines:
 *
 *   on_miss(slot, index, fault)            the page is absent, no I/O has begun
 *   on_lookup(slot, index, last, how)      a read lookup of index..last is over
 *   on_fault(slot, index, how)             a fault came to filemap_fault()
 *   on_around(slot, inode, first, last, resolved) fault-around mapped what is there of a
 *                                          range, the page that the fault was about or not
 *   on_data(slot, index, ns)               a missed page arrived after ns
 *   on_insert(slot, index, nr), on_remove(slot, index, nr)
 *   on_exit()                              the current task ends
 */
#ifndef PAGE2CACHE_LOOKUP_BPF_H
#define PAGE2CACHE_LOOKUP_BPF_H

#include "target.bpf.h"

/*
 * Tasks marked as having slept inside a lookup, and read lookups that missed
 * and are not closed. While both are zero, which they mostly are on the hit
 * path, no task's state has to be looked at.
 */
__s64 sleepers = 0;
__s64 open_misses = 0;

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

struct p2c_task_state {
	__u64 inode; /* of the fault */
	__u64 index;
	__u64 ts;		  /* of the miss; 0: its latency is taken */
	__u64 address;		  /* that the latest exception was about */
	struct p2c_insert insert; /* kprobes, as call: reads insert pages before they return */
	struct p2c_call call;	  /* kprobes: what the function was asked for, until it returns */
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
	__u64 failed; /* or will, if the page is not there by then */
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
static __always_inline void on_lookup(__u32 slot, __u64 index, __u64 last, enum p2c_how how);
static __always_inline void on_fault(__u32 slot, __u64 index, enum p2c_how how);
static __always_inline void on_around(__u32 slot, __u64 inode, __u64 first, __u64 last,
				      bool resolved);
static __always_inline void on_data(__u32 slot, __u64 index, __u64 ns);
static __always_inline void on_insert(__u32 slot, __u64 index, __u32 nr);
static __always_inline void on_remove(__u32 slot, __u64 index, __u32 nr);
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

static __always_inline struct p2c_task_state *state_get(void)
{
	return bpf_task_storage_get(&states, bpf_get_current_task_btf(), 0,
				    BPF_LOCAL_STORAGE_GET_F_CREATE);
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

/* A lookup of pages index..last ended with pages. */
static __always_inline void lookup_end(__u32 slot, __u64 inode, __u64 index, __u64 last)
{
	struct p2c_miss_key key = {};
	struct p2c_task_state *st;
	struct p2c_miss *miss;
	bool slept;

	st = sleepers > 0 || open_misses > 0 ? state_get() : NULL;
	slept = take_slept(st);
	if (open_misses > 0 && (!st || st->open)) {
		key.inode = inode;
		key.index = index;
		key.tid = (__u32)bpf_get_current_pid_tgid();
		miss = bpf_map_lookup_elem(&misses, &key);
		if (miss) {
			on_data(slot, index, bpf_ktime_get_ns() - miss->ts);
			bpf_map_delete_elem(&misses, &key);
			__sync_fetch_and_add(&open_misses, -1);
			if (st && st->open)
				st->open--;
			on_lookup(slot, index, last, HOW_MISS);
			return;
		}
	}
	count(slot, COUNT_READ_HITS, 1);
	if (slept)
		count(slot, COUNT_READ_LATE, 1);
	on_lookup(slot, index, last, slept ? HOW_LATE : HOW_HIT);
}

/* A lookup ended with an error: if it missed, the task's next one there may miss again. */
static __always_inline void lookup_fail(__u64 inode, __u64 index)
{
	struct p2c_miss_key key = {};
	struct p2c_miss *miss;

	forget_sleep();
	if (open_misses <= 0)
		return;
	key.inode = inode;
	key.index = index;
	key.tid = (__u32)bpf_get_current_pid_tgid();
	miss = bpf_map_lookup_elem(&misses, &key);
	if (miss)
		miss->failed = 1;
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
	key.inode = inode;
	key.index = index;
	key.tid = (__u32)bpf_get_current_pid_tgid();
	before = bpf_map_lookup_elem(&misses, &key);
	/* Numbers of tasks are used again: another's lookup is none of this task's. */
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
	count(slot, COUNT_READ_MISSES, 1);
	on_miss(slot, index, false);
}

/* A task ends: lookups of it that failed, or that a signal broke off, are over. */
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

/* Page faults. */

/* An exception for a page that is there (a write to a read-only one) looks nothing up. */
static __always_inline void begin_fault(__u64 address, __u64 error_code,
					enum p2c_fault_origin origin)
{
	struct p2c_task_state *st;

	if (!task_counted())
		return;
	st = state_get();
	if (!st)
		return;
	st->address = address;
	st->neighbour = 0;
	st->origin = error_code & X86_PF_PROT ? ORIGIN_TAKEN : origin;
}

/*
 * Is this the first visit of a page fault? Later ones are retries, or the
 * kernel faulting pages in on somebody's behalf (KVM, MADV_POPULATE, O_DIRECT
 * buffers), which raises no exception. The latter can also come after an
 * exception that had nothing to do with a watched file: then the task is in a
 * system call by now.
 */
static __always_inline bool take_fault(struct p2c_task_state *st)
{
	__u8 origin;

	if (!st)
		return true;
	origin = st->origin;
	st->origin = ORIGIN_TAKEN;
	return origin == ORIGIN_UNKNOWN || origin == ORIGIN_KERNEL ||
	       (origin == ORIGIN_USER && !in_syscall());
}

static __always_inline void take_around(struct p2c_task_state *st, __u64 inode, __u32 slot)
{
	count(slot, COUNT_AROUND, 1);
	if (!st)
		return;
	st->phase = FAULT_AROUND;
	st->inode = inode;
}

static __always_inline void fault_data(struct p2c_task_state *st)
{
	if (st->phase != FAULT_MISS || !st->ts)
		return;
	on_data(st->slot, st->index, bpf_ktime_get_ns() - st->ts);
	st->ts = 0;
}

/*
 * Which pages a fault maps beyond its own. Where the folio lies in the mapping,
 * within one page table, Linux 6.18 maps all of it (mm/memory.c, finish_fault();
 * mm/filemap.c, filemap_map_pages()); older kernels do so only if it is as large
 * as a page table. That is learned by looking: a fault that maps a page raises
 * the map count of its neighbour in the folio, too, or does not.
 */
bool maps_folios = false;

static __always_inline bool folio_is_mapped(struct address_space *mapping, __u64 index,
					    struct vm_area_struct *vma, __u64 *first, __u64 *last)
{
	struct folio *folio = page_folio_at(mapping, index);
	__u64 start = BPF_CORE_READ(vma, vm_start), pgoff = BPF_CORE_READ(vma, vm_pgoff);
	__u64 pages = (BPF_CORE_READ(vma, vm_end) - start) >> PAGE_SHIFT, from;
	__u32 nr;

	if (!folio)
		return false;
	nr = folio_pages(folio);
	if (nr == 1 || (nr != PMD_FOLIO_PAGES && !maps_folios))
		return false;
	*first = BPF_CORE_READ(folio, index);
	*last = *first + nr - 1;
	if (*first < pgoff || *last >= pgoff + pages)
		return false;
	from = (start >> PAGE_SHIFT) + *first - pgoff;
	return from / PMD_FOLIO_PAGES == (from + nr - 1) / PMD_FOLIO_PAGES;
}

/* The map count of a page; it begins at -1, and stays there on a kernel that has none. */
static __always_inline int map_count(__u64 page)
{
	if (!bpf_core_field_exists(((struct page *)page)->_mapcount))
		return -1;
	return BPF_CORE_READ((struct page *)page, _mapcount.counter);
}

/* Before a fault maps the page at an index: remember its neighbour in a large folio. */
static __always_inline void note_neighbour(struct p2c_task_state *st, struct address_space *mapping,
					   __u64 index)
{
	struct folio *folio = page_folio_at(mapping, index);
	__u64 at;

	if (!folio || folio_pages(folio) == 1)
		return;
	at = index - BPF_CORE_READ(folio, index);
	at = at ? at - 1 : at + 1;
	st->neighbour = (__u64)folio + at * bpf_core_type_size(struct page);
	st->neighbour_count = map_count(st->neighbour);
}

/* filemap_fault() for a page within the file. */
static __always_inline void fault_visit(__u32 slot, struct address_space *mapping, __u64 inode,
					__u64 index)
{
	struct p2c_task_state *st = state_get();
	bool first = take_fault(st), present;

	if (st && !first && st->inode == inode) {
		if (st->phase == FAULT_AROUND) {
			count(slot, COUNT_AROUND_REDONE, 1);
			first = true;
		} else if (st->phase != FAULT_NONE && st->index == index) {
			fault_data(st);
			note_neighbour(st, mapping, index);
			return;
		}
	}
	present = page_folio_at(mapping, index) != NULL;
	if (!present)
		count(slot, COUNT_MMAP_MISSES, 1);
	else if (first)
		count(slot, COUNT_MMAP_HITS, 1);
	else
		return;
	if (st) {
		st->phase = present ? FAULT_HIT : FAULT_MISS;
		st->inode = inode;
		st->index = index;
		st->slot = slot;
		st->ts = present ? 0 : bpf_ktime_get_ns();
		st->readahead = 0;
		if (present)
			note_neighbour(st, mapping, index);
	}
	if (!present)
		on_miss(slot, index, true);
	on_fault(slot, index, present ? HOW_HIT : HOW_MISS);
}

/*
 * filemap_map_pages() over a range. RESOLVED: the fault's own page is mapped
 * now; a tracepoint cannot tell, and where it was not filemap_fault() follows.
 */
static __always_inline void fault_around(__u32 slot, __u64 inode, __u64 first, __u64 last,
					 bool resolved)
{
	struct p2c_task_state *st;

	if (resolved) {
		st = state_get();
		if (take_fault(st))
			take_around(st, inode, slot);
		else if (st)
			fault_data(st);
	}
	on_around(slot, inode, first, last, resolved);
}

/*
 * Late hits: sleeps for I/O inside a lookup whose page was there, not yet read.
 * The names of the functions on a task's stack tell whether it sleeps in one.
 * The kernel is asked for the name of an address (1 to 2 us) when that address
 * is seen for the first time; the answer is kept, as code does not move.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, __u32); /* enum p2c_where */
} functions SEC(".maps");

#define STACK_FRAMES 32 /* a power of two */

struct p2c_stack {
	__u64 frames[STACK_FRAMES];
	__u32 nr;
	__u32 where;
};

/*
 * Is TEXT, a name+0xOFFSET/0xSIZE, inside of a function? A compiler may split
 * a static one and call the parts .constprop.0, .isra.0 or .cold.
 */
#define IS_IN(text, function)                                                                   \
	({                                                                                      \
		static const char name_[] = function;                                           \
		char next_ = (text)[sizeof(name_) - 1];                                         \
		!bpf_strncmp(text, sizeof(name_) - 1, name_) && (next_ == '+' || next_ == '.'); \
	})

/* A global function, as folio_at(): the verifier sees it once a program. */
__noinline int name_code(__u64 address)
{
	char text[64] = "";
	__u32 where = WHERE_ELSE;

	/* %pB is for return addresses: the call may be a function's last instruction. */
	if (BPF_SNPRINTF(text, sizeof(text), "%pB", address) < 0)
		return -1;
	if (IS_IN(text, "filemap_get_pages"))
		where = WHERE_READ;
	else if (IS_IN(text, "filemap_fault"))
		where = WHERE_FAULT;
	else if (IS_IN(text, "page_cache_ra_unbounded") || IS_IN(text, "page_cache_ra_order") ||
		 IS_IN(text, "page_cache_sync_ra") || IS_IN(text, "page_cache_async_ra") ||
		 IS_IN(text, "read_pages"))
		where = WHERE_READAHEAD;
	bpf_map_update_elem(&functions, &address, &where, BPF_ANY);
	return where;
}

static long look_at_frame(__u32 i, void *data)
{
	struct p2c_stack *stack = data;
	__u64 address;
	__u32 *known;
	int where;

	if (i >= stack->nr)
		return 1;
	address = stack->frames[i & (STACK_FRAMES - 1)];
	known = bpf_map_lookup_elem(&functions, &address);
	where = known ? *known : name_code(address);
	if (where < 0)
		watch.late_unknown = 1;
	if (where <= WHERE_ELSE)
		return 0;
	stack->where = where;
	return 1;
}

/* The innermost function on the stack of CTX's program that a sleep can be of. */
static __always_inline enum p2c_where where_asleep(void *ctx)
{
	struct p2c_stack stack = {};
	long bytes = bpf_get_stack(ctx, stack.frames, sizeof(stack.frames), 0);

	if (bytes <= 0)
		return WHERE_ELSE;
	stack.nr = bytes / sizeof(stack.frames[0]);
	bpf_loop(STACK_FRAMES, look_at_frame, &stack, 0);
	return stack.where;
}

/*
 * A program that a function has called by its tracepoint looks once whether the
 * stack says so. A kernel that gives no names, or that has inlined the
 * function, can never show a sleep in there: late hits are then unknown, not 0.
 */
static __always_inline void check_stack(void *ctx, enum p2c_where here)
{
	if (!cfg.late || watch.stack_seen[here])
		return;
	watch.stack_seen[here] = 1;
	if (where_asleep(ctx) != here)
		watch.late_unknown = 1;
}

/* A task goes to sleep for I/O: in a lookup of ours? CTX is the program's, for its stack. */
static __always_inline void lookup_sleep(void *ctx)
{
	struct p2c_task_state *st;
	enum p2c_where where = where_asleep(ctx);

	if (where == WHERE_READ) {
		st = state_get();
		if (st && !st->slept) {
			st->slept = 1;
			__sync_fetch_and_add(&sleepers, 1);
		}
	} else if (where == WHERE_FAULT) {
		st = state_if_any();
		/* One sleep is enough: ts marks a hit that is late already. */
		if (st && st->phase == FAULT_HIT && !st->ts) {
			st->ts = 1;
			count(st->slot, COUNT_MMAP_LATE, 1);
			on_fault(st->slot, st->index, HOW_LATE);
		}
	}
}

#endif
