/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A histogram of times for each file: struct p2c_file_latency. Where there are more files than
 * that, the map is an LRU: a file whose times are measured again and again keeps its own.
 */
#ifndef PAGE2CACHE_LATENCY_BPF_H
#define PAGE2CACHE_LATENCY_BPF_H

#include "target.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct p2c_file_latency);
} latency SEC(".maps");

static __always_inline __u32 log2_u64(__u64 v)
{
	__u32 r = 0;

	if (v >> 32) {
		v >>= 32;
		r = 32;
	}
	if (v >> 16) {
		v >>= 16;
		r += 16;
	}
	if (v >> 8) {
		v >>= 8;
		r += 8;
	}
	if (v >> 4) {
		v >>= 4;
		r += 4;
	}
	if (v >> 2) {
		v >>= 2;
		r += 2;
	}
	return r + (v >> 1);
}

const volatile struct p2c_file_latency no_latency = {};

static __always_inline struct p2c_file_latency *latency_of(__u32 slot)
{
	struct p2c_file_latency *l = bpf_map_lookup_elem(&latency, &slot);

	if (l || cfg.max_slots == cfg.near_slots)
		return l;
	bpf_map_update_elem(&latency, &slot, (void *)&no_latency, BPF_NOEXIST);
	return bpf_map_lookup_elem(&latency, &slot);
}

static __always_inline void latency_add(__u32 slot, __u64 ns, __u32 times)
{
	struct p2c_file_latency *l = latency_of(slot);
	__u64 at = ns, old;
	__u32 log, i;

	if (!l)
		return;
	if (ns >> LAT_SUB_BITS) {
		log = log2_u64(ns);
		at = ((log - LAT_SUB_BITS + 1) << LAT_SUB_BITS) +
		     ((ns >> (log - LAT_SUB_BITS)) & ((1 << LAT_SUB_BITS) - 1));
	}
	if (at >= LAT_SLOTS)
		at = LAT_SLOTS - 1;
	__sync_fetch_and_add(&l->slots[at], times);
	for (i = 0; i < 4; i++) {
		old = l->max_ns;
		if (old >= ns || __sync_val_compare_and_swap(&l->max_ns, old, ns) == old)
			break;
	}
}

#endif
