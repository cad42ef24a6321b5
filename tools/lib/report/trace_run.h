/* SPDX-License-Identifier: GPL-2.0-only */
/* The run of a program that watches: files, filters, hooks, COMMAND, output. */
#ifndef PAGE2CACHE_WATCHER_H
#define PAGE2CACHE_WATCHER_H

#include "base/options.h"
#include "base/output.h"
#include "base/session.h"
#include "hook/counters.h"

struct trace_run {
	struct run_options run;
	struct filter_options filter;
	struct counters_options options; /* what these come to */
	struct counters counters;
	struct target *targets; /* the files of -f */
	struct command command;
	struct output out;
	uint64_t start_ns;
};

/* After the options are parsed: open the files and the output. */
enum status trace_run_open(struct trace_run *w);
/* COMMAND, process and cgroup: are they there? Nothing is attached yet. */
enum status trace_run_check(struct trace_run *w);
/*
 * With the programs opened: choose their hooks and write their read-only data;
 * then, when the tool has written its own, load what was chosen (counters_bind() follows).
 */
enum status trace_run_plan(struct trace_run *w, const struct bpf_object *obj, struct hook *hooks,
			   size_t n, struct p2c_config *config);
enum status trace_run_load(struct trace_run *w, struct bpf_object_skeleton *skeleton,
			   struct bpf_object *obj, const struct hook *hooks, size_t n);
/* With the programs loaded: resolve and watch the files, then attach. */
enum status trace_run_attach(struct trace_run *w, struct hook *hooks, size_t n);
/* Start COMMAND and wait for the end of the session, whose end and command are set here. */
enum status trace_run_wait(struct trace_run *w, struct session *s);
/* Close the output. Returns the program's exit status. */
int trace_run_close(struct trace_run *w, enum status status);

#endif
