/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Late hits: sleeps for I/O inside a lookup whose page was there, not yet read.
 * The names of the functions on a task's stack tell whether it sleeps in one.
 * The kernel is asked for the name of an address (1 to 2 us) when that address
 * is seen for the first time; the answer is kept, as code does not move.
 */
#ifndef PAGE2CACHE_LATE_BPF_H
#define PAGE2CACHE_LATE_BPF_H

#include "lookup.bpf.h"

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
		/* Count one sleep only: ts marks a hit that is already late. */
		if (st && st->phase == FAULT_HIT && !st->ts) {
			st->ts = 1;
			count(st->slot, COUNT_MMAP_LATE, 1);
			on_fault(st->slot, st->index, HOW_LATE);
		}
	}
}

#endif
