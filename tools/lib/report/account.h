/* SPDX-License-Identifier: GPL-2.0-only */
/* From the counters of the BPF side to the figures that are shown. */
#ifndef PAGE2CACHE_ACCOUNT_H
#define PAGE2CACHE_ACCOUNT_H

#include "shared.h"
#include "base/util.h"
#include "hook/hooks.h"

struct account {
	uint64_t accesses, hits, misses, late;
	uint64_t read_accesses, read_hits, read_misses, read_late;
	uint64_t mmap_accesses, mmap_misses, mmap_fault_around;
	uint64_t inserted_pages, removed_pages;
	uint64_t lost_events;
	bool late_known;
	bool pages_unknown;   /* more pages may have been looked up than on_lookup() was told of */
	enum exactness exact; /* account_derive(): as far as the hooks were all served */
};

/* Microseconds; all 0 without samples. */
struct percentiles {
	uint64_t samples;
	double p50, p90, p99, max;
};

/*
 * accesses = hits + misses, for reads, mmap and both. `late_known` is handed
 * through. A fault-around that is redone may be taken back after it was
 * counted, so `before` (may be NULL) keeps the figures from going down.
 */
void account_derive(const struct p2c_file_counts *c, bool late_known, const struct account *before,
		    struct account *a);

/* What was counted between A and B: b - a, field by field. */
void account_since(const struct account *a, const struct account *b, struct account *d);

/* Hits among accesses, 0 to 1; negative (unknown) without accesses. */
double account_hit_ratio(const struct account *a);

/*
 * No percentiles if the histogram lacks some of the MEASURED times, because it was another file's
 * before.
 */
void account_percentiles(const struct p2c_file_latency *l, uint64_t measured,
			 struct percentiles *p);
/* The nanoseconds in the middle of a latency slot. */
double latency_slot_ns(unsigned int slot);

#endif
