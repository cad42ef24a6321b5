/* SPDX-License-Identifier: GPL-2.0-only */
/* --rate: so many bytes a second at most, of all threads of a run together. */
#ifndef PAGE2CACHE_PACE_H
#define PAGE2CACHE_PACE_H

#include <pthread.h>

#include "base/util.h"

/*
 * As much as a large folio has. Of what is submitted at once, and another reader's page waits
 * behind, this is the most that is of use.
 */
#define PACE_BYTES (2ULL << 20)

struct pace {
	pthread_mutex_t lock;
	uint64_t rate;	      /* bytes a second, 0: no limit */
	uint64_t piece_pages; /* submitted at once */
	uint64_t due_ns;      /* at RATE the bytes that were asked for so far take until then */
};

/* Pieces have at most MOST_BYTES, and a page at least. */
void pace_init(struct pace *p, uint64_t rate, uint64_t most_bytes);
/* A run begins. */
void pace_begin(struct pace *p, uint64_t now);

/* How many of NR pages from INDEX on are submitted at once: few, so that reading is even. */
uint64_t pace_piece(const struct pace *p, uint64_t index, uint64_t nr);
/* The time at which BYTES may be submitted: after as long as they take, so none go free. */
uint64_t pace_due(struct pace *p, uint64_t now, uint64_t bytes);
/*
 * Wait until BYTES may be submitted. False if *stop was set meanwhile: they are not to be
 * submitted.
 */
bool pace_wait(struct pace *p, uint64_t bytes, const volatile bool *stop);

void pace_free(struct pace *p);

#endif
