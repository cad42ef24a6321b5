/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A thread of the process that drains its ring and has the kernel read.
 *
 * The thread has a table of descriptors of its own. What the library opens is therefore not
 * closed by a program that closes all descriptors, takes no number that a program counts on, is
 * inherited by no child, and releases no record lock of the process when it is closed
 * (fcntl(2) locks go with any descriptor of the file that their owner closes).
 */
#ifndef PAGEHINT_OWN_H
#define PAGEHINT_OWN_H

#include <pthread.h>

#include "requests.h"

/* Hints that are merged with each other, and what the thread does before it looks again. */
#define OWN_BATCH 256

enum own_asked {
	OWN_NOTHING,
	OWN_START,
	OWN_OPEN,
	OWN_CLOSE
};

struct own {
	pthread_t thread;
	struct ring *ring;
	struct ring_consumer consumer;
	uint64_t page_size;
	uint32_t stop;
	/* What the caller waits for: it writes the rest, then `asked`; the answer is OWN_NOTHING. */
	uint32_t asked;
	int tid, fd, id, result;
	/* Of the thread's table, -1 where there is none; written only while the caller waits. */
	int files[PAGEHINT_MAX_FILES];
	struct ring_hint hints[OWN_BATCH];
	struct request requests[OWN_BATCH];
};

/* Drain R, which is empty. Returns NULL and sets errno. */
struct own *own_start(struct ring *r, uint64_t nr_words);

/* Open the file of the calling thread's descriptor FD. Returns its id or -errno. */
int own_open(struct own *o, int fd);

/* Close file ID, which there is, when the hints before have been served. */
void own_close(struct own *o, int id);

/* End the thread. Its ring is no longer used; O is freed. */
void own_stop(struct own *o);

static inline bool own_has(const struct own *o, int id)
{
	return id >= 0 && id < PAGEHINT_MAX_FILES && o->files[id] >= 0;
}

#endif
