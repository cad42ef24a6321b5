/* SPDX-License-Identifier: GPL-2.0-only */
/* One line on the terminal about something that takes long, gone when that ends. */
#ifndef PAGE2CACHE_PROGRESS_H
#define PAGE2CACHE_PROGRESS_H

#include "base/util.h"

struct progress {
	bool bytes; /* else files */
	uint64_t start_ns;
	uint64_t shown_ns; /* 0: nothing was shown yet */
};

/*
 * What is to be shown of DONE things of TOTAL (0: not known) at a time, to be freed; NULL:
 * nothing. There is a line only of what has taken two seconds, and not too often a new one.
 */
char *progress_text(const struct progress *p, uint64_t done, uint64_t total, uint64_t now);

/* Before the others: no line in this run, whatever standard error is. */
void progress_forbid(void);
/* Only one progress line at a time. None if standard error is no terminal, or with -q. */
void progress_begin(bool bytes);
/* So far. Costs little, so that it can be called for each of many things. */
void progress_set(uint64_t done, uint64_t total);
void progress_end(void);
/* Clear the progress line for a message; the next update shows it again. */
void progress_hide(void);

#endif
