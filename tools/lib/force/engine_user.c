// SPDX-License-Identifier: GPL-2.0-only
/*
 * Engine `user`: threads look which listed pages are absent and submit those, all from user
 * space and for any file system. verify.c says what became of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file/residency.h"
#include "force/engine_user.h"
#include "force/memory.h"

#define MAX_JOBS 64
/* A thread takes 64 MiB of the plan at a time. */
#define UNIT_PAGES (1ULL << 14)
/* Keep the batch small: a page that another task reads between check and submission would
 * be counted as ours.
 */
#define CHECK_PAGES 512
/* How many cached pages are checked at once for being up to date. */
#define ASK_PAGES 4096

/* For scattered pages one thread is at the device's limit, and the reader needs a CPU. */
static unsigned int default_jobs(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN) / 2;

	return cpus < 1 ? 1 : cpus > 4 ? 4 : cpus;
}

static int user_prepare(struct force *f)
{
	struct user_state *u = xcalloc(1, sizeof(*u));
	const struct list *l = f->list;
	struct submit_limits limits = { 0 };
	size_t i;
	int err = 0;

	u->files = xcalloc(l->nr_files, sizeof(*u->files));
	pthread_mutex_init(&u->lock, NULL);
	pace_init(&u->pace, f->opt.rate, f->opt.idle ? SUBMIT_AWAIT_BYTES : PACE_BYTES);
	f->state = u;
	for (i = 0; i < l->nr_files && !err; i++) {
		if (l->files[i].state != LIST_READY)
			continue;
		err = bitmap_init(&u->files[i].absent, l->files[i].nr_pages);
		/*
		 * Keep the limits of the last device: sysfs is slow, and most files are on the same
		 * one.
		 */
		if (limits.dev != l->files[i].target.id.dev)
			submit_limits(l->files[i].target.fd, l->files[i].target.id.dev, &limits);
		u->files[i].limits = limits;
	}
	return err;
}

/* BPF has told by now on which device the files of an overlay lie. */
static int user_loaded(struct force *f)
{
	struct user_state *u = f->state;
	size_t i;

	for (i = 0; i < f->list->nr_files; i++) {
		const struct target *t = &f->list->files[i].target;

		if (f->list->files[i].state == LIST_READY && !u->files[i].limits.known)
			submit_limits(t->fd, target_device(t), &u->files[i].limits);
	}
	return 0;
}

static uint64_t user_window(const struct force *f, size_t file)
{
	const struct user_state *u = f->state;

	return u->files[file].limits.window_pages;
}

static void user_free(struct force *f)
{
	struct user_state *u = f->state;
	size_t i;

	for (i = 0; i < f->list->nr_files; i++)
		bitmap_free(&u->files[i].absent);
	pace_free(&u->pace);
	idle_free(&u->idle);
	free(u->files);
	free(u);
}

static void add(uint64_t *to, uint64_t n)
{
	__atomic_fetch_add(to, n, __ATOMIC_RELAXED);
}

/* How many of nr pages the budget allows. */
static uint64_t take_budget(struct user_state *u, uint64_t nr)
{
	int64_t left = __atomic_fetch_sub(&u->budget, nr, __ATOMIC_RELAXED);

	if (left >= (int64_t)nr)
		return nr;
	return left > 0 ? left : 0;
}

/* A run that is being checked, for the callbacks of residency_runs(). */
struct check {
	struct bitmap *absent;
	uint64_t resident;
	struct residency_map map;
};

/*
 * A page that is cached without being up to date is still being read, or its
 * read failed: only reading it tells, so it is not taken for resident.
 */
static int check_run(void *ctx, uint64_t index, uint64_t nr, bool cached)
{
	unsigned char vec[ASK_PAGES];
	struct check *c = ctx;
	uint64_t n, i;

	if (!cached) {
		bitmap_fill(c->absent, index, nr, true);
		return 0;
	}
	for (; nr; nr -= n, index += n) {
		n = nr < sizeof(vec) ? nr : sizeof(vec);
		if (residency_uptodate(&c->map, index, n, vec))
			memset(vec, 0, n);
		for (i = 0; i < n; i++) {
			c->resident += vec[i] & 1;
			if (!(vec[i] & 1))
				bitmap_fill(c->absent, index + i, 1, true);
		}
	}
	return 0;
}

/*
 * Which pages of a listed run are there, before any of it is submitted: the kernel's
 * readahead, which streams use, runs ahead inside it.
 */
static void check_resident(struct force *f, const struct extent *run)
{
	struct user_state *u = f->state;
	struct user_file *uf = &u->files[run->file];
	const struct target *t = &f->list->files[run->file].target;
	struct check c = { .absent = &uf->absent, .map = { .fd = t->fd } };
	int err = residency_runs(t->fd, run->index, run->nr_pages, check_run, &c);

	residency_unmap(&c.map);
	if (!err) {
		add(&f->counts[run->file].resident, c.resident);
		return;
	}
	/*
	 * The kernel does not say what is cached, so each page is read, which makes it up to date.
	 */
	bitmap_fill(&uf->absent, run->index, run->nr_pages, true);
	if (!__atomic_exchange_n(&f->counts[run->file].blind, true, __ATOMIC_RELAXED))
		say("%s: the kernel does not tell which pages are cached: %s%s; all listed "
		    "pages are read",
		    t->path, strerror(-err),
		    err == -EPERM
			    ? " (only root, the owner and processes that may write the file can ask)"
			    : "");
}

/*
 * Check runs that lie close together with one call, as most of their pages are absent. Returns the
 * index behind the last run checked.
 */
static size_t check_near(struct force *f, size_t i)
{
	const struct extent *runs = f->plan.runs, *last;
	struct user_state *u = f->state;
	size_t end = plan_near(&f->plan, i, CHECK_PAGES);
	uint64_t cached = 1;

	last = &runs[end - 1];
	if (end > i + 1 && residency_count(f->list->files[last->file].target.fd, runs[i].index,
					   last->index + last->nr_pages - runs[i].index, &cached))
		cached = 1;
	for (; i < end; i++) {
		if (cached)
			check_resident(f, &runs[i]);
		else
			bitmap_fill(&u->files[runs[i].file].absent, runs[i].index, runs[i].nr_pages,
				    true);
	}
	return end;
}

static void skip_pages(struct force *f, uint32_t file, uint64_t index, uint64_t nr)
{
	struct user_state *u = f->state;

	add(&f->counts[file].skipped, nr);
	bitmap_fill(&u->files[file].absent, index, nr, false);
}

static void submit_now(struct force *f, struct submit_queue *q, uint32_t file, uint64_t index,
		       uint64_t nr, uint64_t run_end)
{
	struct user_state *u = f->state;
	const struct list_file *lf = &f->list->files[file];
	struct submit_file sf = { lf->target.fd, lf->nr_pages, u->files[file].limits, q };

	add(&f->counts[file].submitted, nr);
	force_mark(f, file, index, nr, true);
	submit_pages(&sf, index, nr, run_end, &f->stop);
}

bool user_is_gentle(const struct force *f)
{
	return f->opt.rate || f->opt.idle;
}

bool user_await_turn(struct force *f, uint32_t file, uint64_t nr)
{
	struct user_state *u = f->state;
	const struct list_file *lf = &f->list->files[file];

	if (!pace_wait(&u->pace, nr * page_size(), &f->stop))
		return false;
	if (f->opt.idle)
		idle_wait(&u->idle, lf->target.fd, u->files[file].limits.dev, &f->stop);
	return !f->stop;
}

/*
 * --rate and --idle: piece by piece, and nothing ahead of the piece whose turn it is. Until then a
 * reader may have read pages by itself: these are resident ones, and not paid for.
 */
static void submit_gently(struct force *f, struct submit_queue *q, uint32_t file, uint64_t index,
			  uint64_t end)
{
	struct user_state *u = f->state;
	struct bitmap *absent = &u->files[file].absent;
	struct extent piece = { .file = file };
	int fd = f->list->files[file].target.fd;
	uint64_t at, from, piece_end;

	for (; index < end; index = piece_end) {
		piece.index = index;
		piece.nr_pages = pace_piece(&u->pace, index, end - index);
		piece_end = index + piece.nr_pages;
		bitmap_fill(absent, index, piece.nr_pages, false);
		check_resident(f, &piece);
		for (at = index; (from = bitmap_next(absent, at, piece_end, true)) < piece_end;) {
			at = bitmap_next(absent, from, piece_end, false);
			if (!user_await_turn(f, file, at - from)) {
				bitmap_fill(absent, from, end - from, false);
				return;
			}
			submit_now(f, q, file, from, at - from, at);
			if (f->opt.idle)
				submit_await(fd, from, at - from);
		}
	}
}

static void submit_absent(struct force *f, struct submit_queue *q, const struct extent *run,
			  uint64_t index, uint64_t nr)
{
	struct user_state *u = f->state;
	uint64_t run_end = run->index + run->nr_pages;
	uint64_t allowed = f->stop || f->opt.dry_run ? 0 : take_budget(u, nr);
	int64_t left = __atomic_load_n(&u->budget, __ATOMIC_RELAXED);

	if (allowed < nr)
		skip_pages(f, run->file, index + allowed, nr - allowed);
	if (!allowed)
		return;
	/* Do not let the kernel read ahead beyond what the budget covers. */
	if (left < (int64_t)(run_end - index))
		run_end = index + allowed + (left > 0 ? left : 0);
	if (user_is_gentle(f))
		submit_gently(f, q, run->file, index, index + allowed);
	else
		submit_now(f, q, run->file, index, allowed, run_end);
}

/* The next unit of the plan and the run that it is part of, for whichever thread asks. */
static bool next_unit(struct force *f, struct extent *unit, struct extent *whole)
{
	struct user_state *u = f->state;
	const struct extent *run;
	uint64_t left;
	bool got = false;

	pthread_mutex_lock(&u->lock);
	while (u->run < f->plan.nr_runs &&
	       f->list->files[f->plan.runs[u->run].file].state != LIST_READY)
		u->checked = ++u->run;
	if (u->run < f->plan.nr_runs && !user_too_late(f)) {
		run = &f->plan.runs[u->run];
		if (u->run == u->checked)
			u->checked = check_near(f, u->run);
		left = run->nr_pages - u->done;
		*unit = *run;
		unit->index += u->done;
		unit->nr_pages = left < UNIT_PAGES ? left : UNIT_PAGES;
		*whole = *run;
		u->done += unit->nr_pages;
		if (u->done == run->nr_pages) {
			u->run++;
			u->done = 0;
		}
		got = true;
	}
	pthread_mutex_unlock(&u->lock);
	return got;
}

static void *submit_units(void *ctx)
{
	struct submit_queue q = { .map = { .fd = -1 } };
	struct force *f = ctx;
	struct user_state *u = f->state;
	struct extent unit, run;
	uint64_t at, end, from;

	while (next_unit(f, &unit, &run)) {
		const struct bitmap *absent = &u->files[unit.file].absent;

		end = unit.index + unit.nr_pages;
		for (at = unit.index; (from = bitmap_next(absent, at, end, true)) < end;) {
			at = bitmap_next(absent, from, end, false);
			submit_absent(f, &q, &run, from, at - from);
		}
	}
	submit_queue_free(&q);
	return NULL;
}

static void submit(struct force *f)
{
	pthread_t threads[MAX_JOBS];
	unsigned int i, n = 0, jobs = f->opt.idle ? 1 : f->opt.jobs ? f->opt.jobs : default_jobs();
	uint64_t pages = 0;
	size_t k;

	for (k = 0; k < f->plan.nr_runs; k++)
		pages += f->plan.runs[k].nr_pages;
	while (n + 1 < jobs && n < ARRAY_SIZE(threads) &&
	       (n + 1 < f->plan.nr_runs || n + 1 < pages / UNIT_PAGES) &&
	       !pthread_create(&threads[n], NULL, submit_units, f))
		n++;
	submit_units(f);
	for (i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
}

static void user_run(struct force *f)
{
	struct user_state *u = f->state;
	uint64_t pages = force_max_bytes(f) / page_size();
	size_t i;

	for (i = 0; i < f->list->nr_files; i++) {
		bitmap_clear(&u->files[i].absent);
		/* FADV_RANDOM: read exactly the requested pages, and nothing around them. */
		if (f->list->files[i].state == LIST_READY)
			posix_fadvise(f->list->files[i].target.fd, 0, 0, POSIX_FADV_RANDOM);
	}
	if (f->opt.idle)
		idle_begin();
	pace_begin(&u->pace, now_ns());
	u->budget = pages > INT64_MAX / 2 ? INT64_MAX / 2 : pages;
	u->limit_hits = memory_limit_hits();
	u->short_of_memory = false;
	u->pushed_out = 0;
	u->late_ns = 0;
	u->run = u->checked = 0;
	u->done = 0;
	submit(f);
	if (!f->opt.dry_run)
		user_verify(f);
	if (u->pushed_out)
		say("%llu pages were evicted again, as the memory cgroup of pcforce reached its "
		    "limit: they are skipped",
		    (unsigned long long)u->pushed_out);
	else if (u->budget < 0 && !f->opt.max_bytes)
		say("only %llu MiB of the list fit into the available memory: the rest is skipped "
		    "(--max-bytes SIZE reads more)",
		    (unsigned long long)(pages * page_size() >> 20));
	if (!f->stop)
		return;
	for (i = 0; i < f->list->nr_files; i++)
		force_skip_rest(&f->counts[i]);
}

const struct engine engine_user = {
	.name = "user",
	.plain = true,
	.prepare = user_prepare,
	.loaded = user_loaded,
	.window = user_window,
	.run = user_run,
	.free = user_free,
};
