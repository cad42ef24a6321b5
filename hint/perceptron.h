/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A hashed perceptron: it guesses yes or no from up to eight numbers, and learns from the outcome.
 *
 * It is the predictor of A Prediction System Service (PSS, ASPLOS 2023). Each number ("feature")
 * is hashed into a table of small saturating weights, and the weights that are found are added:
 * the answer is yes where the sum is not negative. An outcome moves each of these weights by one
 * towards it, but only where the answer was wrong or the sum is within a training threshold.
 *
 * This differs from PSS. There the kernel (or a service) has the weights, and programs update them
 * in batches, by a system call for each batch. Here the weights are in memory that user space
 * writes itself, without a call, and that a BPF program reads. A reader clamps each weight,
 * so that a scribbled weight counts no more than a learnt one, and a wrong answer is the worst
 * consequence. Zeroing the memory is the only reset, and an answer is only a sign.
 *
 * This header is compiled for both sides.
 */
#ifndef PAGEHINT_PERCEPTRON_H
#define PAGEHINT_PERCEPTRON_H

#ifdef __bpf__
typedef unsigned long long perceptron_feature;
#else
#include <stdint.h>
typedef uint64_t perceptron_feature;
#endif

/* Kinds of decisions, each of which has a table of its own. */
#define PERCEPTRON_DOMAINS   8
#define PERCEPTRON_FEATURES  8
#define PERCEPTRON_SLOT_BITS 10
#define PERCEPTRON_BYTES     (PERCEPTRON_DOMAINS * PERCEPTRON_FEATURES << PERCEPTRON_SLOT_BITS)
#define PERCEPTRON_MOST	     63 /* a weight is between this and its negative */

/* Where the weight of feature number I of a domain lies, if its value is FEATURE. */
static inline unsigned int perceptron_slot(unsigned int domain, unsigned int i,
					   perceptron_feature feature)
{
	perceptron_feature hash = (feature + 1) * 0x9e3779b97f4a7c15ULL;
	unsigned int table = domain * PERCEPTRON_FEATURES + i;

	/* The index is within the table; the mask proves that to BPF's verifier. */
	return (table << PERCEPTRON_SLOT_BITS | hash >> (64 - PERCEPTRON_SLOT_BITS)) &
	       (PERCEPTRON_BYTES - 1);
}

/* A weight is read once, as another process may write meanwhile, and clamped. */
static inline int perceptron_weight(const signed char *weights, unsigned int slot)
{
	int w = *(const volatile signed char *)&weights[slot];

	if (w > PERCEPTRON_MOST)
		return PERCEPTRON_MOST;
	return w < -PERCEPTRON_MOST ? -PERCEPTRON_MOST : w;
}

/* The sum of N features' weights; features beyond the limits add 0. WEIGHTS: PERCEPTRON_BYTES. */
static inline int perceptron_sum(const signed char *weights, unsigned int domain,
				 const perceptron_feature *features, unsigned int n)
{
	unsigned int i;
	int sum = 0;

	for (i = 0; i < PERCEPTRON_FEATURES && i < n; i++)
		sum += perceptron_weight(weights, perceptron_slot(domain, i, features[i]));
	return sum;
}

/* A right answer is learnt from as well if its sum is within this threshold of Jimenez and Lin. */
static inline int perceptron_threshold(unsigned int n)
{
	return 193 * n / 100 + 14;
}

/* Learn the outcome: YES, or not. */
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
