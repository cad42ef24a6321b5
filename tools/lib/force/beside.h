/* SPDX-License-Identifier: GPL-2.0-only */
/* pcforce -- COMMAND: the list serves COMMAND, which runs whatever happens to it. */
#ifndef PAGE2CACHE_BESIDE_H
#define PAGE2CACHE_BESIDE_H

#include "base/options.h"
#include "force/hint.h"

/*
 * Run COMMAND beside the hint, whose options and output are set, and print its receipts at
 * the end. Frees the hint, unless it is stuck. DETACH: COMMAND gets this very process.
 * START_NS: when the program began. Returns the exit status, or ends by COMMAND's signal.
 */
int run_beside(struct hint *h, const struct run_options *run, bool detach, uint64_t start_ns);

#endif
