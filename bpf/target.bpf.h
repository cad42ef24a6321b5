/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which files are watched.
 *
 * A file is its inode (struct p2c_file_key), never a name. Each has a slot: the
 * user side hands slots out for files it names; where it names none, each file
 * gets one at its first access (auto_files). Each of these takes memory when it is
 * found, not before: there may be hundreds of thousands.
 */
#ifndef PAGE2CACHE_TARGET_BPF_H
#define PAGE2CACHE_TARGET_BPF_H

#include "unit.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct p2c_file_key);
	__type(value, __u32);
} files SEC(".maps");

/* The name of each slot is in one of these two. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct p2c_short_name);
} short_names SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct p2c_file_name);
} names SEC(".maps");

/*
 * Where names are read before it is known how long they are. A program may be preempted by
 * another one that finds a file: that has another slot, and so another one of these.
 */
#define NAME_DRAFTS 64

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, NAME_DRAFTS);
	__type(key, __u32);
	__type(value, struct p2c_file_name);
} name_drafts SEC(".maps");

/* Counters of the slots from cfg.near_slots on, one element for all CPUs. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct p2c_file_counts);
} far_counts SEC(".maps");

/* With cfg.by_process: of each file's slot, those of the processes. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct p2c_process_slots);
} process_slots SEC(".maps");

const volatile struct p2c_file_counts no_counts = {};

/* An AND that the compiler cannot remove, so that the verifier sees the bound in this register. */
#define KEEP_BITS(x, mask) asm volatile("%0 &= %1" : "+r"(x) : "i"(mask))

/* A name for the file, any of its links: from the leaf up, as far as it fits. */
static __always_inline void read_name(struct p2c_file_name *name, struct inode *inode)
{
	struct hlist_node *alias = BPF_CORE_READ(inode, i_dentry.first);
	struct dentry *dentry, *parent;
	__u64 used = 0, len;
	int level;

	name->bytes = 0;
	if (!alias)
		return;
	dentry = dentry_of_alias(alias);
	for (level = 0; level < NAME_LEVELS; level++) {
		const unsigned char *text;

		parent = BPF_CORE_READ(dentry, d_parent);
		if (parent == dentry) {
			name->bytes = used;
			return;
		}
		text = BPF_CORE_READ(dentry, d_name.name);
		len = BPF_CORE_READ(dentry, d_name.len) & 0xff;
		if (used + len >= NAME_BYTES)
			return;
		/* Older verifiers do not derive the bound from the comparison. */
		KEEP_BITS(used, NAME_BYTES - 1);
		KEEP_BITS(len, 0xff);
		bpf_probe_read_kernel(&name->names[used], len, text);
		used += len;
		KEEP_BITS(used, NAME_BYTES - 1);
		name->names[used++] = 0;
		dentry = parent;
	}
}

/* Only regular files whose pages come from somewhere can be watched: not tmpfs. */
static __always_inline bool is_backed_file(struct inode *inode)
{
	const struct address_space_operations *ops = BPF_CORE_READ(inode, i_mapping, a_ops);

	return (BPF_CORE_READ(inode, i_mode) & 0xf000) == 0x8000 &&
	       (BPF_CORE_READ(ops, readahead) || BPF_CORE_READ(ops, read_folio));
}

/* False: there is no memory for a name. */
static __always_inline bool keep_name(__u32 slot, struct inode *inode,
				      const struct p2c_file_key *key)
{
	__u32 draft = slot % NAME_DRAFTS;
	struct p2c_file_name *name = bpf_map_lookup_elem(&name_drafts, &draft);

	if (!name)
		return false;
	name->key = *key;
	read_name(name, inode);
	/* Both kinds begin alike; what is behind the bytes that are named is of no meaning. */
	if (name->bytes <= SHORT_NAME_BYTES)
		return !bpf_map_update_elem(&short_names, &slot, name, BPF_ANY);
	return !bpf_map_update_elem(&names, &slot, name, BPF_ANY);
}

static __always_inline bool keep_counts(__u32 slot)
{
	return slot < cfg.near_slots ||
	       !bpf_map_update_elem(&far_counts, &slot, (void *)&no_counts, BPF_ANY);
}

/* The table is full: such a file is only remembered, so that it is known how many these are. */
static __always_inline int beyond(const struct p2c_file_key *key)
{
	__u32 slot = SLOT_OTHERS;

	bpf_map_update_elem(&files, key, &slot, BPF_NOEXIST);
	return SLOT_OTHERS;
}

static __always_inline int new_slot(struct inode *inode, const struct p2c_file_key *key)
{
	__u32 slot, *raced;

	if (!is_backed_file(inode))
		return -1;
	if (watch.nr_slots >= cfg.max_slots)
		return beyond(key);
	slot = __sync_fetch_and_add(&watch.nr_slots, 1);
	if (slot >= cfg.max_slots) {
		__sync_fetch_and_sub(&watch.nr_slots, 1);
		return beyond(key);
	}
	/* There is no memory now: this slot stays empty, and the file's next access tries again. */
	if (!keep_counts(slot) || !keep_name(slot, inode, key))
		return SLOT_OTHERS;
	if (bpf_map_update_elem(&files, key, &slot, BPF_NOEXIST)) {
		/*
		 * Another CPU has added the file meanwhile: its slot counts, this one stays empty.
		 */
		raced = bpf_map_lookup_elem(&files, key);
		return raced ? *raced : SLOT_OTHERS;
	}
	return slot;
}

/* Most files are told from the watched ones by their inode number alone. */
static __always_inline bool may_be_watched(unsigned long ino)
{
	return watch.on && (cfg.auto_files ||
			    watch.bits[(ino / 64) % (WATCH_BITS / 64)] & (1ULL << (ino % 64)));
}

#define BTRFS_SUPER_MAGIC 0x9123683E

/* A snapshot's files have the numbers and generations that the originals have. */
static __always_inline __u64 subvolume_of(struct inode *inode)
{
	struct btrfs_inode *b;

	if (!cfg.subvolumes || !bpf_core_type_exists(struct btrfs_inode) ||
	    BPF_CORE_READ(inode, i_sb, s_magic) != BTRFS_SUPER_MAGIC)
		return 0;
	b = (void *)inode - bpf_core_field_offset(struct btrfs_inode, vfs_inode);
	return BPF_CORE_READ(b, root, root_key.objectid);
}

static __always_inline bool same_key(const struct p2c_file_key *a, const struct p2c_file_key *b)
{
	return a->ino == b->ino && a->dev == b->dev && a->gen == b->gen && a->root == b->root;
}

/*
 * The slot of a file whose pages change, -1 if it is not watched. A new file
 * is taken up only if the current task is one that counts.
 */
static __always_inline int file_slot(struct inode *inode, bool typed, bool counted)
{
	unsigned long ino = FIELD(typed, inode, i_ino);
	struct super_block *sb;
	struct p2c_file_key key;
	__u32 *slot;

	if (!may_be_watched(ino))
		return -1;
	key.ino = ino;
	sb = FIELD(typed, inode, i_sb);
	key.dev = FIELD(typed, sb, s_dev);
	key.gen = FIELD(typed, inode, i_generation);
	key.root = subvolume_of(inode);
	if (same_key(&key, &watch.first_file))
		return SLOT_OTHERS + 1;
	slot = bpf_map_lookup_elem(&files, &key);
	if (slot)
		return *slot;
	if (!cfg.auto_files || !counted)
		return -1;
	return new_slot(inode, &key);
}

/* The slot of one of the processes for the file whose slot is FILE, -1 if it has none. */
static __always_inline int slot_of_process(__u32 file, __u32 process)
{
	struct p2c_process_slots *slots = bpf_map_lookup_elem(&process_slots, &file);
	__u32 slot;

	if (!slots || process >= MAX_PROCESSES)
		return -1;
	slot = slots->slot[process];
	return slot ? (int)slot : -1;
}

/* Where the current task's accesses to the file whose slot is FILE count. -1: nowhere. */
static __always_inline int count_slot(int file)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32, *process;

	if (!cfg.by_process || file < 0)
		return file;
	process = bpf_map_lookup_elem(&processes, &tgid);
	return process ? slot_of_process(file, *process) : -1;
}

/* The slot for the current task's access to a file, -1 if that is not watched. */
static __always_inline int access_slot(struct inode *inode, bool typed)
{
	if (!may_be_watched(FIELD(typed, inode, i_ino)) || !task_counted())
		return -1;
	return count_slot(file_slot(inode, typed, true));
}

#define S_DAX (1 << 13)

/*
 * Which inode's pages back each file mapping of the tool, which maps the files
 * that it is to watch? For btrfs and overlayfs stat(2) answers with another
 * device or inode number than the page cache's inode has; the mapping knows,
 * and making it costs no I/O.
 */
SEC("iter/task_vma")
int identify(struct bpf_iter__task_vma *ctx)
{
	struct task_struct *task = ctx->task, *reader = bpf_get_current_task_btf();
	struct vm_area_struct *vma = ctx->vma;
	struct p2c_vma_record r = {};
	const struct address_space_operations *ops;
	struct address_space *mapping;
	struct inode *inode;
	struct file *file;

	/* Before Linux 6.1 an iterator shows all tasks; one of a process is enough. */
	if (!task || !vma || task->tgid != reader->tgid || task->pid != task->tgid)
		return 0;
	file = BPF_CORE_READ(vma, vm_file);
	if (!file)
		return 0;
	mapping = BPF_CORE_READ(file, f_mapping);
	inode = BPF_CORE_READ(mapping, host);
	ops = BPF_CORE_READ(mapping, a_ops);
	r.start = vma->vm_start;
	r.inode = (__u64)inode;
	r.key.ino = BPF_CORE_READ(inode, i_ino);
	r.key.dev = BPF_CORE_READ(inode, i_sb, s_dev);
	r.key.gen = BPF_CORE_READ(inode, i_generation);
	r.key.root = subvolume_of(inode);
	if (!BPF_CORE_READ(ops, readahead) && !BPF_CORE_READ(ops, read_folio))
		r.uncached = 1;
	if (BPF_CORE_READ(inode, i_flags) & S_DAX)
		r.uncached = 2;
	bpf_seq_write(ctx->meta->seq, &r, sizeof(r));
	return 0;
}

#endif
