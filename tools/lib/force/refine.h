/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A plan whose rule is refined from firing to firing: each of its extents is forced or left as
 * choice_forces() says, by what became of its pages before. It is kept in memory only, for
 * as long as the process runs.
 */
#ifndef PAGE2CACHE_REFINE_H
#define PAGE2CACHE_REFINE_H

#include "force/choice.h"
#include "list/plan.h"

struct force;

/* What was seen of an extent's pages: their bits in the BPF side's bitmaps. */
struct extent_seen {
	uint64_t forced; /* forced, and still cached or used */
	uint64_t used;	 /* of these */
	uint64_t missed; /* since it was last asked */
};

struct refine {
	struct choice choice;
	struct plan rule;	 /* as plan_make() made it */
	bool *random;		 /* a file of the list each: its pages are listed in no order */
	struct refined *extents; /* of the rule's runs, then of what it leaves */
};

/* Before plan_make(), which takes the list's extents over. */
struct refine *refine_new(const struct list *l);
/* PLAN is the rule's: it becomes F's plan, and remains known as the rule. */
void refine_begin(struct refine *r, struct force *f);
/* Learn from what became of the pages, and make F's plan anew. */
void refine_again(struct refine *r, struct force *f);
/* A run begins: extents that are left are followed from now on. */
void refine_follow_left(struct refine *r, const struct force *f);
/* It is over: extents that were forced are followed. */
void refine_follow_forced(struct refine *r, const struct force *f);
/* Add the extents that are not treated as the rule says to the counts of their files. */
void refine_count(const struct refine *r, struct force *f);
void refine_free(struct refine *r);

#endif
