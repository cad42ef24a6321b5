// SPDX-License-Identifier: GPL-2.0-only
/*
 * pcforce --serve -e kfunc: takes a program's hints where that program looks pages up, and has the
 * module read them. What is out of the ordinary (a long range, a record that makes no sense, no
 * more room) stays in the queue for the server's thread.
 */
#include "compat.bpf.h"
#include "shared.h"
#include <asm-generic/errno-base.h>

char LICENSE[] SEC("license") = "GPL";

#define AT_ONCE	  64	      /* ranges at one lookup */
#define MAX_BYTES (128 << 10) /* of a range: what bpf_page2cache_hint() takes */

/* Of struct ring, hint/ring.h. */
const volatile struct {
	__u64 bytes;
	__u64 tail;  /* where it is */
	__u64 words; /* where they begin */
	__u64 nr_words;
	__u32 willneed; /* kind of record */
	__u32 max_ranges;
} ring = {};

/* The module's: kmod/hints.c, kmod/bpf_page2cache.c. */
struct bpf_page2cache_list {
};

struct bpf_page2cache_queue {
};

extern struct bpf_page2cache_list *bpf_page2cache_hold_fd(int fd, void *p__map, __u64 first,
							  int *error) __ksym;
extern void bpf_page2cache_drop(struct bpf_page2cache_list *list) __ksym;
extern struct bpf_page2cache_queue *bpf_page2cache_queue_new(void) __ksym;
extern void bpf_page2cache_queue_drop(struct bpf_page2cache_queue *queue) __ksym;
extern int bpf_page2cache_hint(struct bpf_page2cache_queue *queue, struct bpf_page2cache_list *list,
			       __u64 index, __u64 nr_pages, __u64 max_requests) __ksym;

/* By these names: clang 14 forgets what is said of pointers to structs within structs. */
typedef struct bpf_page2cache_list module_list;
typedef struct bpf_page2cache_queue module_queue;

struct held_file {
	module_list __kptr *list;
};

struct held_queue {
	module_queue __kptr *queue;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_PROCESSES *HINT_FILES);
	__type(key, __u32);
	__type(value, struct held_file);
} files SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_PROCESSES);
	__type(key, __u32);
	__type(value, struct held_queue);
} queues SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_PROCESSES);
	__type(key, __u32);
	__type(value, struct p2c_hint_place);
} places SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_PROCESSES);
	__type(key, __u32);
	__type(value, __u32);
} place_of SEC(".maps");

/* The module holds a file for a list: this is where such a list would be. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, PAGE2CACHE_HEAD);
	__type(key, __u32);
	__type(value, struct page2cache_extent);
} lists SEC(".maps");

static __always_inline bool lock(struct p2c_hint_place *p)
{
	return !__sync_val_compare_and_swap(&p->lock, 0, 1);
}

static __always_inline void unlock(struct p2c_hint_place *p)
{
	__sync_val_compare_and_swap(&p->lock, 1, 0);
}

/* --- at a lookup */

struct sought {
	__u64 ring, inode, dev;
	bool found;
};

static long see_mapping(struct task_struct *task, struct vm_area_struct *vma, struct sought *s)
{
	struct inode *inode = BPF_CORE_READ(vma, vm_file, f_inode);

	s->found = BPF_CORE_READ(vma, vm_start) <= s->ring &&
		   BPF_CORE_READ(vma, vm_end) >= s->ring + ring.bytes &&
		   BPF_CORE_READ(inode, i_ino) == s->inode &&
		   BPF_CORE_READ(inode, i_sb, s_dev) == s->dev;
	return 0;
}

/*
 * Is the address still that of the queue? A process that has replaced itself by another program
 * has something else there, maybe secrets, which would say what is read in. As long as it has not,
 * all that is there is its own.
 */
static __always_inline bool is_mapped(struct p2c_hint_place *p)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 start_ns = BPF_CORE_READ(task, group_leader, start_boottime);
	__u64 execs = BPF_CORE_READ(task, self_exec_id);
	struct sought s = { p->ring, p->inode, p->dev, false };

	if (!p->ring)
		return false;
	if (p->start_ns == start_ns && p->execs == execs)
		return true;
	if (bpf_find_vma(task, p->ring, see_mapping, &s, 0) || !s.found)
		return false;
	p->start_ns = start_ns;
	p->execs = execs;
	return true;
}

static __always_inline bool read_words(const struct p2c_hint_place *p, __u64 *words, __u32 n)
{
	__u64 at = p->ring + ring.words, first = p->head & (ring.nr_words - 1);
	__u32 i;

	if (first + n <= ring.nr_words)
		return !bpf_probe_read_user(words, n * sizeof(*words), (void *)(at + first * 8));
	for (i = 0; i < n; i++) {
		first = (p->head + i) & (ring.nr_words - 1);
		if (bpf_probe_read_user(&words[i], sizeof(*words), (void *)(at + first * 8)))
			return false;
	}
	return true;
}

/* Have the module read pages of a file. False: it does not take them. */
static __always_inline bool hint(__u32 place, __u32 file, __u64 first, __u64 nr, __u64 requests)
{
	__u32 key = place * HINT_FILES + file;
	struct held_queue *q = bpf_map_lookup_elem(&queues, &place);
	struct held_file *f = bpf_map_lookup_elem(&files, &key);
	module_queue *queue;
	module_list *list;
	int err = -EBADF;

	if (!q || !f)
		return false;
	queue = bpf_kptr_xchg(&q->queue, NULL);
	if (!queue)
		return false;
	list = bpf_kptr_xchg(&f->list, NULL);
	if (list) {
		err = bpf_page2cache_hint(queue, list, first, nr, requests);
		/* Under the lock both places are still empty: the verifier does not know. */
		list = bpf_kptr_xchg(&f->list, list);
		if (list)
			bpf_page2cache_drop(list);
	}
	queue = bpf_kptr_xchg(&q->queue, queue);
	if (queue)
		bpf_page2cache_queue_drop(queue);
	return !err;
}

/* Take a range, if there is room for it. False: it is left to the server's thread. */
static __always_inline bool take_range(struct p2c_hint_place *p, __u32 place, __u32 file,
				       __u64 offset, __u64 length)
{
	__u64 first = offset >> PAGE_SHIFT, nr;

	if (file >= HINT_FILES || !length || length > MAX_BYTES || offset + length < offset)
		return false;
	nr = ((offset + length - 1) >> PAGE_SHIFT) - first + 1;
	if (p->room < nr << PAGE_SHIFT || !hint(place, file, first, nr, p->requests))
		return false;
	p->room -= nr << PAGE_SHIFT;
	p->taken++;
	return true;
}

/* Take the next range of what was published before TAIL. False: there is none, or it is left. */
static __always_inline bool take_next(struct p2c_hint_place *p, __u32 place, __u64 tail)
{
	__u64 words[3] = { 0 };
	__u32 file = p->file, left = p->left;

	if (left) {
		if (tail - p->head < 2 || !read_words(p, words + 1, 2))
			return false;
	} else {
		if (tail - p->head < 3 || !read_words(p, words, 3))
			return false;
		file = words[0] >> 32;
		left = words[0] >> 16 & 0xffff;
		if ((words[0] & 0xffff) != ring.willneed || !left || left > ring.max_ranges)
			return false;
	}
	if (!take_range(p, place, file, words[1], words[2]))
		return false;
	p->head += p->left ? 2 : 3;
	p->file = file;
	p->left = left - 1;
	return true;
}

static __always_inline void take_ranges(struct p2c_hint_place *p, __u32 place)
{
	__u64 tail = 0;
	__u32 i;

	if (bpf_probe_read_user(&tail, sizeof(tail), (void *)(p->ring + ring.tail)) ||
	    tail == p->head || tail - p->head > ring.nr_words)
		return;
	/* A full barrier: what was published before tail is read after tail. */
	__sync_val_compare_and_swap(&p->lock, 1, 1);
	for (i = 0; i < AT_ONCE; i++) {
		if (!take_next(p, place, tail))
			return;
	}
}

SEC("fentry/filemap_get_pages")
int BPF_PROG(take_hints)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	__u32 *found = bpf_map_lookup_elem(&place_of, &tgid), place;
	struct p2c_hint_place *p;

	if (!found)
		return 0;
	place = *found;
	p = bpf_map_lookup_elem(&places, &place);
	if (!p || !lock(p))
		return 0;
	if (p->tgid == tgid && is_mapped(p))
		take_ranges(p, place);
	unlock(p);
	return 0;
}

/* --- run by the server: 0 or -errno, -EAGAIN: it is taking hints right now */

SEC("syscall")
int order_queue(struct p2c_hint_order *o)
{
	struct bpf_page2cache_queue *queue = NULL;
	__u32 place = o->place;
	struct p2c_hint_place *p = bpf_map_lookup_elem(&places, &place);
	struct held_queue *q = bpf_map_lookup_elem(&queues, &place);

	if (!p || !q)
		return -EINVAL;
	if (o->fd >= 0) {
		queue = bpf_page2cache_queue_new();
		if (!queue)
			return -ENOMEM;
	} else if (!lock(p)) {
		return -EAGAIN;
	}
	queue = bpf_kptr_xchg(&q->queue, queue);
	if (queue)
		bpf_page2cache_queue_drop(queue);
	if (o->fd < 0)
		unlock(p);
	return 0;
}

SEC("syscall")
int order_file(struct p2c_hint_order *o)
{
	struct bpf_page2cache_list *list = NULL;
	__u32 place = o->place, key = place * HINT_FILES + o->file;
	struct p2c_hint_place *p = bpf_map_lookup_elem(&places, &place);
	struct held_file *f = bpf_map_lookup_elem(&files, &key);
	int error = 0;

	if (!p || !f)
		return -EINVAL;
	if (o->fd >= 0) {
		list = bpf_page2cache_hold_fd(o->fd, &lists, 0, &error);
		if (!list)
			return error;
	} else if (!lock(p)) {
		return -EAGAIN;
	}
	list = bpf_kptr_xchg(&f->list, list);
	if (list)
		bpf_page2cache_drop(list);
	if (o->fd < 0)
		unlock(p);
	return 0;
}
