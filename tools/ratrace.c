// SPDX-License-Identifier: GPL-2.0-only
/* ratrace: what readahead decided for files, and whether it was right. */
#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shared.h"
#include "ratrace.skel.h"
#include "report/decisions.h"
#include "report/trace_run.h"

#define EVENT_POLL_US 100000

/* A row a line: */
/* clang-format off */
static struct hook hooks[] = {
	READAHEAD_HOOKS,
	HOOK_READ_LOOKUP,
	HOOK_MMAP_ACCESS,
	HOOK_MMAP_FAULT_AROUND,
	HOOK_MMAP_MAPPED,
	HOOK_PAGE_FAULT,
	HOOK_INSERT,
	HOOK_REMOVAL,
	HOOK_TASK_START,
	HOOK_TASK_EXIT,
	{ "task_end", false, { { { "decision_exit" } } } },
};
/* clang-format on */

static struct ratrace {
	struct trace_run w;
	struct ratrace_bpf *skel;
	struct ring_buffer *ring;
	struct decisions decisions;
	bool summary_only;
} rt;

const char *argp_program_version = "ratrace (page2cache) " VERSION;
static const char doc[] =
	"Show what readahead decided for files, how much it read, and what was used of it.\v"
	"Without -f, -p, -c or COMMAND: every file of the whole system, until Ctrl-C.\n"
	"\n"
	"EXAMPLES:\n"
	"    ratrace -f data -- ./reader      each decision while ./reader runs, a summary\n"
	"    ratrace -s -f data -d 10         only the summary, of ten seconds\n"
	"    ratrace -s -- ./app              which of its files does readahead serve badly?\n"
	"\n"
	"Status: 0 done, 1 failed, 2 bad usage or input, 3 this kernel cannot do it.";

static const struct argp_option argp_options[] = {
	{ "summary", 's', NULL, 0, "The summary only, no line for each decision", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static const struct argp_child argp_children[] = {
	{ &run_argp, 0, NULL, 0 },
	{ &filter_argp, 0, NULL, 0 },
	{ NULL, 0, NULL, 0 },
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 's':
		rt.summary_only = true;
		break;
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &rt.w.run;
		state->child_inputs[1] = &rt.w.filter;
		break;
	case ARGP_KEY_SUCCESS:
		check_filters(state, &rt.w.run, &rt.w.filter);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp argp = {
	.options = argp_options,
	.parser = parse_option,
	.children = argp_children,
	.args_doc = "[-- COMMAND...]",
	.doc = doc,
};

static enum status load(void)
{
	enum status status;

	rt.skel = ratrace_bpf__open_opts(types_open_opts());
	if (!rt.skel)
		return fail_with(hooks_load_error(-errno), STATUS_UNSUPPORTED);
	status = trace_run_plan(&rt.w, rt.skel->obj, hooks, ARRAY_SIZE(hooks),
				&rt.skel->rodata->cfg);
	if (status)
		return status;
	rt.skel->rodata->tell_events = !rt.summary_only;
	bpf_map__set_max_entries(rt.skel->maps.ra_counts, rt.w.counters.max_slots);
	status = trace_run_load(&rt.w, rt.skel->skeleton, rt.skel->obj, hooks, ARRAY_SIZE(hooks));
	if (!status)
		counters_bind(&rt.w.counters, &rt.skel->bss->watch);
	return status;
}

static int take_event(void *ctx, void *data, size_t size)
{
	decisions_print(&rt.decisions, data);
	return 0;
}

static enum status attach(void)
{
	rt.ring = ring_buffer__new(bpf_map__fd(rt.skel->maps.ring), take_event, NULL, NULL);
	if (!rt.ring)
		return fail_with(xasprintf("ring buffer: %s", strerror(errno)), STATUS_FAILED);
	return trace_run_attach(&rt.w, hooks, ARRAY_SIZE(hooks));
}

static bool on_events(void *ctx)
{
	ring_buffer__consume(rt.ring);
	output_flush(&rt.w.out);
	return true;
}

/* Decisions that no later event of their task has ended. */
static void take_open(void)
{
	int fd = bpf_map__fd(rt.skel->maps.decisions);
	uint32_t tid, *before = NULL;
	struct p2c_ra_decision last;

	while (!bpf_map_get_next_key(fd, before, &tid)) {
		before = &tid;
		if (!bpf_map_lookup_elem(fd, &tid, &last))
			decisions_print(&rt.decisions, &last.r);
	}
}

static enum status run(void)
{
	struct session s = {
		.event_fd = ring_buffer__epoll_fd(rt.ring),
		.poll_us = EVENT_POLL_US,
		.on_events = on_events,
	};

	rt.decisions.start_ns = now_ns();
	return trace_run_wait(&rt.w, &s);
}

static enum status trace(void)
{
	const struct command *command = rt.w.run.command ? &rt.w.command : NULL;
	enum status status;

	status = trace_run_check(&rt.w);
	status = status ? status : load();
	status = status ? status : attach();
	if (status)
		return status;
	decisions_init(&rt.decisions, &rt.w.counters, &rt.w.out, rt.w.targets, rt.w.run.nr_files,
		       rt.w.options.auto_files);
	if (rt.w.out.json)
		output_record(&rt.w.out,
			      json_meta("ratrace", hooks_json(hooks, ARRAY_SIZE(hooks))));
	status = run();
	hooks_detach(hooks, ARRAY_SIZE(hooks));
	if (status)
		return status;
	on_events(NULL);
	if (command)
		output_new_line(&rt.w.out);
	if (!rt.summary_only)
		take_open();
	decisions_summary(&rt.decisions);
	if (rt.w.out.json && command)
		output_record(&rt.w.out, json_command(command));
	counters_complain(&rt.w.counters);
	return STATUS_DONE;
}

int main(int argc, char **argv)
{
	enum status status;

	program_name = "ratrace";
	argp_err_exit_status = STATUS_BAD_INPUT;
	command_inherit();
	hooks_quiet_libbpf();
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, NULL);
	session_block_signals();
	status = trace_run_open(&rt.w);
	if (!status)
		status = trace();
	decisions_free(&rt.decisions);
	ring_buffer__free(rt.ring);
	ratrace_bpf__destroy(rt.skel);
	return trace_run_close(&rt.w, status);
}
