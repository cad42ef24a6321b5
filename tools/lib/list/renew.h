/* SPDX-License-Identifier: GPL-2.0-only */
/* What becomes of a list that is recorded anew at each start of a program. */
#ifndef PAGE2CACHE_RENEW_H
#define PAGE2CACHE_RENEW_H

#include "list/list.h"
#include "list/list_writer.h"

/*
 * W has the runs that a start accessed, in their order, *SECTIONS[*NR] the files of its slots;
 * OLD is the list as it was. Then W has what is to be written: each accessed page once, behind
 * them those pages of OLD that were not accessed, by the number of starts that did without
 * them, up to KEEP starts. *SECTIONS gets the files of the latter, too.
 *
 * Which pages fault-around maps along with others depends on what happens to be cached, and on
 * where the file is mapped. So pages that were only mapped so, and cached before, are added only
 * where nothing was known of their file; and pages of OLD stay that could have been mapped so.
 *
 * Returns whether the list is another one than OLD, the order of its pages aside.
 */
bool list_renew(struct list_writer *w, struct offsets_section **sections, uint32_t *nr,
		const struct list *old, unsigned int keep);

#endif
