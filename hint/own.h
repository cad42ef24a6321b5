/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A thread that drains a ring and has the kernel read: one of the program itself, or one of a
 * server for each program that is connected.
 *
 * The thread has a table of descriptors of its own. What it opens is therefore not
 * closed by a program that closes all descriptors, takes no number that a program counts on, is
 * inherited by no child, and releases no record lock of the process when it is closed
 * (fcntl(2) locks go with any descriptor of the file that their owner closes).
 */
#ifndef PAGEHINT_OWN_H
#define PAGEHINT_OWN_H

#include <pthread.h>

#include "requests.h"
#include "result.h"

/* Hints that are merged with each other, and what the thread does before it looks again. */
#define OWN_BATCH 256
/* Pieces of at most OWN_PIECE_BYTES that a server has in flight for a program, at most. */
#define OWN_FLIGHT	128
#define OWN_PIECE_BYTES (128U << 10)

/* What a server holds its programs to; NULL where the program is the thread's own. */
struct own_limits {
	/*
	 * May so many bytes be read now? Waits until they may. False: they are not to be read, now
	 * or later. Called by the thread itself.
	 */
	bool (*admit)(void *ctx, uint64_t bytes);
	/* How many pieces may be in flight now: 1 to OWN_FLIGHT. Called by the thread, too. */
	unsigned int (*flight)(void *ctx);
	/*
	 * ring_take() for a ring from which something beside the thread takes hints as well: also
	 * returns 0 while that does, unless AT_ONCE. NULL: the thread alone takes hints. Called by
	 * the thread itself.
	 */
	size_t (*take)(void *ctx, struct ring_consumer *c, struct ring_hint *hints, size_t max,
		       bool at_once);
	void *ctx;
};

enum own_asked {
	OWN_NOTHING,
	OWN_START,
	OWN_OPEN,
	OWN_CLOSE,
	OWN_END
};

/* A piece whose last page, at byte AT, may still be on its way; none if FILE is below 0. */
struct own_piece {
	int file;
	uint64_t at;
};

struct own {
	pthread_t thread;
	int worker; /* the thread's number, as gettid(2) has it */
	struct ring *ring;
	struct ring_consumer consumer;
	uint64_t page_size;
	const struct own_limits *limits;
	/* What the caller waits for: it writes the rest, then `asked`; the answer is OWN_NOTHING. */
	uint32_t asked;
	int tid, fd, id, result;
	bool may_count;
	/* Of the thread's table, -1 where there is none; written only while the caller waits. */
	int files[PAGEHINT_MAX_FILES];
	struct result *results; /* one a file */
	struct ring_hint hints[OWN_BATCH];
	struct request requests[OWN_BATCH];
	/* With limits only: the latest pieces, how many there were, and how many were waited for. */
	struct own_piece flight[OWN_FLIGHT];
	uint64_t nr_sent, nr_awaited;
	bool is_normal;	  /* the thread's policy is SCHED_OTHER */
	bool spins;	  /* it looks for hints before it naps: there is a processor for that */
	uint64_t spin_ns; /* for which the thread may look for hints before it naps */
};

/*
 * Drain R, which is empty, and write what becomes of its files to RESULTS, PAGEHINT_MAX_FILES of
 * them, all zero. Returns NULL and sets errno.
 */
struct own *own_start(struct ring *r, uint64_t nr_words, struct result *results,
		      const struct own_limits *limits);

/*
 * Open the file of the calling thread's descriptor FD. MAY_COUNT: what is cached of it may be told.
 * Returns its id or -errno.
 */
int own_open(struct own *o, int fd, bool may_count);

/* Close file ID when the hints before have been served. Returns 0, or -EBADF if there is none. */
int own_close(struct own *o, int id);

/*
 * The bytes that are cached of all its files that cached_pages() tells of. For the thread itself, in
 * admit().
 */
uint64_t own_cached(const struct own *o);

/* End the thread. Its ring and results are no longer used; O is freed. */
void own_stop(struct own *o);

#endif
