/* SPDX-License-Identifier: GPL-2.0-only */
/* What pcforce does with a list, from its name to its receipt. */
#ifndef PAGE2CACHE_HINT_H
#define PAGE2CACHE_HINT_H

#include "force/receipt.h"

struct hint_options {
	const char *list;   /* NULL: whole files */
	bool renewed;	    /* the list is recorded at each start: a torn one counts as empty */
	const char **files; /* of -f */
	size_t nr_files;
	const char *files0;	     /* of --files0-from, NULL: none */
	const char *root;	     /* of --root, NULL: none */
	const struct engine *engine; /* NULL: the best that serves */
	enum trigger trigger;
	bool watch; /* accesses are seen; else BPF is the engine's alone, if at all */
	struct filter_options *filter; /* whose accesses count */
	bool beside_command;	       /* without -a only COMMAND and its descendants count */
	bool once, dry_run, stale_ok, strict;
	double tolerate;    /* as of struct receipt */
	unsigned int jobs;  /* 0: as many as are worth it */
	uint64_t max_bytes; /* 0: what memory is available */
	uint64_t rate;	    /* bytes a second, 0: no limit; of engine `user` only */
	bool idle;	    /* when the device has nothing else to do; of engine `user` only */
	bool always;	    /* leave nothing to the kernel's readahead */
	uint64_t hold_ms;   /* 0: no open is held */
	int wait_ms;	    /* COMMAND waits at most so long; below 0: as long as is worth it */
};

struct hint {
	struct hint_options opt;
	struct output *out; /* open by the time of hint_arm() */
	struct names names; /* of whole files */
	struct target_root root;
	struct list list;
	struct list_progress progress; /* of its loading */
	struct force force;
	struct force_bpf bpf;
	struct firing firing;
	struct receipt receipt;
};

/*
 * Load the list, choose its engine, plan, and load and attach what has to be seen; nothing
 * is armed. What fails has been said; later calls but hint_stop() and hint_free() are then
 * not to be made.
 */
enum status hint_prepare(struct hint *h);
/* Start to wait for the trigger, or to force. */
enum status hint_arm(struct hint *h);
/* No more forcing. False if that takes more than MS milliseconds: hint_free() is not to be called. */
bool hint_stop(struct hint *h, unsigned int ms);
/* Print the receipts; STATUS_PARTIAL if not all requested pages are resident. */
enum status hint_conclude(struct hint *h);
void hint_free(struct hint *h);

#endif
