// SPDX-License-Identifier: GPL-2.0-only
/* cachemiss: which accesses to a file miss the page cache, and what they cost. */
#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "record.h"
#include "cachemiss.skel.h"
#include "hooks.h"
#include "output.h"
#include "recorder.h"
#include "report.h"
#include "residency.h"
#include "session.h"
#include "watch.h"

#define DEFAULT_INTERVAL_US 1000000
#define RECORD_POLL_US	    50000

static struct hook hooks[] = {
	WATCH_HOOKS,
	HOOK_INSERT,
};

static struct options {
	const char **files;
	size_t nr_files;
	uint64_t pid;
	const char *cgroup_dir;
	bool everybody;
	uint64_t duration_us;
	const char *list;
	bool json;
	const char *out;
	bool resident;
	bool exit_command;
	uint64_t interval_us;
	uint64_t count;
	char **command;
} opt;

static struct cachemiss {
	struct cachemiss_bpf *skel;
	struct watch watch;
	struct ring_buffer *ring;
	struct recorder recorder;
	struct target *targets;
	struct command command;
	struct output out;
	struct report report;
	uint64_t start_ns;
} cm;

/* Options. */

enum {
	OPT_RESIDENT = 256,
	OPT_EXIT_COMMAND
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
	{ "file", 'f', "FILE", 0, "Watch this file (repeatable)", 0 },
	{ "pid", 'p', "PID", 0, "Count this process only", 0 },
	{ "cgroup", 'c', "CGROUP_DIR", 0, "Count tasks below this cgroup v2 directory only", 0 },
	{ "all", 'a', NULL, 0, "Count everybody, not only COMMAND and its descendants", 0 },
	{ "duration", 'd', "SECONDS", 0, "End after this time", 0 },
	{ "write", 'w', "OFFSETS", 0, "Record the missed pages as a list for pcforce", 0 },
	{ "json", 'j', NULL, 0, "One JSON object a line", 0 },
	{ "output", 'O', "OUT", 0, "Write data to this file, not to standard output", 0 },
	{ "resident", OPT_RESIDENT, NULL, 0, "Show what is cached now; -w saves it as a list", 0 },
	{ "exit-command", OPT_EXIT_COMMAND, NULL, 0, "Exit with COMMAND's status", 0 },
	{ "verbose", 'v', NULL, 0, "Say what is attached and why", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'f':
		opt.files = xrealloc(opt.files, opt.nr_files + 1, sizeof(*opt.files));
		opt.files[opt.nr_files++] = arg;
		break;
	case 'p':
		if (parse_u64(arg, &opt.pid) || !opt.pid || opt.pid > INT32_MAX)
			argp_error(state, "-p takes a process number, not '%s'", arg);
		break;
	case 'c':
		opt.cgroup_dir = arg;
		break;
	case 'a':
		opt.everybody = true;
		break;
	case 'd':
		if (parse_seconds(arg, &opt.duration_us))
			argp_error(state, "-d takes seconds, not '%s'", arg);
		break;
	case 'w':
		opt.list = arg;
		break;
	case 'j':
		opt.json = true;
		break;
	case 'O':
		opt.out = arg;
		break;
	case 'v':
		verbose = true;
		break;
	case OPT_RESIDENT:
		opt.resident = true;
		break;
	case OPT_EXIT_COMMAND:
		opt.exit_command = true;
		break;
	case ARGP_KEY_ARG:
		if (state->quoted && state->next > state->quoted) {
			opt.command = &state->argv[state->next - 1];
			state->next = state->argc;
		} else if (state->arg_num == 0) {
			if (parse_seconds(arg, &opt.interval_us))
				argp_error(state,
					   "INTERVAL is in seconds, not '%s' "
					   "(COMMAND follows --)",
					   arg);
		} else if (state->arg_num == 1) {
			if (parse_u64(arg, &opt.count) || !opt.count)
				argp_error(state, "COUNT is a number above 0, not '%s'", arg);
		} else {
			argp_error(state, "'%s' is one argument too many", arg);
		}
		break;
	case ARGP_KEY_END:
		if (state->quoted && !opt.command)
			argp_error(state, "COMMAND is missing after --");
		if (opt.command && opt.pid)
			argp_error(state, "-p and COMMAND exclude each other");
		if (opt.everybody && !opt.command)
			argp_error(state, "-a goes with COMMAND");
		if (opt.exit_command && !opt.command)
			argp_error(state, "--exit-command goes with COMMAND");
		if (opt.resident && (!opt.nr_files || opt.command || opt.pid || opt.cgroup_dir ||
				     opt.interval_us || opt.duration_us))
			argp_error(state, "--resident takes -f FILE, -w, -j and -O only");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp argp = {
	.options = argp_options,
	.parser = parse_option,
	.args_doc = "[INTERVAL [COUNT]] [-- COMMAND...]",
	.doc = doc,
};

/* Files. */

static enum status open_targets(void)
{
	enum status status = STATUS_DONE;
	char *why;
	size_t i;

	cm.targets = xcalloc(opt.nr_files, sizeof(*cm.targets));
	for (i = 0; i < opt.nr_files; i++) {
		if (target_open(&cm.targets[i], opt.files[i], &why) != TARGET_OK) {
			say("%s", why);
			free(why);
			status = STATUS_BAD_INPUT;
		}
	}
	return status;
}

static enum status resolve_targets(void)
{
	struct target **all = xcalloc(opt.nr_files, sizeof(*all));
	char *why = NULL;
	size_t i;
	int err;

	for (i = 0; i < opt.nr_files; i++)
		all[i] = &cm.targets[i];
	err = targets_resolve(all, opt.nr_files, &why);
	free(all);
	if (!err)
		return STATUS_DONE;
	say("%s", why);
	free(why);
	return err == -EOPNOTSUPP ? STATUS_BAD_INPUT : STATUS_UNSUPPORTED;
}

/* BPF. */

static enum status fail_with(char *why, enum status status)
{
	say("%s", why);
	free(why);
	return status;
}

static void plan_filters(struct watch_options *w)
{
	memset(w, 0, sizeof(*w));
	w->auto_files = !opt.nr_files;
	w->tree = opt.command && !opt.everybody;
	w->pid = opt.pid;
	w->cgroup_dir = opt.cgroup_dir;
	w->nr_files = opt.nr_files;
}

static enum status load(const struct watch_options *w)
{
	struct watch_config cfg;
	enum status status;
	char *why = NULL;
	int err;

	cm.skel = cachemiss_bpf__open();
	if (!cm.skel)
		return fail_with(hooks_load_error(-errno), STATUS_UNSUPPORTED);
	status = hooks_plan(hooks, ARRAY_SIZE(hooks), cm.skel->obj, &why);
	if (status)
		return fail_with(why, status);
	err = watch_config(w, &cfg);
	if (err)
		return fail_with(hooks_load_error(err), STATUS_FAILED);
	watch_drop_hooks(hooks, ARRAY_SIZE(hooks), w, &cfg);
	WATCH_CONFIGURE(cm.skel, w, &cfg);
	cm.skel->rodata->record_pages = opt.list != NULL;
	if (!opt.list) {
		bpf_map__set_max_entries(cm.skel->maps.ring, 4096);
		bpf_map__set_max_entries(cm.skel->maps.chunks, 1);
	}
	hooks_select(hooks, ARRAY_SIZE(hooks), cm.skel->obj);
	err = watch_size(&cm.watch, cm.skel->obj, &cfg, w);
	err = err ? err : cachemiss_bpf__load(cm.skel);
	if (err)
		return fail_with(hooks_load_error(err), STATUS_UNSUPPORTED);
	WATCH_BIND(&cm.watch, cm.skel);
	return STATUS_DONE;
}

static int take_run(void *ctx, void *data, size_t size)
{
	recorder_add(&cm.recorder, data);
	return 0;
}

static enum status attach(const struct watch_options *w)
{
	char *why = NULL;
	size_t i;
	int err;

	if (w->cgroup_dir && watch_cgroup(&cm.watch, w->cgroup_dir, &why))
		return fail_with(why, STATUS_BAD_INPUT);
	for (i = 0; i < opt.nr_files; i++) {
		err = watch_file(&cm.watch, &cm.targets[i]);
		if (err)
			return fail_with(xasprintf("%s: %s", opt.files[i], strerror(-err)),
					 STATUS_FAILED);
	}
	if (opt.list) {
		cm.ring = ring_buffer__new(bpf_map__fd(cm.skel->maps.ring), take_run, NULL, NULL);
		if (!cm.ring)
			return fail_with(xasprintf("ring buffer: %s", strerror(errno)),
					 STATUS_FAILED);
	}
	if (hooks_attach(hooks, ARRAY_SIZE(hooks), cm.skel->obj, &why))
		return fail_with(why, STATUS_UNSUPPORTED);
	return STATUS_DONE;
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
	report_interval(&cm.report, &cm.out, (now_ns() - cm.start_ns) / 1000);
}

static enum status run(void)
{
	struct session s = {
		.duration_us = opt.duration_us,
		.interval_us = opt.interval_us,
		.count = opt.count,
		.command = opt.command ? &cm.command : NULL,
		.event_fd = cm.ring ? ring_buffer__epoll_fd(cm.ring) : -1,
		.poll_us = cm.ring ? RECORD_POLL_US : 0,
		.on_events = on_events,
		.on_interval = on_interval,
	};
	int err;

	if (!s.interval_us && !opt.nr_files && !opt.pid && !opt.cgroup_dir && !opt.command)
		s.interval_us = DEFAULT_INTERVAL_US;
	cm.start_ns = now_ns();
	if (opt.command) {
		err = command_fork(&cm.command);
		if (!err && !opt.everybody)
			err = watch_command(&cm.watch);
		if (!err)
			err = command_go(&cm.command);
		if (err)
			return fail_with(xasprintf("%s: %s", opt.command[0], strerror(-err)),
					 STATUS_BAD_INPUT);
	}
	err = session_run(&s);
	if (err)
		return fail_with(xasprintf("waiting: %s", strerror(-err)), STATUS_FAILED);
	if (s.signal == SIGTERM)
		command_stop(&cm.command, SIGTERM);
	return STATUS_DONE;
}

static enum status write_list(void)
{
	struct offsets_section *sections;
	uint32_t nr_slots;
	size_t unnamed;
	int err;

	on_events(NULL);
	unnamed = report_sections(&cm.report, &sections, &nr_slots);
	err = recorder_write(&cm.recorder, sections, nr_slots);
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
	struct watch_options w;
	enum status status, ended;
	char *why = NULL;

	if (opt.command && command_find(&cm.command, opt.command, &why))
		return fail_with(why, STATUS_BAD_INPUT);
	if (opt.pid && kill(opt.pid, 0) && errno == ESRCH)
		return fail_with(xasprintf("-p %llu: no such process", (unsigned long long)opt.pid),
				 STATUS_BAD_INPUT);
	if (opt.cgroup_dir) {
		int fd = cgroup_open(opt.cgroup_dir, &why);

		if (fd < 0)
			return fail_with(why, STATUS_BAD_INPUT);
		close(fd);
	}
	plan_filters(&w);
	status = load(&w);
	status = status ? status : resolve_targets();
	status = status ? status : attach(&w);
	if (status)
		return status;
	report_init(&cm.report, &cm.watch, cm.targets, opt.nr_files, w.auto_files);
	if (opt.json)
		output_record(&cm.out, record_meta("cachemiss", hooks, ARRAY_SIZE(hooks)));
	status = run();
	/* Frozen here: what happens while the summary is made is not of the run. */
	hooks_detach(hooks, ARRAY_SIZE(hooks));
	if (status)
		return status;
	report_read(&cm.report);
	if (opt.list)
		status = write_list();
	if (opt.command)
		output_new_line(&cm.out);
	ended = report_files(&cm.report, &cm.out, opt.command ? &cm.command : NULL);
	if (*cm.watch.tasks_lost)
		say("%llu of COMMAND's descendants could not be followed",
		    (unsigned long long)*cm.watch.tasks_lost);
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
	status = open_targets();
	if (!status) {
		err = output_open(&cm.out, opt.out, opt.json);
		if (err)
			status = fail_with(xasprintf("%s: %s", opt.out, strerror(-err)),
					   STATUS_BAD_INPUT);
	}
	if (!status && opt.list) {
		err = recorder_open(&cm.recorder, opt.list);
		if (err)
			status = fail_with(xasprintf("%s: %s", opt.list, strerror(-err)),
					   STATUS_BAD_INPUT);
	}
	if (!status)
		status = opt.resident ? report_resident(cm.targets, opt.nr_files, &cm.out,
							opt.list ? &cm.recorder : NULL)
				      : watch_main();
	if (cm.out.f && output_close(&cm.out) && !status)
		status = STATUS_FAILED;
	recorder_free(&cm.recorder);
	ring_buffer__free(cm.ring);
	cachemiss_bpf__destroy(cm.skel);
	watch_free(&cm.watch);
	if (!status && opt.exit_command && cm.command.ended)
		return command_exit_status(&cm.command);
	return status;
}
