/* SPDX-License-Identifier: GPL-2.0-only */
/* What ratrace shows: a line for each decision of readahead, and what they came to. */
#ifndef PAGE2CACHE_DECISIONS_H
#define PAGE2CACHE_DECISIONS_H

#include "report/account.h"
#include "report/known_files.h"

struct decisions {
	struct counters *counters;
	struct output *out;
	const struct target *targets;
	size_t nr_targets;
	bool auto_files;
	uint64_t start_ns;
	struct table *table;	  /* of the decisions */
	bool printed;		  /* a row of it */
	struct known_file *names; /* by slot, as far as they were asked for */
	struct mounts *mounts;
};

extern const struct table_layout decision_table;
extern const char *const ra_kind_names[NR_RA_KINDS];

void decisions_init(struct decisions *d, struct counters *w, struct output *out,
		    const struct target *targets, size_t n, bool auto_files);
/* A row or a record; rows are printed by decisions_flush() at the latest. */
void decisions_print(struct decisions *d, const struct p2c_ra_record *r);
void decisions_flush(struct decisions *d);
/* At the end, a record or a paragraph for each file that readahead decided for. */
void decisions_summary(struct decisions *d);
void decisions_free(struct decisions *d);

/* What the counts of a file mean, in words; to be freed. Of *a the misses of faults count. */
char *ra_meaning(const struct p2c_ra_counts *c, const struct account *a);

#endif
