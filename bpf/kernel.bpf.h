/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The types of the kernel that the programs use: of each only the fields that they read. Where a
 * field is in the running kernel, libbpf finds out when it loads a program (CO-RE), so neither
 * order nor size matters here, and a build needs no kernel's BTF. Names are those of Linux 6.18;
 * what other kernels call differently is in compat.bpf.h.
 */
#ifndef PAGE2CACHE_KERNEL_BPF_H
#define PAGE2CACHE_KERNEL_BPF_H

#include <stdbool.h>
#include <linux/bpf.h>

/* So that bpf_tracing.h takes the registers' names from the kernel's struct pt_regs. */
#define __VMLINUX_H__

typedef __u32 u32;
typedef __u64 u64;
typedef __u32 dev_t;
typedef int pid_t;
typedef long long loff_t;
typedef unsigned long size_t;
typedef unsigned short umode_t;

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct address_space;
struct dentry;
struct file;
struct inode;
struct mm_struct;
struct seq_file;
struct super_block;
struct vm_area_struct;

typedef struct {
	int counter;
} atomic_t;

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8;
	unsigned long ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
};
#elif defined(__TARGET_ARCH_arm64)
struct user_pt_regs {
	__u64 regs[31], sp, pc, pstate;
};

struct pt_regs {
	struct user_pt_regs user_regs;
	int syscallno;
};
#else
#error "no registers of this architecture are known"
#endif

/* Tasks and their memory. */

struct list_head {
	struct list_head *next;
};

struct pid_namespace;

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};

struct timespec64 {
	__s64 tv_sec;
	long tv_nsec;
};

struct timens_offsets {
	struct timespec64 monotonic;
};

struct time_namespace {
	struct timens_offsets offsets;
};

struct nsproxy {
	struct time_namespace *time_ns;
};

struct signal_struct {
	atomic_t live;
};

struct kernfs_node {
	const char *name;
	__u64 id;
};

struct cgroup_subsys_state {
	struct cgroup_subsys_state *parent;
};

struct cgroup_root {
	int hierarchy_id;
};

struct cgroup {
	struct cgroup_subsys_state self;
	int level;
	struct kernfs_node *kn;
	struct cgroup_root *root;
};

struct css_set {
	struct cgroup *dfl_cgrp;
};

struct fdtable {
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct task_io_accounting {
	u64 syscr;
};

struct task_struct {
	unsigned int flags;
	unsigned int in_iowait : 1;
	pid_t pid;
	pid_t tgid;
	struct task_struct *real_parent;
	struct list_head children;
	struct task_struct *group_leader;
	u64 start_boottime;
	u64 self_exec_id;
	struct pid *thread_pid;
	struct signal_struct *signal;
	struct nsproxy *nsproxy;
	struct css_set *cgroups;
	struct files_struct *files;
	struct task_io_accounting ioac;
};

/* What classic tracepoints record. */

struct trace_event_raw_task_newtask {
	pid_t pid;
};

struct trace_event_raw_mm_filemap_op_page_cache {
	unsigned long i_ino;
	unsigned long index;
	dev_t s_dev;
	unsigned char order;
};

struct trace_event_raw_mm_filemap_op_page_cache_range {
	unsigned long i_ino;
	dev_t s_dev;
	unsigned long index;
	unsigned long last_index;
};

struct trace_event_raw_mm_filemap_fault {
	unsigned long i_ino;
	dev_t s_dev;
	unsigned long index;
};

struct trace_event_raw_page_cache_ra_op {
	unsigned long i_ino;
	dev_t s_dev;
	unsigned long index;
	unsigned int ra_pages;
	unsigned long req_count;
};

struct trace_event_raw_page_cache_ra_order {
	unsigned long i_ino;
	dev_t s_dev;
	unsigned long index;
	unsigned int order;
	unsigned int size;
	unsigned int async_size;
	unsigned int ra_pages;
};

struct trace_event_raw_page_cache_ra_unbounded {
	unsigned long i_ino;
	dev_t s_dev;
	unsigned long index;
	unsigned long nr_to_read;
	unsigned long lookahead_size;
};

struct mm_struct {
	struct file *exe_file;
};

struct vm_area_struct {
	unsigned long vm_start;
	unsigned long vm_end;
	struct mm_struct *vm_mm;
	unsigned long vm_pgoff;
	struct file *vm_file;
};

enum fault_flag {
	FAULT_FLAG_VMA_LOCK = 1 << 12,
};

struct vm_fault {
	struct vm_area_struct *vma;
	unsigned long pgoff;
	enum fault_flag flags;
};

enum vm_fault_reason {
	VM_FAULT_NOPAGE = 0x100,
};

/* Files. */

struct hlist_node {
	struct hlist_node *next;
};

struct hlist_head {
	struct hlist_node *first;
};

struct qstr {
	__u32 len;
	const unsigned char *name;
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
	struct hlist_node d_alias;
};

struct super_block {
	dev_t s_dev;
	unsigned long s_magic;
};

struct inode {
	umode_t i_mode;
	unsigned int i_flags;
	struct super_block *i_sb;
	struct address_space *i_mapping;
	unsigned long i_ino;
	loff_t i_size;
	__u32 i_generation;
	struct hlist_head i_dentry;
};

struct btrfs_key {
	__u64 objectid;
};

struct btrfs_root {
	struct btrfs_key root_key;
};

struct btrfs_inode {
	struct btrfs_root *root;
	struct inode vfs_inode;
};

struct file_ra_state {
	unsigned long start;
	unsigned int size;
	unsigned int async_size;
	unsigned int ra_pages;
	unsigned short order;
};

struct file {
	struct address_space *f_mapping;
	struct inode *f_inode;
	loff_t f_pos;
	struct file_ra_state f_ra;
};

/* Of a kernel with the patches. */
struct filemap_miss {
	struct file *file;
	unsigned long index;
	unsigned long nr_pages;
};

struct kiocb {
	struct file *ki_filp;
	loff_t ki_pos;
};

struct iov_iter {
	size_t count;
};

/* The page cache. */

struct xarray {
	void *xa_head;
};

struct xa_node {
	unsigned char shift;
	void *slots[64];
};

struct address_space_operations {
	void *read_folio;
	void *readahead;
};

struct address_space {
	struct inode *host;
	struct xarray i_pages;
	const struct address_space_operations *a_ops;
};

struct page {
	atomic_t _mapcount;
};

struct folio {
	struct address_space *mapping;
	unsigned long index;
};

struct folio_batch {
	unsigned char nr;
	struct folio *folios[1];
};

enum pageflags {
	PG_head = 6,
};

struct readahead_control {
	struct file *file;
	struct address_space *mapping;
	struct file_ra_state *ra;
	unsigned long _index;
};

/* BPF's own. */

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

struct bpf_iter__cgroup {
	struct bpf_iter_meta *meta;
	struct cgroup *cgroup;
};

struct bpf_iter__task_vma {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	struct vm_area_struct *vma;
};

#pragma clang attribute pop

#endif
