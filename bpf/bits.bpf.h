/* SPDX-License-Identifier: GPL-2.0-only */
/* Pages as bits: a chunk is 64 of them. */
#ifndef PAGE2CACHE_BITS_BPF_H
#define PAGE2CACHE_BITS_BPF_H

#include "compat.bpf.h"

/* How many bits of X are set: BPF has no instruction for that. */
static __always_inline __u32 popcount(__u64 x)
{
	x -= x >> 1 & 0x5555555555555555ULL;
	x = (x & 0x3333333333333333ULL) + (x >> 2 & 0x3333333333333333ULL);
	x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
	return x * 0x0101010101010101ULL >> 56;
}

/* The bits of pages first..last that lie in a chunk. */
static __always_inline __u64 chunk_mask(__u64 chunk, __u64 first, __u64 last)
{
	__u64 mask = ~0ULL;

	if (chunk == first / 64)
		mask &= ~0ULL << (first % 64);
	if (chunk == last / 64)
		mask &= ~0ULL >> (63 - last % 64);
	return mask;
}

#endif
