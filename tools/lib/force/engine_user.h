/* SPDX-License-Identifier: GPL-2.0-only */
/* What the two halves of engine `user` share: engine_user.c submits, verify.c verifies. */
#ifndef PAGE2CACHE_ENGINE_USER_H
#define PAGE2CACHE_ENGINE_USER_H

#include <pthread.h>

#include "file/bitmap.h"
#include "force/force.h"
#include "force/idle.h"
#include "force/pace.h"
#include "force/submit.h"

struct user_file {
	struct bitmap absent; /* pages to be read: not resident when they were checked */
	struct submit_limits limits;
};

struct user_state {
	struct user_file *files; /* a file of the list each */
	struct pace pace;
	struct idle idle;
	int64_t budget;	      /* pages that may still be submitted */
	uint64_t limit_hits;  /* of our memory cgroup, before the run */
	bool short_of_memory; /* since then there were more */
	uint64_t pushed_out;  /* pages that had been read by then */
	uint64_t late_ns;     /* a stopped run ends for good then; 0: not stopped */

	/* Where in the plan the threads are. */
	pthread_mutex_t lock;
	size_t run;
	uint64_t done;	/* pages of that run that are taken */
	size_t checked; /* runs whose resident pages are known */
};

/* --rate or --idle: pages are read as these allow, so none but those whose turn it is. */
bool user_is_gentle(const struct force *f);
/* Then: wait until NR pages of a file may be read. False: the run has been stopped. */
bool user_await_turn(struct force *f, uint32_t file, uint64_t nr);

/*
 * Stopped, no more is submitted and nothing waited for. Pages that are there by then are
 * still verified, so that the receipt of a COMMAND that ended tells of them; but not
 * for ever.
 */
bool user_too_late(const struct force *f);
/* What became of the pages that were submitted: waits for them, and counts. */
void user_verify(struct force *f);

#endif
