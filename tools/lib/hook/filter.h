/* SPDX-License-Identifier: GPL-2.0-only */
/* Whose accesses count: -p, -P, -c, --unit, --uid, -a and COMMAND, from the command line to the programs. */
#ifndef PAGE2CACHE_FILTER_H
#define PAGE2CACHE_FILTER_H

#include "base/options.h"
#include "hook/counters.h"

/* What the options come to; COMMAND: there is one. */
void filter_set(struct counters_options *to, const struct filter_options *f, bool command);
/*
 * Before anything is attached: are processes, cgroup and user there? Says what is not. Takes hold
 * of the process of -p or -P, so that its end is seen (f->pid_fd), and no other is taken for it.
 */
enum status filter_check(struct filter_options *f);
/* After that: has the process of -p or -P ended? Also if its parent has not waited for it. */
bool filter_process_over(const struct filter_options *f);
/* Why counters_locate() returned ERR; to be freed. */
char *filter_locate_error(const struct counters_options *opt, int err, enum status *status);
/* After the attaching: -P's process and the descendants that it has by now, or the unit. */
enum status filter_find_running(struct counters *w, const struct counters_options *opt, char **why);

#endif
