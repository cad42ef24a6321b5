/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The programs of bpf/cachemiss.bpf.c: they count and, for a list, hand over each page at its
 * first access. For cachemiss, which shows the counts, and for pcforce --learn.
 */
#ifndef PAGE2CACHE_RECORDING_H
#define PAGE2CACHE_RECORDING_H

#include "list/list_writer.h"
#include "report/report.h"
#include "report/trace_run.h"

/* Events are taken at least this often while a list is recorded. */
#define RECORD_POLL_US 50000

struct cachemiss_bpf;

struct recording {
	struct trace_run run; /* first: it is what the callbacks of struct tool get */
	bool list;	      /* record pages, for the writer */
	bool hits;	      /* those that were cached before as well */
	uint32_t max_chunks;  /* of 64 pages, that the list may have pages of; 0: the most */
	struct cachemiss_bpf *skel;
	struct list_naming naming; /* of the list's files, begun and freed as the writer is */
	struct list_writer writer; /* opened and freed by whoever sets `list` */
	struct report report;
};

/* For a struct tool. */
bool recording_open(struct trace_run *w);
void recording_configure(struct trace_run *w);
void recording_bind(struct trace_run *w);
void recording_begin(struct trace_run *w);
int recording_event(void *w, void *data, size_t size);

/* After report_read(): the sections of the list and their patterns, as report_sections(). */
size_t recording_sections(struct recording *r, struct offsets_section **sections, uint32_t *n);
/* But for the writer. */
void recording_free(struct recording *r);

#endif
