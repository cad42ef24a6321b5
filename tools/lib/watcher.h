/* SPDX-License-Identifier: GPL-2.0-only */
/* The run of a program that watches: files, filters, hooks, COMMAND, output. */
#ifndef PAGE2CACHE_WATCHER_H
#define PAGE2CACHE_WATCHER_H

#include "options.h"
#include "output.h"
#include "session.h"
#include "watch.h"

struct watcher {
	struct run_options run;
	struct filter_options filter;
	struct watch_options options; /* what these come to */
	struct watch watch;
	struct target *targets; /* the files of -f */
	struct command command;
	struct output out;
	uint64_t start_ns;
};

/* say() why and return the status. */
enum status fail_with(char *why, enum status status);

/* After the options are parsed: open the files and the output. */
enum status watcher_open(struct watcher *w);
/* COMMAND, process and cgroup: are they there? Nothing is attached yet. */
enum status watcher_check(struct watcher *w);
/*
 * With the programs opened: choose their hooks and say what their read-only data
 * is to be (WATCH_CONFIGURE); then, with that written, load what was chosen
 * (WATCH_BIND follows).
 */
enum status watcher_plan(struct watcher *w, const struct bpf_object *obj, struct hook *hooks,
			 size_t n, struct watch_config *cfg);
enum status watcher_load(struct watcher *w, struct bpf_object_skeleton *skeleton,
			 struct bpf_object *obj, const struct hook *hooks, size_t n,
			 const struct watch_config *cfg);
/* With the programs loaded: resolve and watch the files, then attach. */
enum status watcher_attach(struct watcher *w, struct hook *hooks, size_t n);
/* Start COMMAND and wait for the end of the session, whose end and command are set here. */
enum status watcher_run(struct watcher *w, struct session *s);
/* Close the output. Returns the program's exit status. */
int watcher_close(struct watcher *w, enum status status);

#endif
