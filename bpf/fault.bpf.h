/* SPDX-License-Identifier: GPL-2.0-only */
/* Turns the kernel's events into mmap accesses. */
#ifndef PAGE2CACHE_FAULT_BPF_H
#define PAGE2CACHE_FAULT_BPF_H

#include "lookup.bpf.h"

/* An exception for a page that is there (a write to a read-only one) looks nothing up. */
static __always_inline void begin_fault(__u64 address, __u64 error_code,
					enum p2c_fault_origin origin)
{
	struct p2c_task_state *st;

	if (!task_counted())
		return;
	st = state_get();
	if (!st)
		return;
	st->address = address;
	st->neighbour = 0;
	st->origin = error_code & X86_PF_PROT ? ORIGIN_TAKEN : origin;
}

/*
 * Is this the first visit of a page fault? Later ones are retries, or the
 * kernel faulting pages in on somebody's behalf (KVM, MADV_POPULATE, O_DIRECT
 * buffers), which raises no exception. The latter can also come after an
 * exception that had nothing to do with a watched file: then the task is in a
 * system call by now.
 */
static __always_inline bool take_fault(struct p2c_task_state *st)
{
	__u8 origin = st->origin;

	st->origin = ORIGIN_TAKEN;
	return origin == ORIGIN_UNKNOWN || origin == ORIGIN_KERNEL ||
	       (origin == ORIGIN_USER && !in_syscall());
}

static __always_inline void take_around(struct p2c_task_state *st, __u64 inode, __u32 slot)
{
	count(slot, COUNT_AROUND, 1);
	st->phase = FAULT_AROUND;
	st->inode = inode;
}

static __always_inline void fault_data(struct p2c_task_state *st)
{
	if (st->phase != FAULT_MISS || !st->ts)
		return;
	on_data(st->slot, st->index, bpf_ktime_get_ns() - st->ts);
	st->ts = 0;
}

/*
 * Which pages a fault maps beyond its own. Where the folio lies in the mapping,
 * within one page table, Linux 6.18 maps all of it (mm/memory.c, finish_fault();
 * mm/filemap.c, filemap_map_pages()); older kernels do so only if it is as large
 * as a page table. That is learned by looking: a fault that maps a page raises
 * the map count of its neighbour in the folio, too, or does not.
 */
bool maps_folios = false;

static __always_inline bool folio_is_mapped(struct address_space *mapping, __u64 index,
					    struct vm_area_struct *vma, __u64 *first, __u64 *last)
{
	struct folio *folio = page_folio_at(mapping, index);
	__u64 start = BPF_CORE_READ(vma, vm_start), pgoff = BPF_CORE_READ(vma, vm_pgoff);
	__u64 pages = (BPF_CORE_READ(vma, vm_end) - start) >> PAGE_SHIFT, from;
	__u32 nr;

	if (!folio)
		return false;
	nr = folio_pages(folio);
	if (nr == 1 || (nr != PMD_FOLIO_PAGES && !maps_folios))
		return false;
	*first = BPF_CORE_READ(folio, index);
	*last = *first + nr - 1;
	if (*first < pgoff || *last >= pgoff + pages)
		return false;
	from = (start >> PAGE_SHIFT) + *first - pgoff;
	return from / PMD_FOLIO_PAGES == (from + nr - 1) / PMD_FOLIO_PAGES;
}

/* The map count of a page; it begins at -1, and stays there on a kernel that has none. */
static __always_inline int map_count(__u64 page)
{
	if (!bpf_core_field_exists(((struct page *)page)->_mapcount))
		return -1;
	return BPF_CORE_READ((struct page *)page, _mapcount.counter);
}

/* Before a fault maps the page at an index: remember its neighbour in a large folio. */
static __always_inline void note_neighbour(struct p2c_task_state *st, struct address_space *mapping,
					   __u64 index)
{
	struct folio *folio = page_folio_at(mapping, index);
	__u64 at;

	if (!folio || folio_pages(folio) == 1)
		return;
	at = index - BPF_CORE_READ(folio, index);
	at = at ? at - 1 : at + 1;
	st->neighbour = (__u64)folio + at * bpf_core_type_size(struct page);
	st->neighbour_count = map_count(st->neighbour);
}

/* filemap_fault() for a page within the file. */
static __always_inline void fault_visit(__u32 slot, struct address_space *mapping, __u64 inode,
					__u64 index)
{
	struct p2c_task_state *st = state_get();
	bool first, present;

	/* Do not count a visit that may be one of several for the same fault. */
	if (!st)
		return;
	first = take_fault(st);
	if (!first && st->inode == inode) {
		if (st->phase == FAULT_AROUND) {
			count(slot, COUNT_AROUND_REDONE, 1);
			first = true;
		} else if (st->phase != FAULT_NONE && st->index == index) {
			fault_data(st);
			note_neighbour(st, mapping, index);
			return;
		}
	}
	present = page_folio_at(mapping, index) != NULL;
	if (!present)
		count(slot, COUNT_MMAP_MISSES, 1);
	else if (first)
		count(slot, COUNT_MMAP_HITS, 1);
	else
		return;
	st->phase = present ? FAULT_HIT : FAULT_MISS;
	st->inode = inode;
	st->index = index;
	st->slot = slot;
	st->ts = present ? 0 : bpf_ktime_get_ns();
	st->readahead = 0;
	if (present)
		note_neighbour(st, mapping, index);
	else
		on_miss(slot, index, true);
	on_fault(slot, index, present ? HOW_HIT : HOW_MISS);
}

/*
 * filemap_map_pages() over a range. RESOLVED: the fault's own page is mapped
 * now; a tracepoint cannot tell, and where it was not filemap_fault() follows.
 */
static __always_inline void fault_around(__u32 slot, __u64 inode, __u64 first, __u64 last,
					 bool resolved)
{
	struct p2c_task_state *st;

	if (resolved) {
		st = state_get();
		if (st && take_fault(st))
			take_around(st, inode, slot);
		else if (st)
			fault_data(st);
	}
	on_around(slot, inode, first, last, resolved);
}

#endif
