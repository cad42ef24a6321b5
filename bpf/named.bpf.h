/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Files as the records of classic tracepoints tell them apart: by device and inode number.
 *
 * Programs of classic tracepoints run with preemption off, so they see every event on kernels that
 * preempt tasks within the kernel. But a record has neither inode nor mapping. Those of the files
 * that the user side names are in a table, and the user side keeps them in memory; other files
 * cannot be counted like this, nor can btrfs, where several files may have the same number.
 */
#ifndef PAGE2CACHE_NAMED_BPF_H
#define PAGE2CACHE_NAMED_BPF_H

#include "target.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct p2c_named_key);
	__type(value, struct p2c_named_file);
} named_files SEC(".maps");

/*
 * The slot of a file by what a classic tracepoint's record says of it, -1 if it is not one that
 * the user side has named. *INODE is the file's: the user side keeps it.
 */
static __always_inline int named_slot(__u64 ino, __u32 dev, struct inode **inode)
{
	struct p2c_named_key key = { .ino = ino, .dev = dev };
	struct p2c_named_file *file;

	if (!may_be_watched(ino))
		return -1;
	if (ino == watch.first_file.ino && dev == watch.first_file.dev) {
		*inode = (struct inode *)watch.first_inode;
		return SLOT_OTHERS + 1;
	}
	file = bpf_map_lookup_elem(&named_files, &key);
	if (!file)
		return -1;
	*inode = (struct inode *)file->inode;
	return file->slot;
}

/* The same of a file that the current task accesses. */
static __always_inline int named_access(__u64 ino, __u32 dev, struct inode **inode)
{
	int slot = named_slot(ino, dev, inode);

	return slot < 0 || !task_counted() ? -1 : count_slot(slot);
}

#endif
