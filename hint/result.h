/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The counts of a file, in shared memory, which are read without a system call. The thread that
 * drains the queue writes `forced`; a server that may count accesses writes the others. `turn` is
 * odd while these are written, and has another value after each time. A reader that finds `turn`
 * changed may have read half of an old and half of a new result, and tries again.
 */
#ifndef PAGEHINT_RESULT_H
#define PAGEHINT_RESULT_H

#include <stdbool.h>

#include "pagehint.h"

/* How often a reader tries: a writer that is held up while it writes costs it about a microsecond. */
#define RESULT_TRIES 64

struct result {
	__attribute__((aligned(64))) uint64_t turn;
	struct pagehint_stat stat;
};

/* --- the writer's side */

static inline void result_begin(struct result *r)
{
	__atomic_store_n(&r->turn, r->turn + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

static inline void result_end(struct result *r)
{
	__atomic_store_n(&r->turn, r->turn + 1, __ATOMIC_RELEASE);
}

static inline void result_set(uint64_t *field, uint64_t value)
{
	__atomic_store_n(field, value, __ATOMIC_RELAXED);
}

static inline void result_set_forced(struct result *r, uint64_t forced)
{
	result_set(&r->stat.forced, forced);
}

/* Write all of ST but `forced`. */
static inline void result_set_counts(struct result *r, const struct pagehint_stat *st)
{
	result_begin(r);
	result_set(&r->stat.hits, st->hits);
	result_set(&r->stat.misses, st->misses);
	result_set(&r->stat.late, st->late);
	result_set(&r->stat.used, st->used);
	result_end(r);
}

/*
 * Write the result of a new file, before its accesses are counted: all is unknown, but `forced`,
 * which is 0 if COUNTS_FORCED.
 */
static inline void result_reset(struct result *r, bool counts_forced)
{
	const struct pagehint_stat unknown = {
		.hits = PAGEHINT_UNKNOWN,
		.misses = PAGEHINT_UNKNOWN,
		.late = PAGEHINT_UNKNOWN,
		.used = PAGEHINT_UNKNOWN,
	};

	result_set_counts(r, &unknown);
	result_set_forced(r, counts_forced ? 0 : PAGEHINT_UNKNOWN);
}

/* --- the reader's side */

static inline uint64_t result_get(const uint64_t *field)
{
	return __atomic_load_n(field, __ATOMIC_RELAXED);
}

/* False if the writer was writing at each try. */
static inline bool result_read(const struct result *r, struct pagehint_stat *st)
{
	uint64_t turn;
	int tries;

	for (tries = 0; tries < RESULT_TRIES; tries++) {
		turn = __atomic_load_n(&r->turn, __ATOMIC_ACQUIRE);
		st->hits = result_get(&r->stat.hits);
		st->misses = result_get(&r->stat.misses);
		st->late = result_get(&r->stat.late);
		st->forced = result_get(&r->stat.forced);
		st->used = result_get(&r->stat.used);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (!(turn & 1) && __atomic_load_n(&r->turn, __ATOMIC_RELAXED) == turn)
			return true;
	}
	return false;
}

#endif
