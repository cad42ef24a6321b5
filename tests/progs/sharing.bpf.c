// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's side of memory that user space shares with it: a ring that it drains, beside
 * bpf_user_ringbuf, and a perceptron whose weights it reads.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <stdbool.h>

#include "../../hint/perceptron.h"
#include "sharing.h"

char LICENSE[] SEC("license") = "GPL";

#define QUEUE_WORDS   (QUEUE_BYTES / 8)
#define TAKEN_AT_ONCE 16
/* A length that no record has: none has so much behind it. */
#define NO_RECORD (~0ULL)

/* Mapped by user space, as all of these variables are: struct ring of hint/ring.h. */
struct {
	__u64 tail __attribute__((aligned(128)));
	__u64 head __attribute__((aligned(128)));
	__u64 wake_at __attribute__((aligned(128)));
	__u32 bell;
	__u64 words[QUEUE_WORDS] __attribute__((aligned(128)));
	/* Not of the ring, and read by nobody: the verifier knows no better. */
	__u64 slack[RECORD_WORDS];
} queue __attribute__((aligned(4096)));

signed char weights[PERCEPTRON_BYTES] __attribute__((aligned(4096)));
struct drained drained;

struct {
	__uint(type, BPF_MAP_TYPE_USER_RINGBUF);
	__uint(max_entries, QUEUE_BYTES);
} user_ringbuf SEC(".maps");

/* Each word is read once: the producer may write meanwhile. */
static __always_inline __u64 sum_of(const volatile __u64 *words, __u64 nr)
{
	__u64 sum = 0, k;

	for (k = 0; k < RECORD_WORDS / 4; k++, words += 4) {
		if (4 * k + 4 > nr)
			break;
		sum += words[0] + words[1] + words[2] + words[3];
	}
	for (k = 0; k < nr % 4; k++)
		sum += words[k];
	return sum;
}

static __always_inline __u64 word(__u64 position)
{
	return *(const volatile __u64 *)&queue.words[position & (QUEUE_WORDS - 1)];
}

#define SHORT 4

/* A global function, which the verifier looks at once, and not at each of its callers. */
__noinline __u64 sum_long(__u64 position, __u64 nr)
{
	__u64 first = position & (QUEUE_WORDS - 1), sum = 0, k;

	if (nr > RECORD_WORDS)
		return 0;
	if (first + nr <= QUEUE_WORDS)
		return sum_of(&queue.words[first], nr);
	for (k = 0; k < RECORD_WORDS && k < nr; k++)
		sum += word(position + k);
	return sum;
}

static __always_inline __u64 sum_at(__u64 at, __u64 nr)
{
	__u64 sum = 0;

	if (nr > SHORT)
		return sum_long(at, nr);
	if (nr > 0)
		sum = word(at);
	if (nr > 1)
		sum += word(at + 1);
	if (nr > 2)
		sum += word(at + 2);
	if (nr > 3)
		sum += word(at + 3);
	return sum;
}

/* Where the consumer is; all of it its own. */
struct cursor {
	__u64 at, tail;
	__u64 sum, records;
	__u64 nr; /* words of the latest record */
};

/*
 * A record that makes no sense ends it, as in ring_take(). False: there is no record.
 *
 * Where the next record begins would be known only when the length of this one has been loaded.
 * Most are as long as the one before: the processor guesses the branch, and goes on meanwhile.
 */
static __always_inline bool take_one(struct cursor *c)
{
	__u64 at = c->at, nr = c->nr, found;

	if (at == c->tail)
		return false;
	found = word(at++);
	if (found != nr) {
		nr = found < RECORD_WORDS + 1 ? found : NO_RECORD;
		/* Else the compiler would use what was loaded in any case. */
		barrier_var(nr);
	}
	if (c->tail - at < nr) {
		c->at = c->tail;
		return false;
	}
	c->sum += sum_at(at, nr);
	c->records++;
	c->at = at + nr;
	c->nr = nr;
	return true;
}

/* Several a call, as a call costs more than a short record. */
static long take(__u32 i, struct cursor *ctx)
{
	struct cursor c = *ctx;
	bool any = true;
	__u32 k;

#pragma unroll
	for (k = 0; k < TAKEN_AT_ONCE && any; k++)
		any = take_one(&c);
	*ctx = c;
	return !any;
}

SEC("syscall")
int drain_queue(void *ctx)
{
	struct cursor c = { .at = drained.position, .tail = *(volatile __u64 *)&queue.tail };

	if (c.tail - c.at > QUEUE_WORDS)
		c.at = c.tail;
	/* A full barrier: what was published is read after tail. */
	__sync_fetch_and_add(&drained.records, 0);
	bpf_loop(QUEUE_WORDS, take, &c, 0);
	drained.sum += c.sum;
	drained.position = c.at;
	/* And the room is given back after that. */
	__sync_fetch_and_add(&drained.records, c.records);
	*(volatile __u64 *)&queue.head = c.at;
	return 0;
}

/* Samples have a length of their own, which is that of all of them here. */
static long take_sample(struct bpf_dynptr *sample, void *ctx)
{
	__u64 record[RECORD_WORDS], nr = drained.words;

	if (nr > RECORD_WORDS || bpf_dynptr_read(record, nr * sizeof(*record), sample, 0, 0))
		return 1;
	drained.sum += sum_of(record, nr);
	drained.records++;
	return 0;
}

SEC("syscall")
int drain_user_ringbuf(void *ctx)
{
	bpf_user_ringbuf_drain(&user_ringbuf, take_sample, NULL, BPF_RB_NO_WAKEUP);
	return 0;
}

/* --- the perceptron */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct batch);
} asked SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct answers);
} answers SEC(".maps");

static int answer(const struct asked *q)
{
	int sum = perceptron_sum(weights, q->domain, q->features, q->n);

	if (q->learn)
		perceptron_learn(weights, q->domain, q->features, q->n, q->outcome);
	return sum;
}

SEC("syscall")
int ask_one(struct asked *q)
{
	struct asked mine = *q;

	return answer(&mine);
}

static long answer_next(__u32 i, void *ctx)
{
	__u32 zero = 0;
	struct batch *b = bpf_map_lookup_elem(&asked, &zero);
	struct answers *a = bpf_map_lookup_elem(&answers, &zero);

	if (!a || !b || i >= b->nr || i >= ASKED_MOST)
		return 1;
	a->sum[i] = answer(&b->asked[i]);
	return 0;
}

SEC("syscall")
int ask_batch(void *ctx)
{
	bpf_loop(ASKED_MOST, answer_next, NULL, 0);
	return 0;
}
