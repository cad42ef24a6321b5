/* SPDX-License-Identifier: GPL-2.0-only */
/* A program that watches, from its options to its report: files, filters, hooks, COMMAND. */
#ifndef PAGE2CACHE_TRACE_RUN_H
#define PAGE2CACHE_TRACE_RUN_H

#include "base/options.h"
#include "base/output.h"
#include "base/session.h"
#include "file/names.h"
#include "hook/counters.h"

struct trace_run {
	struct run_options run;
	struct filter_options filter;
	struct counters_options options; /* what these come to */
	struct counters counters;
	struct names names;	/* the files that are named */
	struct target *targets; /* those of them that are watched */
	size_t nr_targets;
	struct command command;
	int start_status; /* exit status where COMMAND could not be executed, 0: it could */
	struct output out;
	uint64_t start_ns;

	bool looks_only; /* set by the options: nothing is watched, prepare() does all */

	/* Of the program: set by prepare(), */
	uint64_t interval_us; /* 0: none */
	uint64_t count;	      /* of intervals, 0: no limit */
	uint64_t poll_us;     /* take events at least this often, 0: there are none */
	/* and by open(). */
	struct bpf_object_skeleton *skeleton;
	struct bpf_object *obj;
	struct p2c_config *config; /* its read-only data */

	struct ring_buffer *ring; /* NULL: there are no events */
};

/*
 * A program that watches, and what it adds to a run, in the order of the calls. What may be
 * missing is NULL; each status but STATUS_DONE ends the run, after it was said why.
 */
struct tool {
	const char *name;
	const struct argp *argp;
	struct hook *hooks;
	size_t nr_hooks;
	uint32_t max_files; /* that it counts each on their own where none is named */
	/* The options are parsed, the files are known, the output is open. May be missing. */
	enum status (*prepare)(struct trace_run *w);
	/* Open the skeleton; false with errno set if it cannot be. */
	bool (*open)(struct trace_run *w);
	/* Write its own read-only data and size its own maps, before it is loaded. */
	void (*configure)(struct trace_run *w);
	/* It is loaded: counters_bind(). */
	void (*bind)(struct trace_run *w);
	/* All is attached, nothing was counted yet. */
	void (*begin)(struct trace_run *w);
	/* An event of the ring buffer; ctx is the run. */
	int (*event)(void *ctx, void *data, size_t size);
	/* After event() has had all events that have come. May be missing. */
	void (*events_taken)(struct trace_run *w);
	/* After each interval. May be missing. */
	void (*interval)(struct trace_run *w);
	/* All is detached, all events were taken. */
	enum status (*report)(struct trace_run *w);
	/* Free what is the program's own, however far the run came. */
	void (*close)(struct trace_run *w);
};

/*
 * Parts of tool_main(), for a program that has a run and an output of its own: what the options
 * of W come to; then to load, attach and count; events that have come; to count and be attached
 * no more; to free what trace_begin() made, however far it came, before the skeleton. TOOL needs the callbacks from open() to event() only. What fails has been said.
 */
enum status trace_options(const struct tool *tool, struct trace_run *w);
enum status trace_begin(const struct tool *tool, struct trace_run *w);
void trace_take_events(const struct tool *tool, struct trace_run *w);
void trace_end(const struct tool *tool, struct trace_run *w);
void trace_free(struct trace_run *w);

/* The whole program: returns its exit status. W is all zero but for what its options say. */
int tool_main(const struct tool *tool, struct trace_run *w, int argc, char **argv);

#endif
