// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>

#include "file/residency.h"
#include "force/force.h"
#include "force/refine.h"
#include "list/order.h"

/* An extent of the rule's plan. 8 bytes: a list may have millions of them. */
struct refined {
	uint32_t pages; /* as of struct choice_outcome */
	uint8_t wrong;	/* as of struct choice_case */
	bool forced;	/* by the plan as it is now */
	bool judged;	/* or not followed yet */
};

struct refine *refine_new(const struct list *l)
{
	struct refine *r = xcalloc(1, sizeof(*r));
	struct order *orders = xcalloc(l->nr_files, sizeof(*orders));
	size_t i;

	r->random = xcalloc(l->nr_files, sizeof(*r->random));
	for (i = 0; i < l->nr_extents; i++)
		order_add(&orders[l->extents[i].file], l->extents[i].index, l->extents[i].nr_pages);
	for (i = 0; i < l->nr_files; i++)
		r->random[i] = order_is_random(&orders[i]);
	free(orders);
	choice_init(&r->choice);
	return r;
}

void refine_free(struct refine *r)
{
	if (!r)
		return;
	plan_free(&r->rule);
	free(r->random);
	free(r->extents);
	free(r);
}

static size_t nr_extents(const struct refine *r)
{
	return r->rule.nr_runs + r->rule.nr_left;
}

static bool rule_forces(const struct refine *r, size_t i)
{
	return i < r->rule.nr_runs;
}

static const struct extent *extent_at(const struct refine *r, size_t i)
{
	return rule_forces(r, i) ? &r->rule.runs[i] : &r->rule.left[i - r->rule.nr_runs];
}

static struct choice_case case_of(const struct refine *r, const struct force *f, size_t i)
{
	const struct extent *e = extent_at(r, i);
	const struct list_file *lf = &f->list->files[e->file];

	return (struct choice_case){
		.rule = rule_forces(r, i),
		.kind = lf->pattern,
		.random = r->random[e->file],
		.nr_pages = e->nr_pages,
		.window = f->opt.engine->window(f, e->file),
		.device = target_device(&lf->target),
		.wrong = r->extents[i].wrong,
	};
}

void refine_begin(struct refine *r, struct force *f)
{
	size_t i;

	r->rule = f->plan;
	f->plan.runs = xcalloc(nr_extents(r), sizeof(*f->plan.runs));
	f->plan.left = xcalloc(nr_extents(r), sizeof(*f->plan.left));
	memcpy(f->plan.runs, r->rule.runs, r->rule.nr_runs * sizeof(*f->plan.runs));
	memcpy(f->plan.left, r->rule.left, r->rule.nr_left * sizeof(*f->plan.left));
	r->extents = xcalloc(nr_extents(r), sizeof(*r->extents));
	for (i = 0; i < nr_extents(r); i++) {
		r->extents[i].forced = rule_forces(r, i);
		r->extents[i].judged = true;
	}
}

static void learn(struct refine *r, const struct force *f, size_t i)
{
	struct choice_case x = case_of(r, f, i);
	struct refined *e = &r->extents[i];
	struct choice_outcome o = { .forced = e->forced, .pages = e->pages };
	struct extent_seen seen;
	enum choice_verdict verdict;

	f->opt.seen(f->opt.ctx, extent_at(r, i), &seen);
	if (e->judged)
		return;
	o.used = seen.used;
	/* Of an extent that is left now, pages may still be marked that were forced before. */
	o.unused = seen.forced < e->pages ? e->pages - seen.forced : 0;
	o.missed = seen.missed;
	verdict = choice_judge(&x, &o);
	choice_learn(&r->choice, &x, verdict);
	e->wrong = choice_after(&x, verdict);
	e->judged = verdict != CHOICE_NOTHING;
}

/* What the rule would leave is read last: nobody waits for the head of it. */
static void make_plan(struct refine *r, struct force *f)
{
	struct choice_case x;
	bool forced;
	size_t i;

	f->plan.nr_runs = f->plan.nr_left = 0;
	for (i = 0; i < nr_extents(r); i++) {
		x = case_of(r, f, i);
		forced = choice_forces(&r->choice, &x);
		if (forced)
			f->plan.runs[f->plan.nr_runs++] = *extent_at(r, i);
		else
			f->plan.left[f->plan.nr_left++] = *extent_at(r, i);
		/* What has become of it until the next run is none of this decision's outcomes. */
		if (r->extents[i].forced != forced)
			r->extents[i].judged = true;
		r->extents[i].forced = forced;
	}
}

void refine_again(struct refine *r, struct force *f)
{
	size_t i;

	for (i = 0; i < nr_extents(r); i++)
		learn(r, f, i);
	make_plan(r, f);
	refine_follow_left(r, f);
}

void refine_follow_left(struct refine *r, const struct force *f)
{
	const struct extent *e;
	uint64_t cached;
	size_t i;

	for (i = 0; i < nr_extents(r); i++) {
		if (r->extents[i].forced)
			continue;
		e = extent_at(r, i);
		if (residency_count(f->list->files[e->file].target.fd, e->index, e->nr_pages,
				    &cached))
			cached = e->nr_pages;
		r->extents[i].pages = e->nr_pages - cached;
		r->extents[i].judged = false;
	}
}

void refine_follow_forced(struct refine *r, const struct force *f)
{
	struct extent_seen seen;
	size_t i;

	for (i = 0; i < nr_extents(r); i++) {
		if (!r->extents[i].forced)
			continue;
		f->opt.seen(f->opt.ctx, extent_at(r, i), &seen);
		r->extents[i].pages = seen.forced;
		r->extents[i].judged = false;
	}
}

void refine_count(const struct refine *r, struct force *f)
{
	size_t i;

	for (i = 0; i < nr_extents(r); i++)
		f->counts[extent_at(r, i)->file].changed += r->extents[i].forced !=
							    rule_forces(r, i);
}
