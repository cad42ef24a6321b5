/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The queue of hints: a ring in memory that one producer and one consumer have mapped.
 *
 * The ring is made of words of 64 bits. A position counts words from the beginning and never goes
 * back; the word at position P is words[P % nr_words]. So a record of any length may lie across
 * the end of the memory. A record is a head, ring_head(), and as many pairs of offset and length
 * as it says. The producer publishes whole records by moving `tail`, the consumer gives the space
 * back by moving `head`.
 *
 * The consumer trusts nothing in the ring: it reads each word once, keeps its own position and
 * the ring's size in its own memory, and checks what it read. A record that makes no sense is
 * skipped with everything behind it. All that a hostile producer gains is a hint for another page.
 *
 * A consumer that rests is woken when the producer's tail passes the position `wake_at`. `bell`, a
 * futex that counts, wakes it; only this takes a system call. The producer reads wake_at without a
 * barrier after it has moved tail. A consumer that rests without a time limit therefore calls
 * ring_barrier() between setting wake_at and looking at tail for the last time, so that the
 * consumer pays for the barrier, once a rest.
 */
#ifndef PAGEHINT_RING_H
#define PAGEHINT_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pagehint.h"

/* Each side's words have lines of their own; processors fetch cache lines in pairs. */
#define RING_LINE __attribute__((aligned(128)))

/* Zeroed memory is an empty ring. Both sides know its number of words, a power of two. */
struct ring {
	/* Written by the producer. */
	RING_LINE uint64_t tail;
	uint64_t dropped; /* ranges for which there was no room */
	/* Written by the consumer. */
	RING_LINE uint64_t head;
	/* For resting; seldom written. */
	RING_LINE uint64_t wake_at; /* by the consumer */
	uint32_t bell;		    /* by any side that wakes the consumer */
	RING_LINE uint64_t words[];
};

#define RING_WILLNEED	1
#define RING_MAX_RANGES 512 /* of a record */

static inline uint64_t ring_head(uint32_t file, uint16_t nr_ranges)
{
	return (uint64_t)file << 32 | (uint32_t)nr_ranges << 16 | RING_WILLNEED;
}

/* The bytes that a ring of NR_WORDS takes. */
static inline size_t ring_size(uint64_t nr_words)
{
	return sizeof(struct ring) + nr_words * sizeof(uint64_t);
}

/* --- the producer's side: its own position, and the last known one of the consumer */

struct ring_producer {
	struct ring *ring;
	uint64_t mask;
	uint64_t tail;
	uint64_t head;
	bool shared;
};

/*
 * SHARED: the other side is another process; both sides pass the same. Within a process the bell is
 * a private futex, which the kernel finds in a third of the time.
 */
void ring_producer_init(struct ring_producer *p, struct ring *r, uint64_t nr_words, bool shared);

/* Wake the consumer, whatever it waits for. */
void ring_ring(struct ring *r, bool shared);

/* Is there room for NR words? Reads the consumer's cache line only if it has to. */
static inline bool ring_has_room(struct ring_producer *p, uint64_t nr)
{
	if (p->tail + nr - p->head <= p->mask + 1)
		return true;
	p->head = __atomic_load_n(&p->ring->head, __ATOMIC_ACQUIRE);
	return p->tail + nr - p->head <= p->mask + 1;
}

static inline void ring_write(struct ring_producer *p, uint64_t position, uint64_t word)
{
	__atomic_store_n(&p->ring->words[position & p->mask], word, __ATOMIC_RELAXED);
}

/* The address of NR words from POSITION; NULL if they lie across the end of the memory. */
static inline uint64_t *ring_place(const struct ring_producer *p, uint64_t position, uint64_t nr)
{
	uint64_t first = position & p->mask;

	return first + nr <= p->mask + 1 ? &p->ring->words[first] : NULL;
}

/* Give the consumer all words before position AT. Rings the bell if the consumer asked for it. */
static inline void ring_publish(struct ring_producer *p, uint64_t at)
{
	struct ring *r = p->ring;
	uint64_t wake_at;

	__atomic_store_n(&r->tail, at, __ATOMIC_RELEASE);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	wake_at = __atomic_load_n(&r->wake_at, __ATOMIC_RELAXED);
	if (__builtin_expect(p->tail < wake_at && wake_at <= at, 0))
		ring_ring(r, p->shared);
	p->tail = at;
}

/* Write a record of 1 to RING_MAX_RANGES ranges. Without room, count them as dropped: false. */
static inline bool ring_put(struct ring_producer *p, uint32_t file,
			    const struct pagehint_range *ranges, uint16_t nr)
{
	struct ring *r = p->ring;
	uint64_t at = p->tail;
	uint16_t i;

	if (!ring_has_room(p, 1 + 2 * (uint64_t)nr)) {
		__atomic_store_n(&r->dropped, r->dropped + nr, __ATOMIC_RELAXED);
		return false;
	}
	ring_write(p, at++, ring_head(file, nr));
	for (i = 0; i < nr; i++) {
		ring_write(p, at++, ranges[i].offset);
		ring_write(p, at++, ranges[i].length);
	}
	ring_publish(p, at);
	return true;
}

/* --- the consumer's side */

struct ring_consumer {
	struct ring *ring;
	uint64_t mask;
	uint64_t head;
	uint64_t malformed; /* times that the rest of the ring was skipped */
	uint32_t file;	    /* of the record that is being read, */
	uint32_t left;	    /* so many ranges of which are still to be read */
	bool shared;
};

struct ring_hint {
	uint32_t file;
	struct pagehint_range range;
};

void ring_consumer_init(struct ring_consumer *c, struct ring *r, uint64_t nr_words, bool shared);

/* Take at most MAX hints. Returns how many; 0 if there are none. */
size_t ring_take(struct ring_consumer *c, struct ring_hint *hints, size_t max);

/* The bell's value for ring_rest(): read it before the last look for work. */
uint32_t ring_bell(const struct ring_consumer *c);

/*
 * Ask the producer of an empty ring to ring at its next record, or (ON is false) no longer.
 * ring_barrier() makes sure that the producer sees that; false if the kernel has no such barrier:
 * then a rest needs a time limit. A producer in another process must have registered for the barrier
 * (MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED).
 */
void ring_wake(struct ring_consumer *c, bool on);
bool ring_barrier(const struct ring_consumer *c);

/* Is there a hint that ring_take() would take? */
bool ring_is_empty(const struct ring_consumer *c);

/* Rest until the bell's value is no longer BELL, or for NS nanoseconds (-1: no limit). */
void ring_rest(struct ring_consumer *c, uint32_t bell, int64_t ns);

#endif
