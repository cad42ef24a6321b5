// SPDX-License-Identifier: GPL-2.0-only
/*
 * What memory that is shared with BPF costs, beside the calls that do the same.
 *
 *   sharing queue ring|batch|user BYTES RECORDS
 *                           ns a record of BYTES: RECORDS of them are written by this process, then
 *                           taken by one run of a BPF program, which is a part of the cost. ring:
 *                           the ring of libpagehint; batch: all are published at once; user:
 *                           bpf_user_ringbuf, drained with BPF_RB_NO_WAKEUP
 *   sharing perceptron shared|one|batch
 *                           ns to predict and to learn: in shared memory; by bpf(), one by one;
 *                           by bpf(), 64 at a time
 *   sharing agree COUNT     random features, weights of which any may have been scribbled over:
 *                           how many of COUNT sums BPF and this process find alike
 *   sharing scribble SECONDS
 *                           a thread writes over all of the ring while BPF drains it: how many
 *                           records BPF took meanwhile, and whether it takes right ones after it
 * One line of JSON each.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

#include "list.h"
#include "perceptron.h"
#include "ring.h"
#include "sharing.h"
#include "sharing.skel.h"

#define ROUNDS	     201
#define RECORDS_MOST 256
#define QUEUE_WORDS  (QUEUE_BYTES / 8)

static struct sharing_bpf *skel;
static struct ring_producer producer;
static struct user_ring_buffer *user;

static void run(const struct bpf_program *prog, void *ctx, unsigned int size, int *result)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = ctx, .ctx_size_in = size);

	if (bpf_prog_test_run_opts(bpf_program__fd(prog), &opts))
		die("BPF_PROG_RUN", errno);
	if (result)
		*result = opts.retval;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *values)
{
	qsort(values, ROUNDS, sizeof(*values), by_value);
	return values[ROUNDS / 2];
}

static uint64_t random64(void)
{
	static uint64_t x = 88172645463325252ULL;

	x ^= x << 13;
	x ^= x >> 7;
	return x ^= x << 17;
}

/* --- queues */

/* Record number I of WORDS words: each of them says I. Returns the position behind it. */
static inline uint64_t put_record(struct ring_producer *p, uint64_t at, uint64_t i,
				  unsigned int words)
{
	uint64_t *place = ring_place(p, at, words + 1);
	unsigned int k;

	if (!ring_has_room(p, at - p->tail + words + 1))
		die("the ring is full", 0);
	if (place) {
		place[0] = words;
		for (k = 1; k <= words; k++)
			place[k] = i;
	} else {
		ring_write(p, at, words);
		for (k = 1; k <= words; k++)
			ring_write(p, at + k, i);
	}
	return at + words + 1;
}

/* NR records, each published at once, or all of them together. */
static void put_records(unsigned int nr, unsigned int words, bool each)
{
	struct ring_producer p = producer;
	uint64_t at = p.tail, i;

	for (i = 0; i < nr; i++) {
		at = put_record(&p, at, i, words);
		if (each)
			ring_publish(&p, at);
	}
	if (!each)
		ring_publish(&p, at);
	producer = p;
}

static void put_sample(uint64_t i, unsigned int words)
{
	uint64_t *record = user_ring_buffer__reserve(user, words * sizeof(*record));
	unsigned int k;

	if (!record)
		die("user_ring_buffer__reserve", errno);
	for (k = 0; k < words; k++)
		record[k] = i;
	user_ring_buffer__submit(user, record);
}

static void measure_queue(const char *way, unsigned int words, unsigned int nr)
{
	bool of_user = !strcmp(way, "user");
	double put[ROUNDS], took[ROUNDS], both[ROUNDS];
	uint64_t start, middle, sum = 0;
	unsigned int round, i;

	skel->bss->drained.words = words;
	for (round = 0; round < ROUNDS; round++) {
		start = now_ns();
		for (i = 0; i < nr && of_user; i++)
			put_sample(i, words);
		if (!of_user)
			put_records(nr, words, strcmp(way, "batch"));
		middle = now_ns();
		run(of_user ? skel->progs.drain_user_ringbuf : skel->progs.drain_queue, NULL, 0,
		    NULL);
		took[round] = (double)(now_ns() - middle) / nr;
		put[round] = (double)(middle - start) / nr;
		both[round] = put[round] + took[round];
		sum += (uint64_t)words * nr * (nr - 1) / 2;
	}
	if (skel->bss->drained.records != (uint64_t)ROUNDS * nr || skel->bss->drained.sum != sum)
		die("records were lost, or others came", 0);
	printf("{\"ns\": %.2f, \"put_ns\": %.2f, \"take_ns\": %.2f, \"records\": %llu}\n",
	       median(both), median(put), median(took),
	       (unsigned long long)skel->bss->drained.records);
}

static void start_queues(void)
{
	struct ring *ring = (struct ring *)&skel->bss->queue;

	_Static_assert(offsetof(struct ring, words) == offsetof(typeof(skel->bss->queue), words),
		       "the ring is laid out on both sides alike");
	ring_producer_init(&producer, ring, QUEUE_WORDS, false);
	user = user_ring_buffer__new(bpf_map__fd(skel->maps.user_ringbuf), NULL);
	if (!user)
		die("bpf_user_ringbuf", errno);
}

#define AFTER_IT 256 /* records that a producer writes who behaves */
/* On a busy machine it takes a while until a scribbled record is taken, but no longer than this. */
#define SCRIBBLED_NS 30000000000ULL

static bool scribbling;

/* Words that look like records now and then, and positions that may be true. */
static void *scribble(void *ctx)
{
	uint64_t *words = (uint64_t *)&skel->bss->queue, x;

	while (__atomic_load_n(&scribbling, __ATOMIC_RELAXED)) {
		x = random64();
		__atomic_store_n(&words[x % (sizeof(skel->bss->queue) / sizeof(*words))],
				 x & 1 << 30 ? x >> 58 : x, __ATOMIC_RELAXED);
		if (!(x & 0xff0000))
			__atomic_store_n(&skel->bss->queue.tail,
					 skel->bss->drained.position + (x >> 50), __ATOMIC_RELAXED);
	}
	return NULL;
}

static void take_from_a_scribbler(unsigned long seconds)
{
	struct drained *d = &skel->bss->drained;
	uint64_t end = now_ns() + seconds * 1000000000ULL, runs, records, sum;
	pthread_t thread;

	scribbling = true;
	if (pthread_create(&thread, NULL, scribble, NULL))
		die("a thread", EAGAIN);
	for (runs = 0; now_ns() < end || (!d->records && now_ns() < end + SCRIBBLED_NS); runs++)
		run(skel->progs.drain_queue, NULL, 0, NULL);
	__atomic_store_n(&scribbling, false, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	/* Whatever is left there is taken; then a producer that behaves begins where that ends. */
	run(skel->progs.drain_queue, NULL, 0, NULL);
	records = d->records;
	sum = d->sum;
	producer.tail = producer.head = d->position;
	put_records(AFTER_IT, RECORD_WORDS, true);
	run(skel->progs.drain_queue, NULL, 0, NULL);
	printf("{\"runs\": %llu, \"records\": %llu, \"right_after_it\": %s}\n",
	       (unsigned long long)runs, (unsigned long long)records,
	       d->records == records + AFTER_IT &&
			       d->sum == sum + RECORD_WORDS * AFTER_IT * (AFTER_IT - 1) / 2
		       ? "true"
		       : "false");
}

/* --- the perceptron */

#define ASKS 4096 /* between two looks at the clock */

static void ask(struct asked *q)
{
	unsigned int i;

	*q = (struct asked){ .domain = random64() % PERCEPTRON_DOMAINS, .n = PERCEPTRON_FEATURES };
	for (i = 0; i < q->n; i++)
		q->features[i] = random64() % 64;
	q->outcome = q->features[0] > 31;
}

static void ask_batch(struct batch *batch, struct answers *answers)
{
	uint32_t zero = 0;

	if (bpf_map_update_elem(bpf_map__fd(skel->maps.asked), &zero, batch, 0))
		die("bpf(BPF_MAP_UPDATE_ELEM)", errno);
	run(skel->progs.ask_batch, NULL, 0, NULL);
	if (bpf_map_lookup_elem(bpf_map__fd(skel->maps.answers), &zero, answers))
		die("bpf(BPF_MAP_LOOKUP_ELEM)", errno);
}

static int ask_shared(const struct asked *q)
{
	signed char *weights = skel->bss->weights;
	int sum = perceptron_sum(weights, q->domain, (void *)q->features, q->n);

	perceptron_learn(weights, q->domain, (void *)q->features, q->n, q->outcome);
	return sum;
}

static int ask_one(struct asked *q)
{
	int sum, learnt;

	q->learn = 0;
	run(skel->progs.ask_one, q, sizeof(*q), &sum);
	q->learn = 1;
	run(skel->progs.ask_one, q, sizeof(*q), &learnt);
	return sum;
}

/* Ns to predict and to learn, of the median round; the last round's right answers of 100. */
static void measure_perceptron(const char *way)
{
	static struct asked asked[ASKS];
	unsigned int round, i, k, right;
	struct answers answers;
	double took[ROUNDS];
	struct batch batch;
	uint64_t start;
	int sums[ASKS];

	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < ASKS; i++)
			ask(&asked[i]);
		start = now_ns();
		if (!strcmp(way, "batch")) {
			for (i = 0; i < ASKS; i += ASKED_MOST) {
				batch.nr = ASKED_MOST;
				memcpy(batch.asked, &asked[i], sizeof(batch.asked));
				for (k = 0; k < ASKED_MOST; k++)
					batch.asked[k].learn = 1;
				ask_batch(&batch, &answers);
				memcpy(&sums[i], answers.sum, sizeof(answers.sum));
			}
		} else if (!strcmp(way, "one")) {
			for (i = 0; i < ASKS; i++)
				sums[i] = ask_one(&asked[i]);
		} else {
			for (i = 0; i < ASKS; i++)
				sums[i] = ask_shared(&asked[i]);
		}
		took[round] = (double)(now_ns() - start) / ASKS;
	}
	for (right = i = 0; i < ASKS; i++)
		right += (sums[i] >= 0) == asked[i].outcome;
	printf("{\"ns\": %.2f, \"right\": %.1f}\n", median(took), 100.0 * right / ASKS);
}

/* What BPF finds, and learns, is what this process finds and learns, whatever the weights are. */
static void agree(uint64_t count)
{
	static signed char mine[PERCEPTRON_BYTES];
	uint64_t done, alike = 0;
	struct answers answers;
	struct batch batch;
	unsigned int i, k;

	for (i = 0; i < PERCEPTRON_BYTES; i++)
		mine[i] = random64();
	memcpy(skel->bss->weights, mine, sizeof(mine));
	for (done = 0; done < count; done += batch.nr) {
		batch.nr = count - done < ASKED_MOST ? count - done : ASKED_MOST;
		for (i = 0; i < batch.nr; i++) {
			struct asked *q = &batch.asked[i];

			ask(q);
			q->learn = 1;
			q->n = random64() % (PERCEPTRON_FEATURES + 2);
			for (k = 0; k < PERCEPTRON_FEATURES; k++)
				q->features[k] = random64() >> random64() % 64;
		}
		k = random64() % PERCEPTRON_BYTES;
		mine[k] = skel->bss->weights[k] = random64();
		ask_batch(&batch, &answers);
		for (i = 0; i < batch.nr; i++) {
			const struct asked *q = &batch.asked[i];

			alike += answers.sum[i] ==
				 perceptron_sum(mine, q->domain, (void *)q->features, q->n);
			perceptron_learn(mine, q->domain, (void *)q->features, q->n, q->outcome);
		}
	}
	printf("{\"asked\": %llu, \"alike\": %llu, \"weights_alike\": %s}\n",
	       (unsigned long long)count, (unsigned long long)alike,
	       memcmp(mine, skel->bss->weights, sizeof(mine)) ? "false" : "true");
}

static bool is_one_of(const char *word, const char *a, const char *b, const char *c)
{
	return !strcmp(word, a) || !strcmp(word, b) || !strcmp(word, c);
}

int main(int argc, char **argv)
{
	unsigned long bytes = argc >= 4 ? strtoul(argv[3], NULL, 10) : 0;
	unsigned long records = argc == 5 ? strtoul(argv[4], NULL, 10) : 0;
	bool queue = argc == 5 && !strcmp(argv[1], "queue") &&
		     is_one_of(argv[2], "ring", "batch", "user") && bytes && bytes % 8 == 0 &&
		     bytes <= 8 * RECORD_WORDS && records && records <= RECORDS_MOST;
	bool perceptron = argc == 3 && !strcmp(argv[1], "perceptron") &&
			  is_one_of(argv[2], "shared", "one", "batch");

	bool scribbled = argc == 3 && !strcmp(argv[1], "scribble");

	if (!queue && !perceptron && !scribbled && (argc != 3 || strcmp(argv[1], "agree"))) {
		fprintf(stderr, "usage: sharing queue ring|batch|user BYTES RECORDS\n"
				"       sharing perceptron shared|one|batch\n"
				"       sharing agree COUNT\n"
				"       sharing scribble SECONDS\n");
		return 2;
	}
	skel = sharing_bpf__open_and_load();
	if (!skel)
		die("the BPF programs do not load", errno);
	start_queues();
	if (queue)
		measure_queue(argv[2], bytes / 8, records);
	else if (perceptron)
		measure_perceptron(argv[2]);
	else if (scribbled)
		take_from_a_scribbler(strtoul(argv[2], NULL, 10));
	else
		agree(strtoull(argv[2], NULL, 10));
	user_ring_buffer__free(user);
	sharing_bpf__destroy(skel);
	return 0;
}
