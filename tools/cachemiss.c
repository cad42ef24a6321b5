// SPDX-License-Identifier: GPL-2.0-only
/* cachemiss: which accesses to a file miss the page cache, and what they cost. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shared.h"
#include "cachemiss.skel.h"
#include "list/list_writer.h"
#include "report/report.h"
#include "file/residency.h"
#include "report/trace_run.h"

#define DEFAULT_INTERVAL_US 1000000
#define RECORD_POLL_US	    50000

static struct hook hooks[] = {
	COUNTERS_HOOKS,
	HOOK_INSERT,
};

static struct options {
	const char *list;
	bool resident;
	uint64_t interval_us;
	uint64_t count;
} opt;

static struct cachemiss {
	struct trace_run w;
	struct cachemiss_bpf *skel;
	struct ring_buffer *ring;
	struct list_writer writer;
	struct report report;
} cm;

/* Options. */

enum {
	OPT_RESIDENT = 256,
};

const char *argp_program_version = "cachemiss (page2cache) " VERSION;
static const char doc[] =
	"Show which accesses to files miss the page cache, and what they cost.\v"
	"Without -f, -p, -c or COMMAND: the whole system, a line a second, the busiest\n"
	"files at the end.\n"
	"\n"
	"EXAMPLES:\n"
	"    cachemiss                             the whole system, until Ctrl-C\n"
	"    cachemiss -f /var/lib/db/data 1       one file, a line a second\n"
	"    cachemiss -f data -- ./reader         one file, while ./reader runs\n"
	"    cachemiss -w app.offsets -- ./app     record a cold start for pcforce\n"
	"    cachemiss --resident -f data          what of a file is cached now\n"
	"\n"
	"Status: 0 done, 1 failed, 2 bad usage or input, 3 this kernel cannot do it.";

static const struct argp_option argp_options[] = {
	{ "write", 'w', "OFFSETS", 0, "Record the missed pages as a list for pcforce", 0 },
	{ "resident", OPT_RESIDENT, NULL, 0, "Show what is cached now; -w saves it as a list", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static const struct argp_child argp_children[] = {
	{ &run_argp, 0, NULL, 0 },
	{ &filter_argp, 0, NULL, 0 },
	{ NULL, 0, NULL, 0 },
};

static void check_usage(const struct argp_state *state)
{
	const struct run_options *run = &cm.w.run;
	const struct filter_options *filter = &cm.w.filter;

	check_filters(state, run, filter);
	if (opt.resident && (!run->nr_files || run->command || filter->pid || filter->cgroup_dir ||
			     opt.interval_us || run->duration_us))
		argp_error(state, "--resident takes -f FILE, -w, -j and -O only");
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'w':
		opt.list = arg;
		break;
	case OPT_RESIDENT:
		opt.resident = true;
		break;
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &cm.w.run;
		state->child_inputs[1] = &cm.w.filter;
		break;
	case ARGP_KEY_ARG:
		if (after_dashes(state) || state->arg_num > 1)
			return ARGP_ERR_UNKNOWN;
		if (state->arg_num == 0 && parse_seconds(arg, &opt.interval_us))
			argp_error(state,
				   "INTERVAL is in seconds, not '%s' "
				   "(COMMAND follows --)",
				   arg);
		if (state->arg_num == 1 && (parse_u64(arg, &opt.count) || !opt.count))
			argp_error(state, "COUNT is a number above 0, not '%s'", arg);
		break;
	case ARGP_KEY_SUCCESS:
		check_usage(state);
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
	.args_doc = "[INTERVAL [COUNT]] [-- COMMAND...]",
	.doc = doc,
};

/* BPF. */

static enum status load(void)
{
	enum status status;

	cm.skel = cachemiss_bpf__open_opts(types_open_opts());
	if (!cm.skel)
		return fail_with(hooks_load_error(-errno), STATUS_UNSUPPORTED);
	status = trace_run_plan(&cm.w, cm.skel->obj, hooks, ARRAY_SIZE(hooks),
				&cm.skel->rodata->cfg);
	if (status)
		return status;
	cm.skel->rodata->record_pages = opt.list != NULL;
	if (!opt.list) {
		bpf_map__set_max_entries(cm.skel->maps.ring, 4096);
		bpf_map__set_max_entries(cm.skel->maps.chunks, 1);
	}
	status = trace_run_load(&cm.w, cm.skel->skeleton, cm.skel->obj, hooks, ARRAY_SIZE(hooks));
	if (!status)
		counters_bind(&cm.w.counters, &cm.skel->bss->watch);
	return status;
}

static int take_run(void *ctx, void *data, size_t size)
{
	list_writer_add(&cm.writer, data);
	return 0;
}

static enum status attach(void)
{
	if (opt.list) {
		cm.ring = ring_buffer__new(bpf_map__fd(cm.skel->maps.ring), take_run, NULL, NULL);
		if (!cm.ring)
			return fail_with(xasprintf("ring buffer: %s", strerror(errno)),
					 STATUS_FAILED);
	}
	return trace_run_attach(&cm.w, hooks, ARRAY_SIZE(hooks));
}

/* The run. */

static bool on_events(void *ctx)
{
	if (cm.ring)
		ring_buffer__consume(cm.ring);
	return true;
}

static void on_interval(void *ctx)
{
	report_interval(&cm.report, &cm.w.out, (now_ns() - cm.w.start_ns) / 1000);
}

static enum status run(void)
{
	const struct counters_options *w = &cm.w.options;
	struct session s = {
		.interval_us = opt.interval_us,
		.count = opt.count,
		.event_fd = cm.ring ? ring_buffer__epoll_fd(cm.ring) : -1,
		.poll_us = cm.ring ? RECORD_POLL_US : 0,
		.on_events = on_events,
		.on_interval = on_interval,
	};

	if (!s.interval_us && w->auto_files && !w->pid && !w->cgroup_dir && !cm.w.run.command)
		s.interval_us = DEFAULT_INTERVAL_US;
	return trace_run_wait(&cm.w, &s);
}

static enum status write_list(void)
{
	struct offsets_section *sections;
	uint32_t nr_slots;
	size_t unnamed;
	int err;

	on_events(NULL);
	unnamed = report_sections(&cm.report, &sections, &nr_slots);
	err = list_writer_write(&cm.writer, sections, nr_slots);
	report_sections_free(sections, nr_slots);
	if (unnamed)
		say("%zu file%s that missed the page cache could not be named and %s not in the list",
		    unnamed, unnamed == 1 ? "" : "s", unnamed == 1 ? "is" : "are");
	if (err)
		return fail_with(xasprintf("%s: %s: nothing was written", opt.list, strerror(-err)),
				 STATUS_FAILED);
	return STATUS_DONE;
}

static enum status watch_main(void)
{
	const struct command *command = cm.w.run.command ? &cm.w.command : NULL;
	enum status status, ended;

	status = trace_run_check(&cm.w);
	status = status ? status : load();
	status = status ? status : attach();
	if (status)
		return status;
	report_init(&cm.report, &cm.w.counters, cm.w.targets, cm.w.run.nr_files,
		    cm.w.options.auto_files);
	if (cm.w.out.json)
		output_record(&cm.w.out,
			      json_meta("cachemiss", hooks_json(hooks, ARRAY_SIZE(hooks))));
	status = run();
	/* Frozen here: what happens while the summary is made is not of the run. */
	hooks_detach(hooks, ARRAY_SIZE(hooks));
	if (status)
		return status;
	report_read(&cm.report);
	if (opt.list)
		status = write_list();
	if (command)
		output_new_line(&cm.w.out);
	ended = report_files(&cm.report, &cm.w.out, command);
	counters_complain(&cm.w.counters);
	return status ? status : ended;
}

int main(int argc, char **argv)
{
	enum status status;
	int err;

	program_name = "cachemiss";
	argp_err_exit_status = STATUS_BAD_INPUT;
	command_inherit();
	hooks_quiet_libbpf();
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, NULL);
	session_block_signals();
	status = trace_run_open(&cm.w);
	if (!status && opt.list) {
		err = list_writer_open(&cm.writer, opt.list);
		if (err)
			status = fail_with(xasprintf("%s: %s", opt.list, strerror(-err)),
					   STATUS_BAD_INPUT);
	}
	if (!status)
		status = opt.resident ? report_resident(cm.w.targets, cm.w.run.nr_files, &cm.w.out,
							opt.list ? &cm.writer : NULL)
				      : watch_main();
	list_writer_free(&cm.writer);
	ring_buffer__free(cm.ring);
	cachemiss_bpf__destroy(cm.skel);
	return trace_run_close(&cm.w, status);
}
