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

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, struct page2cache_extent);
} extents SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ringbuf SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct holder);
} holders SEC(".maps");

extern struct bpf_page2cache_list *bpf_page2cache_hold(struct file *file, void *p__map,
						       __u64 first) __ksym;
extern void bpf_page2cache_force(struct bpf_page2cache_list *list, __u64 index) __ksym;
extern void bpf_page2cache_drop(struct bpf_page2cache_list *list) __ksym;

__u32 tgid = 0; /* whose mmap(2) counts */
__u32 first = 0;
__u32 use_ringbuf = 0;
__u32 use_holders = 0;
__u32 held = 0;

/*
 * Of an anonymous mapping there is no file, which the verifier knows since Linux 7.0: that is
 * looked at first, so that a program is refused for the reason that it is meant to be.
 */

/* Mapping a file: its list is forced. */
SEC("?lsm/mmap_file")
int BPF_PROG(at_mmap, struct file *file)
{
	struct bpf_page2cache_list *list;

	if (!file || bpf_get_current_pid_tgid() >> 32 != tgid)
		return 0;
	list = use_ringbuf   ? bpf_page2cache_hold(file, &ringbuf, first)
	       : use_holders ? bpf_page2cache_hold(file, &holders, first)
			     : bpf_page2cache_hold(file, &extents, first);
	if (!list)
		return 0;
	held++;
	bpf_page2cache_force(list, -1);
	return 0;
}

/* What is left in a map goes with it. */
SEC("?lsm/mmap_file")
int BPF_PROG(keeps, struct file *file)
{
	__u32 zero = 0;
	struct holder *h = bpf_map_lookup_elem(&holders, &zero);
	struct bpf_page2cache_list *list;

	if (!file || bpf_get_current_pid_tgid() >> 32 != tgid || !h)
		return 0;
	list = bpf_page2cache_hold(file, &extents, 0);
	if (!list)
		return 0;
	held++;
	list = bpf_kptr_xchg(&h->list, list);
	if (list)
		bpf_page2cache_drop(list);
	return 0;
}

static void force_kept(void)
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

SEC("?lsm.s/file_post_open")
int BPF_PROG(hold_sleepable, struct file *file)
{
	struct bpf_page2cache_list *list = bpf_page2cache_hold(file, &extents, 0);

	if (list)
		bpf_page2cache_drop(list);
	return 0;
}

SEC("?fentry/vfs_fsync_range")
int BPF_PROG(hold_fentry, struct file *file)
{
	struct bpf_page2cache_list *list = bpf_page2cache_hold(file, &extents, 0);

	if (list)
		bpf_page2cache_drop(list);
	return 0;
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

SEC("?lsm/mmap_file")
int BPF_PROG(leaks, struct file *file)
{
	if (file)
		bpf_page2cache_hold(file, &extents, 0);
	return 0;
}

SEC("?lsm/mmap_file")
int BPF_PROG(twice, struct file *file)
{
	struct bpf_page2cache_list *list = file ? bpf_page2cache_hold(file, &extents, 0) : NULL;

	if (!list)
		return 0;
	bpf_page2cache_force(list, 0);
	bpf_page2cache_force(list, 0);
	return 0;
}

SEC("?lsm/mmap_file")
int BPF_PROG(wrong_type, struct file *file)
{
	struct bpf_page2cache_list *list =
		bpf_page2cache_hold((void *)bpf_get_current_task_btf(), &extents, 0);

	if (list)
		bpf_page2cache_drop(list);
	return 0;
}

/* A file that the kernel does not vouch for. */
SEC("?lsm/mmap_backing_file")
int BPF_PROG(walked, struct vm_area_struct *vma)
{
	struct bpf_page2cache_list *list = bpf_page2cache_hold(vma->vm_mm->exe_file, &extents, 0);

	if (list)
		bpf_page2cache_drop(list);
	return 0;
}

/* Memory for a map. */
SEC("?lsm/mmap_file")
int BPF_PROG(value_for_map, struct file *file)
{
	__u32 zero = 0;
	struct page2cache_extent *e = bpf_map_lookup_elem(&extents, &zero);
	struct bpf_page2cache_list *list = file && e ? bpf_page2cache_hold(file, e, 0) : NULL;

	if (list)
		bpf_page2cache_drop(list);
	return 0;
}
