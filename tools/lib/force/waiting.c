// SPDX-License-Identifier: GPL-2.0-only
#include <time.h>

#include "base/session.h"
#include "file/residency.h"
#include "force/waiting.h"

/*
 * A list that can be worth it has many lines, and these for each of its files. Whoever gave
 * --wait has said that COMMAND may wait until that is known.
 */
#define LIST_BYTES     (64 << 10)
#define EXTENTS_A_FILE 1000
/* Loading takes some 0.2 us an extent; to read that in takes ten times as long. */
#define LOAD_NS 1000000000ULL
#define LOOK_NS 2000000
/*
 * The rate is measured over this much data. If reading it takes longer than this, the device is
 * too slow to wait for.
 */
#define SAMPLE_BYTES (8ULL << 20)
#define SAMPLE_NS    1000000000ULL

/* The limit that --wait sets. */
static uint64_t given_until(const struct hint *h, uint64_t start_ns)
{
	return start_ns + h->opt.wait_ms * 1000000ULL;
}

/* Ctrl-C ends COMMAND's process and this wait; so does a signal that is to be passed on. */
static bool may_wait(struct command *c)
{
	command_poll(c);
	return !c->ended && !session_signal_pending();
}

bool waiting_for_load(const struct hint *h, struct command *c, uint64_t start_ns)
{
	const struct list_progress *p = &h->progress;
	size_t files = __atomic_load_n(&p->files, __ATOMIC_RELAXED);
	size_t extents = __atomic_load_n(&p->extents, __ATOMIC_RELAXED);
	bool given = h->opt.wait_ms >= 0;
	uint64_t until = given ? given_until(h, start_ns) : start_ns + LOAD_NS;

	return now_ns() < until && may_wait(c) &&
	       (files < 2 || extents / files >= EXTENTS_A_FILE) &&
	       (given || __atomic_load_n(&p->bytes, __ATOMIC_RELAXED) >= LIST_BYTES);
}

static bool goes_on(const struct hint *h, struct command *c)
{
	return firing_under_way(&h->firing) && may_wait(c);
}

static void pause_looking(void)
{
	const struct timespec moment = { .tv_nsec = LOOK_NS };

	nanosleep(&moment, NULL);
}

/* One and a half times the time that forcing should take at its rate so far; 0: not known. */
static uint64_t estimate(const struct hint *h, struct command *c)
{
	const struct list_file *f = &h->list.files[h->force.plan.shuffled];
	uint64_t start = now_ns(), sample = SAMPLE_BYTES / page_size(), before, cached, now;

	if (residency_count(f->target.fd, 0, f->nr_pages, &before))
		return 0;
	for (now = start; goes_on(h, c) && now < start + SAMPLE_NS; now = now_ns()) {
		if (residency_count(f->target.fd, 0, f->nr_pages, &cached))
			return 0;
		if (cached >= before + sample)
			return start + (now - start) * f->listed_pages / (cached - before) * 3 / 2;
		pause_looking();
	}
	return 0;
}

void waiting_run(const struct hint *h, struct command *c, uint64_t start_ns)
{
	uint64_t until;

	if (!h->opt.wait_ms || h->force.plan.shuffled == PLAN_NO_FILE)
		return;
	until = h->opt.wait_ms < 0 ? estimate(h, c) : given_until(h, start_ns);
	while (goes_on(h, c) && now_ns() < until)
		pause_looking();
	say_verbose("COMMAND waited %llu ms for the list",
		    (unsigned long long)(now_ns() - start_ns) / 1000000);
}
