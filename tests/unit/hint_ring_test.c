// SPDX-License-Identifier: GPL-2.0-only
/* The queue of hints: what is put in comes out, whatever lies in the ring nothing worse does. */
#include <linux/membarrier.h>
#include <pthread.h>
#include <sys/syscall.h>

#include "unit.h"

#include "own.h"

#define WORDS 16

static struct ring *ring;
static struct ring_producer producer;
static struct ring_consumer consumer;
static struct ring_hint hints[WORDS];
static struct result results[PAGEHINT_MAX_FILES];

static void begin_for(uint64_t nr_words, bool shared)
{
	free(ring);
	ring = aligned_alloc(128, (ring_size(nr_words) + 127) / 128 * 128);
	assert_non_null(ring);
	memset(ring, 0, ring_size(nr_words));
	ring_producer_init(&producer, ring, nr_words, shared);
	ring_consumer_init(&consumer, ring, nr_words, shared);
}

static void begin(uint64_t nr_words)
{
	begin_for(nr_words, false);
}

static bool put(uint32_t file, uint64_t offset, uint64_t length)
{
	struct pagehint_range range = { offset, length };

	return ring_put(&producer, file, &range, 1);
}

static void is_hint(const struct ring_hint *h, uint32_t file, uint64_t offset, uint64_t length)
{
	assert_int_equal(h->file, file);
	assert_int_equal(h->range.offset, offset);
	assert_int_equal(h->range.length, length);
}

static void hints_come_out_as_they_went_in(void **state)
{
	begin(WORDS);
	assert_true(ring_is_empty(&consumer));
	assert_int_equal(ring_take(&consumer, hints, WORDS), 0);
	assert_true(put(7, 4096, UINT64_MAX));
	assert_true(put(UINT32_MAX, UINT64_MAX, 0));
	assert_false(ring_is_empty(&consumer));
	assert_int_equal(ring_take(&consumer, hints, WORDS), 2);
	is_hint(&hints[0], 7, 4096, UINT64_MAX);
	is_hint(&hints[1], UINT32_MAX, UINT64_MAX, 0);
	assert_int_equal(ring_take(&consumer, hints, WORDS), 0);
	assert_int_equal(consumer.malformed, 0);
}

/* 1 to 7 ranges a record in 16 words: each word of the ring is once the head of a record, and the
 * place where a record is cut by the edge. The consumer takes fewer than there are.
 */
static void records_of_any_length_lie_across_the_edge(void **state)
{
	struct pagehint_range ranges[7];
	uint64_t sent = 0, got = 0;
	unsigned int round, i, nr;
	size_t n;

	begin(WORDS);
	for (round = 0; round < 100000; round++) {
		nr = 1 + unit_random() % ARRAY_SIZE(ranges);
		for (i = 0; i < nr; i++)
			ranges[i] = (struct pagehint_range){ sent + i, ~(sent + i) };
		if (ring_put(&producer, 5, ranges, nr))
			sent += nr;
		n = ring_take(&consumer, hints, unit_random() % 4);
		for (i = 0; i < n; i++, got++)
			is_hint(&hints[i], 5, got, ~got);
	}
	while ((n = ring_take(&consumer, hints, WORDS)))
		got += n;
	assert_int_equal(got, sent);
	assert_true(sent > round);
	assert_int_equal(consumer.malformed, 0);
	assert_true(producer.tail > round); /* many times around */
}

static void a_full_ring_drops_and_counts(void **state)
{
	unsigned int i;

	begin(WORDS);
	for (i = 0; i < WORDS / 3; i++)
		assert_true(put(0, i, 1));
	assert_false(put(0, i, 1));
	assert_false(put(0, i, 1));
	assert_int_equal(ring->dropped, 2);
	/* What is there is whole, and there is room again for as much as was taken. */
	assert_int_equal(ring_take(&consumer, hints, 1), 1);
	is_hint(&hints[0], 0, 0, 1);
	assert_true(put(0, 5, 1));
	assert_false(put(0, 6, 1));
	assert_int_equal(ring->dropped, 3);
	assert_int_equal(ring_take(&consumer, hints, WORDS), WORDS / 3);
	is_hint(&hints[WORDS / 3 - 1], 0, 5, 1);
}

static void the_bell_rings_for_who_rests_alone(void **state)
{
	uint32_t before;

	begin(WORDS);
	before = ring_bell(&consumer);
	assert_true(put(0, 0, 1));
	assert_int_equal(ring_bell(&consumer), before);
	/* At once, and only once. */
	ring_take(&consumer, hints, WORDS);
	ring_wake(&consumer, true);
	assert_true(put(0, 0, 1));
	assert_int_equal(ring_bell(&consumer), before + 1);
	assert_true(put(0, 0, 1));
	assert_int_equal(ring_bell(&consumer), before + 1);
	/* What has rung already lets nobody rest. */
	ring_rest(&consumer, before, -1);
	/* Who is awake again is not rung for. */
	ring_take(&consumer, hints, WORDS);
	ring_wake(&consumer, true);
	ring_wake(&consumer, false);
	assert_true(put(0, 0, 1));
	assert_int_equal(ring_bell(&consumer), before + 1);
}

/* Each is skipped with what lies behind it, and the ring goes on. */
static void malformed_records_are_skipped(void **state)
{
	static const uint64_t heads[] = {
		0,			       /* no kind of record */
		(1ULL << 32) | 2 | 1 << 16,    /* a kind that there is not */
		(1ULL << 32) | RING_WILLNEED,  /* of no ranges */
		(1ULL << 32) | 0xffff0000 | 1, /* of more than a record may have */
		(1ULL << 32) | 2 << 16 | 1,    /* of more than were published */
		UINT64_MAX,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(heads); i++) {
		begin(WORDS);
		assert_true(put(3, 1, 1));
		ring->words[3] = heads[i];
		ring->tail = producer.tail = 6;
		ring_take(&consumer, hints, WORDS);
		assert_int_equal(consumer.malformed, 1);
		is_hint(&hints[0], 3, 1, 1);
		assert_true(ring_is_empty(&consumer));
		assert_int_equal(ring->head, 6);
		assert_true(put(4, 2, 2));
		assert_int_equal(ring_take(&consumer, hints, WORDS), 1);
		is_hint(&hints[0], 4, 2, 2);
	}
}

static void a_tail_that_cannot_be_is_not_followed(void **state)
{
	static const uint64_t tails[] = { WORDS + 1, UINT64_MAX, 1ULL << 63, 1 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(tails); i++) {
		begin(WORDS);
		ring->tail = tails[i];
		assert_int_equal(ring_take(&consumer, hints, WORDS), 0);
		assert_int_equal(consumer.malformed, 1);
		assert_true(ring_is_empty(&consumer));
	}
	/* Back, in the middle of a record. */
	begin(WORDS);
	assert_true(ring_put(&producer, 0, (struct pagehint_range[]){ { 1, 1 }, { 2, 2 } }, 2));
	assert_int_equal(ring_take(&consumer, hints, 1), 1);
	ring->tail = 2;
	assert_int_equal(ring_take(&consumer, hints, WORDS), 0);
	assert_int_equal(consumer.malformed, 1);
}

/* --- from hints to requests */

#define PAGE 4096

static uint64_t asked[8]; /* how often for the size of a file */

/* File N has N + 1/2 pages but for file 3, which is the largest that there can be, and 4. */
static uint64_t size(void *ctx, uint32_t file)
{
	asked[file % ARRAY_SIZE(asked)]++;
	if (file == 3)
		return INT64_MAX;
	return file < 4 ? file * PAGE + PAGE / 2 : 0;
}

static struct request requests[WORDS];

static size_t make(const struct ring_hint *of, size_t n)
{
	memset(asked, 0, sizeof(asked));
	return requests_make(requests, of, n, PAGE, size, NULL);
}

static void is_request(size_t i, uint32_t file, uint64_t first, uint64_t end)
{
	assert_int_equal(requests[i].file, file);
	assert_int_equal(requests[i].first, first);
	assert_int_equal(requests[i].end, end);
}

static void hints_that_touch_are_one_request(void **state)
{
	static const struct ring_hint some[] = {
		{ 3, { 9 * PAGE, PAGE } }, { 2, { PAGE, 1 } },	      { 3, { 2 * PAGE, PAGE } },
		{ 3, { 0, PAGE } },	   { 3, { PAGE, PAGE } },     { 3, { 10 * PAGE + 5, 5 } },
		{ 3, { 9 * PAGE, 1 } },	   { 3, { PAGE / 2, PAGE } }, { 3, { 5 * PAGE - 1, 2 } },
	};

	assert_int_equal(make(some, ARRAY_SIZE(some)), 4);
	/* In the order of the earliest hint. */
	is_request(0, 3, 9, 11);
	is_request(1, 2, 1, 2);
	is_request(2, 3, 0, 3);
	is_request(3, 3, 4, 6);
	assert_int_equal(asked[3], 1);
}

static void requests_end_with_the_file(void **state)
{
	static const struct ring_hint some[] = {
		{ 1, { 0, UINT64_MAX } },
		{ 2, { 3 * PAGE, PAGE } }, /* begins behind the end */
		{ 4, { 0, PAGE } },	   /* no file */
		{ UINT32_MAX, { 0, UINT64_MAX } },
		{ 0, { 0, 0 } }, /* nothing */
		{ 3, { UINT64_MAX, UINT64_MAX } },
		{ 3, { INT64_MAX - 1, UINT64_MAX } },
		{ 2, { 2 * PAGE, 1 } },
	};

	assert_int_equal(make(some, ARRAY_SIZE(some)), 3);
	is_request(0, 1, 0, 2);
	is_request(1, 3, (1ULL << 51) - 1, 1ULL << 51);
	is_request(2, 2, 2, 3);
	assert_int_equal(make(some, 0), 0);
}

/* --- a producer that scribbles over all of the ring while the consumer takes from it */

static bool scribbling;

static void *scribble(void *ctx)
{
	uint64_t x = 1;

	while (__atomic_load_n(&scribbling, __ATOMIC_RELAXED)) {
		x = x * 6364136223846793005ULL + 1442695040888963407ULL;
		/* Now and then something that looks like a record, and a tail that might be true. */
		__atomic_store_n(&ring->words[x >> 60],
				 x & 64 ? ring_head(x >> 40 & 3, x >> 33 & 3) : x,
				 __ATOMIC_RELAXED);
		if (x & 128)
			__atomic_store_n(&ring->tail, x & 256 ? x : ring->head + (x >> 50) % WORDS,
					 __ATOMIC_RELAXED);
		if (x & 512)
			__atomic_store_n(&ring->head, x, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void a_hostile_producer_gains_nothing(void **state)
{
	uint64_t taken = 0, i, pages;
	size_t n, nr, k;
	pthread_t thread;

	begin(WORDS);
	scribbling = true;
	assert_int_equal(pthread_create(&thread, NULL, scribble, NULL), 0);
	for (i = 0; taken < 10000 || consumer.malformed < 100; i++) {
		n = ring_take(&consumer, hints, 4);
		assert_true(n <= 4);
		taken += n;
		nr = make(hints, n);
		assert_true(nr <= n);
		for (k = 0; k < nr; k++) {
			pages = (size(NULL, requests[k].file) + PAGE - 1) / PAGE;
			assert_true(requests[k].first < requests[k].end);
			assert_true(requests[k].end <= pages);
		}
	}
	__atomic_store_n(&scribbling, false, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
}

/* A consumer that rests whenever it can loses no hint: 20,000 of them, in order. */
static void *produce(void *ctx)
{
	uint64_t i;

	for (i = 0; i < 20000; i++) {
		while (!put(1, i, 1))
			sched_yield();
	}
	return NULL;
}

static void rest_often(bool shared)
{
	uint64_t got = 0;
	pthread_t thread;
	uint32_t bell;
	size_t i, n;

	begin_for(WORDS, shared);
	assert_true(ring_barrier(&consumer));
	assert_int_equal(pthread_create(&thread, NULL, produce, NULL), 0);
	while (got < 20000) {
		n = ring_take(&consumer, hints, WORDS);
		for (i = 0; i < n; i++, got++)
			is_hint(&hints[i], 1, got, 1);
		bell = ring_bell(&consumer);
		ring_wake(&consumer, true);
		assert_true(ring_barrier(&consumer));
		if (got < 20000 && ring_is_empty(&consumer))
			ring_rest(&consumer, bell, -1);
	}
	pthread_join(thread, NULL);
	assert_int_equal(ring->tail, ring->head);
}

static void no_wake_up_is_lost(void **state)
{
	assert_int_equal(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0), 0);
	rest_often(false);
	rest_often(true);
}

/* 100,000 hints, drained in between: those may enter the kernel that come after a rest. */
static void a_stream_of_hints_seldom_rings(void **state)
{
	uint32_t before;
	struct own *own;
	unsigned int i;

	begin(16384);
	own = own_start(ring, 16384, results, NULL);
	assert_non_null(own);
	before = ring_bell(&consumer);
	for (i = 0; i < 100000; i++) {
		assert_true(put(0, i, 1));
		while (i % 1000 == 999 &&
		       __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE) != producer.tail)
			sched_yield();
	}
	assert_in_range(ring_bell(&consumer) - before, 0, i / 64);
	assert_int_equal(ring->dropped, 0);
	own_stop(own, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hints_come_out_as_they_went_in),
		cmocka_unit_test(records_of_any_length_lie_across_the_edge),
		cmocka_unit_test(a_full_ring_drops_and_counts),
		cmocka_unit_test(the_bell_rings_for_who_rests_alone),
		cmocka_unit_test(malformed_records_are_skipped),
		cmocka_unit_test(a_tail_that_cannot_be_is_not_followed),
		cmocka_unit_test(hints_that_touch_are_one_request),
		cmocka_unit_test(requests_end_with_the_file),
		cmocka_unit_test(a_hostile_producer_gains_nothing),
		cmocka_unit_test(no_wake_up_is_lost),
		cmocka_unit_test(a_stream_of_hints_seldom_rings),
	};
	int failed = cmocka_run_group_tests_name("the queue of hints", tests, NULL, NULL);

	free(ring);
	return failed;
}
