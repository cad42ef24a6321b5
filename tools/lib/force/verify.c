// SPDX-License-Identifier: GPL-2.0-only
/* Engine `user`: what became of the pages that were submitted, looked at page by page. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "file/residency.h"
#include "force/engine_user.h"
#include "force/memory.h"

/* Pages checked with one call. */
#define LOOK_PAGES 4096
/* Bytes that one read waits for. */
#define WAIT_BYTES (256 << 10)
/* After a stop, spend at most this long on verifying what has arrived. */
#define STOP_NS 80000000ULL

bool user_too_late(const struct force *f)
{
	struct user_state *u = f->state;

	if (!f->stop)
		return false;
	if (!u->late_ns)
		u->late_ns = now_ns() + STOP_NS;
	return now_ns() >= u->late_ns;
}

/*
 * Wait for pages that are not up to date yet, reading them if need be. Not PAID: what is read was
 * not submitted, or has left the cache, so it is read as --rate and --idle allow.
 */
static void wait_uptodate(struct force *f, uint32_t file, uint64_t index, uint64_t nr, bool paid)
{
	static char data[WAIT_BYTES]; /* thrown away; by one thread only */
	struct force_counts *c = &f->counts[file];
	struct user_state *u = f->state;
	int fd = f->list->files[file].target.fd;
	uint64_t n;
	ssize_t got;

	for (; nr; nr -= n, index += n) {
		n = nr < sizeof(data) / page_size() ? nr : sizeof(data) / page_size();
		if (!paid)
			n = pace_piece(&u->pace, index, n);
		if (!paid && !user_await_turn(f, file, n)) {
			force_mark(f, file, index, nr, false);
			return;
		}
		got = pread(fd, data, n * page_size(), index * page_size());
		if (got == 0) {
			c->past_eof += nr; /* truncated meanwhile */
			force_mark(f, file, index, nr, false);
			return;
		}
		if (got < 0) {
			n = 1;
			got = pread(fd, data, 1, index * page_size());
		}
		if (got < 0) {
			c->failed++;
			force_mark(f, file, index, 1, false);
			continue;
		}
		/* The last page of a file may be a part of one. */
		n = (got + page_size() - 1) / page_size();
		c->read += n;
	}
}

/* After a stop nothing more is read; what the device has been asked for still arrives. */
static bool under_way(const struct force *f, uint32_t file, uint64_t index)
{
	uint64_t cached;

	return !residency_count(f->list->files[file].target.fd, index, 1, &cached) && cached;
}

/*
 * Has our memory cgroup met a limit since the run began? Then pages that have arrived may have
 * been pushed out, by others of this list above all. What is still on its way gets a moment:
 * where cachestat(2) does not tell it from what was pushed out, it would be given up.
 */
static bool is_short_of_memory(struct user_state *u)
{
	const struct timespec moment = { .tv_nsec = 50000000 };

	if (!u->short_of_memory && memory_limit_hits() > u->limit_hits) {
		u->short_of_memory = true;
		nanosleep(&moment, NULL);
	}
	return u->short_of_memory;
}

/* Pages of a file that are not up to date. */
struct rest {
	struct force *f;
	uint32_t file;
};

/* Do not read evicted pages again: that would evict others. */
static int wait_or_leave(void *ctx, uint64_t index, uint64_t nr, bool cached)
{
	const struct rest *r = ctx;
	struct user_state *u = r->f->state;

	if (cached || !u->short_of_memory) {
		wait_uptodate(r->f, r->file, index, nr, cached);
	} else {
		u->pushed_out += nr;
		r->f->counts[r->file].skipped += nr;
		force_mark(r->f, r->file, index, nr, false);
	}
	return 0;
}

static void complete(struct force *f, uint32_t file, uint64_t index, uint64_t nr)
{
	struct rest r = { f, file };
	/* Has any of them been read and has left the cache? Where nobody tells, none has. */
	bool all_paid = !user_is_gentle(f) || f->counts[file].blind;

	if (!is_short_of_memory(f->state) && all_paid)
		wait_uptodate(f, file, index, nr, true);
	else if (residency_runs(f->list->files[file].target.fd, index, nr, wait_or_leave, &r))
		wait_or_leave(&r, index, nr, false);
}

/* What mincore(2) said of some pages of a file. */
struct look {
	struct residency_map map;
	uint64_t first, nr;
	unsigned char vec[LOOK_PAGES];
};

static void look_at(struct look *l, int fd, uint64_t first, uint64_t nr)
{
	if (l->map.fd != fd) {
		residency_unmap(&l->map);
		l->map.fd = fd;
	}
	l->first = first;
	l->nr = nr < LOOK_PAGES ? nr : LOOK_PAGES;
	if (residency_uptodate(&l->map, first, l->nr, l->vec))
		memset(l->vec, 0, l->nr);
}

/* Of pages from FROM on it is not known whether they have arrived: they are forced ones no more. */
static void leave_unverified(struct force *f, const struct extent *run, uint64_t from)
{
	const struct user_state *u = f->state;
	const struct bitmap *absent = &u->files[run->file].absent;
	uint64_t at, end = run->index + run->nr_pages;

	for (; f->opt.mark && (from = bitmap_next(absent, from, end, true)) < end; from = at) {
		at = bitmap_next(absent, from, end, false);
		force_mark(f, run->file, from, at - from, false);
	}
}

/* Looks as far as NEAR_END, where the last run ends that lies close to this one. */
static void verify_run(struct force *f, struct look *l, const struct extent *run, uint64_t near_end)
{
	const struct user_state *u = f->state;
	const struct bitmap *absent = &u->files[run->file].absent;
	uint64_t at = run->index, end = run->index + run->nr_pages, from;
	int fd = f->list->files[run->file].target.fd;

	/* Jump from one page that was absent to the next. */
	while ((at = bitmap_next(absent, at, end, true)) < end && !user_too_late(f)) {
		if (fd != l->map.fd || at < l->first || at >= l->first + l->nr)
			look_at(l, fd, at, near_end - at);
		if (l->vec[at - l->first] & 1) {
			f->counts[run->file].read++;
			at++;
			continue;
		}
		for (from = at++; !f->stop && at < end && at < l->first + l->nr &&
				  bitmap_test(absent, at) && !(l->vec[at - l->first] & 1);)
			at++;
		if (!f->stop || under_way(f, run->file, from))
			complete(f, run->file, from, at - from);
		else
			force_mark(f, run->file, from, at - from, false);
	}
	leave_unverified(f, run, at);
}

void user_verify(struct force *f)
{
	struct look l = { .map = { .fd = -1 } };
	const struct extent *last;
	size_t i = 0, end;

	while (i < f->plan.nr_runs && !user_too_late(f)) {
		end = plan_near(&f->plan, i, LOOK_PAGES);
		last = &f->plan.runs[end - 1];
		for (; i < end; i++)
			verify_run(f, &l, &f->plan.runs[i], last->index + last->nr_pages);
	}
	for (; i < f->plan.nr_runs; i++)
		leave_unverified(f, &f->plan.runs[i], f->plan.runs[i].index);
	residency_unmap(&l.map);
}
