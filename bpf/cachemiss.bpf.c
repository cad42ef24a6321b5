// SPDX-License-Identifier: GPL-2.0-only
/* cachemiss: counts, miss latencies and, for a list, each page's first access. */
#include "points.bpf.h"
#include "bits.bpf.h"
#include "latency.bpf.h"

char LICENSE[] SEC("license") = "GPL";

const volatile bool record_pages = false;
const volatile bool record_hits = false; /* of pages that were cached before, too */

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
	__u64 along;  /* the same, but as mapped along with others */
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

/* How pages came to be used. */
enum p2c_seen {
	SEEN_MISSED,
	SEEN_LOOKED_UP,
	SEEN_MAPPED, /* by fault-around, along with others: they are used without any further event */
	SEEN_ALONG, /* the same, of pages that were cached before */
};

static __always_inline void send_run(__u32 slot, struct p2c_chunk_pages *c, __u64 index, __u32 nr,
				     __u64 mask, bool along)
{
	struct p2c_page_record *r;
	__u64 flags = BPF_RB_NO_WAKEUP;

	r = bpf_ringbuf_reserve(&ring, sizeof(*r), 0);
	if (!r) {
		/* The page's next access tries again. */
		count(slot, COUNT_LOST, 1);
		return;
	}
	r->index = index;
	r->nr_pages = nr;
	r->slot = slot;
	r->along = along;
	r->pad = 0;
	__sync_fetch_and_or(along ? &c->along : &c->listed, mask);
	if (bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) > (1 << 20))
		flags = BPF_RB_FORCE_WAKEUP;
	bpf_ringbuf_submit(r, flags);
}

struct p2c_list_walk {
	__u64 inode; /* for SEEN_ALONG */
	__u64 first;
	__u64 last;
	__u32 slot;
	__u32 seen;
};

struct p2c_chunk_walk {
	struct address_space *mapping;
	__u64 first;
	__u64 pages;
};

static long leave_out_absent(__u32 i, void *data)
{
	struct p2c_chunk_walk *w = data;
	__u64 bit = 1ULL << (i & 63);

	if (w->pages & bit && !page_folio_at(w->mapping, w->first + i))
		w->pages &= ~bit;
	return 0;
}

/*
 * Those of a chunk's pages that are cached: a range that fault-around went over has holes. A loop
 * of the kernel's: of one of our own, the verifier of Linux 7.3 looks at each way through it.
 */
static __always_inline __u64 cached_pages(__u64 inode, __u64 chunk, __u64 pages)
{
	struct p2c_chunk_walk w = { .first = chunk * 64, .pages = pages };

	w.mapping = BPF_CORE_READ((struct inode *)inode, i_mapping);
	bpf_loop(64, leave_out_absent, &w, 0);
	return w.pages;
}

/* Pages of a chunk that are to be listed now. */
static __always_inline __u64 new_pages(const struct p2c_list_walk *w, __u64 chunk, __u64 mask,
				       const struct p2c_chunk_pages *c)
{
	__u64 todo = mask & ~c->listed;

	if (w->seen == SEEN_MISSED || (w->seen == SEEN_LOOKED_UP && record_hits))
		return todo;
	if (!record_hits || w->seen != SEEN_ALONG)
		return todo & c->fresh;
	return cached_pages(w->inode, chunk, todo & ~c->fresh & ~c->along);
}

/*
 * List those pages of a chunk that are new, run by run. A global function: the verifier sees it
 * once, not once a chunk of as many as a read may have.
 */
__noinline int list_chunk(const struct p2c_list_walk *w, __u64 chunk)
{
	struct p2c_chunk_pages *c;
	__u64 todo;
	int i;

	if (!w)
		return 0;
	c = chunk_get(w->slot, chunk);
	if (!c) {
		count(w->slot, COUNT_LOST, 1);
		return 0;
	}
	todo = new_pages(w, chunk, chunk_mask(chunk, w->first, w->last), c);
	for (i = 0; i < 32 && todo; i++) {
		__u64 low = todo & -todo, rest = ~todo & ~(low - 1), end = rest & -rest;
		__u64 run = (end ? end - 1 : ~0ULL) & ~(low - 1);
		send_run(w->slot, c, chunk * 64 + popcount(low - 1), popcount(run), run,
			 w->seen == SEEN_ALONG);
		todo &= ~run;
	}
	return 0;
}

static long list_step(__u32 i, void *data)
{
	struct p2c_list_walk *w = data;
	__u64 chunk = w->first / 64 + i;

	if (chunk > w->last / 64)
		return 1;
	list_chunk(w, chunk);
	return 0;
}

static __always_inline void list_pages(__u32 slot, __u64 inode, __u64 first, __u64 last,
				       enum p2c_seen seen)
{
	struct p2c_list_walk walk = {
		.inode = inode,
		.first = first,
		.last = last,
		.slot = slot,
		.seen = seen,
	};

	if (record_pages && slot != SLOT_OTHERS)
		bpf_loop(MAX_CHUNKS, list_step, &walk, 0);
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
	list_pages(slot, 0, index, index, SEEN_MISSED);
}

static __always_inline void on_lookup(__u32 slot, __u64 first, __u64 last, enum p2c_how how)
{
	list_pages(slot, 0, first, last, SEEN_LOOKED_UP);
}

static __always_inline void on_fault(__u32 slot, __u64 index, enum p2c_how how)
{
	if (how == HOW_HIT)
		list_pages(slot, 0, index, index, SEEN_LOOKED_UP);
}

static __always_inline void on_around(__u32 slot, __u64 inode, __u64 first, __u64 last,
				      bool resolved)
{
	list_pages(slot, 0, first, last, SEEN_MAPPED);
	if (record_hits)
		list_pages(slot, inode, first, last, SEEN_ALONG);
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

static __always_inline void on_exit(void)
{
}
