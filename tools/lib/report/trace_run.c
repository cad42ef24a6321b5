// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "report/trace_run.h"

static enum status open_targets(struct trace_run *w)
{
	enum status status = STATUS_DONE;
	char *why;
	size_t i;

	w->targets = xcalloc(w->run.nr_files, sizeof(*w->targets));
	for (i = 0; i < w->run.nr_files; i++) {
		if (target_open(&w->targets[i], w->run.files[i], &why) != TARGET_OK)
			status = fail_with(why, STATUS_BAD_INPUT);
	}
	return status;
}

enum status trace_run_open(struct trace_run *w)
{
	enum status status = open_targets(w);
	int err;

	if (status)
		return status;
	err = output_open(&w->out, w->run.out, w->run.json);
	if (err)
		return fail_with(xasprintf("%s: %s", w->run.out, strerror(-err)), STATUS_BAD_INPUT);
	w->options.auto_files = !w->run.nr_files;
	w->options.tree = w->run.command && !w->filter.everybody;
	w->options.pid = w->filter.pid;
	w->options.cgroup_dir = w->filter.cgroup_dir;
	w->options.nr_files = w->run.nr_files;
	return STATUS_DONE;
}

enum status trace_run_check(struct trace_run *w)
{
	char *why = NULL;
	int fd;

	if (w->run.command && command_find(&w->command, w->run.command, &why))
		return fail_with(why, STATUS_BAD_INPUT);
	if (w->filter.pid && kill(w->filter.pid, 0) && errno == ESRCH)
		return fail_with(xasprintf("-p %llu: no such process",
					   (unsigned long long)w->filter.pid),
				 STATUS_BAD_INPUT);
	if (w->filter.cgroup_dir) {
		fd = cgroup_open(w->filter.cgroup_dir, &why);
		if (fd < 0)
			return fail_with(why, STATUS_BAD_INPUT);
		close(fd);
	}
	return STATUS_DONE;
}

enum status trace_run_plan(struct trace_run *w, const struct bpf_object *obj, struct hook *hooks,
			   size_t n, struct p2c_config *config)
{
	enum status status;
	char *why = NULL;
	int err;

	status = hooks_plan(hooks, n, obj, &why);
	if (status)
		return fail_with(why, status);
	err = counters_configure(&w->counters, config, &w->options, hooks, n);
	if (err)
		return fail_with(hooks_load_error(err), STATUS_FAILED);
	return STATUS_DONE;
}

enum status trace_run_load(struct trace_run *w, struct bpf_object_skeleton *skeleton,
			   struct bpf_object *obj, const struct hook *hooks, size_t n)
{
	int err;

	hooks_select(hooks, n, obj);
	err = counters_size(&w->counters, obj);
	err = err ? err : bpf_object__load_skeleton(skeleton);
	return err ? fail_with(hooks_load_error(err), STATUS_UNSUPPORTED) : STATUS_DONE;
}

static enum status resolve_targets(struct trace_run *w)
{
	struct target **all = xcalloc(w->run.nr_files, sizeof(*all));
	char *why = NULL;
	size_t i;
	int err;

	for (i = 0; i < w->run.nr_files; i++)
		all[i] = &w->targets[i];
	err = targets_resolve(w->counters.obj, all, w->run.nr_files, &why);
	free(all);
	if (!err)
		return STATUS_DONE;
	return fail_with(why, err == -EOPNOTSUPP ? STATUS_BAD_INPUT : STATUS_UNSUPPORTED);
}

enum status trace_run_attach(struct trace_run *w, struct hook *hooks, size_t n)
{
	enum status status = resolve_targets(w);
	char *why = NULL;
	size_t i;
	int err;

	if (status)
		return status;
	if (w->filter.cgroup_dir && counters_cgroup(&w->counters, w->filter.cgroup_dir, &why))
		return fail_with(why, STATUS_BAD_INPUT);
	for (i = 0; i < w->run.nr_files; i++) {
		err = counters_add_file(&w->counters, &w->targets[i]);
		if (err)
			return fail_with(xasprintf("%s: %s", w->run.files[i], strerror(-err)),
					 STATUS_FAILED);
	}
	if (hooks_attach(hooks, n, w->counters.obj, &why))
		return fail_with(why, STATUS_UNSUPPORTED);
	return STATUS_DONE;
}

enum status trace_run_wait(struct trace_run *w, struct session *s)
{
	int err;

	s->duration_us = w->run.duration_us;
	s->command = w->run.command ? &w->command : NULL;
	w->start_ns = now_ns();
	if (w->run.command) {
		err = command_fork(&w->command);
		if (!err && w->options.tree)
			err = counters_add_command(&w->counters);
		if (!err)
			err = command_go(&w->command);
		if (err)
			return fail_with(xasprintf("%s: %s", w->run.command[0], strerror(-err)),
					 STATUS_BAD_INPUT);
	}
	err = session_run(s);
	if (err)
		return fail_with(xasprintf("waiting: %s", strerror(-err)), STATUS_FAILED);
	if (s->signal == SIGTERM)
		command_stop(&w->command, SIGTERM);
	return STATUS_DONE;
}

int trace_run_close(struct trace_run *w, enum status status)
{
	if (w->out.f && output_close(&w->out) && !status)
		status = STATUS_FAILED;
	counters_free(&w->counters);
	if (!status && w->run.exit_command && w->command.ended)
		return command_exit_status(&w->command);
	return status;
}
