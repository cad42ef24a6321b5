// SPDX-License-Identifier: GPL-2.0-only
/* pcforce: fires the trigger, and sees what becomes of the forced pages. */
#include "points.bpf.h"
#include "bits.bpf.h"
#include <asm-generic/errno-base.h>

char LICENSE[] SEC("license") = "GPL";

const volatile bool fire_on_hits = false;  /* trigger `access`, not only `miss` */
const volatile bool helper = false;	   /* the kernel forces: force_at_miss() */
const volatile bool kfunc = false;	   /* a module of the kernel forces: force_held() */
const volatile bool fire_on_opens = false; /* trigger `open`; with kfunc only */
const volatile bool note_misses = false;   /* in the bitmap `missed`, a bit for each page */

/* Set and cleared by the user side, too. */
__u32 armed = 0;
__u32 await_first = 0; /* report the first data of the next access */
__u32 await_tid = 0;   /* only of this task; 0: of any */
__u32 forcing = 0;     /* pages removed now were evicted by forcing */
__u32 first_tid = 0;   /* the task inside of force_at_miss(); 0: none is */
__u32 asked_slot = 0;  /* slot whose list the module was asked to force; 0: none */
__u32 unheard = 0;     /* the reader has its data, and the tool has not been woken */
__u64 own_pages = 0;   /* pages that the tool itself has inserted */

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 16);
} ring SEC(".maps");

/* A bit for each page of each tracked file: word first_word + index / 64. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct p2c_force_file);
} force_files SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} forced SEC(".maps"), used SEC(".maps"), removed SEC(".maps"), missed SEC(".maps");

static __always_inline void tell(__u32 slot, __u64 index, __u64 ts_ns, enum p2c_force_event event,
				 bool wake)
{
	struct p2c_force_record *r = bpf_ringbuf_reserve(&ring, sizeof(*r), 0);

	if (!r)
		return;
	r->ts_ns = ts_ns;
	r->index = index;
	r->slot = slot;
	r->event = event;
	r->pid = bpf_get_current_pid_tgid() >> 32;
	r->pad = 0;
	bpf_ringbuf_submit(r, wake ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
}

/* Have the tool read what it was told without being woken. */
static __always_inline void wake_tool(void)
{
	void *nothing;

	if (!unheard || !__sync_val_compare_and_swap(&unheard, 1, 0))
		return;
	nothing = bpf_ringbuf_reserve(&ring, 8, 0);
	if (nothing)
		bpf_ringbuf_discard(nothing, BPF_RB_FORCE_WAKEUP);
}

static __always_inline bool disarm(void)
{
	if (!armed || !__sync_val_compare_and_swap(&armed, 1, 0))
		return false;
	await_tid = bpf_get_current_pid_tgid();
	await_first = 1;
	return true;
}

/* The kernel's input: a list for each file, its head first (struct page2cache_head). */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct page2cache_extent);
} extents SEC(".maps");

/* The module's: kmod/bpf_page2cache.c. */
struct bpf_page2cache_list {
};

extern struct bpf_page2cache_list *bpf_page2cache_hold_fd(int fd, void *p__map, __u64 first,
							  int *error) __ksym __weak;
extern void bpf_page2cache_force(struct bpf_page2cache_list *list, __u64 index) __ksym __weak;
extern void bpf_page2cache_drop(struct bpf_page2cache_list *list) __ksym __weak;

/* By this name: clang 14 forgets what is said of pointers to structs within structs. */
typedef struct bpf_page2cache_list module_list;

struct p2c_held_list {
	module_list __kptr *list;
};

/* Lists that the module has at hand, a slot each. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct p2c_held_list);
} held SEC(".maps");

static __always_inline void force_held(__u32 slot, __u64 index)
{
	struct p2c_held_list *h = bpf_map_lookup_elem(&held, &slot);
	struct bpf_page2cache_list *list = h ? bpf_kptr_xchg(&h->list, NULL) : NULL;

	if (!list)
		return;
	forcing = 1;
	asked_slot = slot;
	bpf_page2cache_force(list, index);
}

static __always_inline void fire(__u32 slot, __u64 index)
{
	__u64 ts_ns;

	if (!disarm())
		return;
	ts_ns = clock_now();
	if (kfunc)
		force_held(slot, index);
	/*
	 * Notify last: the process that is woken may take this CPU. Where the kernel forces from
	 * a miss on, the tool is not woken before first_data().
	 */
	tell(slot, index, ts_ns, FORCE_FIRED, !(helper || kfunc) || index == NO_INDEX);
}

/*
 * The reader has its first data, and is still in the kernel. If the kernel has begun with the
 * list, the tool would only take the CPU that the reader needs to go on: the tool is woken when
 * the reader leaves this CPU, or as soon as a worker of the kernel's reads the list.
 */
static __always_inline void first_data(__u32 slot, __u64 index)
{
	bool wake = !(helper || kfunc) || !forcing || !await_tid || !cfg.late;

	if (!await_first || (await_tid && await_tid != (__u32)bpf_get_current_pid_tgid()))
		return;
	if (!__sync_val_compare_and_swap(&await_first, 1, 0))
		return;
	tell(slot, index, clock_now(), FORCE_FIRST_DATA, wake);
	unheard = !wake;
}

static __always_inline void on_leave(void)
{
	if (unheard && await_tid == (__u32)bpf_get_current_pid_tgid())
		wake_tool();
}

/* The word of a page's bits, 0 if it is not tracked. */
static __always_inline bool find_word(const struct p2c_force_file *f, __u64 index, __u32 *word)
{
	if (index >= f->bits)
		return false;
	*word = f->first_word + index / 64;
	return true;
}

static __always_inline __u64 bits_of(void *map, __u32 word)
{
	__u64 *v = bpf_map_lookup_elem(map, &word);

	return v ? *v : 0;
}

static __always_inline void set_bits(void *map, __u32 word, __u64 bits)
{
	__u64 *v = bpf_map_lookup_elem(map, &word);

	if (v && (*v & bits) != bits)
		__sync_fetch_and_or(v, bits);
}

static __always_inline void clear_bits(void *map, __u32 word, __u64 bits)
{
	__u64 *v = bpf_map_lookup_elem(map, &word);

	if (v && *v & bits)
		__sync_fetch_and_and(v, ~bits);
}

struct p2c_page_walk {
	__u64 first;
	__u64 last;
	__u32 slot;
	__u32 met; /* forced pages among them */
};

#define MAX_WORDS   (1 << 14) /* of one read: 4 GiB */
#define FOLIO_WORDS 64	      /* of one folio */

static long use_step(__u32 i, void *data)
{
	struct p2c_page_walk *w = data;
	struct p2c_force_file *f = bpf_map_lookup_elem(&force_files, &w->slot);
	__u64 bits;
	__u32 word;

	if (!f || w->first / 64 + i > w->last / 64 ||
	    !find_word(f, (w->first / 64 + i) * 64, &word))
		return 1;
	bits = bits_of(&forced, word) & chunk_mask(w->first / 64 + i, w->first, w->last);
	if (bits) {
		w->met = 1;
		set_bits(&used, word, bits);
	}
	return 0;
}

/* Count which pages of a lookup, or of a mapping, were forced. */
static __always_inline bool use_pages(__u32 slot, __u64 first, __u64 last)
{
	struct p2c_page_walk w = { .first = first, .last = last, .slot = slot };

	if (last - first < 64 && first / 64 == last / 64)
		use_step(0, &w);
	else
		bpf_loop(MAX_WORDS, use_step, &w, 0);
	return w.met;
}

static __always_inline void note_lookup(__u32 slot, bool late)
{
	struct p2c_force_file *f = bpf_map_lookup_elem(&force_files, &slot);

	if (!f)
		return;
	__sync_fetch_and_add(&f->lookups, 1);
	if (late)
		__sync_fetch_and_add(&f->late, 1);
}

static __always_inline void on_miss(__u32 slot, __u64 index, bool fault)
{
	struct p2c_force_file *f = bpf_map_lookup_elem(&force_files, &slot);
	__u32 word;

	/* A fault comes here before force_at_miss(), a read after it. */
	if (!helper || !fault)
		fire(slot, index);
	if (!f || !find_word(f, index, &word))
		return;
	if (bits_of(&removed, word) >> (index % 64) & 1)
		__sync_fetch_and_add(&f->polluted, 1);
	if (note_misses)
		set_bits(&missed, word, 1ULL << (index % 64));
}

static __always_inline void on_lookup(__u32 slot, __u64 first, __u64 last, enum p2c_how how)
{
	if (how != HOW_MISS && fire_on_hits)
		fire(slot, first);
	first_data(slot, first);
	if (use_pages(slot, first, last))
		note_lookup(slot, how == HOW_LATE);
}

static __always_inline void on_fault(__u32 slot, __u64 index, enum p2c_how how)
{
	struct p2c_force_file *f;

	if (how == HOW_LATE) {
		/* The hit itself was noted before it slept. */
		f = bpf_map_lookup_elem(&force_files, &slot);
		if (f && use_pages(slot, index, index))
			__sync_fetch_and_add(&f->late, 1);
		return;
	}
	if (how == HOW_HIT && fire_on_hits)
		fire(slot, index);
	if (how == HOW_HIT)
		first_data(slot, index);
	if (use_pages(slot, index, index))
		note_lookup(slot, false);
}

static __always_inline void on_around(__u32 slot, __u64 inode, __u64 first, __u64 last,
				      bool resolved)
{
	bool met = use_pages(slot, first, last);

	if (!resolved)
		return;
	if (fire_on_hits)
		fire(slot, first);
	first_data(slot, first);
	if (met)
		note_lookup(slot, false);
}

static __always_inline void on_data(__u32 slot, __u64 index, __u64 ns)
{
	first_data(slot, index);
}

static long force_step(__u32 i, void *data)
{
	struct p2c_page_walk *w = data;
	struct p2c_force_file *f = bpf_map_lookup_elem(&force_files, &w->slot);
	__u32 word;

	if (!f || w->first / 64 + i > w->last / 64 ||
	    !find_word(f, (w->first / 64 + i) * 64, &word))
		return 1;
	set_bits(&forced, word, chunk_mask(w->first / 64 + i, w->first, w->last));
	return 0;
}

/* What is forced is inserted by the kernel's worker, but for the page that start_by_miss() reads. */
static __always_inline void on_insert(__u32 slot, __u64 index, __u32 nr)
{
	struct p2c_page_walk w = { .first = index, .last = index + nr - 1, .slot = slot };
	bool worker = bpf_get_current_task_btf()->flags & PF_KTHREAD;

	if (!(helper || kfunc) || (!worker && !task_is_self()))
		return;
	if (worker)
		wake_tool();
	else
		__sync_fetch_and_add(&own_pages, nr);
	if (w.first / 64 == w.last / 64)
		force_step(0, &w);
	else
		bpf_loop(FOLIO_WORDS, force_step, &w, 0);
}

static long remove_step(__u32 i, void *data)
{
	struct p2c_page_walk *w = data;
	struct p2c_force_file *f = bpf_map_lookup_elem(&force_files, &w->slot);
	__u64 mask, ours, unused, x;
	__u32 word;

	if (!f || w->first / 64 + i > w->last / 64 ||
	    !find_word(f, (w->first / 64 + i) * 64, &word))
		return 1;
	mask = chunk_mask(w->first / 64 + i, w->first, w->last);
	ours = bits_of(&forced, word) & mask;
	if (forcing)
		set_bits(&removed, word, mask & ~ours);
	unused = ours & ~bits_of(&used, word);
	/* A task that accesses these pages later reads them itself. */
	clear_bits(&forced, word, unused);
	for (x = 0; unused && x < 64; x++) {
		unused &= unused - 1;
		__sync_fetch_and_add(&f->unused_removed, 1);
	}
	return 0;
}

static __always_inline void on_remove(__u32 slot, __u64 index, __u32 nr)
{
	struct p2c_page_walk w = { .first = index, .last = index + nr - 1, .slot = slot };

	bpf_loop(FOLIO_WORDS, remove_step, &w, 0);
}

/*
 * Processes that counted when they ended, by their number in the tool's PID namespace. fanotify
 * tells the tool of an open only afterwards, and many a process has ended by then.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, __u32);
} ended SEC(".maps");

/* As lookup_exit() is attached before task_exit(), the process is still one that counts. */
static __always_inline void on_exit(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u32 pid = tgid_seen(task), one = 1;

	if (!(cfg.filter_tree || cfg.filter_cgroup || cfg.filter_uid) || !pid ||
	    BPF_CORE_READ(task, signal, live.counter))
		return;
	if (task_counted())
		bpf_map_update_elem(&ended, &pid, &one, BPF_ANY);
	else
		bpf_map_delete_elem(&ended, &pid);
}

/* The helper's number differs between kernels: tools/lib/force/engine_kernel.c puts it in. */
static long (*bpf_force_page2cache)(void *ctx, void *map, __u64 first,
				    __u64 flags) = (void *)HELPER_PLACEHOLDER;

/*
 * A page of a file is absent, and nothing is locked. The tool itself comes here
 * as well, to have a list forced that nobody has missed a page of.
 */
SEC("fentry.s/filemap_miss")
int BPF_PROG(force_at_miss, struct filemap_miss *miss)
{
	bool own = task_is_self();
	struct inode *inode = miss->file->f_inode;
	int slot = file_slot(inode, true, false);
	struct p2c_force_file *f;
	__u32 key = slot;
	__u64 ts_ns;

	if (slot < 0 || (!own && !task_counted()))
		return 0;
	f = bpf_map_lookup_elem(&force_files, &key);
	if (!f || !f->nr_extents || (!own && !disarm()))
		return 0;
	ts_ns = clock_now();
	forcing = 1;
	first_tid = bpf_get_current_pid_tgid();
	bpf_force_page2cache(ctx, &extents, f->first_extent, 0);
	first_tid = 0;
	if (!own)
		tell(slot, miss->index, ts_ns, FORCE_FIRED, false);
	return 0;
}

/* Run by the tool. Returns 0 or -errno. */
SEC("?syscall")
int take_list(struct p2c_take_list *take)
{
	struct bpf_page2cache_list *list;
	struct p2c_held_list *h;
	__u32 slot = take->slot;
	int error = 0;

	list = bpf_page2cache_hold_fd(take->fd, &extents, take->first, &error);
	if (!list)
		return error;
	if (take->now) {
		bpf_page2cache_force(list, NO_INDEX);
		return 0;
	}
	h = bpf_map_lookup_elem(&held, &slot);
	if (h)
		list = bpf_kptr_xchg(&h->list, list);
	if (list)
		bpf_page2cache_drop(list);
	return h ? 0 : -ENOENT;
}

/* An open is complete. Of an overlay's file this is not told of the file that has the pages. */
SEC("fentry/security_file_post_open")
int BPF_PROG(open_file, struct file *file)
{
	int slot = file_slot(file->f_inode, true, false);

	if (slot >= 0 && !task_is_self() && fire_on_opens && task_counted())
		fire(slot, NO_INDEX);
	return 0;
}
