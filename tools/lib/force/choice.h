/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Force an extent, or leave it to the kernel's readahead? The plan's rule (list/plan.h) says so
 * first, without having seen a page. A perceptron (hint/perceptron.h, after A Prediction System
 * Service, ASPLOS 2023) then learns from what became of the pages whether the rule is right for
 * extents of the same kind.
 *
 * Where this differs from PSS: the rule is a feature of its own, which begins with a weight beyond
 * the training threshold. So the perceptron begins as the rule, and outcomes that agree with it
 * train nothing. And the sum alone does not decide: the latest three outcomes must have spoken
 * against the rule, too, and a single one that speaks for it brings the rule back. What other
 * extents teach therefore never changes the treatment of one for which the rule works, and one
 * start that went wrong changes nothing.
 *
 * An outcome tells of what was done only: how forced pages would have fared with readahead is not
 * known. So a forced extent is judged by whether it was wanted, and one that the rule leaves by
 * whether readahead kept up.
 */
#ifndef PAGE2CACHE_CHOICE_H
#define PAGE2CACHE_CHOICE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "hint/perceptron.h"
#include "list/offsets.h"

struct choice {
	signed char weights[PERCEPTRON_BYTES];
};

/* So many outcomes in a row have to speak against the rule; more are not counted. */
#define CHOICE_WRONG 3

struct choice_case {
	bool rule;		   /* the plan's rule forces it */
	enum offsets_pattern kind; /* of access, as the list says */
	bool random;		   /* the list comes to the file's pages in no order */
	uint64_t nr_pages;	   /* of the extent */
	uint64_t window;	   /* of the device's readahead, in pages */
	dev_t device;
	/* The latest outcomes, of this extent or of those before in a stream, that spoke against it. */
	unsigned int wrong;
};

#define CHOICE_FEATURES 7

/* Pages of an extent, since it was forced or left. */
struct choice_outcome {
	bool forced;
	uint64_t pages;	 /* that were read in by forcing; of one that was left: that were absent */
	uint64_t used;	 /* forced, and accessed */
	uint64_t unused; /* forced, and gone again without an access */
	uint64_t missed; /* not forced, and absent when they were accessed */
};

enum choice_verdict {
	CHOICE_NOTHING, /* the outcome says nothing, or not yet */
	CHOICE_FORCE,	/* it had better be forced, or was rightly */
	CHOICE_LEAVE,
};

/* No evidence yet: choice_forces() says what the rule says. */
void choice_init(struct choice *c);

/* What the perceptron is asked, in the order of its tables. */
void choice_features(const struct choice_case *x, perceptron_feature *features);

/* Is the extent to be forced, SUM being perceptron_sum() of its features? */
bool choice_by_sum(const struct choice_case *x, int sum);
bool choice_forces(const struct choice *c, const struct choice_case *x);

enum choice_verdict choice_judge(const struct choice_case *x, const struct choice_outcome *o);

/* What `wrong` is after that verdict. */
unsigned int choice_after(const struct choice_case *x, enum choice_verdict verdict);
/* Train by a verdict on X as it was when it was chosen. */
void choice_learn(struct choice *c, const struct choice_case *x, enum choice_verdict verdict);

#endif
