// SPDX-License-Identifier: GPL-2.0-only
/*
 * libFuzzer target of the consumer of hints. Whatever a producer writes into the ring, and
 * wherever it moves its end, requests lie within the files that there are, none twice.
 *
 * The input is a row of steps: how many hints are taken, how many words are written, an end of
 * the ring in place of the true one if the top bit is set, and the words.
 *
 * FUZZ_RECORDS=N in the environment: says so and ends when N records have been read, which an
 * input has many of.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "requests.h"
#include "check.h"

#define WORDS 64
#define MAX   32
#define PAGE  4096
#define FILES 3

static const uint64_t sizes[FILES] = { 1, 10 * PAGE + 1, INT64_MAX };

static uint64_t size_of(void *ctx, uint32_t file)
{
	return file < FILES ? sizes[file] : 0;
}

static void check_requests(const struct request *r, size_t n)
{
	size_t i, k;

	for (i = 0; i < n; i++) {
		CHECK(r[i].file < FILES);
		CHECK(r[i].first < r[i].end);
		CHECK(r[i].end - 1 <= (sizes[r[i].file] - 1) / PAGE);
		for (k = 0; k < i; k++) {
			CHECK(r[k].order < r[i].order);
			CHECK(r[k].file != r[i].file || r[k].end < r[i].first ||
			      r[i].end < r[k].first);
		}
	}
}

/* What the consumer read: ranges that it took, and records that it refused. */
static uint64_t records, wanted;

static const uint8_t *data;
static size_t size;

static uint64_t read_bytes(unsigned int n)
{
	uint64_t value = 0;

	if (n > size)
		n = size;
	memcpy(&value, data, n);
	data += n;
	size -= n;
	return value;
}

static void step(struct ring *ring, struct ring_consumer *c)
{
	unsigned int max = read_bytes(1) % (MAX + 1), flags = read_bytes(1), i;
	struct ring_hint *hints = malloc(MAX * sizeof(*hints));
	struct request *requests = malloc(MAX * sizeof(*requests));
	uint64_t head = c->head, malformed = c->malformed;
	size_t n;

	CHECK(hints && requests);
	ring->tail = flags & 128 ? read_bytes(8) : c->head + flags % WORDS;
	for (i = 0; i < flags % WORDS; i++)
		ring->words[(c->head + i) % WORDS] = read_bytes(8);
	n = ring_take(c, hints, max);
	records += n + (c->malformed - malformed);
	CHECK(n <= max);
	CHECK(ring->head == c->head);
	CHECK(c->head - head <= WORDS || c->malformed > malformed);
	check_requests(requests, requests_make(requests, hints, n, PAGE, size_of, NULL));
	free(hints);
	free(requests);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t input_size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *text = getenv("FUZZ_RECORDS");

	wanted = text ? strtoull(text, NULL, 10) : 0;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t input_size)
{
	struct ring *ring = aligned_alloc(128, (ring_size(WORDS) + 127) / 128 * 128);
	struct ring_consumer c;

	CHECK(ring);
	memset(ring, 0, ring_size(WORDS));
	ring_consumer_init(&c, ring, WORDS, false);
	data = input;
	size = input_size;
	while (size)
		step(ring, &c);
	free(ring);
	if (wanted && records >= wanted) {
		printf("%llu records, none of which did harm\n", (unsigned long long)records);
		fflush(stdout);
		_exit(0); /* libFuzzer calls exit(3) a crash */
	}
	return 0;
}
