// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "force/force.h"
#include "file/residency.h"
#include "force/submit.h"

/* What a thread takes at once: 64 MiB. */
#define UNIT_PAGES   (1ULL << 14)
#define VERIFY_PAGES 4096
/* Not many: what is read meanwhile by somebody else has to be found there. */
#define SURVEY_PAGES 512
/* How long what is there is looked at after a stop. */
#define LOOK_NS 1000000000ULL

/* For scattered pages one thread is at the device's limit, and the reader needs a CPU. */
static unsigned int default_jobs(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN) / 2;

	return cpus < 1 ? 1 : cpus > 4 ? 4 : cpus;
}

/* Reading in more than memory holds would only push out what came before. */
static uint64_t available_bytes(void)
{
	FILE *f = fopen("/proc/meminfo", "re");
	unsigned long long kb = 0;
	char line[128];

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "MemAvailable: %llu", &kb) == 1)
			break;
	}
	if (f)
		fclose(f);
	return kb ? kb * 1024 / 10 * 9 : UINT64_MAX / 2;
}

uint64_t force_max_bytes(const struct force_options *opt)
{
	return opt->max_bytes ? opt->max_bytes : available_bytes();
}

/* Before a run: nothing is done, so all that is listed is skipped. */
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
}

int force_init(struct force *f, const struct list *l, const struct force_options *opt)
{
	size_t i, n = l->nr_files;
	int err = 0;

	memset(f, 0, sizeof(*f));
	f->list = l;
	f->opt = *opt;
	f->counts = xcalloc(n, sizeof(*f->counts));
	f->absent = xcalloc(n, sizeof(*f->absent));
	f->chunk_pages = xcalloc(n, sizeof(*f->chunk_pages));
	f->window_pages = xcalloc(n, sizeof(*f->window_pages));
	f->blind = xcalloc(n, sizeof(*f->blind));
	pthread_mutex_init(&f->lock, NULL);
	for (i = 0; i < n && !err; i++) {
		if (l->files[i].state != LIST_READY)
			continue;
		err = bitmap_init(&f->absent[i], l->files[i].nr_pages);
		submit_limits(l->files[i].target.fd, &f->window_pages[i], &f->chunk_pages[i]);
		/* Exactly what is asked for, nothing around it. */
		posix_fadvise(l->files[i].target.fd, 0, 0, POSIX_FADV_RANDOM);
	}
	start_counts(f);
	return err;
}

void force_free(struct force *f)
{
	size_t i;

	for (i = 0; f->list && i < f->list->nr_files; i++)
		bitmap_free(&f->absent[i]);
	free(f->absent);
	free(f->counts);
	free(f->chunk_pages);
	free(f->window_pages);
	free(f->blind);
	memset(f, 0, sizeof(*f));
}

static void add(uint64_t *to, uint64_t n)
{
	__atomic_fetch_add(to, n, __ATOMIC_RELAXED);
}

/* How many of nr pages the budget allows. */
static uint64_t take_budget(struct force *f, uint64_t nr)
{
	int64_t left = __atomic_fetch_sub(&f->budget, nr, __ATOMIC_RELAXED);

	if (left >= (int64_t)nr)
		return nr;
	return left > 0 ? left : 0;
}

/* What is being looked at, for the callbacks of residency_runs(). */
struct survey {
	struct force *f;
	uint32_t file;
	struct residency_map map;
};

static void set_absent(struct survey *s, uint64_t index, uint64_t nr)
{
	bitmap_fill(&s->f->absent[s->file], index, nr, true);
}

/*
 * A page that is cached without being up to date is still being read, or its
 * read failed: only reading it tells, so it is not taken for resident.
 */
static int survey_run(void *ctx, uint64_t index, uint64_t nr, bool cached)
{
	unsigned char vec[VERIFY_PAGES];
	struct survey *s = ctx;
	uint64_t n, i, resident = 0;

	if (!cached) {
		set_absent(s, index, nr);
		return 0;
	}
	for (; nr; nr -= n, index += n) {
		n = nr < sizeof(vec) ? nr : sizeof(vec);
		if (residency_uptodate(&s->map, index, n, vec))
			memset(vec, 0, n);
		for (i = 0; i < n; i++) {
			resident += vec[i] & 1;
			if (!(vec[i] & 1))
				set_absent(s, index + i, 1);
		}
	}
	add(&s->f->counts[s->file].resident, resident);
	return 0;
}

/*
 * What of a listed run is there, before any of it is submitted: the kernel's
 * readahead, which streams use, runs ahead inside it.
 */
static void survey(struct force *f, const struct extent *run)
{
	int fd = f->list->files[run->file].target.fd;
	struct survey s = { .f = f, .file = run->file, .map = { .fd = fd } };
	uint64_t resident = f->counts[run->file].resident;
	int err = residency_runs(fd, run->index, run->nr_pages, survey_run, &s);

	residency_unmap(&s.map);
	if (!err)
		return;
	/* Nothing of it can be verified then, so nothing is claimed. */
	f->counts[run->file].resident = resident;
	bitmap_fill(&f->absent[run->file], run->index, run->nr_pages, false);
	add(&f->counts[run->file].failed, run->nr_pages);
	if (!__atomic_exchange_n(&f->blind[run->file], true, __ATOMIC_RELAXED))
		say("%s: the kernel does not tell which pages are cached: %s%s",
		    f->list->files[run->file].target.path, strerror(-err),
		    err == -EPERM ? " (it tells the owner, who may write it, and root)" : "");
}

/*
 * Of runs that lie close together all at once: mostly nothing of them is there. Returns
 * the run behind those that were surveyed.
 */
static size_t survey_near(struct force *f, size_t i)
{
	const struct extent *runs = f->plan->runs, *last;
	size_t end = plan_near(f->plan, i, SURVEY_PAGES);
	uint64_t cached = 1;

	last = &runs[end - 1];
	if (end > i + 1 && residency_count(f->list->files[last->file].target.fd, runs[i].index,
					   last->index + last->nr_pages - runs[i].index, &cached))
		cached = 1;
	for (; i < end; i++) {
		if (cached)
			survey(f, &runs[i]);
		else
			bitmap_fill(&f->absent[runs[i].file], runs[i].index, runs[i].nr_pages,
				    true);
	}
	return end;
}

static void skip_pages(struct force *f, uint32_t file, uint64_t index, uint64_t nr)
{
	add(&f->counts[file].skipped, nr);
	bitmap_fill(&f->absent[file], index, nr, false);
}

static void submit_absent(struct force *f, const struct extent *run, uint64_t index, uint64_t nr)
{
	uint64_t run_end = run->index + run->nr_pages;
	uint32_t file = run->file;
	const struct list_file *lf = &f->list->files[file];
	struct submit_file sf = { lf->target.fd, lf->nr_pages, f->chunk_pages[file],
				  f->window_pages[file] };
	uint64_t allowed = f->stop || f->opt.dry_run ? 0 : take_budget(f, nr);
	int64_t left = __atomic_load_n(&f->budget, __ATOMIC_RELAXED);

	if (allowed < nr)
		skip_pages(f, file, index + allowed, nr - allowed);
	if (!allowed)
		return;
	/* No reading ahead into what the budget does not cover. */
	if (left < (int64_t)(run_end - index))
		run_end = index + allowed + (left > 0 ? left : 0);
	add(&f->counts[file].submitted, allowed);
	if (f->opt.submitting)
		f->opt.submitting(f->opt.ctx, file, index, allowed);
	submit_pages(&sf, index, allowed, run_end, &f->stop);
}

/*
 * Stopped, no more is submitted and nothing waited for. What is there by then is
 * still looked at, so that the receipt of a COMMAND that ended tells it; but not
 * for ever.
 */
static bool too_late(struct force *f)
{
	if (!f->stop)
		return false;
	if (!f->late_ns)
		f->late_ns = now_ns() + LOOK_NS;
	return now_ns() >= f->late_ns;
}

/* The next unit of the window, for whichever thread asks. */
static bool take_unit(struct force *f, struct extent *unit, struct extent *whole)
{
	const struct extent *run;
	uint64_t left;
	bool got = false;

	pthread_mutex_lock(&f->lock);
	if (f->run < f->plan->nr_runs && !too_late(f)) {
		run = &f->plan->runs[f->run];
		if (f->run == f->surveyed)
			f->surveyed = survey_near(f, f->run);
		left = run->nr_pages - f->done;
		*unit = *run;
		unit->index += f->done;
		unit->nr_pages = left < UNIT_PAGES ? left : UNIT_PAGES;
		*whole = *run;
		f->done += unit->nr_pages;
		if (f->done == run->nr_pages) {
			f->run++;
			f->done = 0;
		}
		got = true;
	}
	pthread_mutex_unlock(&f->lock);
	return got;
}

static void *submit_units(void *ctx)
{
	struct force *f = ctx;
	struct extent unit, run;
	uint64_t at, end, from;

	while (take_unit(f, &unit, &run)) {
		const struct bitmap *absent = &f->absent[unit.file];

		end = unit.index + unit.nr_pages;
		for (at = unit.index; (from = bitmap_next(absent, at, end, true)) < end;) {
			at = bitmap_next(absent, from, end, false);
			submit_absent(f, &run, from, at - from);
		}
	}
	return NULL;
}

static void submit_window(struct force *f, const struct plan *p)
{
	pthread_t threads[64];
	unsigned int i, n = 0, jobs = f->opt.jobs ? f->opt.jobs : default_jobs();
	uint64_t pages = 0;
	size_t k;

	for (k = 0; k < p->nr_runs; k++)
		pages += p->runs[k].nr_pages;
	f->plan = p;
	f->run = 0;
	f->done = 0;
	f->surveyed = 0;
	while (n + 1 < jobs && n < ARRAY_SIZE(threads) &&
	       (n + 1 < p->nr_runs || n + 1 < pages / UNIT_PAGES) &&
	       !pthread_create(&threads[n], NULL, submit_units, f))
		n++;
	submit_units(f);
	for (i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
}

/* A page that is not up to date yet: wait for it, reading it if need be. */
static void settle_page(struct force *f, uint32_t file, uint64_t index)
{
	struct force_counts *c = &f->counts[file];
	char byte;
	ssize_t n;

	n = pread(f->list->files[file].target.fd, &byte, 1, index * page_size());
	if (n == 1)
		c->read++;
	else if (n == 0)
		c->past_eof++; /* truncated meanwhile */
	else
		c->failed++;
}

/* After a stop nothing more is read; what the device has been asked for still arrives. */
static bool under_way(const struct force *f, uint32_t file, uint64_t index)
{
	uint64_t cached;

	return !residency_count(f->list->files[file].target.fd, index, 1, &cached) && cached;
}

/* What mincore(2) said of some pages of a file. */
struct look {
	struct residency_map map;
	uint64_t first, nr;
	unsigned char vec[VERIFY_PAGES];
};

static void look_at(struct look *l, int fd, uint64_t first, uint64_t nr)
{
	if (l->map.fd != fd) {
		residency_unmap(&l->map);
		l->map.fd = fd;
	}
	l->first = first;
	l->nr = nr < VERIFY_PAGES ? nr : VERIFY_PAGES;
	if (residency_uptodate(&l->map, first, l->nr, l->vec))
		memset(l->vec, 0, l->nr);
}

/* Looks as far as NEAR_END, where the last run ends that lies close to this one. */
static void verify_run(struct force *f, struct look *l, const struct extent *run, uint64_t near_end)
{
	const struct bitmap *absent = &f->absent[run->file];
	uint64_t at = run->index, end = run->index + run->nr_pages;
	int fd = f->list->files[run->file].target.fd;

	/* Straight to the next page that was absent, each time. */
	for (; (at = bitmap_next(absent, at, end, true)) < end && !too_late(f); at++) {
		if (fd != l->map.fd || at < l->first || at >= l->first + l->nr)
			look_at(l, fd, at, near_end - at);
		if (l->vec[at - l->first] & 1)
			f->counts[run->file].read++;
		else if (!f->stop || under_way(f, run->file, at))
			settle_page(f, run->file, at);
	}
}

static void verify_window(struct force *f, struct look *l, const struct plan *p)
{
	const struct extent *last;
	size_t i = 0, end;

	while (i < p->nr_runs && !too_late(f)) {
		end = plan_near(p, i, VERIFY_PAGES);
		last = &p->runs[end - 1];
		for (; i < end; i++)
			verify_run(f, l, &p->runs[i], last->index + last->nr_pages);
	}
}

bool force_needed(const struct force *f)
{
	uint64_t cached;
	struct plan p;
	bool needed = f->opt.helper && helper_worked(f->opt.helper);
	size_t i;

	plan_init(&p, f->list);
	while (!needed && plan_next(&p)) {
		for (i = 0; i < p.nr_runs && !needed; i++)
			needed = residency_count(f->list->files[p.runs[i].file].target.fd,
						 p.runs[i].index, p.runs[i].nr_pages, &cached) ||
				 cached < p.runs[i].nr_pages;
	}
	plan_free(&p);
	return needed;
}

/* Stopped in the middle: what was not verified by then counts as skipped. */
static void skip_rest(struct force *f)
{
	size_t i;

	for (i = 0; i < f->list->nr_files; i++) {
		struct force_counts *c = &f->counts[i];

		c->skipped = c->requested - c->resident - c->read - c->failed - c->past_eof;
	}
}

void force_run(struct force *f)
{
	uint64_t bytes = force_max_bytes(&f->opt);
	struct look l = { .map = { .fd = -1 } };
	struct plan p;
	size_t i;

	start_counts(f);
	for (i = 0; i < f->list->nr_files; i++) {
		if (f->list->files[i].state != LIST_READY)
			continue;
		f->counts[i].skipped = 0;
		madvise(f->absent[i].words, (f->absent[i].bits / 64 + 1) * sizeof(uint64_t),
			MADV_DONTNEED);
	}
	f->end_ns = 0;
	if (f->opt.helper) {
		helper_run(f->opt.helper, f);
		return;
	}
	f->budget = bytes / page_size() > INT64_MAX / 2 ? INT64_MAX / 2 : bytes / page_size();
	plan_init(&p, f->list);
	f->late_ns = 0;
	while (!too_late(f) && plan_next(&p))
		submit_window(f, &p);
	plan_free(&p);
	plan_init(&p, f->list);
	while (!too_late(f) && !f->opt.dry_run && plan_next(&p))
		verify_window(f, &l, &p);
	plan_free(&p);
	residency_unmap(&l.map);
	if (f->stop)
		skip_rest(f);
}
