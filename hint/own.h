/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A thread that drains a ring and has the kernel read the hinted pages: one thread of the program
 * itself, or one of a server for each program that is connected.
 *
 * The thread has a table of descriptors of its own. So a program that closes all descriptors does
 * not close the thread's files, no file takes a number that the program expects, no child inherits
 * a file, and closing one releases no record lock of the process (fcntl(2) locks are released when
 * their owner closes any descriptor of the file).
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

/* The limits that a server sets its programs; NULL where the thread serves its own process. */
struct own_limits {
	/*
	 * Wait until so many bytes may be read. False: they must not be read, now or later. Called
	 * by the thread itself.
	 */
	bool (*admit)(void *ctx, uint64_t bytes);
	/* How many pieces may be in flight now: 1 to OWN_FLIGHT. Called by the thread, too. */
	unsigned int (*flight)(void *ctx);
	/* How many are, of all threads of the server. */
	uint32_t *in_flight;
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
	/* A request to the thread: the caller writes it, then `asked`, and waits for OWN_NOTHING. */
	uint32_t asked;
	int tid, fd, id, result;
	bool may_count;
	/* Descriptors of the thread's table, -1 for none; written only while the caller waits. */
	int files[PAGEHINT_MAX_FILES];
	struct result *results; /* one a file */
	struct ring_hint hints[OWN_BATCH];
	struct request requests[OWN_BATCH];
	/*
	 * With limits only: the latest pieces, the number of all, and of those waited for. Only the
	 * others may be in flight.
	 */
	struct own_piece flight[OWN_FLIGHT];
	uint64_t nr_sent, nr_awaited;
	bool awaits;	  /* at its end, pieces that may be in flight */
	bool is_normal;	  /* the thread's policy is SCHED_OTHER */
	bool spins;	  /* it looks for hints before it naps: there is a processor for that */
	uint64_t spin_ns; /* time that the thread may look for hints before it naps */
};

/*
 * Start a thread that drains R, which is empty, and writes the results of its files to RESULTS,
 * PAGEHINT_MAX_FILES of them, all zero. Returns NULL and sets errno.
 */
struct own *own_start(struct ring *r, uint64_t nr_words, struct result *results,
		      const struct own_limits *limits);

/*
 * Open the file of the calling thread's descriptor FD. MAY_COUNT: the program may learn which of its
 * pages are cached. Returns its id or -errno.
 */
int own_open(struct own *o, int fd, bool may_count);

/* Close file ID when earlier hints have been served. Returns 0, or -EBADF if there is no such id. */
int own_close(struct own *o, int id);

/*
 * The cached bytes of all its files, as far as cached_pages() tells. For the thread itself, in
 * admit().
 */
uint64_t own_cached(const struct own *o);

/*
 * End the thread. Its ring and results are no longer used; O is freed. AWAIT: with limits, not before
 * all pieces have arrived.
 */
void own_stop(struct own *o, bool await);

#endif
