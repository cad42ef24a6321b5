/* SPDX-License-Identifier: GPL-2.0-only */
/* Collects the pages of a list in access order and writes it whole or not at all. */
#ifndef PAGE2CACHE_LIST_WRITER_H
#define PAGE2CACHE_LIST_WRITER_H

#include "list/list_place.h"
#include "list/offsets.h"
#include "shared.h"

/* Runs from RUN on are of pages that the latest STARTS starts did without. */
struct unused_runs {
	size_t run;
	uint64_t starts;
};

struct list_writer {
	const char *path; /* as it was given */
	struct list_place place;
	struct p2c_page_record *runs;
	size_t nr, room;
	struct unused_runs *unused;
	size_t nr_unused;
	bool learned;	 /* the list says so, when, and on which kernel */
	bool incomplete; /* events were missed or lost, so pages may be missing */
};

/*
 * Look at the place of the list, so that a bad one shows at once. STREAMS: it may be standard output,
 * a device or a FIFO. Returns 0, or -errno with *why.
 */
int list_writer_open(struct list_writer *r, const char *path, bool streams, char **why);
/* The next accessed run; joined to the one before if it goes on there. */
void list_writer_add(struct list_writer *r, const struct p2c_page_record *run);
/* The runs that follow are of pages that STARTS starts did without. */
void list_writer_unused(struct list_writer *r, uint64_t starts);
/* Is there no page of a file that the list has a section for? */
bool list_writer_empty(const struct list_writer *r, const struct offsets_section *sections,
		       uint32_t nr_slots);
/*
 * Write the list: sections[slot].file is NULL for what is left out. It gets its name only
 * when all of it is on disk; else an older list stays. Returns 0 or -errno.
 */
int list_writer_write(struct list_writer *r, const struct offsets_section *sections,
		      uint32_t nr_slots);
/*
 * The pattern of each file whose pages did not come nearly all in ascending order becomes
 * PATTERN_RANDOM. Of files without listed pages it becomes unknown.
 */
void list_writer_find_random(const struct list_writer *r, struct offsets_section *sections,
			     uint32_t nr_slots);
/* Throw away what was not written. */
void list_writer_free(struct list_writer *r);

#endif
