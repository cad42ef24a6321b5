// SPDX-License-Identifier: GPL-2.0-only
/* Programs that the kernel has to take or to refuse, and calls that it has to refuse. */
#include "compat.bpf.h"
#include "shared.h"

char LICENSE[] SEC("license") = "GPL";

#define EXTENTS(name, size, entries, flags)       \
	struct {                                  \
		__uint(type, BPF_MAP_TYPE_ARRAY); \
		__uint(map_flags, flags);         \
		__uint(max_entries, entries);     \
		__uint(key_size, sizeof(__u32));  \
		__uint(value_size, size);         \
	} name SEC(".maps")

EXTENTS(good, sizeof(struct page2cache_extent), 16, BPF_F_MMAPABLE);
EXTENTS(not_mmapable, sizeof(struct page2cache_extent), 16, 0);
EXTENTS(odd_values, 2 * sizeof(struct page2cache_extent), 16, BPF_F_MMAPABLE);
EXTENTS(too_few, sizeof(struct page2cache_extent), PAGE2CACHE_HEAD - 1, BPF_F_MMAPABLE);

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, struct page2cache_extent);
} hash SEC(".maps");

static long (*bpf_force_page2cache)(const void *file, void *map, __u64 first, __u64 index,
				    __u64 flags) = (void *)HELPER_PLACEHOLDER;

__u32 tgid = 0; /* whose mmap(2) counts */
__u64 fires = 0;
long result_not_mmapable = 1, result_odd_values = 1, result_too_few = 1, result_first = 1;
long result_hash = 1, result_flags = 1, result = 1;

static bool ours(void)
{
	return bpf_get_current_pid_tgid() >> 32 == tgid;
}

SEC("?fentry.s/filemap_miss")
int BPF_PROG(at_miss, struct file *file, unsigned long index)
{
	bpf_force_page2cache(file, &good, 0, index, 0);
	return 0;
}

SEC("?lsm.s/file_post_open")
int BPF_PROG(at_open, struct file *file)
{
	bpf_force_page2cache(file, &good, 0, -1, 0);
	return 0;
}

/* How often the hook is called, and that it may touch user memory there. */
SEC("?fentry.s/filemap_miss")
int BPF_PROG(count_miss, struct file *file, unsigned long index)
{
	char byte;

	if (!ours())
		return 0;
	__sync_fetch_and_add(&fires, 1);
	bpf_copy_from_user(
		&byte, 1,
		(void *)PT_REGS_SP((struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf())));
	return 0;
}

__u32 lock = 0; /* the fault under way came in with: 1 mmap_lock, 2 a VMA lock */

SEC("?fentry/filemap_fault")
int BPF_PROG(note_lock, struct vm_fault *vmf)
{
	unsigned long vma_lock = 0;

	if (!ours())
		return 0;
	/* Locks of single mappings came in 6.4. */
	if (bpf_core_enum_value_exists(enum fault_flag, FAULT_FLAG_VMA_LOCK))
		vma_lock = bpf_core_enum_value(enum fault_flag, FAULT_FLAG_VMA_LOCK);
	lock = vmf->flags & vma_lock ? 2 : 1;
	return 0;
}

/* Mapping a file calls for it in every way. */
SEC("?lsm.s/mmap_file")
int BPF_PROG(at_mmap, struct file *file)
{
	if (!ours() || !file)
		return 0;
	result_not_mmapable = bpf_force_page2cache(file, &not_mmapable, 0, -1, 0);
	result_hash = bpf_force_page2cache(file, &hash, 0, -1, 0);
	result_odd_values = bpf_force_page2cache(file, &odd_values, 0, -1, 0);
	result_too_few = bpf_force_page2cache(file, &too_few, 0, -1, 0);
	result_first = bpf_force_page2cache(file, &good, 16, -1, 0);
	result_flags = bpf_force_page2cache(file, &good, 0, -1, 1);
	result = bpf_force_page2cache(file, &good, 0, -1, 0);
	return 0;
}

SEC("?fentry/filemap_miss")
int BPF_PROG(not_sleepable, struct file *file, unsigned long index)
{
	bpf_force_page2cache(file, &good, 0, index, 0);
	return 0;
}

SEC("?fentry.s/filemap_miss")
int BPF_PROG(wrong_type, struct file *file, unsigned long index)
{
	bpf_force_page2cache(bpf_get_current_task_btf(), &good, 0, index, 0);
	return 0;
}

SEC("?fentry.s/filemap_miss")
int BPF_PROG(number_for_file, struct file *file, unsigned long index)
{
	bpf_force_page2cache((void *)index, &good, 0, index, 0);
	return 0;
}

SEC("?lsm.s/file_open")
int BPF_PROG(other_hook, struct file *file)
{
	bpf_force_page2cache(file, &good, 0, -1, 0);
	return 0;
}

SEC("?lsm/mmap_file")
int BPF_PROG(lsm_not_sleepable, struct file *file)
{
	if (file)
		bpf_force_page2cache(file, &good, 0, -1, 0);
	return 0;
}

SEC("?tp_btf/sched_switch")
int BPF_PROG(other_type_tracepoint)
{
	bpf_force_page2cache(NULL, &good, 0, -1, 0);
	return 0;
}

SEC("?syscall")
int other_type_syscall(void *ctx)
{
	bpf_force_page2cache(NULL, &good, 0, -1, 0);
	return 0;
}

SEC("?kprobe/filemap_fault")
int other_type_kprobe(void *ctx)
{
	bpf_force_page2cache(NULL, &good, 0, -1, 0);
	return 0;
}
