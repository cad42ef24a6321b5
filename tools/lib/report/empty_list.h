/* SPDX-License-Identifier: GPL-2.0-only */
/* A recording that caught no page: what was seen instead, and what would count it. */
#ifndef PAGE2CACHE_EMPTY_LIST_H
#define PAGE2CACHE_EMPTY_LIST_H

#include "report/report.h"
#include "report/trace_run.h"

/* After report_read(). */
void say_empty_list(const char *list, const struct trace_run *w, const struct report *r);

#endif
