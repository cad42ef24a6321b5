/* SPDX-License-Identifier: GPL-2.0-only */
/* What cachemiss shows: intervals, files, residency; and who is in its list. */
#ifndef PAGE2CACHE_REPORT_H
#define PAGE2CACHE_REPORT_H

#include "report/account.h"
#include "report/known_files.h"
#include "report/list_naming.h"
#include "list/offsets.h"
#include "base/output.h"
#include "list/list_writer.h"
#include "hook/counters.h"

struct report_file {
	struct known_file known;
	struct account a;
	struct percentiles lat;
};

struct report {
	struct counters *counters;
	const struct target *targets; /* named files */
	size_t nr_targets;
	bool auto_files;
	bool hits;	       /* sections are of files with any access, and do not count misses */
	bool any_found;	       /* not all of the files were named, see known_file_found() */
	struct account before; /* totals at the last interval */
	struct table *intervals;
	struct known_files known;
	struct report_file *files;
	size_t nr_files;
};

void report_init(struct report *r, struct counters *w, const struct target *targets, size_t n,
		 bool auto_files);
/* The tables: intervals, the files at the end. */
extern const struct table_layout interval_table, file_table;

void report_interval(struct report *r, struct output *out, uint64_t ts_us);
/* Take all counters, once, at the end. */
void report_read(struct report *r);
void report_files(struct report *r, struct output *out);
/* May a list that was recorded lack pages? Says so where nothing else does. */
bool report_incomplete(const struct report *r);
void report_free(struct report *r);

/*
 * The sections of a list, by slot: named files, else those with misses, or with accesses.
 * Returns how many of the latter have no path; says how many had no slot.
 */
size_t report_sections(const struct report *r, struct list_naming *naming,
		       struct offsets_section **sections, uint32_t *n);
void report_sections_free(struct offsets_section *sections, uint32_t n);

#endif
