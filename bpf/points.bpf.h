/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where the programs attach. Each event has one program for each kind of hook
 * that can serve it: a BTF tracepoint, fentry or fexit, a kprobe, a classic
 * tracepoint. The user side
 * (tools/lib/hook/hooks.c) loads one kind of each event; all of them come down to the
 * same calls of lookup.bpf.h, fault.bpf.h and late.bpf.h.
 */
#ifndef PAGE2CACHE_POINTS_BPF_H
#define PAGE2CACHE_POINTS_BPF_H

#include "fault_points.bpf.h"
#include "late.bpf.h"
#include "lookup.bpf.h"
#include "named.bpf.h"

/* Read lookups. */

/*
 * The last page of a read of filemap_get_pages(), whose second argument is the
 * number of bytes, in older kernels (6.1) the iov_iter that holds it: a kernel
 * address, which no read is as long as.
 */
static __always_inline __u64 lookup_last(__u64 pos, __u64 count_or_iter)
{
	__u64 bytes = count_or_iter;

	if ((__s64)count_or_iter < 0)
		bytes = BPF_CORE_READ((struct iov_iter *)count_or_iter, count);
	return bytes ? (pos + bytes - 1) >> PAGE_SHIFT : pos >> PAGE_SHIFT;
}

/* The last page that a lookup of index..last found: of the last folio in its batch. */
static __always_inline __u64 found_last(struct folio_batch *batch, __u64 index, __u64 last)
{
	struct folio *folio = NULL;
	__u64 end;
	__u8 nr;

	if (!batch || index == last)
		return last;
	nr = BPF_CORE_READ(batch, nr);
	if (!nr)
		return last;
	bpf_probe_read_kernel(&folio, sizeof(folio),
			      (void *)batch + bpf_core_field_offset(struct folio_batch, folios) +
				      (nr - 1) * sizeof(folio));
	end = BPF_CORE_READ(folio, index) + folio_pages(folio) - 1;
	return end < last ? end : last;
}

SEC("tp_btf/mm_filemap_get_pages")
int BPF_PROG(lookup_tp, struct address_space *mapping, unsigned long index, unsigned long last)
{
	struct inode *inode = mapping->host;
	int slot = access_slot(inode, true);

	if (slot < 0) {
		forget_sleep();
		return 0;
	}
	check_stack(ctx, WHERE_READ);
	lookup_traced(slot, (__u64)inode, index, last);
	return 0;
}

SEC("tp/filemap/mm_filemap_get_pages")
int lookup_classic(struct trace_event_raw_mm_filemap_op_page_cache_range *r)
{
	struct inode *inode;
	int slot = named_access(r->i_ino, r->s_dev, &inode);

	if (slot < 0) {
		forget_sleep();
		return 0;
	}
	check_stack(r, WHERE_READ);
	lookup_traced(slot, (__u64)inode, r->index, r->last_index);
	return 0;
}

SEC("fexit/filemap_get_pages")
int BPF_PROG(lookup_fexit, struct kiocb *iocb)
{
	struct inode *inode = iocb->ki_filp->f_mapping->host;
	int slot = access_slot(inode, true);
	__u64 pos = iocb->ki_pos, index = pos >> PAGE_SHIFT, bytes = 0, batch = 0, ret = 0;

	if (slot < 0) {
		forget_sleep();
		return 0;
	}
	bpf_get_func_arg(ctx, 1, &bytes);
	bpf_get_func_arg(ctx, 2, &batch);
	bpf_get_func_ret(ctx, &ret);
	if ((int)ret)
		lookup_fail((__u64)inode, index);
	else
		lookup_returned(slot, (__u64)inode, index,
				found_last((void *)batch, index, lookup_last(pos, bytes)));
	return 0;
}

static __always_inline void lookup_return(struct p2c_task_state *st, bool failed)
{
	struct p2c_call call = st->call;

	st->call.inode = 0;
	if (!call.inode || call.vmf)
		return;
	if (failed)
		lookup_fail(call.inode, call.first);
	else
		lookup_returned(call.slot, call.inode, call.first,
				found_last((void *)call.batch, call.first, call.last));
}

SEC("kprobe/filemap_get_pages")
int BPF_KPROBE(lookup_kprobe, struct kiocb *iocb, __u64 bytes, struct folio_batch *batch)
{
	struct inode *inode = BPF_CORE_READ(iocb, ki_filp, f_mapping, host);
	int slot = access_slot(inode, false);
	__u64 pos = BPF_CORE_READ(iocb, ki_pos);
	struct p2c_task_state *st;

	if (slot < 0) {
		forget_sleep();
		return 0;
	}
	st = state_get();
	if (!st)
		return 0;
	/*
	 * kretprobe maxactive may have dropped the return of this task's last lookup: close that
	 * lookup as a success. Its batch is no longer valid.
	 */
	st->call.batch = 0;
	lookup_return(st, false);
	st->call.inode = (__u64)inode;
	st->call.vmf = 0;
	st->call.batch = (__u64)batch;
	st->call.first = pos >> PAGE_SHIFT;
	st->call.last = lookup_last(pos, bytes);
	st->call.slot = slot;
	return 0;
}

SEC("kretprobe/filemap_get_pages")
int BPF_KRETPROBE(lookup_kretprobe, int ret)
{
	struct p2c_task_state *st = state_if_any();

	if (st)
		lookup_return(st, ret != 0);
	return 0;
}

static __always_inline void sync_readahead(struct address_space *mapping, struct inode *inode,
					   bool typed, __u64 index, struct file_ra_state *ra)
{
	int slot = access_slot(inode, typed);

	if (slot >= 0 && reads_file(mapping, ra))
		lookup_miss(slot, (__u64)inode, index);
}

SEC("tp_btf/page_cache_sync_ra")
int BPF_PROG(miss_tp, struct inode *inode, unsigned long index, struct file_ra_state *ra)
{
	sync_readahead(BPF_CORE_READ(inode, i_mapping), inode, false, index, ra);
	return 0;
}

/*
 * The record does not tell whose readahead state it is. Of a regular file, btrfs apart, it is an
 * open file's.
 */
SEC("tp/readahead/page_cache_sync_ra")
int miss_classic(struct trace_event_raw_page_cache_ra_op *r)
{
	struct inode *inode;
	int slot = named_access(r->i_ino, r->s_dev, &inode);

	if (slot >= 0 && !by_khugepaged())
		lookup_miss(slot, (__u64)inode, r->index);
	return 0;
}

SEC("fentry/page_cache_sync_ra")
int BPF_PROG(miss_fentry, struct readahead_control *ractl)
{
	sync_readahead(ractl->mapping, ractl->mapping->host, true, ractl->_index, ractl->ra);
	return 0;
}

SEC("kprobe/page_cache_sync_ra")
int BPF_KPROBE(miss_kprobe, struct readahead_control *ractl)
{
	struct address_space *mapping = BPF_CORE_READ(ractl, mapping);

	sync_readahead(mapping, BPF_CORE_READ(mapping, host), false, BPF_CORE_READ(ractl, _index),
		       BPF_CORE_READ(ractl, ra));
	return 0;
}

/* Events for which every kernel has a tracepoint. */

/*
 * A task may also leave the CPU without having slept: preempted on its way to sleep, or woken
 * before it got there. Like the kernel's count of voluntary switches, this leaves both out.
 */
SEC("tp_btf/sched_switch")
int BPF_PROG(task_sleep, bool preempt, struct task_struct *prev, struct task_struct *next,
	     unsigned int prev_state)
{
	on_leave();
	if (preempt || !prev_state || !BPF_CORE_READ_BITFIELD(prev, in_iowait))
		return 0;
	/* Not adopt(): the scheduler's lock is held, so that memory may not be asked for. */
	if ((!cfg.filter_tree || in_tree(bpf_get_current_pid_tgid())) && task_counted())
		lookup_sleep(ctx);
	return 0;
}

/*
 * Does a task that a filter leaves out put pages into this file? The tool itself is none of these.
 */
static __always_inline bool by_others(struct inode *inode)
{
	return !task_counted() && !task_is_self() && is_backed_file(inode);
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(lookup_exit)
{
	forget_lookups();
	on_exit();
	return 0;
}

SEC("tp/sched/sched_process_exit")
int lookup_exit_classic(void *record)
{
	forget_lookups();
	on_exit();
	return 0;
}

/* The slot of a file that pages are put into; -1: none, but others may be counted. */
static __always_inline int insert_slot(struct inode *inode)
{
	return file_slot(inode, false, cfg.auto_files && task_counted());
}

static __always_inline void inserted(struct inode *inode, int slot, __u64 index, __u32 nr)
{
	if (by_others(inode))
		__sync_fetch_and_add(&watch.others_inserted, nr);
	if (slot < 0)
		return;
	pages_came = true;
	count(slot, COUNT_INSERTED, nr);
	on_insert(slot, index, nr);
}

SEC("tp_btf/mm_filemap_add_to_page_cache")
int BPF_PROG(page_insert, struct folio *folio)
{
	struct inode *inode = BPF_CORE_READ(folio, mapping, host);
	int slot = insert_slot(inode);

	if (slot >= 0 || cfg.auto_files)
		inserted(inode, slot, folio->index, folio_pages(folio));
	return 0;
}

SEC("tp/filemap/mm_filemap_add_to_page_cache")
int insert_classic(struct trace_event_raw_mm_filemap_op_page_cache *r)
{
	struct inode *inode;
	int slot = named_slot(r->i_ino, r->s_dev, &inode);

	if (slot >= 0)
		inserted(inode, slot, r->index, 1U << r->order);
	return 0;
}

/* The function around that tracepoint. It may fail: only its return tells. */
SEC("kprobe/__filemap_add_folio")
int BPF_KPROBE(insert_kprobe, struct address_space *mapping, struct folio *folio,
	       unsigned long index)
{
	struct inode *inode = BPF_CORE_READ(mapping, host);
	int slot = insert_slot(inode);
	struct p2c_task_state *st;

	if (slot < 0 && !cfg.auto_files)
		return 0;
	st = state_get();
	if (!st)
		return 0;
	st->insert.inode = (__u64)inode;
	st->insert.index = index;
	st->insert.nr = folio_pages(folio);
	st->insert.slot = slot;
	return 0;
}

SEC("kretprobe/__filemap_add_folio")
int BPF_KRETPROBE(insert_kretprobe, int ret)
{
	struct p2c_task_state *st = state_if_any();
	struct p2c_insert insert;

	if (!st || !st->insert.inode)
		return 0;
	insert = st->insert;
	st->insert.inode = 0;
	if (!ret)
		inserted((struct inode *)insert.inode, insert.slot, insert.index, insert.nr);
	return 0;
}

SEC("tp_btf/mm_filemap_delete_from_page_cache")
int BPF_PROG(page_remove, struct folio *folio)
{
	struct inode *inode = BPF_CORE_READ(folio, mapping, host);
	int slot = file_slot(inode, false, false);
	__u32 nr;

	if (slot < 0)
		return 0;
	nr = folio_pages(folio);
	count(slot, COUNT_REMOVED, nr);
	on_remove(slot, folio->index, nr);
	return 0;
}

#endif
