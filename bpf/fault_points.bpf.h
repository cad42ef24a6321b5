/* SPDX-License-Identifier: GPL-2.0-only */
/* The programs that see page faults, and where they attach; a part of points.bpf.h. */
#ifndef PAGE2CACHE_FAULT_POINTS_BPF_H
#define PAGE2CACHE_FAULT_POINTS_BPF_H

#include "fault.bpf.h"
#include "late.bpf.h"
#include "named.bpf.h"

/* x86 alone has the tracepoints that say where one begins. */

SEC("tp_btf/page_fault_user")
int BPF_PROG(begin_user, unsigned long address, struct pt_regs *regs, unsigned long error_code)
{
	begin_fault(address, error_code, ORIGIN_USER);
	return 0;
}

SEC("tp_btf/page_fault_kernel")
int BPF_PROG(begin_kernel, unsigned long address, struct pt_regs *regs, unsigned long error_code)
{
	begin_fault(address, error_code, ORIGIN_KERNEL);
	return 0;
}

/* The record: its fields follow eight bytes that all records have. */
struct p2c_page_fault {
	__u64 entry;
	unsigned long address, ip, error_code;
};

SEC("tp/exceptions/page_fault_user")
int begin_user_classic(struct p2c_page_fault *fault)
{
	begin_fault(fault->address, fault->error_code, ORIGIN_USER);
	return 0;
}

SEC("tp/exceptions/page_fault_kernel")
int begin_kernel_classic(struct p2c_page_fault *fault)
{
	begin_fault(fault->address, fault->error_code, ORIGIN_KERNEL);
	return 0;
}

SEC("tp_btf/mm_filemap_fault")
int BPF_PROG(fault_tp, struct address_space *mapping, unsigned long index)
{
	struct inode *inode = BPF_CORE_READ(mapping, host);
	int slot = access_slot(inode, false);

	if (slot < 0)
		return 0;
	check_stack(ctx, WHERE_FAULT);
	fault_visit(slot, mapping, (__u64)inode, index);
	return 0;
}

SEC("tp/filemap/mm_filemap_fault")
int fault_classic(struct trace_event_raw_mm_filemap_fault *r)
{
	struct inode *inode;
	int slot = named_access(r->i_ino, r->s_dev, &inode);

	if (slot < 0)
		return 0;
	check_stack(r, WHERE_FAULT);
	fault_visit(slot, BPF_CORE_READ(inode, i_mapping), (__u64)inode, r->index);
	return 0;
}

/* At function entry faults beyond EOF, which end in SIGBUS, are not filtered yet: do it here. */
static __always_inline void fault_enter(struct address_space *mapping, struct inode *inode,
					bool typed, __u64 index)
{
	int slot = access_slot(inode, typed);
	__u64 size = FIELD(typed, inode, i_size);

	if (slot >= 0 && index < (size + (1 << PAGE_SHIFT) - 1) >> PAGE_SHIFT)
		fault_visit(slot, mapping, (__u64)inode, index);
}

SEC("fentry/filemap_fault")
int BPF_PROG(fault_fentry, struct vm_fault *vmf)
{
	struct address_space *mapping = vmf->vma->vm_file->f_mapping;

	fault_enter(mapping, mapping->host, true, vmf->pgoff);
	return 0;
}

SEC("kprobe/filemap_fault")
int BPF_KPROBE(fault_kprobe, struct vm_fault *vmf)
{
	struct address_space *mapping = BPF_CORE_READ(vmf, vma, vm_file, f_mapping);

	fault_enter(mapping, BPF_CORE_READ(mapping, host), false, BPF_CORE_READ(vmf, pgoff));
	return 0;
}

SEC("tp_btf/mm_filemap_map_pages")
int BPF_PROG(around_tp, struct address_space *mapping, unsigned long first, unsigned long last)
{
	struct inode *inode = BPF_CORE_READ(mapping, host);
	int slot = access_slot(inode, false);

	if (slot >= 0)
		fault_around(slot, (__u64)inode, first, last, true);
	return 0;
}

SEC("tp/filemap/mm_filemap_map_pages")
int around_classic(struct trace_event_raw_mm_filemap_op_page_cache_range *r)
{
	struct inode *inode;
	int slot = named_access(r->i_ino, r->s_dev, &inode);

	if (slot >= 0)
		fault_around(slot, (__u64)inode, r->index, r->last_index, true);
	return 0;
}

/*
 * A process got more pages of files. That is all that tells what a fault mapped
 * beyond its own page, and all that shows of fault-around which maps a PMD-sized
 * folio: it leaves filemap_map_pages() before its tracepoint. Of which file, the
 * address of the fault tells. The ordinary kind of fault-around comes by here too.
 */
static long mapped_vma(struct task_struct *task, struct vm_area_struct *vma, void *data)
{
	struct p2c_task_state *st = state_if_any();
	struct file *file = BPF_CORE_READ(vma, vm_file);
	struct address_space *mapping;
	__u64 index, first, last;
	struct inode *inode;
	int slot;

	if (!st || !file)
		return 0;
	mapping = BPF_CORE_READ(file, f_mapping);
	inode = BPF_CORE_READ(mapping, host);
	slot = count_slot(file_slot(inode, false, true));
	if (slot < 0)
		return 0;
	if (*(bool *)data) {
		take_fault(st);
		take_around(st, (__u64)inode, slot);
	}
	index = vma->vm_pgoff + ((st->address - vma->vm_start) >> PAGE_SHIFT);
	if (folio_is_mapped(mapping, index, vma, &first, &last))
		on_around(slot, (__u64)inode, first, last, *(bool *)data);
	return 0;
}

static __always_inline void more_mapped(int member)
{
	struct p2c_task_state *st;
	bool around;

	if (member != MM_FILEPAGES)
		return;
	st = state_if_any();
	if (!st)
		return;
	around = cfg.around_hidden &&
		 (st->origin == ORIGIN_KERNEL || (st->origin == ORIGIN_USER && !in_syscall()));
	if (!around && !st->neighbour)
		return;
	if (st->neighbour && map_count(st->neighbour) > st->neighbour_count)
		maps_folios = true;
	st->neighbour = 0;
	bpf_find_vma(bpf_get_current_task_btf(), st->address, mapped_vma, &around, 0);
}

SEC("tp_btf/rss_stat")
int BPF_PROG(mapped_rss, struct mm_struct *mm, int member)
{
	more_mapped(member);
	return 0;
}

/* The function around that tracepoint, which adds up the counters of all CPUs for its record. */
SEC("kprobe/mm_trace_rss_stat")
int BPF_KPROBE(mapped_kprobe, struct mm_struct *mm, int member)
{
	more_mapped(member);
	return 0;
}

/* The range that was mapped: that asked for, as far as the file goes, or all of a huge folio. */
static __always_inline void around_exit(struct vm_fault *vmf, struct address_space *mapping,
					struct inode *inode, bool typed, int slot, __u64 first,
					__u64 last, __u64 ret)
{
	struct vm_area_struct *vma = FIELD(typed, vmf, vma);
	__u64 end = (FIELD(typed, inode, i_size) + (1 << PAGE_SHIFT) - 1) >> PAGE_SHIFT;
	__u64 from, to;
	bool resolved = ret & FAULT_NOPAGE;

	if (last >= end)
		last = end - 1;
	if (resolved && folio_is_mapped(mapping, FIELD(typed, vmf, pgoff), vma, &from, &to)) {
		first = from < first ? from : first;
		last = to > last ? to : last;
	}
	if (end && first <= last)
		fault_around(slot, (__u64)inode, first, last, resolved);
}

SEC("fexit/filemap_map_pages")
int BPF_PROG(around_fexit, struct vm_fault *vmf, unsigned long first, unsigned long last)
{
	struct address_space *mapping = vmf->vma->vm_file->f_mapping;
	int slot = access_slot(mapping->host, true);
	__u64 ret = 0;

	if (slot < 0)
		return 0;
	/*
	 * Read the field by its name: it follows the arguments, of which another kernel may have
	 * more.
	 */
	if (!bpf_get_func_ret(ctx, &ret))
		around_exit(vmf, mapping, mapping->host, true, slot, first, last, ret);
	return 0;
}

SEC("kprobe/filemap_map_pages")
int BPF_KPROBE(around_kprobe, struct vm_fault *vmf, unsigned long first, unsigned long last)
{
	struct inode *inode = BPF_CORE_READ(vmf, vma, vm_file, f_mapping, host);
	int slot = access_slot(inode, false);
	struct p2c_task_state *st;

	if (slot < 0)
		return 0;
	st = state_get();
	if (!st)
		return 0;
	st->call.inode = (__u64)inode;
	st->call.vmf = (__u64)vmf;
	st->call.first = first;
	st->call.last = last;
	st->call.slot = slot;
	return 0;
}

SEC("kretprobe/filemap_map_pages")
int BPF_KRETPROBE(around_kretprobe, unsigned int ret)
{
	struct p2c_task_state *st = state_if_any();
	struct address_space *mapping;
	struct vm_fault *vmf;

	if (!st || !st->call.inode || !st->call.vmf)
		return 0;
	st->call.inode = 0;
	vmf = (struct vm_fault *)st->call.vmf;
	mapping = BPF_CORE_READ(vmf, vma, vm_file, f_mapping);
	around_exit(vmf, mapping, BPF_CORE_READ(mapping, host), false, st->call.slot,
		    st->call.first, st->call.last, ret);
	return 0;
}

#endif
