/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writes a list: as version 1 of the format while each file needs one section only, else as version
 * 2, in which each extent has its file's number. Version 1 would repeat a header of hundreds of
 * bytes wherever two files take turns.
 */
#ifndef PAGE2CACHE_LIST_EMIT_H
#define PAGE2CACHE_LIST_EMIT_H

#include "list/offsets.h"

struct list_emit {
	FILE *f;
	const struct offsets_section *sections;
	uint32_t nr_sections;
	uint32_t *numbers; /* of the sections, in the order of first use; 0: not used */
	uint32_t *used;	   /* the sections in that order */
	uint32_t nr_used;
	uint32_t last;	 /* section of the latest run */
	bool comes_back; /* a file that another one came after is used again */
};

/* A section whose file is NULL is left out, and so are its runs. */
void list_emit_init(struct list_emit *e, FILE *f, const struct offsets_section *sections,
		    uint32_t nr_sections);
/* The list will have a run of this section. To be told of each run first, in their order. */
void list_emit_use(struct list_emit *e, uint32_t section);
/*
 * Then what stands before the first run. Files without any page are named only if there are no
 * others. LEARNED: the list says when, and on which kernel. INCOMPLETE: pages may be missing,
 * which it then says.
 */
void list_emit_begin(struct list_emit *e, bool learned, bool incomplete);
/* Then the runs themselves. */
void list_emit_run(struct list_emit *e, uint32_t section, uint64_t index, uint64_t nr_pages);
void list_emit_free(struct list_emit *e);

#endif
