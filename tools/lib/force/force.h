/* SPDX-License-Identifier: GPL-2.0-only */
/* The forcing of a list: its plan, the engine that reads it, and what became of each page. */
#ifndef PAGE2CACHE_FORCE_H
#define PAGE2CACHE_FORCE_H

#include "force/engine.h"
#include "force/refine.h"

/* Pages; requested = resident + read + failed + past_eof + skipped. */
struct force_counts {
	uint64_t requested;
	uint64_t resident; /* before: not read again */
	uint64_t read;	   /* absent before, up to date after */
	uint64_t failed;   /* reading returned an error */
	uint64_t past_eof;
	uint64_t skipped;   /* over the byte limit, out of time, the file is not ready, or left */
	uint64_t left;	    /* of the skipped ones: absent, and left to the kernel's readahead */
	uint64_t submitted; /* asked the kernel for */
	uint64_t changed;   /* extents that are not treated as the plan's rule says: refine.h */
	bool blind; /* the kernel does not tell what is cached: what was resident is among read */
};

struct force_options {
	const struct engine *engine;
	unsigned int jobs;  /* submitting threads, 0: as many as are worth it */
	uint64_t max_bytes; /* 0: what memory is available */
	uint64_t rate;	    /* bytes a second, 0: no limit; of engine `user` only */
	bool idle;	    /* when the device has nothing else to do; of engine `user` only */
	bool other_pays;    /* pages are charged to a reader who is not known, not to us */
	bool dry_run;	    /* look, submit nothing: what would be read is skipped */
	bool beside_reader; /* leave what plan_make() says */
	/*
	 * Called before user space submits pages (FORCED), and of those that did not arrive
	 * after all; from any thread. May be NULL.
	 */
	void (*mark)(void *ctx, uint32_t file, uint64_t index, uint64_t nr, bool forced);
	/*
	 * Asked what has become of an extent's pages: the plan's rule is then refined by it. NULL:
	 * that is not seen, and the rule decides. Only with an engine that knows windows.
	 */
	void (*seen)(void *ctx, const struct extent *e, struct extent_seen *to);
	void *ctx;
};

struct force {
	struct list *list;
	struct plan plan;      /* made before anything is armed, and anew only by force_learn() */
	struct refine *refine; /* NULL: the plan stays what its rule says */
	struct force_options opt;
	struct force_counts *counts; /* a file of the list each */
	uint64_t end_ns;	     /* the run ended then; 0: when force_run() returned */
	volatile bool stop;	     /* set from any thread: submit no more */
	void *state;		     /* the engine's own */
};

/* The limit of opt->max_bytes, or what memory is available; in bytes. */
uint64_t force_max_bytes(const struct force *f);

/* Takes the extents of L over, as plan_make() does. Returns 0 or -errno. */
int force_init(struct force *f, struct list *l, const struct force_options *opt);
/* Before a further firing: learn from what became of the pages since the one before. */
void force_learn(struct force *f);
/* Is a page of a ready file absent that is to be forced? Looks until it finds one. */
bool force_needed(const struct force *f);
/* Submit, wait, verify; f->counts are then complete. Again for a second firing. */
void force_run(struct force *f);
/* Pages are submitted, or did not arrive after all: opt->mark() is told. From any thread. */
void force_mark(struct force *f, uint32_t file, uint64_t index, uint64_t nr, bool forced);
/* How many bytes of the list are resident or asked for, and of how many: of engine `user`. */
void force_progress(const struct force *f, uint64_t *done, uint64_t *total);
/* What of a file is not accounted for counts as skipped. */
void force_skip_rest(struct force_counts *c);
void force_free(struct force *f);

#endif
