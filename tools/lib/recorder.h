/* SPDX-License-Identifier: GPL-2.0-only */
/* Collects the pages of a list in access order and writes it whole or not at all. */
#ifndef PAGE2CACHE_RECORDER_H
#define PAGE2CACHE_RECORDER_H

#include "offsets.h"
#include "record.h"

struct recorder {
	const char *path;
	char *tmp;
	FILE *f;
	struct page_record *runs;
	size_t nr, room;
};

/* Makes the temporary file next to PATH, so that a bad place shows at once. Returns 0 or -errno. */
int recorder_open(struct recorder *r, const char *path);
/* The next accessed run; joined to the one before if it goes on there. */
void recorder_add(struct recorder *r, const struct page_record *run);
/*
 * Write the list: sections[slot].file is NULL for what is left out. Renamed to
 * its name only when all of it is on disk. Returns 0 or -errno.
 */
int recorder_write(struct recorder *r, const struct offsets_section *sections, uint32_t nr_slots);
/* Throw away what was not written. */
void recorder_free(struct recorder *r);

#endif
