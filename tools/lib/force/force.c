// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>

#include "file/residency.h"
#include "force/force.h"
#include "force/memory.h"

uint64_t force_max_bytes(const struct force *f)
{
	return f->opt.max_bytes ? f->opt.max_bytes : memory_room(!f->opt.other_pays);
}

/* Before a run, all listed pages count as skipped. */
static void start_counts(struct force *f)
{
	size_t i;

	for (i = 0; i < f->list->nr_files; i++) {
		const struct list_file *lf = &f->list->files[i];

		f->counts[i] = (struct force_counts){
			.requested = lf->listed_pages + lf->past_eof,
			.past_eof = lf->past_eof,
			.skipped = lf->listed_pages,
		};
	}
	if (f->refine)
		refine_count(f->refine, f);
}

int force_init(struct force *f, struct list *l, const struct force_options *opt)
{
	memset(f, 0, sizeof(*f));
	f->list = l;
	f->opt = *opt;
	f->counts = xcalloc(l->nr_files, sizeof(*f->counts));
	if (opt->seen)
		f->refine = refine_new(l);
	plan_make(&f->plan, l, opt->beside_reader);
	if (f->refine)
		refine_begin(f->refine, f);
	start_counts(f);
	return opt->engine->prepare(f);
}

void force_free(struct force *f)
{
	if (f->state)
		f->opt.engine->free(f);
	plan_free(&f->plan);
	refine_free(f->refine);
	free(f->counts);
	memset(f, 0, sizeof(*f));
}

void force_learn(struct force *f)
{
	if (f->refine)
		refine_again(f->refine, f);
}

static bool run_is_absent(const struct force *f, const struct extent *run)
{
	uint64_t cached;

	return residency_count(f->list->files[run->file].target.fd, run->index, run->nr_pages,
			       &cached) ||
	       cached < run->nr_pages;
}

bool force_needed(const struct force *f)
{
	bool needed = f->opt.engine->worked && f->opt.engine->worked(f);
	size_t i;

	for (i = 0; i < f->plan.nr_runs && !needed && !f->stop; i++)
		needed = f->list->files[f->plan.runs[i].file].target.fd >= 0 &&
			 run_is_absent(f, &f->plan.runs[i]);
	return needed;
}

void force_mark(struct force *f, uint32_t file, uint64_t index, uint64_t nr, bool forced)
{
	if (f->opt.mark)
		f->opt.mark(f->opt.ctx, file, index, nr, forced);
}

void force_progress(const struct force *f, uint64_t *done, uint64_t *total)
{
	const struct force_counts *c;

	*done = *total = 0;
	for (c = f->counts; c < f->counts + f->list->nr_files; c++) {
		*done += (c->resident + c->submitted) * page_size();
		*total += (c->requested - c->past_eof - c->skipped) * page_size();
	}
}

void force_skip_rest(struct force_counts *c)
{
	c->skipped = c->requested - c->resident - c->read - c->failed - c->past_eof;
}

/* The extents left to readahead are not read, but their resident pages are counted. */
static void count_left(struct force *f)
{
	const struct extent *left;
	struct force_counts *c;
	uint64_t cached;
	size_t i;

	for (i = 0; i < f->plan.nr_left; i++) {
		left = &f->plan.left[i];
		c = &f->counts[left->file];
		if (f->list->files[left->file].state != LIST_READY)
			continue;
		if (residency_count(f->list->files[left->file].target.fd, left->index,
				    left->nr_pages, &cached))
			cached = 0;
		c->resident += cached;
		c->left += left->nr_pages - cached;
		c->skipped += left->nr_pages - cached;
	}
}

void force_run(struct force *f)
{
	size_t i;

	list_settle(f->list);
	start_counts(f);
	/* The engine counts the pages of ready files. */
	for (i = 0; i < f->list->nr_files; i++) {
		if (f->list->files[i].state == LIST_READY)
			f->counts[i].skipped = 0;
	}
	count_left(f);
	if (f->refine)
		refine_follow_left(f->refine, f);
	f->end_ns = 0;
	f->opt.engine->run(f);
	if (f->refine)
		refine_follow_forced(f->refine, f);
}
