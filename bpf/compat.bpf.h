/* SPDX-License-Identifier: GPL-2.0-only */
/* Differences between kernels, and how CO-RE tells them apart. */
#ifndef PAGE2CACHE_COMPAT_BPF_H
#define PAGE2CACHE_COMPAT_BPF_H

#include "kernel.bpf.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

/* Task flags, include/linux/sched.h: macros, so not in BTF. */
#define PF_KTHREAD	 0x00200000
#define PF_IO_WORKER	 0x00000010
#define PF_MEMALLOC_NOIO 0x00080000
#define PF_EXITING	 0x00000004
/* arch/x86/include/asm/trap_pf.h: the page was present. */
#define X86_PF_PROT 1

/*
 * A field of a kernel object. Programs on BTF tracepoints and fentry are given
 * objects with their types (TYPED) and can read them as C does, which is
 * quickest; a kprobe has only addresses. But where a program follows a pointer
 * in an object that it was given, the verifier (since Linux 6.4) looks four
 * names up among all types of the kernel, 1 ms each time. Only the program that
 * runs for every read is worth that; others read by address as well. TYPED is a
 * constant wherever this is expanded.
 */
#define FIELD(typed, ptr, field) ((typed) ? (ptr)->field : BPF_CORE_READ(ptr, field))

/* include/linux/mm_types.h: fault-around mapped the page that the fault was about. */
#define FAULT_NOPAGE bpf_core_enum_value(enum vm_fault_reason, VM_FAULT_NOPAGE)

/* The first of an enum without a name, include/linux/mm_types_task.h. */
#define MM_FILEPAGES 0

#define PAGE_SHIFT	12
#define PMD_FOLIO_PAGES 512

/* Before Linux 6.6 (commit ebc1baf5c9b46) a folio's order had a field of its own. */
struct folio___6_5 {
	unsigned char _folio_order;
} __attribute__((preserve_access_index));

struct folio___6_6 {
	unsigned long _flags_1;
} __attribute__((preserve_access_index));

/* In 6.18 folio.flags became a struct of one word (commit 53fbef56e07d). */
struct folio___6_17 {
	unsigned long flags;
} __attribute__((preserve_access_index));

struct folio___6_18 {
	struct {
		unsigned long f;
	} flags;
} __attribute__((preserve_access_index));

static __always_inline unsigned long folio_flags(struct folio *folio)
{
	if (bpf_core_field_exists(((struct folio___6_17 *)0)->flags))
		return BPF_CORE_READ((struct folio___6_17 *)folio, flags);
	return BPF_CORE_READ((struct folio___6_18 *)folio, flags.f);
}

static __always_inline __u32 folio_pages(struct folio *folio)
{
	unsigned long flags = folio_flags(folio), order = 0;

	if (!(flags & (1UL << bpf_core_enum_value(enum pageflags, PG_head))))
		return 1;
	if (bpf_core_field_exists(((struct folio___6_5 *)0)->_folio_order))
		order = BPF_CORE_READ((struct folio___6_5 *)folio, _folio_order);
	else
		order = BPF_CORE_READ((struct folio___6_6 *)folio, _flags_1) & 0xff;
	return 1U << (order & 31);
}

/* Before Linux 7 the union that holds a dentry's place among its inode's names had a name. */
struct dentry___6 {
	union {
		struct hlist_node d_alias;
	} d_u;
} __attribute__((preserve_access_index));

static __always_inline struct dentry *dentry_of_alias(struct hlist_node *alias)
{
	if (bpf_core_field_exists(((struct dentry___6 *)0)->d_u))
		return (void *)alias - bpf_core_field_offset(struct dentry___6, d_u.d_alias);
	return (void *)alias - bpf_core_field_offset(struct dentry, d_alias);
}

/* lib/xarray.c: entries are tagged in their low two bits. */
#define XA_CHUNK_SHIFT 6
#define XA_CHUNK_SIZE  (1UL << XA_CHUNK_SHIFT)
#define XA_MAX_LEVELS  11

static __always_inline bool xa_entry_is_node(unsigned long entry)
{
	return (entry & 3) == 2 && entry > 4096;
}

/*
 * The folio at INDEX in the page cache of a struct address_space, 0 if there is
 * none. The walk of xa_load(), under the RCU read lock that a tracepoint program
 * holds. Shadow entries of evicted pages are values, not folios. A global
 * function of numbers: the verifier sees its loop once, not once a call.
 */
__noinline __u64 folio_at(__u64 address, __u64 index)
{
	struct address_space *mapping = (struct address_space *)address;
	unsigned long entry = (unsigned long)BPF_CORE_READ(mapping, i_pages.xa_head);
	int level;

	/* A tree of one entry holds index 0 only. */
	if (index && !xa_entry_is_node(entry))
		return 0;
	for (level = 0; level < XA_MAX_LEVELS && xa_entry_is_node(entry); level++) {
		struct xa_node *node = (struct xa_node *)(entry - 2);
		__u8 shift = BPF_CORE_READ(node, shift);
		unsigned long offset = index >> (shift & 63);

		if (level == 0 && offset >= XA_CHUNK_SIZE)
			return 0;
		offset &= XA_CHUNK_SIZE - 1;
		bpf_probe_read_kernel(&entry, sizeof(entry), &node->slots[offset]);
		if ((entry & 3) == 2 && entry < (XA_CHUNK_SIZE << 2)) {
			/* A sibling: the folio's entry is in the slot it names. */
			offset = entry >> 2;
			bpf_probe_read_kernel(&entry, sizeof(entry),
					      &node->slots[offset & (XA_CHUNK_SIZE - 1)]);
		}
		if (!shift)
			break;
	}
	return entry & 3 ? 0 : entry;
}

static __always_inline struct folio *page_folio_at(struct address_space *mapping, __u64 index)
{
	__u64 address;

	/* Where MAPPING has a type, the verifier does not take it for a number: read, it is one. */
	bpf_probe_read_kernel(&address, sizeof(address), &mapping);
	return (struct folio *)folio_at(address, index);
}

/* The registers that a task entered the kernel with. */
static __always_inline struct pt_regs *entry_regs(void)
{
	return (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
}

/* The system call that they are of; an exception that was raised in user mode has none: negative. */
static __always_inline long syscall_number(struct pt_regs *regs)
{
#if defined(__TARGET_ARCH_x86)
	return regs->orig_ax;
#elif defined(__TARGET_ARCH_arm64)
	return regs->syscallno;
#endif
}

/* Does the task run inside a system call? */
static __always_inline bool in_syscall(void)
{
	return syscall_number(entry_regs()) >= 0;
}

#endif
