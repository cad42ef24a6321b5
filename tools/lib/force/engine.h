/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Engines: they read the pages of a plan into the page cache. `helper` and `kfunc`
 * (engine_kernel.c) have the kernel do it from the miss on, `user` (engine_user.c)
 * submits and verifies from user space. Nothing outside of an engine depends on
 * which of them it is; what the others have to know is said here.
 */
#ifndef PAGE2CACHE_ENGINE_H
#define PAGE2CACHE_ENGINE_H

#include "list/list.h"

struct force;
struct p2c_force_file;
struct kernel_way;
struct pcforce_bpf;

struct engine {
	const char *name;
	/* It forces without any BPF program where no trigger has to be seen. */
	bool plain;
	/*
	 * Its own program starts within the access that misses, so pcforce need not react quickly.
	 */
	bool at_miss;
	/* Its own program starts within the open(2), so it has to be armed before the next open. */
	bool at_open;
	/*
	 * Its programs are given the files in advance, so these stay open as long as the engine may
	 * force.
	 */
	bool holds_files;
	/* Its receipts tell which pages pcforce inserted itself, so that this is always watched. */
	bool sees_inserts;
	/* The events that its own programs are attached to, NULL at the end; NULL: no programs. */
	const char *const *events;
	/* How the two engines of engine_kernel.c differ; NULL: it is none of these. */
	const struct kernel_way *way;

	/* Why this kernel has no such engine and what brings it, to be freed; NULL: it has one. */
	char *(*refused)(void);

	/* What a run needs, once f->plan is made. Returns 0 or -errno. */
	int (*prepare)(struct force *f);
	/* Of engines with programs: between open and load of their object, and after load. */
	int (*configure)(struct force *f, struct pcforce_bpf *skel);
	int (*loaded)(struct force *f);
	/*
	 * The window of the kernel's readahead of a file, in pages. NULL: its plan is given away once,
	 * and cannot be refined.
	 */
	uint64_t (*window)(const struct force *f, size_t file);
	/* What its programs have to know of a file of the list. */
	void (*describe)(const struct force *f, size_t file, struct p2c_force_file *to);
	/* Its programs may force the list, once more. */
	void (*arm)(struct force *f);
	/* Has it read pages since it was armed? Waits until that is known, or for f->stop. */
	bool (*worked)(const struct force *f);

	/* Submit, wait and verify; adds to f->counts, which are then complete. Ends early once f->stop is set. */
	void (*run)(struct force *f);
	void (*free)(struct force *f);
};

extern const struct engine engine_helper, engine_kfunc, engine_user;

/* All of them, the best first. */
#define NR_ENGINES 3
extern const struct engine *const engines[NR_ENGINES];

/* NULL if none has that name. */
const struct engine *engine_find(const char *name);
/* Why the engine is of no use for this list on this kernel, to be freed; NULL: it is. */
char *engine_unusable(const struct engine *e, const struct list *l);

#endif
