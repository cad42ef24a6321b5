// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/progress.h"
#include "hook/cgroup.h"
#include "hook/filter.h"
#include "report/trace_run.h"

/* How many files are counted each on their own where none is named. */
static enum status limit_files(struct trace_run *w, uint32_t max)
{
	const char *asked = getenv("PAGE2CACHE_FILES");
	uint64_t files = max;

	if (options_name_files(&w->run))
		return STATUS_DONE;
	if (asked && *asked && (parse_u64(asked, &files) || !files || files > max))
		return fail_with(xasprintf("PAGE2CACHE_FILES: must be 1 to %u files: '%s'", max,
					   asked),
				 STATUS_BAD_INPUT);
	w->options.auto_files = files;
	return STATUS_DONE;
}

enum status trace_options(const struct tool *tool, struct trace_run *w)
{
	filter_set(&w->options, &w->filter, w->run.command);
	w->options.nr_files = w->names.nr;
	return limit_files(w, tool->max_files);
}

static enum status open_run(const struct tool *tool, struct trace_run *w)
{
	enum status status;
	int err;

	status = names_collect(&w->names, w->run.files, w->run.nr_files, w->run.files0);
	status = status ? status : trace_options(tool, w);
	if (status)
		return status;
	err = output_open(&w->out, w->run.out, w->run.print.json, w->run.command,
			  &w->run.print.tables);
	return err ? fail_with(xasprintf("%s: %s", w->run.out, strerror(-err)), STATUS_BAD_INPUT)
		   : STATUS_DONE;
}

/* Choose the hooks, tell the BPF side what to do, load what was chosen. */
static enum status load(const struct tool *tool, struct trace_run *w)
{
	enum status status;
	char *why = NULL;
	int err;

	if (!tool->open(w))
		return fail_with(hooks_load_error(-errno), STATUS_UNSUPPORTED);
	status = hooks_plan(tool->hooks, tool->nr_hooks, w->obj,
			    !w->options.auto_files && !types_btrfs_mounted(), &why);
	if (status)
		return fail_with(why, status);
	err = counters_configure(&w->counters, w->config, &w->options, tool->hooks, tool->nr_hooks);
	if (err)
		return fail_with(hooks_load_error(err), STATUS_FAILED);
	tool->configure(w);
	hooks_select(tool->hooks, tool->nr_hooks, w->obj);
	err = counters_size(&w->counters, w->obj);
	err = err ? err : bpf_object__load_skeleton(w->skeleton);
	if (err)
		return fail_with(hooks_load_error(err), STATUS_UNSUPPORTED);
	tool->bind(w);
	err = counters_locate(&w->counters);
	if (err) {
		why = filter_locate_error(&w->options, err, &status);
		return fail_with(why, status);
	}
	if (!w->poll_us)
		return STATUS_DONE;
	w->ring = ring_buffer__new(bpf_object__find_map_fd_by_name(w->obj, "ring"), tool->event, w,
				   NULL);
	if (!w->ring)
		return fail_with(xasprintf("cannot create the ring buffer: %s", strerror(errno)),
				 STATUS_FAILED);
	return STATUS_DONE;
}

/* Opened at the same time, of files that may be hundreds of thousands. */
#define BATCH 256

/* Files that are open: find out what they are to the page cache, and watch them. */
static enum status watch_open(struct trace_run *w, struct target *targets, size_t n)
{
	struct target *all[BATCH];
	char *why = NULL;
	size_t i;
	int err;

	for (i = 0; i < n; i++)
		all[i] = &targets[i];
	err = targets_resolve(w->counters.obj, all, n, &why);
	if (err)
		return fail_with(why, err == -EOPNOTSUPP ? STATUS_BAD_INPUT : STATUS_UNSUPPORTED);
	for (i = 0; i < n && !err; i++)
		err = counters_add_file(&w->counters, &targets[i]);
	return err ? fail_with(xasprintf("%s: %s", targets[i - 1].path, strerror(-err)),
			       STATUS_FAILED)
		   : STATUS_DONE;
}

/*
 * The inode of a file that was named stays in memory until the end of the run. Of found ones
 * that would take a descriptor each: they are known again by their generation, unless the kernel
 * tells of inodes by their place in memory.
 */
static enum status watch_files(struct trace_run *w)
{
	enum status status = STATUS_DONE;
	size_t i = 0, first;

	w->targets = xcalloc(w->names.nr, sizeof(*w->targets));
	progress_begin(false);
	while (i < w->names.nr && !status) {
		progress_set(i, w->names.nr);
		first = w->nr_targets;
		for (; i < w->names.nr && w->nr_targets - first < BATCH; i++) {
			struct target *t = &w->targets[w->nr_targets];

			w->nr_targets += names_open(&w->names, &w->names.all[i], t);
		}
		status = watch_open(w, w->targets + first, w->nr_targets - first);
		for (; first < w->nr_targets; first++) {
			if (w->targets[first].found && !w->counters.by_record)
				target_close_fd(&w->targets[first]);
			else
				target_keep_inode(&w->targets[first]);
		}
	}
	progress_end();
	names_free(&w->names);
	return status;
}

/* Watch the files, then attach. */
static enum status attach(const struct tool *tool, struct trace_run *w)
{
	enum status status = watch_files(w);
	char *why = NULL;

	if (status)
		return status;
	status = counters_cgroup(&w->counters, &w->options, &why);
	if (status)
		return fail_with(why, status);
	if (hooks_attach(tool->hooks, tool->nr_hooks, w->obj, &why))
		return fail_with(why, STATUS_UNSUPPORTED);
	status = filter_find_running(&w->counters, &w->options, &why);
	return status ? fail_with(why, status) : STATUS_DONE;
}

/* How often the end of a unit is looked for. */
#define UNIT_POLL_US 100000

struct callbacks {
	const struct tool *tool;
	struct trace_run *w;
};

void trace_take_events(const struct tool *tool, struct trace_run *w)
{
	if (!w->ring)
		return;
	ring_buffer__consume(w->ring);
	if (tool->events_taken)
		tool->events_taken(w);
}

static bool take_events(void *ctx)
{
	const struct callbacks *c = ctx;

	trace_take_events(c->tool, c->w);
	if (c->w->ring)
		output_flush(&c->w->out);
	/*
	 * The reader of the output is gone, as behind `| head`: without COMMAND that ends the run.
	 */
	return c->w->run.command || !(c->w->out.broken_pipe || cgroup_unit_over(&c->w->counters));
}

static void end_interval(void *ctx)
{
	const struct callbacks *c = ctx;

	c->w->counters.exact =
		counters_exactness(&c->w->counters, c->tool->hooks, c->tool->nr_hooks);
	c->tool->interval(c->w);
}

/* Let COMMAND go, counted from its exec on; if it cannot be, w->start_status says what to end with. */
static int start_command(struct trace_run *w)
{
	int err;

	command_init(&w->command, w->run.command);
	err = command_fork(&w->command);
	if (!err && w->options.tree)
		err = counters_add_command(&w->counters, w->command.pid);
	if (err) {
		say("%s: cannot be started: %s", w->run.command[0], strerror(-err));
		return err;
	}
	err = command_go(&w->command);
	if (!err)
		return 0;
	w->start_status = command_start_status(err);
	/* A COMMAND that cannot be executed is the user's mistake: say so even with -q. */
	quiet = false;
	fail_with(command_error(&w->command, err), STATUS_FAILED);
	return err;
}

/* Start COMMAND, and wait for the end of the run. */
static enum status wait_for_end(const struct tool *tool, struct trace_run *w)
{
	struct callbacks callbacks = { tool, w };
	struct session s = {
		.duration_us = w->run.duration_us,
		.interval_us = w->interval_us,
		.count = w->count,
		.command = w->run.command ? &w->command : NULL,
		.event_fd = w->ring ? ring_buffer__epoll_fd(w->ring) : -1,
		.end_fd = w->filter.pid ? w->filter.pid_fd : -1,
		.poll_us = w->poll_us	       ? w->poll_us
			   : w->filter.unit.nr ? UNIT_POLL_US
					       : 0,
		.on_events = take_events,
		.on_interval = end_interval,
		.ctx = &callbacks,
	};
	int err;

	if (w->run.command) {
		err = start_command(w);
		if (err)
			return STATUS_FAILED;
	}
	err = session_run(&s);
	if (err)
		return fail_with(xasprintf("cannot wait for events: %s", strerror(-err)),
				 STATUS_FAILED);
	return STATUS_DONE;
}

/* Take all events that are still in the ring buffer. */
static enum status report(const struct tool *tool, struct trace_run *w)
{
	enum status status;

	trace_take_events(tool, w);
	if (w->run.command)
		output_after_command(&w->out);
	status = tool->report(w);
	if (w->out.json && w->run.command)
		output_record(&w->out, json_command(&w->command));
	counters_complain(&w->counters);
	return status;
}

enum status trace_begin(const struct tool *tool, struct trace_run *w)
{
	enum status status;

	status = filter_check(&w->filter);
	status = status ? status : load(tool, w);
	status = status ? status : attach(tool, w);
	if (status)
		return status;
	counters_on(&w->counters, true);
	w->start_ns = now_ns();
	tool->begin(w);
	return STATUS_DONE;
}

void trace_end(const struct tool *tool, struct trace_run *w)
{
	/* Stop counting here: accesses while the summary is made are not part of the run. */
	counters_on(&w->counters, false);
	hooks_detach(tool->hooks, tool->nr_hooks);
	w->counters.exact = counters_exactness(&w->counters, tool->hooks, tool->nr_hooks);
}

void trace_free(struct trace_run *w)
{
	ring_buffer__free(w->ring);
	w->ring = NULL;
	counters_free(&w->counters);
}

static enum status trace(const struct tool *tool, struct trace_run *w)
{
	enum status status = trace_begin(tool, w);

	if (status)
		return status;
	if (w->out.json)
		output_record(&w->out,
			      json_meta(tool->name, hooks_json(tool->hooks, tool->nr_hooks)));
	status = wait_for_end(tool, w);
	trace_end(tool, w);
	return status ? status : report(tool, w);
}

/*
 * With COMMAND its status, so that this program can stand before any other; what failed of
 * ours shows only where COMMAND itself did well.
 */
static int exit_status(const struct trace_run *w, enum status status)
{
	int of_command;

	if (!w->run.command || w->run.tool_status) {
		if (!status && w->names.incomplete)
			status = STATUS_FAILED;
		return w->start_status ? STATUS_BAD_INPUT : (int)status;
	}
	if (w->start_status)
		return w->start_status;
	if (!w->command.ended)
		return status ? EXIT_TOOL : STATUS_DONE;
	of_command = command_exit_status(&w->command);
	return status && !of_command ? EXIT_TOOL : of_command;
}

int tool_main(const struct tool *tool, struct trace_run *w, int argc, char **argv)
{
	enum status status;

	program_begin(tool->name, tool->argp, argc, argv);
	hooks_quiet_libbpf();
	/*
	 * Signals are blocked only once there is something to undo; until then they end the program
	 * as usual.
	 */
	signal(SIGPIPE, SIG_IGN);
	status = open_run(tool, w);
	if (!w->looks_only)
		session_block_signals(w->run.command);
	if (!status && tool->prepare)
		status = tool->prepare(w);
	if (!status && !w->looks_only)
		status = trace(tool, w);
	trace_free(w);
	tool->close(w);
	if (w->out.f && output_close(&w->out) && !status)
		status = STATUS_FAILED;
	command_free(&w->command);
	if (w->out.broken_pipe && !w->run.command)
		return end_by_signal(SIGPIPE);
	return exit_status(w, status);
}
