// SPDX-License-Identifier: GPL-2.0-only
/* Programs with the module's functions that the kernel has to take or to refuse. */
#include "compat.bpf.h"
#include "shared.h"

char LICENSE[] SEC("license") = "GPL";

struct bpf_page2cache_list {
};

/* By this name: clang 14 forgets what is said of pointers to structs within structs. */
typedef struct bpf_page2cache_list module_list;

struct holder {
	module_list __kptr *list;
};

#define EXTENTS(name, size, entries, flags)       \
	struct {                                  \
		__uint(type, BPF_MAP_TYPE_ARRAY); \
		__uint(map_flags, flags);         \
		__uint(max_entries, entries);     \
		__uint(key_size, 4);              \
		__uint(value_size, size);         \
	} name SEC(".maps")

#define EXTENT sizeof(struct page2cache_extent)

/* Lists of one extent each, one more than the kernel reads at a time. */
EXTENTS(extents, EXTENT, (PAGE2CACHE_LISTS + 1) * (PAGE2CACHE_HEAD + 1), BPF_F_MMAPABLE);
EXTENTS(not_mmapable, EXTENT, 16, 0);
EXTENTS(odd_values, 2 * EXTENT, 16, BPF_F_MMAPABLE);
EXTENTS(too_few, EXTENT, PAGE2CACHE_HEAD - 1, BPF_F_MMAPABLE);
EXTENTS(read_only, EXTENT, 16, BPF_F_MMAPABLE | BPF_F_RDONLY_PROG);
EXTENTS(frozen, EXTENT, 16, BPF_F_MMAPABLE);

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ringbuf SEC(".maps");

#define HOLDERS(name, map_type)               \
	struct {                              \
		__uint(type, map_type);       \
		__uint(max_entries, 1);       \
		__type(key, __u32);           \
		__type(value, struct holder); \
	} name SEC(".maps")

HOLDERS(holders, BPF_MAP_TYPE_ARRAY);
HOLDERS(hash_holders, BPF_MAP_TYPE_HASH);

/* A map that user space replaces while a program uses it. */
struct inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 16);
	__uint(key_size, 4);
	__uint(value_size, EXTENT);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct inner);
} outer SEC(".maps");

extern struct bpf_page2cache_list *bpf_page2cache_hold_fd(int fd, void *p__map, __u64 first,
							  int *error) __ksym;
extern void bpf_page2cache_force(struct bpf_page2cache_list *list, __u64 index) __ksym;
extern void bpf_page2cache_drop(struct bpf_page2cache_list *list) __ksym;

int fd = -1; /* of the file */
__u32 first = 0;
__u64 deleted = 0;
int error_extents = 1, error_past = 1, error_not_mmapable = 1, error_odd_values = 1;
int error_too_few = 1, error_read_only = 1, error_frozen = 1, error_ringbuf = 1, error_holders = 1;

/* Held and released again. Returns what the module says. */
static __always_inline int hold(void *map, __u64 at)
{
	int error = 1;
	struct bpf_page2cache_list *list = bpf_page2cache_hold_fd(fd, map, at, &error);

	if (list)
		bpf_page2cache_drop(list);
	return error;
}

SEC("?syscall")
int hold_each(void *ctx)
{
	error_extents = hold(&extents, 0);
	error_past = hold(&extents, (PAGE2CACHE_LISTS + 1) * (PAGE2CACHE_HEAD + 1) - 5);
	error_not_mmapable = hold(&not_mmapable, 0);
	error_odd_values = hold(&odd_values, 0);
	error_too_few = hold(&too_few, 0);
	error_read_only = hold(&read_only, 0);
	error_frozen = hold(&frozen, 0);
	error_ringbuf = hold(&ringbuf, 0);
	error_holders = hold(&holders, 0);
	return error_extents;
}

SEC("?syscall")
int force_now(void *ctx)
{
	int error = 1;
	struct bpf_page2cache_list *list = bpf_page2cache_hold_fd(fd, &extents, first, &error);

	if (list)
		bpf_page2cache_force(list, -1);
	return error;
}

/* What is left in a map goes with it. */
static __always_inline int keep_in(struct holder *h)
{
	int error = 1;
	struct bpf_page2cache_list *list;

	if (!h)
		return 1;
	list = bpf_page2cache_hold_fd(fd, &extents, first, &error);
	if (!list)
		return error;
	list = bpf_kptr_xchg(&h->list, list);
	if (list)
		bpf_page2cache_drop(list);
	return 0;
}

SEC("?syscall")
int keep(void *ctx)
{
	__u32 zero = 0;

	return keep_in(bpf_map_lookup_elem(&holders, &zero));
}

SEC("?syscall")
int keep_in_hash(void *ctx)
{
	__u32 zero = 0;
	struct holder none = {};

	bpf_map_update_elem(&hash_holders, &zero, &none, BPF_NOEXIST);
	return keep_in(bpf_map_lookup_elem(&hash_holders, &zero));
}

/* In an interrupt, one that cannot be masked where the processor has counters. */
SEC("?perf_event")
int delete_kept(void *ctx)
{
	__u32 zero = 0;

	if (!bpf_map_delete_elem(&hash_holders, &zero))
		deleted++;
	return 0;
}

SEC("?syscall")
int hold_inner(void *ctx)
{
	__u32 zero = 0;
	void *map = bpf_map_lookup_elem(&outer, &zero);

	return map ? hold(map, 0) : 1;
}

static __always_inline void force_kept(void)
{
	__u32 zero = 0;
	struct holder *h = bpf_map_lookup_elem(&holders, &zero);
	struct bpf_page2cache_list *list = h ? bpf_kptr_xchg(&h->list, NULL) : NULL;

	if (list)
		bpf_page2cache_force(list, 0);
}

SEC("?fentry/filemap_fault")
int BPF_PROG(force_fentry)
{
	force_kept();
	return 0;
}

SEC("?perf_event")
int force_perf_event(void *ctx)
{
	force_kept();
	return 0;
}

SEC("?tp/filemap/mm_filemap_add_to_page_cache")
int force_tracepoint(void *ctx)
{
	force_kept();
	return 0;
}

SEC("?kprobe/filemap_fault")
int force_kprobe(void *ctx)
{
	force_kept();
	return 0;
}

SEC("?fentry.s/filemap_fault")
int BPF_PROG(hold_fentry)
{
	return hold(&extents, 0) & 0;
}

SEC("?lsm.s/file_post_open")
int BPF_PROG(hold_lsm, struct file *file)
{
	return hold(&extents, 0) & 0;
}

SEC("?tp/filemap/mm_filemap_add_to_page_cache")
int hold_tracepoint(void *ctx)
{
	return hold(&extents, 0);
}

SEC("?kprobe.s/filemap_fault")
int hold_kprobe(void *ctx)
{
	return hold(&extents, 0);
}

SEC("?tp_btf/sched_switch")
int BPF_PROG(drop_tracing)
{
	__u32 zero = 0;
	struct holder *h = bpf_map_lookup_elem(&holders, &zero);
	struct bpf_page2cache_list *list = h ? bpf_kptr_xchg(&h->list, NULL) : NULL;

	if (list)
		bpf_page2cache_drop(list);
	return 0;
}

SEC("?syscall")
int leaks(void *ctx)
{
	int error = 1;

	bpf_page2cache_hold_fd(fd, &extents, 0, &error);
	return error;
}

SEC("?syscall")
int twice(void *ctx)
{
	int error = 1;
	struct bpf_page2cache_list *list = bpf_page2cache_hold_fd(fd, &extents, 0, &error);

	if (!list)
		return error;
	bpf_page2cache_force(list, 0);
	bpf_page2cache_force(list, 0);
	return 0;
}

/* Memory for a map. */
SEC("?syscall")
int value_for_map(void *ctx)
{
	__u32 zero = 0;
	struct page2cache_extent *e = bpf_map_lookup_elem(&extents, &zero);

	return e ? hold(e, 0) : 1;
}

/* A list that the module has not made. */
SEC("?syscall")
int value_for_list(void *ctx)
{
	__u32 zero = 0;
	struct page2cache_extent *e = bpf_map_lookup_elem(&extents, &zero);

	if (e)
		bpf_page2cache_force((void *)e, 0);
	return 0;
}
