/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the BPF programs and the user side of the tools share: keys, counters
 * and ring buffer records. Only fixed-width types, so that both compilers
 * agree on the layout.
 */
#ifndef PAGE2CACHE_RECORD_H
#define PAGE2CACHE_RECORD_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

/* The page cache's own name of a file: the inode that its pages hang from. */
struct file_key {
	__u64 ino;
	__u32 dev; /* super_block.s_dev, as the kernel encodes it: major << 20 | minor */
	__u32 gen; /* inode.i_generation */
};

/* Slot 0 collects the files that no longer fit, so that totals stay exact. */
#define SLOT_OTHERS 0

/* Files are prefiltered by a bitmap over the low bits of their inode numbers. */
#define WATCH_BITS 4096

enum count {
	COUNT_READ_HITS,
	COUNT_READ_MISSES,
	COUNT_READ_LATE,
	COUNT_MMAP_HITS,   /* resolved by filemap_fault(), page present */
	COUNT_MMAP_MISSES, /* page absent at the first filemap_fault() */
	COUNT_MMAP_LATE,
	COUNT_AROUND,	     /* faults that fault-around served first ... */
	COUNT_AROUND_REDONE, /* ... and that came to filemap_fault() all the same */
	COUNT_INSERTED,
	COUNT_REMOVED,
	COUNT_LOST,
	NR_COUNTS,
};

struct file_counts {
	__u64 count[NR_COUNTS];
};

/*
 * Miss latencies: 2^LAT_SUB_BITS linear steps in each power of two of
 * nanoseconds, so that a percentile is off by at most 1/16 of its value.
 */
#define LAT_SUB_BITS 3
#define LAT_SLOTS    320

struct file_latency {
	__u64 max_ns;
	__u32 slots[LAT_SLOTS];
	__u32 pad[2];
};

/* Path components from the leaf to the file system's root, each ended by NUL. */
#define NAME_BYTES  1024
#define NAME_LEVELS 40

struct file_name {
	struct file_key key;
	__u32 bytes; /* of names[]; 0: the path could not be read whole */
	__u32 pad;
	char names[NAME_BYTES];
};

/* A run of pages that was accessed for the first time (cachemiss -w). */
struct page_record {
	__u64 index;
	__u32 nr_pages;
	__u32 slot;
};

enum force_event {
	FORCE_FIRED,	  /* the trigger's condition was met */
	FORCE_FIRST_DATA, /* the access that fired got its data */
};

struct force_record {
	__u64 ts_ns; /* CLOCK_MONOTONIC */
	__u64 index;
	__u32 slot;
	__u32 event; /* enum force_event */
	__u32 pid;
	__u32 pad;
};

/* What pcforce keeps for each tracked file. */
struct force_file {
	__u32 first_word; /* of its bits in the bitmaps */
	__u32 pad;
	__u64 bits;    /* 0: the file is not tracked */
	__u64 lookups; /* that met forced pages */
	__u64 late;    /* of them: late hits */
	__u64 unused_removed;
	__u64 polluted; /* misses on pages that forcing pushed out */
};

/* Address ranges of kernel functions, for "where does this task sleep". */
enum where {
	WHERE_READAHEAD, /* submits I/O of its own: not late */
	WHERE_READ,
	WHERE_FAULT,
};

#define MAX_RANGES 8

struct text_range {
	__u64 start;
	__u64 end;
	__u32 where; /* enum where */
	__u32 pad;
};

/* iter/task_vma: which inode backs each mapping of this process. */
struct vma_record {
	__u64 start;
	struct file_key key;
	__u32 uncached; /* 1: the pages are the file (tmpfs, hugetlbfs), 2: DAX */
	__u32 pad;
};

#endif
