// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "hook/counters.h"
#include "report/account.h"

void account_derive(const struct p2c_file_counts *c, bool late_known, const struct account *before,
		    struct account *a)
{
	const __u64 *n = c->count;
	uint64_t around = 0;

	memset(a, 0, sizeof(*a));
	/* The counters are read while they change, so a correction can be seen before its count. */
	if (n[COUNT_AROUND] > n[COUNT_AROUND_REDONE])
		around = n[COUNT_AROUND] - n[COUNT_AROUND_REDONE];
	if (before && around < before->mmap_fault_around)
		around = before->mmap_fault_around;
	a->read_hits = n[COUNT_READ_HITS];
	a->read_misses = n[COUNT_READ_MISSES];
	a->read_accesses = a->read_hits + a->read_misses;
	a->read_late = n[COUNT_READ_LATE];
	a->mmap_fault_around = around;
	a->mmap_misses = n[COUNT_MMAP_MISSES];
	a->mmap_accesses = n[COUNT_MMAP_HITS] + n[COUNT_MMAP_MISSES] + around;
	a->accesses = a->read_accesses + a->mmap_accesses;
	a->misses = a->read_misses + a->mmap_misses;
	a->hits = a->accesses - a->misses;
	a->late = a->read_late + n[COUNT_MMAP_LATE];
	a->late_known = late_known;
	a->inserted_pages = n[COUNT_INSERTED];
	a->removed_pages = n[COUNT_REMOVED];
	a->lost_events = n[COUNT_LOST];
	a->pages_unknown = n[COUNT_READS_UNPLACED];
	a->exact = file_counts_exactness(c);
}

void account_since(const struct account *a, const struct account *b, struct account *d)
{
#define SINCE(field) d->field = b->field - a->field
	SINCE(accesses);
	SINCE(hits);
	SINCE(misses);
	SINCE(late);
	SINCE(read_accesses);
	SINCE(read_hits);
	SINCE(read_misses);
	SINCE(read_late);
	SINCE(mmap_accesses);
	SINCE(mmap_misses);
	SINCE(mmap_fault_around);
	SINCE(inserted_pages);
	SINCE(removed_pages);
	SINCE(lost_events);
#undef SINCE
	d->late_known = b->late_known;
	d->pages_unknown = b->pages_unknown;
	d->exact = b->exact;
}

double account_hit_ratio(const struct account *a)
{
	return a->accesses ? (double)a->hits / a->accesses : -1;
}

double latency_slot_ns(unsigned int slot)
{
	unsigned int log;
	double step, base;

	if (slot < 1 << LAT_SUB_BITS)
		return slot;
	log = (slot >> LAT_SUB_BITS) - 1;
	step = (double)(1ULL << log);
	base = (double)((1ULL << LAT_SUB_BITS) + (slot & ((1 << LAT_SUB_BITS) - 1))) * step;
	return base + step / 2;
}

/* The latency below which that share of the samples lies, in microseconds. */
static double percentile(const struct p2c_file_latency *l, uint64_t samples, unsigned int percent)
{
	uint64_t seen = 0;
	unsigned int i;

	for (i = 0; i < LAT_SLOTS - 1; i++) {
		seen += l->slots[i];
		if (seen * 100 >= samples * percent)
			break;
	}
	/* The middle of the last slot can lie above its largest sample. */
	if (latency_slot_ns(i) > l->max_ns)
		return l->max_ns / 1e3;
	return latency_slot_ns(i) / 1e3;
}

void account_percentiles(const struct p2c_file_latency *l, uint64_t measured, struct percentiles *p)
{
	unsigned int i;

	memset(p, 0, sizeof(*p));
	for (i = 0; i < LAT_SLOTS; i++)
		p->samples += l->slots[i];
	if (p->samples != measured)
		p->samples = 0;
	if (!p->samples)
		return;
	p->p50 = percentile(l, p->samples, 50);
	p->p90 = percentile(l, p->samples, 90);
	p->p99 = percentile(l, p->samples, 99);
	p->max = l->max_ns / 1e3;
}
