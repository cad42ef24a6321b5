// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "force/choice.h"

/* Of the perceptron's domains: its tables are this process's own. */
#define DOMAIN 0
/* The feature that is the rule, and its first weight or the negative of it. */
#define RULE 0

void choice_features(const struct choice_case *x, perceptron_feature *features)
{
	features[RULE] = x->rule;
	features[1] = x->kind;
	features[2] = x->random;
	/* Lengths that differ less than by twice are alike. */
	features[3] = x->nr_pages ? 63 - __builtin_clzll(x->nr_pages) : 0;
	features[4] = x->window;
	features[5] = x->device;
	features[6] = x->wrong;
}

void choice_init(struct choice *c)
{
	/* Beyond the threshold: an outcome that agrees with the rule then trains nothing. */
	const int weight = perceptron_threshold(CHOICE_FEATURES) + 1;

	memset(c, 0, sizeof(*c));
	c->weights[perceptron_slot(DOMAIN, RULE, true)] = weight;
	c->weights[perceptron_slot(DOMAIN, RULE, false)] = -weight;
}

bool choice_by_sum(const struct choice_case *x, int sum)
{
	return x->wrong == CHOICE_WRONG ? sum >= 0 : x->rule;
}

bool choice_forces(const struct choice *c, const struct choice_case *x)
{
	perceptron_feature features[CHOICE_FEATURES];

	choice_features(x, features);
	return choice_by_sum(x, perceptron_sum(c->weights, DOMAIN, features, CHOICE_FEATURES));
}

static enum choice_verdict judge_forced(const struct choice_outcome *o)
{
	if (2 * o->used >= o->pages)
		return CHOICE_FORCE;
	return 2 * o->unused > o->pages ? CHOICE_LEAVE : CHOICE_NOTHING;
}

static enum choice_verdict judge_left(const struct choice_case *x, const struct choice_outcome *o)
{
	uint64_t window = x->window ? x->window : 1;

	if (!o->missed)
		return CHOICE_NOTHING;
	/* It was left because nobody wanted it: somebody does. */
	if (x->rule)
		return CHOICE_FORCE;
	/* Readahead that keeps up misses where a stream begins, not once in each window. */
	return o->missed > o->pages / window ? CHOICE_FORCE : CHOICE_LEAVE;
}

enum choice_verdict choice_judge(const struct choice_case *x, const struct choice_outcome *o)
{
	if (!o->pages)
		return CHOICE_NOTHING;
	return o->forced ? judge_forced(o) : judge_left(x, o);
}

unsigned int choice_after(const struct choice_case *x, enum choice_verdict verdict)
{
	if (verdict == CHOICE_NOTHING)
		return x->wrong;
	if ((verdict == CHOICE_FORCE) == x->rule)
		return 0;
	return x->wrong < CHOICE_WRONG ? x->wrong + 1 : CHOICE_WRONG;
}

void choice_learn(struct choice *c, const struct choice_case *x, enum choice_verdict verdict)
{
	perceptron_feature features[CHOICE_FEATURES];

	if (verdict == CHOICE_NOTHING)
		return;
	choice_features(x, features);
	perceptron_learn(c->weights, DOMAIN, features, CHOICE_FEATURES, verdict == CHOICE_FORCE);
}
