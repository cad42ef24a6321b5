/* SPDX-License-Identifier: GPL-2.0-only */
/* What sharing.c and its BPF programs share. */
#ifndef PROGS_SHARING_H
#define PROGS_SHARING_H

#include <linux/types.h>

/* --- records of either queue */

#define RECORD_WORDS 32
#define QUEUE_BYTES  (128 << 10)

struct drained {
	__u64 records;
	__u64 sum;	/* of all their words */
	__u64 words;	/* of each sample of bpf_user_ringbuf, given before */
	__u64 position; /* of the ring: the consumer's own */
};

/* --- the perceptron, asked by bpf() */

#define ASKED_MOST 64

struct asked {
	__u32 domain;
	__u32 n;
	__u32 learn; /* the outcome, too */
	__u32 outcome;
	__u64 features[8];
};

struct batch {
	__u32 nr;
	struct asked asked[ASKED_MOST];
};

struct answers {
	int sum[ASKED_MOST];
};

#endif
