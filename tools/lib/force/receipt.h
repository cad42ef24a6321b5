/* SPDX-License-Identifier: GPL-2.0-only */
/* What became of a forced list, a file at a time. */
#ifndef PAGE2CACHE_RECEIPT_H
#define PAGE2CACHE_RECEIPT_H

#include "force/firing.h"
#include "base/output.h"

struct receipt {
	const struct firing *firing;
	struct output *out;
	bool brief;	 /* a row for all files, and those that are not fine */
	double tolerate; /* per cent of the requested pages may be missing at the end */
	bool cut;	 /* the latest firing was stopped by the end of the run */
};

extern const struct table_layout receipt_table;

/* Print the receipts of the latest firing. Returns STATUS_DONE or STATUS_PARTIAL. */
enum status receipt_print(const struct receipt *r);
/* Has the end of the run left pages unread that would have been forced? */
bool receipt_was_cut(const struct receipt *r);

/*
 * Ratios as defined in pcforce(8), COUNTS; negative if unknown. RECORDED are the
 * misses that the list was recorded with.
 */
double receipt_accuracy(const struct force_usage *t, uint64_t read);
double receipt_coverage(const struct force_usage *t, bool recorded_known, uint64_t recorded);
double receipt_lateness(const struct force_usage *t);
double receipt_pollution(const struct force_usage *t);

#endif
