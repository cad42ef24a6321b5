/* SPDX-License-Identifier: GPL-2.0-only */
/* pcforce -- COMMAND: the list serves COMMAND, which runs whatever happens to it. */
#ifndef PAGE2CACHE_BESIDE_H
#define PAGE2CACHE_BESIDE_H

#include "base/options.h"
#include "force/hint.h"

/* A companion runs beside COMMAND and its list: --learn records with one. */
struct companion {
	/*
	 * COMMAND's process (0: there is none) waits to be let go. LOADED: the hint has its list.
	 * Returns whether look() is to be called.
	 */
	bool (*attach)(struct companion *c, pid_t pid, bool loaded);
	/* Each POLL_US while COMMAND runs. False: there is nothing more to look at. */
	bool (*look)(struct companion *c);
	/* COMMAND has ended; NULL: it was not started, or there is none. */
	void (*end)(struct companion *c, const struct command *command, bool loaded);
	uint64_t poll_us;
};

/*
 * Run COMMAND beside the hint, whose options and output are set, and print its receipts at
 * the end. Frees the hint, unless it is stuck. DETACH: COMMAND gets this very process.
 * COMPANION: may be NULL. START_NS: when the program began. Returns the exit status, or ends by COMMAND's signal.
 */
int run_beside(struct hint *h, const struct run_options *run, bool detach,
	       struct companion *companion, uint64_t start_ns);

#endif
