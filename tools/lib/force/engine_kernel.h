/* SPDX-License-Identifier: GPL-2.0-only */
/* What programs need that call bpf_force_page2cache() of a patched kernel. */
#ifndef PAGE2CACHE_ENGINE_KERNEL_H
#define PAGE2CACHE_ENGINE_KERNEL_H

struct bpf_program;

/*
 * Between open and load: puts the running kernel's number of the helper into the
 * calls of HELPER_PLACEHOLDER. Returns 0, -ENOENT (it has none) or -errno.
 */
int helper_set_number(struct bpf_program *prog);

#endif
