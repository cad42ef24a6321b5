// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which inode's pages back each file mapping of one process? For btrfs and
 * overlayfs stat(2) answers with another device or inode number than the page
 * cache's inode has; the mapping knows, and making it costs no I/O.
 */
#include "compat.bpf.h"
#include "shared.h"

char LICENSE[] SEC("license") = "GPL";

#define VM_HUGETLB 0x00400000
#define S_DAX	   (1 << 13)

const volatile __u32 self_tgid = 0; /* as the first PID namespace numbers it */

SEC("iter/task_vma")
int identify(struct bpf_iter__task_vma *ctx)
{
	struct task_struct *task = ctx->task;
	struct vm_area_struct *vma = ctx->vma;
	struct p2c_vma_record r = {};
	struct address_space *mapping;
	struct inode *inode;

	if (!task || !vma || task->tgid != (int)self_tgid || task->pid != task->tgid ||
	    !vma->vm_file)
		return 0;
	mapping = vma->vm_file->f_mapping;
	inode = mapping->host;
	r.start = vma->vm_start;
	r.key.ino = inode->i_ino;
	r.key.dev = inode->i_sb->s_dev;
	r.key.gen = inode->i_generation;
	if (!mapping->a_ops->readahead && !mapping->a_ops->read_folio)
		r.uncached = 1;
	if (inode->i_flags & S_DAX)
		r.uncached = 2;
	bpf_seq_write(ctx->meta->seq, &r, sizeof(r));
	return 0;
}
