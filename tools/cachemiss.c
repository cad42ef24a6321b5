// SPDX-License-Identifier: GPL-2.0-only
/* cachemiss: which accesses to a file miss the page cache, and what they cost. */
#include <argp.h>
#include <string.h>
#include <sys/stat.h>

#include "file/readahead_off.h"
#include "report/empty_list.h"
#include "report/recording.h"
#include "report/resident.h"

#define DEFAULT_INTERVAL_US 1000000

static struct hook hooks[] = {
	COUNTERS_HOOKS,
	HOOK_INSERT,
};

static struct cachemiss {
	struct recording rec;
	const char *list; /* of -w, NULL: none */
	bool allow_empty, exact, map;
	struct readahead_off readahead_off; /* of --exact */
} cm;

/* Options. */

enum {
	OPT_RESIDENT = 256,
	OPT_ALLOW_EMPTY,
	OPT_EXACT,
	OPT_MAP,
	OPT_UNDER,
	OPT_EXCLUDE,
	OPT_RELATIVE,
};

static const char doc[] =
	"Show which accesses to files miss the page cache, and what they cost.\v"
	"Without -f, -p, -P, -c, --unit, --uid or COMMAND: the whole system, a line a second, and "
	"the busiest files at the end.\n"
	"\n"
	"EXAMPLES:\n"
	"    cachemiss                             the whole system, until Ctrl-C\n"
	"    cachemiss -f /var/lib/db/data 1       one file, a line a second\n"
	"    cachemiss -f data -- ./reader         one file, while ./reader runs\n"
	"    cachemiss -w app.offsets -- ./app     record a cold start for pcforce\n"
	"    cachemiss --unit db.service -w a.list a service, start to stop\n"
	"    cachemiss --resident -f data          what of a file is cached now\n"
	"\n"
	"Status without COMMAND, or with --tool-status: 0 done, 1 failed, 2 bad usage or input, "
	"3 this kernel cannot do it. With COMMAND: its own status; 127 it was not found, 126 it "
	"cannot be executed, 125 it was not started, or it ended well but data could not be "
	"written or the list had no page.";

static const struct argp_option argp_options[] = {
	{ "write", 'w', "OFFSETS", 0, "Record the missed pages as a list for pcforce", 0 },
	{ "exact", OPT_EXACT, NULL, 0,
	  "List only touched pages: turns readahead off on all devices while it records", 0 },
	{ "under", OPT_UNDER, "DIR", 0, "List only files below DIR", 0 },
	{ "exclude", OPT_EXCLUDE, "GLOB", 0, "List no file that matches GLOB (repeatable)", 0 },
	{ "relative", OPT_RELATIVE, "DIR", 0,
	  "As --under, with names relative to DIR, for use with a copy of its files", 0 },
	{ "allow-empty", OPT_ALLOW_EMPTY, NULL, 0,
	  "Write the list even if it has no pages (default: status 1, no list)", 0 },
	{ "resident", OPT_RESIDENT, NULL, 0, "Show what is cached now; -w saves it as a list", 0 },
	{ "map", OPT_MAP, NULL, 0, "With --resident: show which parts of each file are cached", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static const struct argp_child argp_children[] = {
	{ &run_argp, 0, NULL, 0 },
	{ &filter_argp, 0, NULL, 0 },
	{ NULL, 0, NULL, 0 },
};

/* Would the list take the place of what -O writes? Of a device or a FIFO it would not. */
static bool list_is_output(const char *out)
{
	struct stat st;

	if (!cm.list || !out)
		return false;
	return same_file(cm.list, out) && (stat(cm.list, &st) || S_ISREG(st.st_mode));
}

static void check_usage(const struct argp_state *state)
{
	static const struct table_layout *const watched[] = { &interval_table, &file_table };
	const struct table_layout *resident = cm.map ? &map_table : &resident_table;

	const struct run_options *run = &cm.rec.run.run;
	const struct filter_options *filter = &cm.rec.run.filter;
	const struct list_naming *naming = &cm.rec.naming;

	check_filters(state, run, filter);
	if (cm.rec.run.looks_only)
		check_columns(state, &run->print, &resident, 1);
	else
		check_columns(state, &run->print, watched, ARRAY_SIZE(watched));
	if (cm.rec.run.looks_only &&
	    (!options_name_files(run) || run->command || has_filter(filter) ||
	     cm.rec.run.interval_us || run->duration_us))
		argp_error(
			state,
			"--resident needs -f FILE, and takes no COMMAND, filter, INTERVAL or -d");
	if (cm.map && (!cm.rec.run.looks_only || run->print.json))
		argp_error(state, "--map goes with --resident, and without -j");
	if (cm.exact && (!cm.list || !run->command))
		argp_error(state, "--exact goes with -w OFFSETS and COMMAND");
	if (list_is_output(run->out))
		argp_error(state, "-w and -O name the same file: '%s'", cm.list);
	if (cm.allow_empty && !cm.list)
		argp_error(state, "--allow-empty goes with -w OFFSETS");
	if ((naming->under || naming->nr_exclude || naming->relative) && !cm.list)
		argp_error(state, "--under, --exclude and --relative go with -w OFFSETS");
}

static void exclude(struct list_naming *n, const char *pattern)
{
	n->exclude = xrealloc(n->exclude, n->nr_exclude + 1, sizeof(*n->exclude));
	n->exclude[n->nr_exclude++] = pattern;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'w':
		take_once(state, "-w", &cm.list, arg);
		break;
	case OPT_RESIDENT:
		cm.rec.run.looks_only = true;
		break;
	case OPT_EXACT:
		cm.exact = true;
		break;
	case OPT_MAP:
		cm.map = true;
		break;
	case OPT_UNDER:
		take_once(state, "--under", &cm.rec.naming.under, arg);
		break;
	case OPT_EXCLUDE:
		exclude(&cm.rec.naming, arg);
		break;
	case OPT_RELATIVE:
		take_once(state, "--relative", &cm.rec.naming.relative, arg);
		break;
	case OPT_ALLOW_EMPTY:
		cm.allow_empty = true;
		break;
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &cm.rec.run.run;
		state->child_inputs[1] = &cm.rec.run.filter;
		break;
	case ARGP_KEY_ARG:
		if (after_dashes(state) || state->arg_num > 1)
			return ARGP_ERR_UNKNOWN;
		if (state->arg_num == 0 && parse_seconds(arg, &cm.rec.run.interval_us))
			argp_error(state,
				   "INTERVAL must be seconds, not '%s'; "
				   "put COMMAND after --",
				   arg);
		if (state->arg_num == 1 && (parse_u64(arg, &cm.rec.run.count) || !cm.rec.run.count))
			argp_error(state, "COUNT must be a number above 0, not '%s'", arg);
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

/* The run. */

/* Readahead is off before COMMAND starts, so that none of its files is read ahead. */
static enum status begin_exact(void)
{
	char *why;
	int err = readahead_off_begin(&cm.readahead_off, &why);

	if (err)
		return fail_with(xasprintf("--exact: readahead cannot be switched off: %s", why),
				 err == -EBUSY ? STATUS_FAILED : STATUS_UNSUPPORTED);
	say("--exact: readahead is off on %zu devices until the end of the recording",
	    cm.readahead_off.nr);
	return STATUS_DONE;
}

static enum status prepare(struct trace_run *run)
{
	const struct counters_options *watched = &run->options;
	char *why = NULL;

	if (cm.list && list_writer_open(&cm.rec.writer, cm.list, true, &why)) {
		say("%s: %s", cm.list, why);
		free(why);
		return STATUS_BAD_INPUT;
	}
	if (list_naming_begin(&cm.rec.naming, &why))
		return fail_with(why, STATUS_BAD_INPUT);
	if (run->looks_only)
		return report_resident(&run->names, &run->out, cm.list ? &cm.rec.writer : NULL,
				       &cm.rec.naming, cm.map, cm.allow_empty);
	cm.rec.list = cm.list;
	if (cm.list)
		run->poll_us = RECORD_POLL_US;
	if (!run->interval_us && watched->auto_files && !has_filter(&run->filter) &&
	    !run->run.command)
		run->interval_us = DEFAULT_INTERVAL_US;
	return cm.exact ? begin_exact() : STATUS_DONE;
}

static void end_interval(struct trace_run *run)
{
	report_interval(&cm.rec.report, &run->out, (now_ns() - run->start_ns) / 1000);
}

static enum status write_list(void)
{
	struct offsets_section *sections;
	uint32_t nr_slots;
	size_t unnamed = recording_sections(&cm.rec, &sections, &nr_slots);
	bool empty = list_writer_empty(&cm.rec.writer, sections, nr_slots);
	int err = 0;

	if (!empty || cm.allow_empty)
		err = list_writer_write(&cm.rec.writer, sections, nr_slots);
	report_sections_free(sections, nr_slots);
	if (unnamed)
		say("%zu file%s that missed the page cache could not be named and %s not in the list",
		    unnamed, unnamed == 1 ? "" : "s", unnamed == 1 ? "is" : "are");
	if (err)
		return fail_with(xasprintf("%s: %s: nothing was written", cm.list, strerror(-err)),
				 STATUS_FAILED);
	if (!empty || cm.allow_empty)
		return STATUS_DONE;
	say_empty_list(cm.list, &cm.rec.run, &cm.rec.report);
	return STATUS_FAILED;
}

static enum status report(struct trace_run *run)
{
	enum status status;

	readahead_off_end(&cm.readahead_off);
	report_read(&cm.rec.report);
	status = cm.list ? write_list() : STATUS_DONE;
	report_files(&cm.rec.report, &run->out);
	return status;
}

static void close_all(struct trace_run *run)
{
	readahead_off_end(&cm.readahead_off);
	list_writer_free(&cm.rec.writer);
	list_naming_end(&cm.rec.naming);
	recording_free(&cm.rec);
}

static const struct tool tool = {
	.name = "cachemiss",
	.argp = &argp,
	.hooks = hooks,
	.nr_hooks = ARRAY_SIZE(hooks),
	.max_files = COUNTERS_FAR_FILES,
	.prepare = prepare,
	.open = recording_open,
	.configure = recording_configure,
	.bind = recording_bind,
	.begin = recording_begin,
	.event = recording_event,
	.interval = end_interval,
	.report = report,
	.close = close_all,
};

int main(int argc, char **argv)
{
	return tool_main(&tool, &cm.rec.run, argc, argv);
}
