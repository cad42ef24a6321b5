// SPDX-License-Identifier: GPL-2.0-only
/* cachemiss: counts, miss latencies and, for a list, each page's first access. */
#include "points.bpf.h"
#include "total.bpf.h"
#include "bits.bpf.h"
#include "latency.bpf.h"

char LICENSE[] SEC("license") = "GPL";

const volatile bool record_pages = false;
const volatile bool record_hits = false; /* also list pages that were cached before */

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 16 << 20);
} ring SEC(".maps");

struct p2c_chunk_key {
	__u64 chunk; /* page index / 64 */
	__u64 slot;
};

struct p2c_chunk_pages {
	__u64 fresh;  /* entered the page cache since the recording began */
	__u64 listed; /* handed over in a page_record */
	__u64 along;  /* handed over as mapped along with others */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 22);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct p2c_chunk_key);
	__type(value, struct p2c_chunk_pages);
} chunks SEC(".maps");

#define MAX_CHUNKS   (1 << 14) /* of 64 pages, of one read: 4 GiB */
#define FOLIO_CHUNKS 64	       /* of one folio */

static __always_inline struct p2c_chunk_pages *chunk_get(__u32 slot, __u64 chunk)
{
	struct p2c_chunk_key key = { .chunk = chunk, .slot = slot };
	struct p2c_chunk_pages *c = bpf_map_lookup_elem(&chunks, &key), none = {};

	if (c)
		return c;
	bpf_map_update_elem(&chunks, &key, &none, BPF_NOEXIST);
	return bpf_map_lookup_elem(&chunks, &key);
}

static __always_inline void send_run(__u32 slot, struct p2c_chunk_pages *c, __u64 index, __u32 nr,
				     __u64 mask, enum p2c_page_use use)
{
	struct p2c_page_record *r;
	__u64 flags = BPF_RB_NO_WAKEUP;

	r = bpf_ringbuf_reserve(&ring, sizeof(*r), 0);
	if (!r) {
		/* The ring buffer is full: the page's next access tries again. */
		count(slot, COUNT_LOST, 1);
		return;
	}
	r->index = index;
	r->nr_pages = nr;
	r->slot = slot;
	r->use = use;
	r->pad = 0;
	__sync_fetch_and_or(use == PAGE_ALONG ? &c->along : &c->listed, mask);
	if (bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) > (1 << 20))
		flags = BPF_RB_FORCE_WAKEUP;
	bpf_ringbuf_submit(r, flags);
}

struct p2c_list_walk {
	__u64 inode; /* for PAGE_ALONG */
	__u64 first;
	__u64 last;
	__u64 chunk;
	__u64 todo; /* pages of the chunk that are to be listed now */
	__u32 slot;
	__u32 use;
	bool any; /* cached before or not; else only what entered the page cache since */
};

/* Fault-around maps only cached pages, so its range may have holes. */
static long drop_hole(__u32 i, void *data)
{
	struct p2c_list_walk *w = data;
	struct inode *inode = (struct inode *)w->inode;
	__u64 bit = 1ULL << (i & 63);

	if (w->todo & bit &&
	    !page_folio_at(BPF_CORE_READ(inode, i_mapping), w->chunk * 64 + (i & 63)))
		w->todo &= ~bit;
	return 0;
}

/* The first run of what is to be listed. */
static long list_run(__u32 i, void *data)
{
	struct p2c_list_walk *w = data;
	__u64 todo = w->todo, low = todo & -todo, rest, end, run;
	struct p2c_chunk_pages *c;

	if (!todo)
		return 1;
	c = chunk_get(w->slot, w->chunk);
	if (!c)
		return 1;
	rest = ~todo & ~(low - 1);
	end = rest & -rest;
	run = (end ? end - 1 : ~0ULL) & ~(low - 1);
	send_run(w->slot, c, w->chunk * 64 + popcount(low - 1), popcount(run), run, w->use);
	w->todo = todo & ~run;
	return 0;
}

/*
 * List those pages of a chunk that are new, run by run. Loops are calls of bpf_loop(): the
 * verifier goes through each round of any other, which takes tens of milliseconds.
 */
static long list_chunk(__u32 i, void *data)
{
	struct p2c_list_walk *w = data;
	struct p2c_chunk_pages *c;

	w->chunk = w->first / 64 + i;
	if (w->chunk > w->last / 64)
		return 1;
	c = chunk_get(w->slot, w->chunk);
	if (!c) {
		count(w->slot, COUNT_LOST, 1);
		return 0;
	}
	w->todo = chunk_mask(w->chunk, w->first, w->last) & ~c->listed;
	if (record_hits && w->use == PAGE_ALONG) {
		w->todo &= ~c->fresh & ~c->along;
		if (w->todo)
			bpf_loop(64, drop_hole, w, 0);
	} else if (!w->any) {
		w->todo &= c->fresh;
	}
	if (w->todo)
		bpf_loop(32, list_run, w, 0);
	return 0;
}

static __always_inline void list_pages(__u32 slot, __u64 first, __u64 last, enum p2c_page_use use,
				       bool any)
{
	struct p2c_list_walk walk = {
		.first = first,
		.last = last,
		.slot = slot,
		.use = use,
		.any = any,
	};

	if (record_pages && slot != SLOT_OTHERS)
		bpf_loop(MAX_CHUNKS, list_chunk, &walk, 0);
}

static __always_inline void list_along(__u32 slot, __u64 inode, __u64 first, __u64 last)
{
	struct p2c_list_walk walk = {
		.inode = inode,
		.first = first,
		.last = last,
		.slot = slot,
		.use = PAGE_ALONG,
	};

	if (record_pages && record_hits && slot != SLOT_OTHERS)
		bpf_loop(MAX_CHUNKS, list_chunk, &walk, 0);
}

static long fresh_step(__u32 i, void *data)
{
	struct p2c_list_walk *w = data;
	__u64 chunk = w->first / 64 + i;
	struct p2c_chunk_pages *c;

	if (chunk > w->last / 64)
		return 1;
	c = chunk_get(w->slot, chunk);
	if (c)
		__sync_fetch_and_or(&c->fresh, chunk_mask(chunk, w->first, w->last));
	else
		count(w->slot, COUNT_LOST, 1);
	return 0;
}

static __always_inline void on_miss(__u32 slot, __u64 index, bool fault)
{
	/* Listed here, not at the end: the lookup may fail, and order is order of access. */
	list_pages(slot, index, index, fault ? PAGE_MAPPED : PAGE_READ, true);
}

static __always_inline void on_lookup(__u32 slot, __u64 first, __u64 last, enum p2c_how how)
{
	list_pages(slot, first, last, PAGE_READ, record_hits);
}

static __always_inline void on_fault(__u32 slot, __u64 index, enum p2c_how how)
{
	if (how == HOW_HIT)
		list_pages(slot, index, index, PAGE_MAPPED, record_hits);
}

static __always_inline void on_around(__u32 slot, __u64 inode, __u64 first, __u64 last,
				      bool resolved)
{
	/* Accesses to mapped pages cause no event, so mapped pages count as accessed. */
	list_pages(slot, first, last, PAGE_MAPPED, false);
	list_along(slot, inode, first, last);
}

static __always_inline void on_data(__u32 slot, __u64 index, __u64 ns)
{
	count(slot, COUNT_MEASURED, 1);
	latency_add(slot, ns, 1);
}

static __always_inline void on_insert(__u32 slot, __u64 index, __u32 nr)
{
	struct p2c_list_walk walk = { .first = index, .last = index + nr - 1, .slot = slot };

	if (record_pages && slot != SLOT_OTHERS)
		bpf_loop(FOLIO_CHUNKS, fresh_step, &walk, 0);
}

static __always_inline void on_remove(__u32 slot, __u64 index, __u32 nr)
{
}

static __always_inline void on_leave(void)
{
}

static __always_inline void on_exit(void)
{
}
