/* SPDX-License-Identifier: GPL-2.0-only */
/* Collects the pages of a list in access order and writes it whole or not at all. */
#ifndef PAGE2CACHE_LIST_WRITER_H
#define PAGE2CACHE_LIST_WRITER_H

#include "list/offsets.h"
#include "shared.h"

struct list_writer {
	char *path; /* of the list, NULL: it goes to a stream */
	char *tmp;
	FILE *f;
	struct p2c_page_record *runs;
	size_t nr, room;
};

/* Makes the temporary file next to PATH, so that a bad place shows at once. Returns 0 or -errno. */
int list_writer_open(struct list_writer *r, const char *path);
/* The next accessed run; joined to the one before if it goes on there. */
void list_writer_add(struct list_writer *r, const struct p2c_page_record *run);
/*
 * Write the list: sections[slot].file is NULL for what is left out. Renamed to
 * its name only when all of it is on disk. Returns 0 or -errno.
 */
int list_writer_write(struct list_writer *r, const struct offsets_section *sections,
		      uint32_t nr_slots);
/* Throw away what was not written. */
void list_writer_free(struct list_writer *r);

#endif
