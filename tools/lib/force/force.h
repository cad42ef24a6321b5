/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Has the pages of a list read into the page cache and finds out, page by page,
 * what became of them. Engine `user` does all of it here, from user space.
 */
#ifndef PAGE2CACHE_FORCE_H
#define PAGE2CACHE_FORCE_H

#include <pthread.h>

#include "force/engine_kernel.h"
#include "list/list.h"
#include "list/plan.h"

/* Pages; requested = resident + read + failed + past_eof + skipped. */
struct force_counts {
	uint64_t requested;
	uint64_t resident; /* before: not read again */
	uint64_t read;	   /* absent before, up to date after */
	uint64_t failed;   /* reading returned an error */
	uint64_t past_eof;
	uint64_t skipped;   /* over the byte limit, out of time, or the file is not ready */
	uint64_t submitted; /* asked the kernel for */
};

struct force_options {
	unsigned int jobs;  /* submitting threads, 0: as many as are worth it */
	uint64_t max_bytes; /* 0: what memory is available */
	bool dry_run;	    /* look, submit nothing: what would be read is skipped */
	/* Called before pages are submitted, from any of the threads; may be NULL. */
	void (*submitting)(void *ctx, uint32_t file, uint64_t index, uint64_t nr);
	void *ctx;
	struct helper *helper; /* the kernel forces; NULL: we do */
};

struct force {
	const struct list *list;
	struct force_options opt;
	struct force_counts *counts; /* a file of the list each */
	struct bitmap *absent;	     /* a file each: pages to be read, absent before */
	uint64_t *chunk_pages;	     /* a file each: what one readahead(2) may ask for */
	uint64_t *window_pages;	     /* a file each: the kernel's own readahead window */
	bool *blind;		     /* a file each: its residency cannot be asked */
	int64_t budget;		     /* pages that may still be submitted */
	uint64_t end_ns;	     /* when it was over, 0: when force_run() returns */
	uint64_t late_ns;	     /* when a stopped run ends for good, 0: not stopped */
	volatile bool stop;	     /* set from any thread: submit no more */

	/* The window being submitted. */
	pthread_mutex_t lock;
	const struct plan *plan;
	size_t run;
	uint64_t done;	 /* pages of that run that are taken */
	size_t surveyed; /* runs of which is known what is there */
};

/* The limit of opt->max_bytes, or what memory is available. */
uint64_t force_max_bytes(const struct force_options *opt);

/* Returns 0 or -ENOMEM. */
int force_init(struct force *f, const struct list *l, const struct force_options *opt);
/* Is a listed page of a ready file absent? Looks until it finds one. */
bool force_needed(const struct force *f);
/* Submit, wait, verify; f->counts are then complete. Again for a second firing. */
void force_run(struct force *f);
void force_free(struct force *f);

#endif
