// SPDX-License-Identifier: GPL-2.0-only
/* ratrace: what readahead decided for files, and whether it was right. */
#include <argp.h>
#include <inttypes.h>
#include <string.h>

#include "shared.h"
#include "ratrace.skel.h"
#include "report/decisions.h"
#include "report/trace_run.h"

#define EVENT_POLL_US 100000

/* One hook a line, which clang-format would pack: */
/* clang-format off */
static struct hook hooks[] = {
	READAHEAD_HOOKS,
	HOOK_EXIT,
	HOOK_READ_LOOKUP,
	HOOK_MMAP_ACCESS,
	HOOK_MMAP_FAULT_AROUND,
	HOOK_MMAP_MAPPED,
	HOOK_PAGE_FAULT,
	HOOK_INSERT,
	HOOK_REMOVAL,
	HOOK_TASK_START,
	HOOK_TASK_EXEC,
	HOOK_TASK_EXIT,
	HOOK_UNIT_START,
	HOOK_UNIT_STOP,
};
/* clang-format on */

static struct ratrace {
	struct trace_run run;
	struct ratrace_bpf *skel;
	struct decisions decisions;
	bool summary_only;
} rt;

static const char doc[] =
	"Show what readahead decided for files, how much it read, and what was used of it.\v"
	"Without -f, -p, -P, -c, --unit, --uid or COMMAND: every file of the whole system, until Ctrl-C.\n"
	"\n"
	"EXAMPLES:\n"
	"    ratrace -f data -- ./reader      each decision for ./reader, and a summary\n"
	"    ratrace -s -f data -d 10         only the summary, of ten seconds\n"
	"    ratrace -s -- ./app              where does readahead read in vain?\n"
	"\n"
	"Status without COMMAND, or with --tool-status: 0 done, 1 failed, 2 bad usage or input, "
	"3 this kernel cannot do it. With COMMAND: its own status; 127 it was not found, 126 it "
	"cannot be executed, 125 it was not started, or it ended well but data could not be "
	"written.";

static const struct argp_option argp_options[] = {
	{ "summary", 's', NULL, 0,
	  "Print the summary only (default: a line for each decision as well)", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static const struct argp_child argp_children[] = {
	{ &run_argp, 0, NULL, 0 },
	{ &filter_argp, 0, NULL, 0 },
	{ NULL, 0, NULL, 0 },
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	const struct table_layout *table = &decision_table;

	switch (key) {
	case 's':
		rt.summary_only = true;
		break;
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &rt.run.run;
		state->child_inputs[1] = &rt.run.filter;
		break;
	case ARGP_KEY_SUCCESS:
		check_filters(state, &rt.run.run, &rt.run.filter);
		check_columns(state, &rt.run.run.print, &table, 1);
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

static enum status prepare(struct trace_run *run)
{
	run->poll_us = EVENT_POLL_US;
	return STATUS_DONE;
}

static bool open_programs(struct trace_run *run)
{
	rt.skel = ratrace_bpf__open_opts(types_open_opts());
	if (!rt.skel)
		return false;
	run->skeleton = rt.skel->skeleton;
	run->obj = rt.skel->obj;
	run->config = &rt.skel->rodata->cfg;
	return true;
}

static void configure(struct trace_run *run)
{
	rt.skel->rodata->tell_events = !rt.summary_only;
	bpf_map__set_max_entries(rt.skel->maps.ra_counts, run->counters.max_slots);
	if (run->counters.max_slots == run->counters.near_slots)
		return;
	bpf_map__set_type(rt.skel->maps.ra_counts, BPF_MAP_TYPE_HASH);
	bpf_map__set_map_flags(rt.skel->maps.ra_counts, BPF_F_NO_PREALLOC);
}

static void bind_counters(struct trace_run *run)
{
	counters_bind(&run->counters, &rt.skel->bss->watch);
}

static void begin(struct trace_run *run)
{
	decisions_init(&rt.decisions, &run->counters, &run->out, run->targets, run->nr_targets,
		       run->options.auto_files);
	rt.decisions.start_ns = run->start_ns;
}

static int take_decision(void *ctx, void *data, size_t size)
{
	decisions_print(&rt.decisions, data);
	return 0;
}

static void flush_decisions(struct trace_run *run)
{
	decisions_flush(&rt.decisions);
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

static enum status report(struct trace_run *run)
{
	if (!rt.summary_only)
		take_open();
	decisions_summary(&rt.decisions);
	if (rt.skel->bss->uncounted)
		say("%" PRIu64
		    " events were not counted: the kernel had no memory for the counts of "
		    "their files",
		    (uint64_t)rt.skel->bss->uncounted);
	return STATUS_DONE;
}

static void close_all(struct trace_run *run)
{
	decisions_free(&rt.decisions);
	ratrace_bpf__destroy(rt.skel);
}

static const struct tool tool = {
	.name = "ratrace",
	.argp = &argp,
	.hooks = hooks,
	.nr_hooks = ARRAY_SIZE(hooks),
	.max_files = COUNTERS_NEAR_FILES,
	.prepare = prepare,
	.open = open_programs,
	.configure = configure,
	.bind = bind_counters,
	.begin = begin,
	.event = take_decision,
	.events_taken = flush_decisions,
	.report = report,
	.close = close_all,
};

int main(int argc, char **argv)
{
	return tool_main(&tool, &rt.run, argc, argv);
}
