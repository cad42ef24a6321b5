/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A hashed perceptron: a yes or no from up to eight numbers, learnt from how it came out.
 *
 * It is the predictor of A Prediction System Service (PSS, ASPLOS 2023). Each number ("feature")
 * is hashed into a table of small saturating weights, and the weights that are found are added:
 * the answer is yes where the sum is not negative. An outcome moves each of these weights by one
 * towards it, but only where the answer was wrong or the sum is within a training threshold.
 *
 * Where this differs from PSS: there the weights are the kernel's (or a service's), and programs
 * that update them do so in batches, by a system call for each. Here they lie in memory that user
 * space writes itself, without a call, and that a BPF program reads. Whoever reads weights clamps
 * each of them, so that they weigh no more than those that were learnt, whatever was written: a
 * wrong answer is the worst that comes of them. There is no reset but zeroed memory, and an
 * answer is only its sign.
 *
 * The same text is compiled for both sides.
 */
#ifndef PAGEHINT_PERCEPTRON_H
#define PAGEHINT_PERCEPTRON_H

#ifdef __bpf__
typedef unsigned long long perceptron_feature;
#else
#include <stdint.h>
typedef uint64_t perceptron_feature;
#endif

/* Decisions of different kinds, which have tables of their own. */
#define PERCEPTRON_DOMAINS   8
#define PERCEPTRON_FEATURES  8
#define PERCEPTRON_SLOT_BITS 10
#define PERCEPTRON_BYTES     (PERCEPTRON_DOMAINS * PERCEPTRON_FEATURES << PERCEPTRON_SLOT_BITS)
#define PERCEPTRON_MOST	     63 /* of a weight, and of its negative */

/* Where the weight of feature number I of a domain lies, if its value is FEATURE. */
static inline unsigned int perceptron_slot(unsigned int domain, unsigned int i,
					   perceptron_feature feature)
{
	perceptron_feature hash = (feature + 1) * 0x9e3779b97f4a7c15ULL;
	unsigned int table = domain * PERCEPTRON_FEATURES + i;

	/* The mask changes nothing that is right; for BPF's verifier it is the proof. */
	return (table << PERCEPTRON_SLOT_BITS | hash >> (64 - PERCEPTRON_SLOT_BITS)) &
	       (PERCEPTRON_BYTES - 1);
}

/* Read once, as another process may write meanwhile, and clamped. */
static inline int perceptron_weight(const signed char *weights, unsigned int slot)
{
	int w = *(const volatile signed char *)&weights[slot];

	if (w > PERCEPTRON_MOST)
		return PERCEPTRON_MOST;
	return w < -PERCEPTRON_MOST ? -PERCEPTRON_MOST : w;
}

/* The sum of N features' weights. WEIGHTS has PERCEPTRON_BYTES; those behind the limits are 0. */
static inline int perceptron_sum(const signed char *weights, unsigned int domain,
				 const perceptron_feature *features, unsigned int n)
{
	unsigned int i;
	int sum = 0;

	for (i = 0; i < PERCEPTRON_FEATURES && i < n; i++)
		sum += perceptron_weight(weights, perceptron_slot(domain, i, features[i]));
	return sum;
}

/* Sums of N weights within this are learnt from even if they are right: Jimenez and Lin's. */
static inline int perceptron_threshold(unsigned int n)
{
	return 193 * n / 100 + 14;
}

/* Learn that the outcome was YES, or was not. */
static inline void perceptron_learn(signed char *weights, unsigned int domain,
				    const perceptron_feature *features, unsigned int n,
				    unsigned int yes)
{
	int sum = perceptron_sum(weights, domain, features, n), threshold = perceptron_threshold(n);
	unsigned int i, slot;
	int w;

	if ((sum >= 0) == !!yes && (sum > threshold || sum < -threshold))
		return;
	for (i = 0; i < PERCEPTRON_FEATURES && i < n; i++) {
		slot = perceptron_slot(domain, i, features[i]);
		w = perceptron_weight(weights, slot) + (yes ? 1 : -1);
		if (w <= PERCEPTRON_MOST && w >= -PERCEPTRON_MOST)
			*(volatile signed char *)&weights[slot] = w;
	}
}

#endif
