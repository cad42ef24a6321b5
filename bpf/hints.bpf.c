// SPDX-License-Identifier: GPL-2.0-only
/*
 * pcforce --serve: what becomes of the files that programs have named, of each program by its own
 * accesses. A slot is of a file, for what happens to its pages, or of a process and a file, for
 * the accesses of that process to it (p2c_process_slots).
 */
#include "points.bpf.h"
#include "bits.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* Slots of processes whose counts have changed, each once until the user side has taken it. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct p2c_hint_counts);
} hint_counts SEC(".maps");

/*
 * The pages that hints brought in, in two maps that take turns, so that chunks whose pages have all left
 * the page cache can be forgotten. In the map whose turn it is a program may be about to set a bit of a
 * chunk that has none: it cannot be removed without a lock, which programs of these kinds may not
 * take. In the other map bits are only cleared, and a chunk without any remains so.
 */
struct hint_pages {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, HINT_CHUNKS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct p2c_hint_key);
	__type(value, struct p2c_hint_pages);
};
struct hint_pages hint_pages_0 SEC(".maps"), hint_pages_1 SEC(".maps");

/* Of the user side: whose turn it is, and whether anything is in the other one. */
bool pages_turn;
bool pages_before;
/* So many chunks have been added so far. */
__u64 chunks_made;

/* The server's threads, each of which reads for one process: its place in `processes`. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_PROCESSES);
	__type(key, __u32);
	__type(value, __u32);
} workers SEC(".maps");

#define MAX_CHUNKS   (1 << 14) /* of 64 pages, of one read: 4 GiB */
#define FOLIO_CHUNKS 64	       /* of one folio */

struct p2c_hint_walk {
	__u64 first;
	__u64 last;
	__u32 slot;
	__u32 leave; /* the pages leave the page cache; 0: they are used */
};

/* The pages of the walk that are in its chunk I; *CHUNK is that chunk. 0: the walk is over. */
static __always_inline __u64 walk_mask(const struct p2c_hint_walk *w, __u32 i, __u64 *chunk)
{
	*chunk = w->first / 64 + i;
	return *chunk > w->last / 64 ? 0 : chunk_mask(*chunk, w->first, w->last);
}

static __always_inline struct p2c_hint_counts *hint_counts_of(__u32 slot)
{
	return bpf_map_lookup_elem(&hint_counts, &slot);
}

/*
 * The exchange is a barrier: either the user side, which clears `told` before it reads the counts,
 * finds them changed, or it is told once more.
 */
static __always_inline void changed(__u32 slot)
{
	struct p2c_hint_counts *c = hint_counts_of(slot);

	if (!c || __sync_lock_test_and_set(&c->told, 1))
		return;
	if (bpf_ringbuf_output(&ring, &slot, sizeof(slot), 0))
		c->told = 0;
}

static __always_inline struct p2c_hint_pages *pages_find(bool second,
							 const struct p2c_hint_key *key)
{
	return second ? bpf_map_lookup_elem(&hint_pages_1, key)
		      : bpf_map_lookup_elem(&hint_pages_0, key);
}

static __always_inline void use_in(struct p2c_hint_pages *p, __u32 slot, __u64 mask)
{
	__u64 bits = p ? p->forced & mask & ~p->used : 0;
	struct p2c_hint_counts *c;

	if (!bits)
		return;
	bits &= ~__sync_fetch_and_or(&p->used, bits);
	c = hint_counts_of(slot);
	if (c)
		__sync_fetch_and_add(&c->used, popcount(bits));
}

static __always_inline void remove_in(struct p2c_hint_pages *p, __u64 mask)
{
	if (p && p->forced & mask)
		__sync_fetch_and_and(&p->forced, ~mask);
}

static __always_inline void pages_in(struct p2c_hint_pages *p, const struct p2c_hint_walk *w,
				     __u64 mask)
{
	if (w->leave)
		remove_in(p, mask);
	else
		use_in(p, w->slot, mask);
}

static long pages_step(__u32 i, void *data)
{
	struct p2c_hint_walk *w = data;
	struct p2c_hint_key key = { .slot = w->slot };
	__u64 mask = walk_mask(w, i, &key.chunk);
	bool turn = pages_turn;

	if (!mask)
		return 1;
	pages_in(pages_find(turn, &key), w, mask);
	if (pages_before)
		pages_in(pages_find(!turn, &key), w, mask);
	return 0;
}

/* Pages first..last are looked up, or mapped: those of them that hints brought in are used. */
static __always_inline void use_pages(__u32 slot, __u64 first, __u64 last)
{
	struct p2c_hint_walk w = { .first = first, .last = last, .slot = slot };
	struct p2c_hint_counts *c = hint_counts_of(slot);

	if (!c || !c->forced)
		return;
	if (first / 64 == last / 64)
		pages_step(0, &w);
	else
		bpf_loop(MAX_CHUNKS, pages_step, &w, 0);
}

static __always_inline void on_miss(__u32 slot, __u64 index, bool fault)
{
	changed(slot);
}

static __always_inline void on_lookup(__u32 slot, __u64 first, __u64 last, enum p2c_how how)
{
	use_pages(slot, first, last);
	changed(slot);
}

static __always_inline void on_fault(__u32 slot, __u64 index, enum p2c_how how)
{
	use_pages(slot, index, index);
	changed(slot);
}

static __always_inline void on_around(__u32 slot, __u64 inode, __u64 first, __u64 last,
				      bool resolved)
{
	use_pages(slot, first, last);
	changed(slot);
}

static __always_inline void on_data(__u32 slot, __u64 index, __u64 ns)
{
}

static __always_inline struct p2c_hint_pages *pages_get(const struct p2c_hint_key *key)
{
	bool turn = pages_turn;
	struct p2c_hint_pages *p = pages_find(turn, key), none = {};
	long err;

	if (p)
		return p;
	err = turn ? bpf_map_update_elem(&hint_pages_1, key, &none, BPF_NOEXIST)
		   : bpf_map_update_elem(&hint_pages_0, key, &none, BPF_NOEXIST);
	if (!err)
		__sync_fetch_and_add(&chunks_made, 1);
	return pages_find(turn, key);
}

static long force_step(__u32 i, void *data)
{
	struct p2c_hint_walk *w = data;
	struct p2c_hint_key key = { .slot = w->slot };
	__u64 mask = walk_mask(w, i, &key.chunk);
	struct p2c_hint_counts *c;
	struct p2c_hint_pages *p;

	if (!mask)
		return 1;
	p = pages_get(&key);
	if (p) {
		__sync_fetch_and_and(&p->used, ~mask);
		__sync_fetch_and_or(&p->forced, mask);
		return 0;
	}
	c = hint_counts_of(w->slot);
	if (c)
		__sync_fetch_and_add(&c->lost, 1);
	return 0;
}

static __always_inline void add_forced(__u32 slot, __u32 nr)
{
	struct p2c_hint_counts *c = hint_counts_of(slot);

	if (c)
		__sync_fetch_and_add(&c->forced, nr);
}

/* Pages that a hint reads in are inserted by the server's thread that serves the process. */
static __always_inline void on_insert(__u32 file, __u64 index, __u32 nr)
{
	struct p2c_hint_walk w = { .first = index, .last = index + nr - 1 };
	__u32 tid = bpf_get_current_pid_tgid();
	__u32 *process = bpf_map_lookup_elem(&workers, &tid);
	int slot = process ? slot_of_process(file, *process) : -1;

	if (slot < 0)
		return;
	w.slot = slot;
	/* Count before the pages are marked: use_pages() looks at this count first. */
	add_forced(file, nr);
	add_forced(slot, nr);
	if (w.first / 64 == w.last / 64)
		force_step(0, &w);
	else
		bpf_loop(FOLIO_CHUNKS, force_step, &w, 0);
	changed(slot);
}

struct p2c_hint_removal {
	struct p2c_hint_walk walk;
	__u32 file;
	__u32 pad;
};

static long remove_for(__u32 process, void *data)
{
	struct p2c_hint_removal *r = data;
	int slot = slot_of_process(r->file, process);

	if (slot < 0)
		return 0;
	r->walk.slot = slot;
	bpf_loop(FOLIO_CHUNKS, pages_step, &r->walk, 0);
	return 0;
}

static __always_inline void on_remove(__u32 file, __u64 index, __u32 nr)
{
	struct p2c_hint_removal r = {
		.walk.first = index,
		.walk.last = index + nr - 1,
		.walk.leave = 1,
		.file = file,
	};
	struct p2c_hint_counts *c = hint_counts_of(file);

	if (c && c->forced)
		bpf_loop(MAX_PROCESSES, remove_for, &r, 0);
}

static __always_inline void on_leave(void)
{
}

/*
 * When the process has ended, another one may get its number, and the accesses of that are not for
 * this one's program to see.
 */
static __always_inline void forget_process(void)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;

	bpf_map_delete_elem(&processes, &tgid);
}

static __always_inline void on_exit(void)
{
	if (!BPF_CORE_READ(bpf_get_current_task_btf(), signal, live.counter))
		forget_process();
}

/*
 * Accesses of a program that the process executes are not for this program to see either: the
 * other one may have other rights.
 */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(program_exec)
{
	forget_process();
	return 0;
}

SEC("tp/sched/sched_process_exec")
int program_exec_classic(void *record)
{
	forget_process();
	return 0;
}

struct p2c_hint_sweep {
	bool before; /* of the map whose turn it is not */
	bool left;   /* a chunk of it stays */
};

static __always_inline bool sweep_keeps(const struct p2c_hint_key *key,
					const struct p2c_hint_pages *p, struct p2c_hint_sweep *s)
{
	struct p2c_hint_counts *c = hint_counts_of(key->slot);
	bool keeps = c && c->live && (!s->before || p->forced);

	s->left |= s->before && keeps;
	return keeps;
}

static long sweep_0(void *map, const struct p2c_hint_key *key, struct p2c_hint_pages *p,
		    struct p2c_hint_sweep *s)
{
	if (!sweep_keeps(key, p, s))
		bpf_map_delete_elem(&hint_pages_0, key);
	return 0;
}

static long sweep_1(void *map, const struct p2c_hint_key *key, struct p2c_hint_pages *p,
		    struct p2c_hint_sweep *s)
{
	if (!sweep_keeps(key, p, s))
		bpf_map_delete_elem(&hint_pages_1, key);
	return 0;
}

/*
 * Forget the pages of slots that are no longer in use, and, in the map whose turn it is not, chunks
 * whose pages have all left. Programs that found a slot, or that map, in use are over by now.
 */
SEC("syscall")
int sweep(void *unused)
{
	struct p2c_hint_sweep s = {};

	s.before = pages_turn;
	bpf_for_each_map_elem(&hint_pages_0, sweep_0, &s, 0);
	s.before = !pages_turn;
	bpf_for_each_map_elem(&hint_pages_1, sweep_1, &s, 0);
	pages_before = s.left;
	return 0;
}
