/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The counts of all files, added up by a program: bpf(2) would have to be called for each file, and
 * while a task is in such a call on a map, the kernel runs no program of a kprobe or classic
 * tracepoint on that CPU: reading the counts would lose events.
 */
#ifndef PAGE2CACHE_TOTAL_BPF_H
#define PAGE2CACHE_TOTAL_BPF_H

#include "lookup.bpf.h"

static __always_inline void add_to_total(const struct p2c_file_counts *c)
{
	int i;

	for (i = 0; i < NR_COUNTS; i++)
		watch.total.count[i] += c->count[i];
}

static long add_cpu(__u32 cpu, void *slot)
{
	struct p2c_file_counts *c = bpf_map_lookup_percpu_elem(&counts, slot, cpu);

	if (c)
		add_to_total(c);
	return 0;
}

static long add_slot(__u32 slot, void *unused)
{
	bpf_loop(cfg.nr_cpus, add_cpu, &slot, 0);
	return 0;
}

static long add_far(void *map, const void *key, struct p2c_file_counts *c, void *unused)
{
	add_to_total(c);
	return 0;
}

SEC("syscall")
int add_up(void *unused)
{
	__u32 slots = watch.nr_slots;

	__builtin_memset(&watch.total, 0, sizeof(watch.total));
	bpf_loop(slots < cfg.near_slots ? slots : cfg.near_slots, add_slot, NULL, 0);
	if (slots > cfg.near_slots)
		bpf_for_each_map_elem(&far_counts, add_far, NULL, 0);
	return 0;
}

#endif
