// SPDX-License-Identifier: LGPL-2.1-or-later
#include <limits.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "ring.h"

void ring_producer_init(struct ring_producer *p, struct ring *r, uint64_t nr_words, bool shared)
{
	*p = (struct ring_producer){ .ring = r, .mask = nr_words - 1, .shared = shared };
}

static int futex_op(int op, bool shared)
{
	return shared ? op : op | FUTEX_PRIVATE_FLAG;
}

void ring_ring(struct ring *r, bool shared)
{
	__atomic_fetch_add(&r->bell, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &r->bell, futex_op(FUTEX_WAKE, shared), INT_MAX, NULL, NULL, 0);
}

void ring_consumer_init(struct ring_consumer *c, struct ring *r, uint64_t nr_words, bool shared)
{
	*c = (struct ring_consumer){ .ring = r, .mask = nr_words - 1, .shared = shared };
}

static uint64_t next_word(struct ring_consumer *c)
{
	return __atomic_load_n(&c->ring->words[c->head++ & c->mask], __ATOMIC_RELAXED);
}

/* Begin with the next record; false if the words are no record. */
static bool begin_record(struct ring_consumer *c)
{
	uint64_t head = next_word(c);

	c->file = head >> 32;
	c->left = head >> 16 & 0xffff;
	return (head & 0xffff) == RING_WILLNEED && c->left && c->left <= RING_MAX_RANGES;
}

size_t ring_take(struct ring_consumer *c, struct ring_hint *hints, size_t max)
{
	uint64_t tail = __atomic_load_n(&c->ring->tail, __ATOMIC_ACQUIRE);
	bool sane = tail - c->head <= c->mask + 1;
	size_t n = 0;

	while (sane && n < max && (c->left || tail != c->head)) {
		/* The other ranges of a record were published together with its head. */
		sane = (c->left || begin_record(c)) && tail - c->head >= 2;
		if (!sane)
			break;
		hints[n].file = c->file;
		hints[n].range.offset = next_word(c);
		hints[n++].range.length = next_word(c);
		c->left--;
	}
	if (!sane) {
		c->malformed++;
		c->head = tail;
		c->left = 0;
	}
	__atomic_store_n(&c->ring->head, c->head, __ATOMIC_RELEASE);
	return n;
}

uint32_t ring_bell(const struct ring_consumer *c)
{
	return __atomic_load_n(&c->ring->bell, __ATOMIC_SEQ_CST);
}

void ring_wake(struct ring_consumer *c, bool on)
{
	/* No tail ever passes position 0 again, so the producer no longer rings. */
	__atomic_store_n(&c->ring->wake_at, on ? c->head + 1 : 0, __ATOMIC_SEQ_CST);
}

bool ring_barrier(const struct ring_consumer *c)
{
	if (c->shared)
		return !syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0);
	if (!syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0))
		return true;
	/* A process registers once. */
	return !syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0) &&
	       !syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0);
}

bool ring_is_empty(const struct ring_consumer *c)
{
	return !c->left && __atomic_load_n(&c->ring->tail, __ATOMIC_ACQUIRE) == c->head;
}

void ring_rest(struct ring_consumer *c, uint32_t bell, int64_t ns)
{
	struct timespec t = { ns / 1000000000, ns % 1000000000 };

	syscall(SYS_futex, &c->ring->bell, futex_op(FUTEX_WAIT, c->shared), bell,
		ns < 0 ? NULL : &t, NULL, 0);
}
