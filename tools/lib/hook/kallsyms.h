/* SPDX-License-Identifier: GPL-2.0-only */
/* Where the kernel's lookup, fault and readahead code lies. */
#ifndef PAGE2CACHE_KALLSYMS_H
#define PAGE2CACHE_KALLSYMS_H

#include "shared.h"
#include "base/util.h"

/*
 * Fills ranges[] (MAX_RANGES) with the functions that tell a task's sleep in a
 * lookup. Returns how many, 0 if the kernel does not show its addresses
 * (kernel.kptr_restrict=2) or has no lookup function under a known name.
 */
unsigned int kallsyms_ranges(struct p2c_text_range *ranges);

#endif
