/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * COMMAND may wait for the list: a file of which most is listed, at random, is read in
 * faster before its reader starts than beside it.
 *
 * Measured on a virtio disk with 2 CPUs, the line as typed: see pcforce(8), WAITING.
 */
#ifndef PAGE2CACHE_WAITING_H
#define PAGE2CACHE_WAITING_H

#include "force/hint.h"

/*
 * While another thread loads the list: can it turn out to be worth it, by what was seen of it? As
 * below, only as long as COMMAND's process waits as well and no signal is pending.
 */
bool waiting_for_load(const struct hint *h, struct command *c, uint64_t start_ns);
/* Wait for the forcing that was begun, if it is worth it and as long as it is. */
void waiting_run(const struct hint *h, struct command *c, uint64_t start_ns);

#endif
