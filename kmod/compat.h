/* SPDX-License-Identifier: GPL-2.0-only */
/* What page2cache.c finds in a kernel that has the patches, for one that has not. */
#ifndef BPF_PAGE2CACHE_COMPAT_H
#define BPF_PAGE2CACHE_COMPAT_H

#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/pagemap.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
#error "Linux 6.12 or later: before, kfuncs take no maps"
#endif
#ifndef CONFIG_64BIT
#error "64-bit kernels only: user space and the kernel share counters of 64 bits"
#endif

#ifndef HAVE_BPF_PAGE2CACHE
struct bpf_page2cache_extent {
	__u64 index;		/* in pages */
	__u64 nr_pages;
};

enum { BPF_PAGE2CACHE_IDLE, BPF_PAGE2CACHE_RUNNING, BPF_PAGE2CACHE_DONE };

struct bpf_page2cache {
	__u64 nr_extents;	/* that follow */
	__u64 max_pages;	/* to be submitted */
	__u64 state;		/* set to IDLE before use; any other value cancels */
	__s64 error;		/* why it ended before the last extent */
	__u64 reached;		/* extents done; the next five count their pages */
	__u64 resident;		/* were there already */
	__u64 read;
	__u64 failed;		/* could not be read */
	__u64 past_eof;
	__u64 skipped;
	__u64 submitted;
	__u64 end_ns;		/* CLOCK_MONOTONIC */
};
#endif

/* Linux 6.19, 7f3779a3ac3e: with a policy of memory, where page2cache.c has none. */
#ifdef HAVE_ALLOC_FOLIO_POLICY
static inline struct folio *alloc_folio_noprof(gfp_t gfp, unsigned int order)
{
	return filemap_alloc_folio_noprof(gfp, order, NULL);
}

#undef filemap_alloc_folio
#define filemap_alloc_folio(...) alloc_hooks(alloc_folio_noprof(__VA_ARGS__))
#endif

/* Linux 7.0, 7646c7afd9a9: the arguments of every function have to be trusted. */
#ifndef KF_TRUSTED_ARGS
#define KF_TRUSTED_ARGS 0
#endif

#endif
