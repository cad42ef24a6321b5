// SPDX-License-Identifier: GPL-2.0-only
/* Programs that the kernel has to take or to refuse, and calls that it has to refuse. */
#include "compat.bpf.h"
#include "shared.h"

char LICENSE[] SEC("license") = "GPL";

#define LISTS (PAGE2CACHE_LISTS + 1)

#define EXTENTS(name, size, entries, flags)       \
	struct {                                  \
		__uint(type, BPF_MAP_TYPE_ARRAY); \
		__uint(map_flags, flags);         \
		__uint(max_entries, entries);     \
		__uint(key_size, sizeof(__u32));  \
		__uint(value_size, size);         \
	} name SEC(".maps")

EXTENTS(good, sizeof(struct page2cache_extent), 16, BPF_F_MMAPABLE);
EXTENTS(heads, sizeof(struct page2cache_extent), LISTS *PAGE2CACHE_HEAD, BPF_F_MMAPABLE);
EXTENTS(not_mmapable, sizeof(struct page2cache_extent), 16, 0);
EXTENTS(odd_values, 2 * sizeof(struct page2cache_extent), 16, BPF_F_MMAPABLE);
EXTENTS(too_few, sizeof(struct page2cache_extent), PAGE2CACHE_HEAD - 1, BPF_F_MMAPABLE);
EXTENTS(read_only, sizeof(struct page2cache_extent), 16, BPF_F_MMAPABLE | BPF_F_RDONLY_PROG);
EXTENTS(frozen, sizeof(struct page2cache_extent), 16, BPF_F_MMAPABLE);

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, struct page2cache_extent);
} hash SEC(".maps");

/* By this name: clang 14 forgets what is said of pointers to structs within structs. */
typedef struct task_struct kernel_task;

/* As large as an extent. The kernel must not write a list's counters over a pointer. */
struct with_kptr {
	__u64 index;
	kernel_task __kptr *task;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, struct with_kptr);
} kptrs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} progs SEC(".maps");

static long (*bpf_force_page2cache)(void *ctx, void *map, __u64 first,
				    __u64 flags) = (void *)HELPER_PLACEHOLDER;

__u32 tgid = 0; /* whose misses count */
__u64 fires = 0;
long result_not_mmapable = 1, result_odd_values = 1, result_too_few = 1, result_first = 1;
long result_hash = 1, result_flags = 1, result_read_only = 1, result_frozen = 1, result = 1;
long result_kptrs = 1, result_again = 1, result_reset = 1, result_lists = 1, result_more = 1;

static bool ours(void)
{
	return bpf_get_current_pid_tgid() >> 32 == tgid;
}

SEC("?fentry.s/filemap_miss")
int BPF_PROG(at_miss, struct filemap_miss *miss)
{
	bpf_force_page2cache(ctx, &good, 0, 0);
	return 0;
}

/* At its end as well: both are given the arguments. */
SEC("?fexit.s/filemap_miss")
int BPF_PROG(after_miss, struct filemap_miss *miss)
{
	bpf_force_page2cache(ctx, &good, 0, 0);
	return 0;
}

/* How often the hook is called, and that it may touch user memory there. */
SEC("?fentry.s/filemap_miss")
int BPF_PROG(count_miss, struct filemap_miss *miss)
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

__u64 ino = 0;		/* of the file whose misses count, whoever has them */
__u64 user_address = 0; /* read there, which may sleep for as long as user space likes */
__u64 calls = 0;

SEC("?fentry.s/filemap_miss")
int BPF_PROG(count_calls, struct filemap_miss *miss)
{
	char byte;

	if (miss->file->f_inode->i_ino != ino)
		return 0;
	__sync_fetch_and_add(&calls, 1);
	if (user_address)
		bpf_copy_from_user(&byte, 1, (void *)user_address);
	return 0;
}

static long spin(__u32 i, void *end)
{
	return bpf_ktime_get_ns() > *(__u64 *)end;
}

/*
 * A busy CPU: whoever misses a page of the file goes on only after some time, which is longer than
 * the kernel waits for it before it starts with a list.
 */
SEC("?fexit.s/filemap_miss")
int BPF_PROG(slow_miss, struct filemap_miss *miss)
{
	__u64 end = bpf_ktime_get_ns() + 40000000;

	if (miss->file->f_inode->i_ino == ino)
		bpf_loop(1 << 23, spin, &end, 0);
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

static __always_inline void call_wrongly(void *ctx)
{
	result_not_mmapable = bpf_force_page2cache(ctx, &not_mmapable, 0, 0);
	result_hash = bpf_force_page2cache(ctx, &hash, 0, 0);
	result_odd_values = bpf_force_page2cache(ctx, &odd_values, 0, 0);
	result_too_few = bpf_force_page2cache(ctx, &too_few, 0, 0);
	result_read_only = bpf_force_page2cache(ctx, &read_only, 0, 0);
	result_frozen = bpf_force_page2cache(ctx, &frozen, 0, 0);
	result_first = bpf_force_page2cache(ctx, &good, 16, 0);
	result_flags = bpf_force_page2cache(ctx, &good, 0, 1);
}

/* The first miss of the process calls for it in every way. */
SEC("?fentry.s/filemap_miss")
int BPF_PROG(call_all, struct filemap_miss *miss)
{
	__u32 state = 1; /* the third word of the head lies there */
	struct page2cache_extent *e;
	int i; /* the verifier follows the loop */

	if (!ours() || __sync_fetch_and_add(&fires, 1))
		return 0;
	call_wrongly(ctx);
	result = bpf_force_page2cache(ctx, &good, 0, 0);
	result_again = bpf_force_page2cache(ctx, &good, 0, 0);
	/* As if it had ended; the worker cannot have begun. */
	e = bpf_map_lookup_elem(&good, &state);
	if (e)
		e->index = PAGE2CACHE_IDLE;
	result_reset = bpf_force_page2cache(ctx, &good, 0, 0);
	result_lists = 0;
	for (i = 0; i < LISTS; i++) {
		long err = bpf_force_page2cache(ctx, &heads, i * PAGE2CACHE_HEAD, 0);

		if (i < PAGE2CACHE_LISTS)
			result_lists += err;
		else
			result_more = err;
	}
	return 0;
}

__u64 first = 0; /* element of `good` where the list begins */

SEC("?fentry.s/filemap_miss")
int BPF_PROG(call_far, struct filemap_miss *miss)
{
	if (ours() && !__sync_fetch_and_add(&fires, 1))
		result = bpf_force_page2cache(ctx, &good, first, 0);
	return 0;
}

/*
 * Apart, as it does not load if the map's values hold a number in place of the pointer: then
 * the verifier lets nobody look at a task through it.
 */
SEC("?fentry.s/filemap_miss")
int BPF_PROG(call_kptrs, struct filemap_miss *miss)
{
	__u32 zero = 0;
	struct with_kptr *v = bpf_map_lookup_elem(&kptrs, &zero);

	if (!ours())
		return 0;
	if (v && v->task)
		tgid = ((struct task_struct *)v->task)->tgid;
	result_kptrs = bpf_force_page2cache(ctx, &kptrs, 0, 0);
	return 0;
}

SEC("?fentry/filemap_miss")
int BPF_PROG(not_sleepable, struct filemap_miss *miss)
{
	bpf_force_page2cache(ctx, &good, 0, 0);
	return 0;
}

/* It may not sleep, and so may nothing that it calls. */
SEC("?fentry/filemap_miss")
int BPF_PROG(tail_call, struct filemap_miss *miss)
{
	if (ours())
		bpf_tail_call(ctx, &progs, 0);
	return 0;
}

/* Nobody holds a file that a program has walked to, be it the right one. */
SEC("?fentry.s/filemap_miss")
int BPF_PROG(walked_file, struct filemap_miss *miss)
{
	bpf_force_page2cache(miss->file, &good, 0, 0);
	return 0;
}

SEC("?fentry.s/filemap_miss")
int BPF_PROG(own_arguments, struct filemap_miss *miss)
{
	__u64 args[1] = { (__u64)miss };

	bpf_force_page2cache(args, &good, 0, 0);
	return 0;
}

SEC("?fentry.s/filemap_miss")
int BPF_PROG(moved_context, struct filemap_miss *miss)
{
	bpf_force_page2cache(ctx + 8, &good, 0, 0);
	return 0;
}

SEC("?lsm.s/file_open")
int BPF_PROG(at_open, struct file *file)
{
	bpf_force_page2cache(ctx, &good, 0, 0);
	return 0;
}

SEC("?lsm.s/file_post_open")
int BPF_PROG(after_open, struct file *file)
{
	bpf_force_page2cache(ctx, &good, 0, 0);
	return 0;
}

SEC("?lsm.s/mmap_file")
int BPF_PROG(at_mmap, struct file *file)
{
	bpf_force_page2cache(ctx, &good, 0, 0);
	return 0;
}

SEC("?tp_btf/sched_switch")
int BPF_PROG(other_type_tracepoint)
{
	bpf_force_page2cache(ctx, &good, 0, 0);
	return 0;
}

SEC("?syscall")
int other_type_syscall(void *ctx)
{
	bpf_force_page2cache(ctx, &good, 0, 0);
	return 0;
}

SEC("?kprobe/filemap_fault")
int other_type_kprobe(void *ctx)
{
	bpf_force_page2cache(ctx, &good, 0, 0);
	return 0;
}
