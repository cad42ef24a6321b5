/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * counted.c's own: its state, and the slots in which the BPF programs count. A slot is of a file, or
 * of a process for a file. The functions are called with the lock.
 */
#ifndef PAGE2CACHE_COUNTED_SLOTS_H
#define PAGE2CACHE_COUNTED_SLOTS_H

#include <pthread.h>

#include "hook/counters.h"
#include "serve/counted.h"

/*
 * Slots of files, and of processes for files: 4,096 files if one process has named each. A file
 * beyond that is served, and not counted.
 */
#define NR_SLOTS 8192
/* See counters_put_file(). */
#define FIRST_SLOT (SLOT_OTHERS + 2)
#define END_SLOT   (FIRST_SLOT + NR_SLOTS)

/* An id of a program: where it is shown, and what had been counted before it was given. */
struct shown {
	struct shown *next; /* of the same slot */
	struct result *result;
	struct pagehint_stat before;
	uint32_t slot;
	bool all;
};

enum slot_use {
	SLOT_FREE,
	SLOT_FILE,
	SLOT_PROCESS,
	SLOT_LEFT, /* free after the next slots_sweep() */
};

struct slot {
	enum slot_use use;
	/* Of a file, and how many processes have named it. */
	struct p2c_file_key key;
	uint32_t nr_processes;
	/* Of a process: the slot of the file, which process it is, and its ids. */
	uint32_t file;
	uint32_t place;
	struct shown *shown;
};

/* A process has as many programs as it has connections. */
struct process {
	uint32_t number; /* the kernel's */
	uint32_t nr_programs;
};

struct counted {
	pthread_mutex_t lock;
	struct hints_bpf *skel;
	struct counters counters;
	/* Memory of the BPF programs, an element a slot. */
	struct p2c_file_counts *counts;
	struct p2c_hint_counts *hints;
	struct p2c_process_slots *slots_of;
	struct ring_buffer *ring;
	int epoll, timer;
	bool broken; /* the programs could not be attached */
	uint32_t nr_processes, nr_files, nr_left;
	uint64_t chunks_seen; /* chunks that had been added when old ones were looked for */
	struct process processes[MAX_PROCESSES];
	struct slot slots[END_SLOT];
};

/* The slot of the file of FD. 0: it has none. */
uint32_t slots_take_file(struct counted *c, int fd);
/* Leave a file's slot, unless a process has named the file. */
void slots_leave_file(struct counted *c, uint32_t slot);
/* The slot for the accesses of a process to a file. 0: there is none. */
uint32_t slots_take_process(struct counted *c, uint32_t file, uint32_t place);
/* Leave a process's slot, and then its file's, unless an id still shows it. */
void slots_leave_process(struct counted *c, uint32_t slot);
/*
 * Programs of BPF that had found a slot before it was left are over after the barrier. The pages
 * that are remembered for slots that were left are forgotten then.
 */
void slots_sweep(struct counted *c);
/*
 * Now and then, when many chunks of pages have been added: forget those whose pages have all left the
 * page cache.
 */
void slots_renew(struct counted *c);

#endif
