/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the BPF programs and the user side of the tools share: keys, counters
 * and ring buffer records. Only fixed-width types, so that both compilers
 * agree on the layout. The names of types on the BPF side begin with p2c_,
 * because a type of that name in the running kernel would be taken for ours.
 */
#ifndef PAGE2CACHE_RECORD_H
#define PAGE2CACHE_RECORD_H

#include <linux/types.h>

/* The page cache's own name of a file: the inode that its pages hang from. */
struct p2c_file_key {
	__u64 ino;
	__u64 root; /* btrfs: its subvolume, as they number their files alike; else 0 */
	__u32 dev;  /* super_block.s_dev, as the kernel encodes it: major << 20 | minor */
	__u32 gen;  /* inode.i_generation */
};

/* What a classic tracepoint's record tells of a file. */
struct p2c_named_key {
	__u64 ino;
	__u32 dev; /* as above */
	__u32 pad;
};

/* What is known of such a file while the user side keeps its inode in memory. */
struct p2c_named_file {
	__u64 inode; /* struct inode */
	__u32 slot;
	__u32 pad;
};

/* Slot 0 collects the files that no longer fit, so that totals stay exact. */
#define SLOT_OTHERS 0

/* Files are prefiltered by a bitmap over the low bits of their inode numbers. */
#define WATCH_BITS 4096

enum p2c_count {
	COUNT_READ_HITS,
	COUNT_READ_MISSES,
	COUNT_READ_LATE,
	COUNT_READS_UNSEEN,   /* reads of which lookups may have ended unseen ... */
	COUNT_READS_UNPLACED, /* ... of these, reads whose pages are not known */
	COUNT_MMAP_HITS,      /* resolved by filemap_fault(), page present */
	COUNT_MMAP_MISSES,    /* page absent at the first filemap_fault() */
	COUNT_MMAP_LATE,
	COUNT_AROUND,	     /* faults that fault-around resolved at first ... */
	COUNT_AROUND_REDONE, /* ... of these, faults that still came to filemap_fault() */
	COUNT_INSERTED,
	COUNT_REMOVED,
	COUNT_LOST,
	COUNT_MEASURED, /* cachemiss: times that are in the histogram, unless it was taken away */
	NR_COUNTS,
};

struct p2c_file_counts {
	__u64 count[NR_COUNTS];
};

/*
 * Miss latencies: 2^LAT_SUB_BITS linear steps in each power of two of
 * nanoseconds, so that a percentile is off by at most 1/16 of its value.
 */
#define LAT_SUB_BITS 3
#define LAT_SLOTS    320

struct p2c_file_latency {
	__u64 max_ns;
	__u32 slots[LAT_SLOTS];
	__u32 pad[2];
};

/* Path components from the leaf to the file system's root, each ended by NUL. */
#define NAME_BYTES  1024
#define NAME_LEVELS 40

struct p2c_file_name {
	struct p2c_file_key key;
	__u32 bytes; /* of names[]; 0: the path could not be read whole */
	__u32 pad;
	char names[NAME_BYTES + 256]; /* one component more, so that the verifier sees it fit */
};

/* The same for a path that is short, as most are: with it an element of a map takes 256 bytes. */
#define SHORT_NAME_BYTES 168

struct p2c_short_name {
	struct p2c_file_key key;
	__u32 bytes;
	__u32 pad;
	char names[SHORT_NAME_BYTES];
};

/* How a page was accessed for the first time. */
enum p2c_page_use {
	PAGE_READ,
	PAGE_MAPPED, /* by a fault, or along with others by fault-around */
	PAGE_ALONG,  /* the same along with others, of a page that was cached before */
};

/* A run of pages that was accessed for the first time (cachemiss -w, pcforce --learn). */
struct p2c_page_record {
	__u64 index;
	__u32 nr_pages;
	__u32 slot;
	__u32 use; /* enum p2c_page_use */
	__u32 pad;
};

enum p2c_force_event {
	FORCE_FIRED,	  /* the trigger's condition was met */
	FORCE_FIRST_DATA, /* the access that fired got its data */
};

struct p2c_force_record {
	__u64 ts_ns; /* CLOCK_MONOTONIC, as the tool reads it */
	__u64 index;
	__u32 slot;
	__u32 event; /* enum p2c_force_event */
	__u32 pid;
	__u32 pad;
};

/* What pcforce keeps for each tracked file. */
struct p2c_force_file {
	__u32 first_word; /* of its bits in the bitmaps */
	__u32 pad;
	__u64 bits;    /* 0: the file is not tracked */
	__u64 lookups; /* that met forced pages */
	__u64 late;    /* of them: late hits */
	__u64 unused_removed;
	__u64 polluted;	    /* misses on pages that forcing pushed out */
	__u64 first_extent; /* of its list, the head's place; for the kernel */
	__u64 nr_extents;   /* 0: the kernel is not to force this file */
};

/* What bpf_force_page2cache() of the patched kernel takes: as in its linux/bpf.h. */
struct page2cache_extent {
	__u64 index;
	__u64 nr_pages;
};

enum {
	PAGE2CACHE_IDLE,
	PAGE2CACHE_RUNNING,
	PAGE2CACHE_DONE,
	PAGE2CACHE_STOP, /* ours: anything but RUNNING ends it early */
};

struct page2cache_head {
	__u64 nr_extents; /* that follow */
	__u64 max_pages;  /* to be submitted */
	__u64 state;
	__s64 error;   /* errno: why it ended before the last extent; 0: it did not */
	__u64 reached; /* extents; their pages are one of the next five each */
	__u64 resident;
	__u64 read;
	__u64 failed;
	__u64 past_eof;
	__u64 skipped;
	__u64 submitted;
	__u64 end_ns; /* CLOCK_MONOTONIC of the first time namespace */
};

/* The kernel reads at most this many lists of one map at a time. */
#define PAGE2CACHE_LISTS 16

#define PAGE2CACHE_HEAD (sizeof(struct page2cache_head) / sizeof(struct page2cache_extent))

/* Argument of take_list(): the file whose list the module shall take. */
struct p2c_take_list {
	__s32 fd;    /* of the file, as the tool has it open */
	__u32 slot;  /* the file's */
	__u64 first; /* its place in extents: the head's */
	__u32 now;   /* to be forced at once, not when a page is missed */
	__u32 pad;
};

/* pcforce --serve: so many processes at a time are counted each on their own. */
#define MAX_PROCESSES 32

/* Of a file: the slots that their accesses to it count in, 0 where a process has not named it. */
struct p2c_process_slots {
	__u32 slot[MAX_PROCESSES];
};

/*
 * Pages that hints brought in: of the slot of a process, those that its own hints did; of that of a
 * file, all of them.
 */
struct p2c_hint_counts {
	__u64 forced;
	__u64 used; /* of them: the process has accessed them since */
	__u64 lost; /* chunks of pages that could not be remembered */
	__u32 live; /* the slot is in use */
	__u32 told; /* the user side has been told that counts changed */
};

/* Of 64 pages, that one of the two maps of them holds. */
#define HINT_CHUNKS (1 << 18)

struct p2c_hint_key {
	__u64 chunk; /* page index / 64 */
	__u64 slot;  /* of the process */
};

/* A bit a page: it came by a hint, and then was accessed. */
struct p2c_hint_pages {
	__u64 forced; /* and has not left the page cache since */
	__u64 used;
};

#define NO_INDEX (~0ULL) /* no page was missed */

/* Placeholder for the helper's number, which differs between kernels (it is no ABI). */
#define HELPER_PLACEHOLDER 0x70326370

/* Who decided to read ahead. */
enum p2c_ra_kind {
	RA_SYNC,      /* a lookup or fault at an absent page */
	RA_ASYNC,     /* one that met the marker page of a window */
	RA_ORDER,     /* a fault, reading around its page */
	RA_UNBOUNDED, /* a file system, past the end of the file (fs-verity's hashes) */
	RA_FORCE,     /* readahead(2), fadvise(2) or madvise(2) */
	NR_RA_KINDS,
};

#define RA_UNKNOWN ((__u32)-1) /* ra_pages, where a hook does not say */

struct p2c_ra_record {
	__u64 ts_ns; /* CLOCK_MONOTONIC, as the tool reads it */
	__u64 index; /* of the access that led to it */
	__u64 req_pages;
	__u64 start; /* of the window, and how many pages it has */
	__u32 size;
	__u32 async_size;
	__u32 order;
	__u32 ra_pages; /* the most that the file's readahead reads at once */
	__u32 pages_read;
	__u32 slot;
	__u32 pid; /* by the tool's PID namespace, as tid is; 0: it is not in there */
	__u32 tid;
	__u32 kind; /* enum p2c_ra_kind */
	__u32 pad;
	char comm[16];
};

/* A task's decision, while it lasts. */
struct p2c_ra_decision {
	struct p2c_ra_record r;
	__u64 inode;
	__u64 from; /* the pages that it may read; to == 0: not known yet */
	__u64 to;
	__u32 within; /* the task has another one in the middle of this */
	__u32 pad;
};

/* Window sizes by powers of two. */
#define RA_HIST 24

struct p2c_ra_counts {
	__u64 decisions[NR_RA_KINDS];
	__u64 plain;   /* of the sync ones: read what was asked for, no window */
	__u64 off;     /* of the sync ones: the file's readahead is switched off */
	__u64 forward; /* of the order ones: from the fault's page on, not around it */
	__u64 pages_read;
	__u64 pages_used;
	__u64 pages_unused_removed;
	__u64 lost_pages;  /* chunks of pages whose use is not known, as the table was full */
	__u64 lost_events; /* records that the ring buffer had no room for */
	__u64 windows[RA_HIST];
	__u64 largest; /* window */
};

/* What a function of the kernel does, for "where does this task sleep". */
enum p2c_where {
	WHERE_ELSE,
	WHERE_READAHEAD, /* submits I/O of its own: not late */
	WHERE_READ,
	WHERE_FAULT,
	NR_WHERE,
};

/* A systemd unit is found by so many names at most, the outermost first. */
#define UNIT_DEPTH 4
#define UNIT_NAME  256

/* What a run is asked for: written before the programs are loaded, read-only from then on. */
struct p2c_config {
	__u32 max_slots;
	__u32 near_slots; /* those below have counters for each CPU */
	__u32 nr_cpus;
	__u8 auto_files;    /* each file gets a slot at its first access */
	__u8 filter_tgid;   /* count the process watch.filter_tgid only */
	__u8 filter_tree;   /* count tasks in counted_tasks only: COMMAND's or those of -P */
	__u8 filter_cgroup; /* count tasks below the cgroup only */
	__u8 around_hidden; /* fault-around is seen by its tracepoint only */
	__u8 late;	    /* count late hits */
	__u8 filter_uid;    /* count processes of the user uid only */
	__u8 by_process;    /* count only those in processes, each in slots of its own */
	__u8 subvolumes;    /* a btrfs is mounted */
	__u32 uid;	    /* if filter_uid, as the first user namespace has it */
	__u32 unit_depth;   /* names in unit, 0: the cgroup is none of a unit */
	char unit[UNIT_DEPTH][UNIT_NAME];
};

/* What the two sides tell each other while the programs run. */
struct p2c_watch {
	__u64 bits[WATCH_BITS / 64];
	struct p2c_file_key first_file; /* the first named one: most often the only one */
	__u64 first_inode;		/* struct inode, see struct p2c_named_file */
	__u64 cgroup_id;   /* of the only cgroup that is counted if cfg says so, 0: none now */
	__u64 unit_ns;	   /* CLOCK_MONOTONIC of the unit's latest start, 0: it was there before */
	__u64 tasks_lost;  /* descendants that could not be remembered */
	__u64 states_lost; /* events of tasks of which nothing could be remembered */
	__u64 tasks_found; /* of tree_tgid and its descendants, so far */
	__u64 others_inserted; /* pages of files that tasks who are not counted read in */
	__u64 pidns;	       /* the tool's PID namespace, if there are some above it */
	__s64 clock_ns;	       /* what the tool's time namespace adds to CLOCK_MONOTONIC */
	__u32 pidns_level;     /* how many are above it */
	__u32 self_tgid;       /* the tool itself, which is never counted */
	__u32 filter_tgid;     /* the only process that is counted, if cfg says so */
	__u32 tree_tgid;       /* while its descendants are looked for, 0: they are not */
	__u32 cgroup_level;    /* of that cgroup: the root's is 0 */
	__u32 top_level;       /* below which a unit's cgroup is named */
	__u32 on;	/* whether accesses count: programs are attached and detached one by one */
	__u32 nr_slots; /* in use, SLOT_OTHERS included: the user side begins with 1 */
	__u32 stack_seen[NR_WHERE]; /* of such a function: names were looked for on it */
	__u32 late_unknown; /* no names were found on it: it is not known where tasks sleep */
	struct p2c_file_counts total; /* of all files, as of the latest run of add_up() */
};

/*
 * iter/task: a process, or a thread of the tool, by its number in the tool's PID namespace, and in
 * the first one.
 */
struct p2c_task_number {
	__u32 seen;
	__u32 number;
};

/* iter/cgroup: where a cgroup is. */
struct p2c_cgroup_place {
	__u64 id;
	__u32 level;
	__u32 pad;
};

/* iter/task_vma: which inode backs each mapping of this process. */
struct p2c_vma_record {
	__u64 start;
	__u64 inode; /* struct inode */
	struct p2c_file_key key;
	__u32 uncached; /* 1: the pages are the file (tmpfs, hugetlbfs), 2: DAX */
	__u32 pad;
};

/* --- pcforce --serve -e kfunc: hints that are taken where their program looks pages up */

#define HINT_FILES 4096 /* of one program: PAGEHINT_MAX_FILES */

/*
 * Where the queue of one program has been read up to. Whoever has the lock, a thread of the server
 * or the BPF program, takes hints.
 */
struct p2c_hint_place {
	__u32 lock;
	__u32 tgid; /* of the program, 0: the place is free */
	/* As in struct ring_consumer. */
	__u64 head;
	__u32 file;
	__u32 left;
	__u64 room;	/* bytes that may be read before the server looks at memory again */
	__u64 requests; /* that may be in flight */
	__u64 taken;	/* ranges that the BPF program has taken */
	/* The memory of the queue: its address in the program, 0: not known, and its file. */
	__u64 ring;
	__u64 inode;
	__u64 dev; /* as in struct p2c_file_key */
	/* The process in which that address was seen to be this memory, after its latest exec(2). */
	__u64 start_ns;
	__u64 execs;
};

/* What a program that the server runs is to do: with a file of a place, or with its queue. */
struct p2c_hint_order {
	__u32 place;
	__u32 file;
	__s32 fd; /* -1: let go */
	__u32 pad;
};

#endif
