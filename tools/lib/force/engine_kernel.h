/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Engines `helper` and `kfunc`: the kernel reads the list, from the moment of the
 * miss on. Its lists and its answers lie in memory that it shares with us. `helper`
 * is a function of a patched kernel, `kfunc` (kfunc.h) one of a module.
 */
#ifndef PAGE2CACHE_HELPER_H
#define PAGE2CACHE_HELPER_H

#include "list/list.h"

struct bpf_program;
struct force;
struct pcforce_bpf;
struct force_bpf;
struct page2cache_extent;

struct helper {
	bool kfunc;
	const struct force_bpf *bpf;
	struct page2cache_extent *extents; /* the map's memory */
	uint64_t nr_extents;		   /* in it, heads included */
	uint64_t *first;		   /* a file each: where its head is */
	uint64_t *nr;			   /* a file each: extents of its list */
};

/* Why this kernel has no such engine, to be freed; NULL: its verifier accepts it. */
char *helper_refused(void);

/*
 * Between open and load: puts the running kernel's number of the helper into the
 * calls of HELPER_PLACEHOLDER. Returns 0, -ENOENT (it has none) or -errno.
 */
int helper_set_number(struct bpf_program *prog);

/* Between open and load: sizes the map, puts in the helper's number. Returns 0 or -errno. */
int helper_size(struct helper *h, struct pcforce_bpf *skel, const struct list *l);
/*
 * After load: hand the lists over, in the order of struct plan; no more than
 * max_bytes of all of them is read. Returns 0 or -errno.
 */
int helper_fill(struct helper *h, const struct force_bpf *t, uint64_t max_bytes);
/* All lists may be forced (again). */
void helper_arm(struct helper *h);

/* Has the kernel read any of the lists' pages since they were armed? */
bool helper_worked(const struct helper *h);

/*
 * Has those lists forced that the kernel has not begun with, waits for all, and
 * completes f->counts, f->absent (the pages that were forced) and f->end_ns.
 */
void helper_run(struct helper *h, struct force *f);

void helper_free(struct helper *h);

#endif
