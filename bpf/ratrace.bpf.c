// SPDX-License-Identifier: GPL-2.0-only
/*
 * ratrace: what readahead decided, how many pages it read, and which of them
 * were used.
 *
 * A decision is the outermost call: page_cache_sync_ra() and page_cache_async_ra()
 * end in page_cache_ra_order() or page_cache_ra_unbounded(), which then say what
 * became of it. A task has one at a time; it is over when the task goes on to
 * something else. In the middle of one, a file system may read hashes of its pages
 * from behind the end of the file (Linux 7.0): that is a decision within a decision.
 */
#include "points.bpf.h"
#include "bits.bpf.h"
#include "latency.bpf.h"

char LICENSE[] SEC("license") = "GPL";

const volatile bool tell_events = true;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 15);
	__type(key, __u32); /* decision_key() */
	__type(value, struct p2c_ra_decision);
} decisions SEC(".maps");

__s64 open_decisions = 0;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct p2c_ra_counts);
} ra_counts SEC(".maps");

struct p2c_chunk_key {
	__u64 chunk; /* page index / 64 */
	__u64 slot;
};

/* Pages that readahead brought in and that are still there. */
struct p2c_ra_chunk {
	__u64 read;
	__u64 used;
	__u64 ts[64]; /* when each was read */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 20);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct p2c_chunk_key);
	__type(value, struct p2c_ra_chunk);
} chunks SEC(".maps");

__u64 no_pages[sizeof(struct p2c_ra_chunk) / sizeof(__u64)]; /* zeros, too many for the stack */

const volatile struct p2c_ra_counts no_ra_counts = {};
__u64 uncounted = 0; /* times that there was no memory for the counts of a file */

/* Of many files most are never read ahead: each gets its counts when it first is. */
static __always_inline struct p2c_ra_counts *counts_of(__u32 slot)
{
	struct p2c_ra_counts *c = bpf_map_lookup_elem(&ra_counts, &slot);

	if (c || cfg.max_slots == cfg.near_slots)
		return c;
	bpf_map_update_elem(&ra_counts, &slot, (void *)&no_ra_counts, BPF_NOEXIST);
	c = bpf_map_lookup_elem(&ra_counts, &slot);
	if (!c)
		__sync_fetch_and_add(&uncounted, 1);
	return c;
}

#define ADD(slot, field, by)                                       \
	do {                                                       \
		struct p2c_ra_counts *counts_ = counts_of(slot);   \
		if (counts_)                                       \
			__sync_fetch_and_add(&counts_->field, by); \
	} while (0)

/* Decisions. */

/* The key of the current thread's decision; numbers of threads have 22 bits at most. */
static __always_inline __u32 decision_key(bool within)
{
	return (__u32)bpf_get_current_pid_tgid() | (within ? 1U << 31 : 0);
}

static __always_inline struct p2c_ra_decision *decision_open(void)
{
	__u32 key = decision_key(false);

	return open_decisions > 0 ? bpf_map_lookup_elem(&decisions, &key) : NULL;
}

static __always_inline void decision_told(__u32 key, const struct p2c_ra_decision *d)
{
	if (tell_events && bpf_ringbuf_output(&ring, (void *)&d->r, sizeof(d->r), 0))
		ADD(d->r.slot, lost_events, 1);
	if (!bpf_map_delete_elem(&decisions, &key))
		__sync_fetch_and_add(&open_decisions, -1);
}

/* The decision within D, if there is one, is over. */
static __always_inline void decision_end_within(struct p2c_ra_decision *d)
{
	__u32 key = decision_key(true);
	struct p2c_ra_decision *within = d->within ? bpf_map_lookup_elem(&decisions, &key) : NULL;

	if (within)
		decision_told(key, within);
	d->within = 0;
}

static __always_inline void decision_end(void)
{
	struct p2c_ra_decision *d = decision_open();

	if (!d)
		return;
	decision_end_within(d);
	decision_told(decision_key(false), d);
}

/* OUTER: the decision that the new one is within, or NULL. */
static __always_inline struct p2c_ra_decision *decision_begin(struct p2c_ra_decision *outer,
							      __u32 slot, __u64 inode,
							      enum p2c_ra_kind kind, __u64 index,
							      __u64 req_pages, __u32 ra_pages)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 id = bpf_get_current_pid_tgid();
	__u32 tid = id, key = decision_key(outer);
	struct p2c_ra_decision d = {};

	if (outer)
		decision_end_within(outer);
	else
		decision_end();
	d.inode = inode;
	d.r.ts_ns = clock_now();
	d.r.index = index;
	d.r.req_pages = req_pages;
	d.r.start = index;
	d.r.ra_pages = ra_pages;
	d.r.slot = slot;
	d.r.pid = watch.pidns_level ? tgid_seen(task) : id >> 32;
	d.r.tid = watch.pidns_level ? number_seen(BPF_CORE_READ(task, thread_pid)) : tid;
	d.r.kind = kind;
	bpf_get_current_comm(d.r.comm, sizeof(d.r.comm));
	if (kind < NR_RA_KINDS)
		ADD(slot, decisions[kind], 1);
	if (kind == RA_SYNC && !d.r.ra_pages)
		ADD(slot, off, 1);
	if (bpf_map_update_elem(&decisions, &key, &d, BPF_ANY)) {
		ADD(slot, lost_events, 1);
		return NULL;
	}
	__sync_fetch_and_add(&open_decisions, 1);
	if (outer)
		outer->within = 1;
	return bpf_map_lookup_elem(&decisions, &key);
}

static __always_inline void decision_window(struct p2c_ra_decision *d, __u64 start, __u32 size,
					    __u32 async_size)
{
	struct p2c_ra_counts *c = counts_of(d->r.slot);
	__u32 log = log2_u64(size);

	d->r.start = start;
	d->r.size = size;
	d->r.async_size = async_size;
	d->from = start;
	d->to = start + size;
	if (!c || !size)
		return;
	if (log < RA_HIST)
		__sync_fetch_and_add(&c->windows[log], 1);
	if (size > c->largest)
		c->largest = size;
}

static __always_inline void read_ahead(struct inode *inode, bool typed, enum p2c_ra_kind kind,
				       __u64 index, struct file_ra_state *ra, __u64 req_pages)
{
	int slot = access_slot(inode, typed);

	if (slot >= 0)
		decision_begin(NULL, slot, (__u64)inode, kind, index, req_pages,
			       BPF_CORE_READ(ra, ra_pages));
}

/* The same, by the record of the classic tracepoint. */
static __always_inline void read_ahead_recorded(struct trace_event_raw_page_cache_ra_op *r,
						enum p2c_ra_kind kind)
{
	struct inode *inode;
	int slot = named_access(r->i_ino, r->s_dev, &inode);

	if (slot >= 0)
		decision_begin(NULL, slot, (__u64)inode, kind, r->index, r->req_count, r->ra_pages);
}

/* The page that the task's fault is about, if it just missed in this file. */
static __always_inline __u64 fault_index(__u64 inode, __u64 otherwise)
{
	struct p2c_task_state *st = state_if_any();

	return st && st->phase == FAULT_MISS && st->inode == inode ? st->index : otherwise;
}

struct p2c_window {
	__u64 start;
	__u32 size;
	__u32 async_size;
	__u32 order;
	__u32 ra_pages;
};

static __always_inline void order_window(__u32 slot, __u64 inode, const struct p2c_window *w)
{
	struct p2c_ra_decision *d = decision_open();

	if (!d || d->inode != inode || d->to || d->r.kind > RA_ASYNC)
		d = decision_begin(NULL, slot, inode, RA_ORDER, fault_index(inode, w->start), 1,
				   w->ra_pages);
	if (!d)
		return;
	d->r.order = w->order;
	/* do_sync_mmap_readahead(): only windows of executable mappings are without a marker. */
	if (d->r.kind == RA_ORDER && !w->async_size && w->size > 1 &&
	    d->r.index - w->start < 1ULL << (w->order & 31))
		ADD(slot, forward, 1);
	decision_window(d, w->start, w->size, w->async_size);
}

static __always_inline void read_order(struct inode *inode, bool typed, __u64 index,
				       struct file_ra_state *ra, __u32 order)
{
	int slot = access_slot(inode, typed);
	struct p2c_window w = { .start = index, .order = order };

	if (slot < 0)
		return;
	w.size = BPF_CORE_READ(ra, size);
	w.async_size = BPF_CORE_READ(ra, async_size);
	w.ra_pages = BPF_CORE_READ(ra, ra_pages);
	order_window(slot, (__u64)inode, &w);
}

/* Part of the decision that is open? A window's rest, or a request in several parts. */
static __always_inline bool continues(const struct p2c_ra_decision *d, __u64 inode, __u64 index)
{
	return d && d->inode == inode && d->r.kind <= RA_ORDER &&
	       (!d->to || (index >= d->from && index <= d->to));
}

static __always_inline void read_unbounded(int slot, struct inode *inode, bool typed, __u64 index,
					   __u64 nr, __u64 lookahead, struct file_ra_state *ra)
{
	struct p2c_ra_decision *d, *outer = NULL;
	bool behind_end;

	if (slot < 0)
		return;
	d = decision_open();
	/* do_page_cache_ra() stays within the file; who calls this directly need not. */
	behind_end = index >= (FIELD(typed, inode, i_size) + (1 << PAGE_SHIFT) - 1) >> PAGE_SHIFT;
	if (behind_end || !continues(d, (__u64)inode, index)) {
		if (behind_end && d && d->inode == (__u64)inode && d->r.kind != RA_UNBOUNDED)
			outer = d;
		d = decision_begin(outer, slot, (__u64)inode, behind_end ? RA_UNBOUNDED : RA_FORCE,
				   index, nr, ra ? BPF_CORE_READ(ra, ra_pages) : RA_UNKNOWN);
		if (d)
			decision_window(d, index, nr, lookahead);
		return;
	}
	if (!d->to) {
		if (d->r.kind == RA_SYNC)
			ADD(slot, plain, 1);
		decision_window(d, index, nr, lookahead);
	} else if (index + nr > d->to) {
		/* A large request that is read in parts. */
		d->r.size += index + nr - d->to;
		d->to = index + nr;
	}
}

#include "decision_points.bpf.h"

/* What becomes of the pages. */

struct p2c_page_walk {
	__u64 first;
	__u64 last;
	__u64 now;
	__u32 slot;
};

#define MAX_CHUNKS   (1 << 14) /* of one read: 4 GiB */
#define FOLIO_CHUNKS 64	       /* of one folio */

static __always_inline struct p2c_ra_chunk *walk_chunk(const struct p2c_page_walk *w, __u32 i,
						       __u64 *mask)
{
	struct p2c_chunk_key key = { .chunk = w->first / 64 + i, .slot = w->slot };

	*mask = chunk_mask(key.chunk, w->first, w->last);
	return bpf_map_lookup_elem(&chunks, &key);
}

static long read_step(__u32 i, void *data)
{
	struct p2c_page_walk *w = data;
	struct p2c_chunk_key key = { .chunk = w->first / 64 + i, .slot = w->slot };
	struct p2c_ra_chunk *c;
	__u64 mask;
	int bit;

	if (key.chunk > w->last / 64)
		return 1;
	c = walk_chunk(w, i, &mask);
	if (!c) {
		bpf_map_update_elem(&chunks, &key, no_pages, BPF_NOEXIST);
		c = walk_chunk(w, i, &mask);
	}
	if (!c) {
		ADD(w->slot, lost_pages, 1);
		return 0;
	}
	__sync_fetch_and_and(&c->used, ~mask);
	__sync_fetch_and_or(&c->read, mask);
	for (bit = 0; bit < 64; bit++)
		if (mask >> bit & 1)
			c->ts[bit] = w->now;
	return 0;
}

static long use_step(__u32 i, void *data)
{
	struct p2c_page_walk *w = data;
	struct p2c_ra_chunk *c;
	__u64 mask, age;
	__u32 bit, times;

	if (w->first / 64 + i > w->last / 64)
		return 1;
	c = walk_chunk(w, i, &mask);
	if (!c)
		return 0;
	mask &= c->read;
	mask &= ~__sync_fetch_and_or(&c->used, mask);
	if (!mask)
		return 0;
	/* Pages that are used together were mostly read together, so they share one age. */
	bit = popcount((mask & -mask) - 1);
	/* clang 19 looks this up in a table, and as it knows the table, it would drop the & 63. */
	barrier_var(bit);
	times = popcount(mask);
	age = w->now - c->ts[bit & 63];
	latency_add(w->slot, age, times);
	ADD(w->slot, pages_used, times);
	return 0;
}

static long drop_step(__u32 i, void *data)
{
	struct p2c_page_walk *w = data;
	struct p2c_chunk_key key = { .chunk = w->first / 64 + i, .slot = w->slot };
	struct p2c_ra_chunk *c;
	__u64 mask, read;

	if (key.chunk > w->last / 64)
		return 1;
	c = walk_chunk(w, i, &mask);
	if (!c)
		return 0;
	read = __sync_fetch_and_and(&c->read, ~mask);
	mask &= read & ~c->used;
	if (mask)
		ADD(w->slot, pages_unused_removed, popcount(mask));
	/* Pages that are put in at this very moment would be lost: of the same 256 KiB, within 1 us. */
	if (!c->read)
		bpf_map_delete_elem(&chunks, &key);
	return 0;
}

static __always_inline void use_pages(__u32 slot, __u64 first, __u64 last)
{
	struct p2c_page_walk w = { .first = first, .last = last, .slot = slot };

	w.now = bpf_ktime_get_ns();
	if (first / 64 == last / 64)
		use_step(0, &w);
	else
		bpf_loop(MAX_CHUNKS, use_step, &w, 0);
}

static __always_inline void on_miss(__u32 slot, __u64 index, bool fault)
{
}

static __always_inline void on_lookup(__u32 slot, __u64 first, __u64 last, enum p2c_how how)
{
	decision_end();
	use_pages(slot, first, last);
}

static __always_inline void on_fault(__u32 slot, __u64 index, enum p2c_how how)
{
	/* A late hit is reported twice: count it once. */
	if (how == HOW_LATE)
		return;
	decision_end();
	use_pages(slot, index, index);
}

static __always_inline void on_around(__u32 slot, __u64 inode, __u64 first, __u64 last,
				      bool resolved)
{
	decision_end();
	use_pages(slot, first, last);
}

/* The page of a fault that missed has arrived: it was not there yet when the fault came. */
static __always_inline void on_data(__u32 slot, __u64 index, __u64 ns)
{
	decision_end();
	use_pages(slot, index, index);
}

/* The decision that reads pages first..last of the file. */
static __always_inline struct p2c_ra_decision *decision_on(__u32 slot, __u64 first, __u64 last)
{
	struct p2c_ra_decision *d = decision_open();
	__u32 key = decision_key(true);

	if (!d || d->r.slot != slot)
		return NULL;
	if (d->within && first >= d->to)
		d = bpf_map_lookup_elem(&decisions, &key);
	return d && first < d->to && last >= d->from ? d : NULL;
}

static __always_inline void on_insert(__u32 slot, __u64 index, __u32 nr)
{
	struct p2c_page_walk w = { .first = index, .last = index + nr - 1, .slot = slot };
	struct p2c_ra_decision *d = decision_on(slot, w.first, w.last);

	/* Pages are also inserted by writers, and by lookups for which readahead did nothing. */
	if (!d)
		return;
	d->r.pages_read += nr;
	ADD(slot, pages_read, nr);
	w.now = bpf_ktime_get_ns();
	bpf_loop(FOLIO_CHUNKS, read_step, &w, 0);
}

static __always_inline void on_remove(__u32 slot, __u64 index, __u32 nr)
{
	struct p2c_page_walk w = { .first = index, .last = index + nr - 1, .slot = slot };

	bpf_loop(FOLIO_CHUNKS, drop_step, &w, 0);
}

static __always_inline void on_leave(void)
{
}

/* Task numbers are reused: forget what the earlier task with this number left. */
static __always_inline void on_exit(void)
{
	decision_end();
}
