// SPDX-License-Identifier: GPL-2.0-only
/* pcforce: put the pages of a list into the page cache before they are missed. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "force/check.h"
#include "force/module_list.h"
#include "force/receipt.h"
#include "base/session.h"
#include "report/trace_run.h"

static struct options {
	struct run_options run;
	const char *list;
	enum engine engine;
	int trigger; /* enum trigger, -1: the default */
	bool now, check, dry_run, once, stale_ok, strict;
	uint64_t jobs;
	uint64_t max_bytes;
	uint64_t hold_ms;
} opt = { .engine = ENGINE_AUTO, .trigger = -1 };

static struct pcforce {
	struct list list;
	struct force force;
	struct force_bpf bpf;
	struct helper helper;
	struct firing firing;
	struct command command;
	struct output out;
	struct receipt receipt;
} pf;

enum {
	OPT_NOW = 256,
	OPT_CHECK,
	OPT_DRY_RUN,
	OPT_ONCE,
	OPT_JOBS,
	OPT_MAX_BYTES,
	OPT_HOLD,
	OPT_STALE_OK,
	OPT_STRICT,
};

static const char doc[] =
	"Put exactly the pages of a list into the page cache, when their first reader comes.\v"
	"TRIGGER is access (the default: the first access to any file of the list),\n"
	"miss (the first that misses), open, or now. The next open arms it again.\n"
	"\n"
	"EXAMPLES:\n"
	"    pcforce -o app.offsets -- ./app       force as ./app starts\n"
	"    pcforce -f data -o data.offsets       force whenever data is opened\n"
	"    pcforce --now -f data                 read a whole file in, at once\n"
	"    pcforce --now -o app.offsets          a list, at once\n"
	"    pcforce --dry-run -o app.offsets      what would be read?\n"
	"    pcforce --check                       what does this kernel allow?\n"
	"\n"
	"Status: 0 done, 1 failed, 2 bad usage or input, 3 this kernel cannot do it,\n"
	"4 not all requested pages became resident, or files of the list were gone or stale.";

static const struct argp_option argp_options[] = {
	{ "offsets", 'o', "OFFSETS", 0, "The list of pages, - for standard input", 0 },
	{ "engine", 'e', "ENGINE", 0, "auto, helper, kfunc or user", 0 },
	{ "trigger", 't', "TRIGGER", 0, "access, miss, open or now", 0 },
	{ "now", OPT_NOW, NULL, 0, "Force at once; without a list, whole files", 0 },
	{ "check", OPT_CHECK, NULL, 0, "Show what this kernel allows, and why not", 0 },
	{ "dry-run", OPT_DRY_RUN, NULL, 0, "Look at the list and the cache, read nothing", 0 },
	{ "once", OPT_ONCE, NULL, 0, "Fire once; without COMMAND, then end", 0 },
	{ "jobs", OPT_JOBS, "N", 0, "Submitting threads (1 to 64)", 0 },
	{ "max-bytes", OPT_MAX_BYTES, "SIZE", 0, "Read no more than this (K, M, G, T)", 0 },
	{ "hold", OPT_HOLD, "MS", 0, "Let who opens wait for the forcing, at most so long", 0 },
	{ "stale-ok", OPT_STALE_OK, NULL, 0, "Force files that changed since the recording", 0 },
	{ "strict", OPT_STRICT, NULL, 0, "A newer modification time is a change, too", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static const struct argp_child argp_children[] = {
	{ &run_argp, 0, NULL, 0 },
	{ NULL, 0, NULL, 0 },
};

/* The index of a name in a table of them, -1 if it has none. */
static int name_index(const char *const *names, size_t n, const char *name)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (!strcmp(names[i], name))
			return i;
	}
	return -1;
}

static void parse_engine(const char *arg, struct argp_state *state)
{
	int e = name_index(engine_names, NR_ENGINES, arg);

	if (e < 0 && strcmp(arg, "auto"))
		argp_error(state, "-e takes auto, helper, kfunc or user, not '%s'", arg);
	opt.engine = e < 0 ? ENGINE_AUTO : (enum engine)e;
}

static void check_usage(struct argp_state *state)
{
	const struct table_layout *table = opt.check ? &check_table : &receipt_table;

	check_columns(state, &opt.run, &table, 1);
	if (opt.check) {
		if (opt.list || opt.run.nr_files || opt.run.command || opt.now || opt.dry_run)
			argp_error(state, "--check takes -j and -O only");
		return;
	}
	/* Looking is done at once as well. */
	opt.now |= opt.dry_run;
	if (opt.now && (opt.run.command || opt.trigger >= 0 || opt.hold_ms))
		argp_error(state, "--now and --dry-run take no COMMAND, trigger or --hold");
	if (!opt.list && !opt.now)
		argp_error(state, "-o OFFSETS, --now or --check is missing");
	if (!opt.list && !opt.run.nr_files)
		argp_error(state, "--now takes -f FILE or -o OFFSETS");
	if (opt.list && opt.run.nr_files > 1)
		argp_error(state, "a list takes one -f at most");
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'o':
		opt.list = arg;
		break;
	case 'e':
		parse_engine(arg, state);
		break;
	case 't':
		opt.trigger = name_index(trigger_names, NR_TRIGGERS, arg);
		if (opt.trigger < 0)
			argp_error(state, "-t takes access, miss, open or now, not '%s'", arg);
		break;
	case OPT_NOW:
		opt.now = true;
		break;
	case OPT_CHECK:
		opt.check = true;
		break;
	case OPT_DRY_RUN:
		opt.dry_run = true;
		break;
	case OPT_ONCE:
		opt.once = true;
		break;
	case OPT_JOBS:
		if (parse_u64(arg, &opt.jobs) || !opt.jobs || opt.jobs > 64)
			argp_error(state, "--jobs takes 1 to 64, not '%s'", arg);
		break;
	case OPT_MAX_BYTES:
		if (parse_size(arg, &opt.max_bytes) || !opt.max_bytes)
			argp_error(state, "--max-bytes takes a size such as 512M, not '%s'", arg);
		break;
	case OPT_HOLD:
		if (parse_u64(arg, &opt.hold_ms) || !opt.hold_ms || opt.hold_ms > 60000)
			argp_error(state, "--hold takes 1 to 60000 milliseconds, not '%s'", arg);
		break;
	case OPT_STALE_OK:
		opt.stale_ok = true;
		break;
	case OPT_STRICT:
		opt.strict = true;
		break;
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &opt.run;
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
	.args_doc = "[-- COMMAND...]",
	.doc = doc,
};

/* A list can name more files than a shell's soft limit lets a process open. */
static void raise_file_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r))
		return;
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
}

static enum status load_list(void)
{
	struct list_options lo = {
		.only_file = opt.run.nr_files ? opt.run.files[0] : NULL,
		.stale_ok = opt.stale_ok,
		.strict = opt.strict,
	};
	size_t i, ready = 0;
	char *why = NULL;
	int err;

	raise_file_limit();
	err = opt.list ? list_load(&pf.list, opt.list, &lo, &why)
		       : list_whole_files(&pf.list, opt.run.files, opt.run.nr_files, &why);
	if (err)
		return fail_with(why, STATUS_BAD_INPUT);
	for (i = 0; i < pf.list.nr_files; i++) {
		if (pf.list.files[i].why)
			say("%s", pf.list.files[i].why);
		ready += pf.list.files[i].state == LIST_READY;
	}
	return pf.list.nr_files && !ready ? STATUS_BAD_INPUT : STATUS_DONE;
}

static bool engine_serves(enum engine e, char **why)
{
	if (!engine_available(e, why))
		return false;
	*why = e == ENGINE_KFUNC ? kfunc_refuses(&pf.list) : NULL;
	return !*why;
}

static enum status choose_engine(void)
{
	int e;
	char *why = NULL;

	/* Looking at the cache takes no engine. */
	if (opt.dry_run)
		opt.engine = ENGINE_USER;
	if (opt.engine != ENGINE_AUTO) {
		if (!engine_serves(opt.engine, &why))
			return fail_with(xasprintf("engine %s: %s", engine_names[opt.engine], why),
					 STATUS_UNSUPPORTED);
	} else {
		for (e = 0; e < NR_ENGINES; e++) {
			if (engine_serves(e, &why))
				break;
			say_verbose("engine %s: %s", engine_names[e], why);
			free(why);
			why = NULL;
		}
		opt.engine = e;
	}
	say_verbose("engine: %s", engine_names[opt.engine]);
	return STATUS_DONE;
}

static void mark_submitting(void *ctx, uint32_t file, uint64_t index, uint64_t nr)
{
	force_bpf_mark(&pf.bpf, file, index, nr);
}

static void on_again(void *ctx)
{
	receipt_print(&pf.receipt);
	force_bpf_reset(&pf.bpf);
}

static enum status prepare(void)
{
	struct force_options fo = {
		.jobs = opt.jobs,
		.max_bytes = opt.max_bytes,
		.dry_run = opt.dry_run,
		.submitting = mark_submitting,
		.helper = opt.engine != ENGINE_USER ? &pf.helper : NULL,
	};

	pf.helper.kfunc = opt.engine == ENGINE_KFUNC;
	if (force_init(&pf.force, &pf.list, &fo))
		return fail_with(xstrdup("out of memory"), STATUS_FAILED);
	pf.firing = (struct firing){
		.trigger = opt.now	     ? TRIGGER_NOW
			   : opt.trigger < 0 ? TRIGGER_ACCESS
					     : (enum trigger)opt.trigger,
		.once = opt.once || opt.now,
		.hold_ns = opt.hold_ms * 1000000,
		.force = &pf.force,
		.bpf = &pf.bpf,
		.on_again = on_again,
	};
	pf.receipt = (struct receipt){ engine_names[opt.engine], &pf.firing, &pf.out };
	return STATUS_DONE;
}

static enum status watch(void)
{
	struct counters_options w = { .tree = opt.run.command != NULL,
				      .nr_files = pf.list.nr_files };
	struct force_bpf_options to = {
		.watch = &w,
		.fire_on_hits = pf.firing.trigger == TRIGGER_ACCESS,
		.fire_on_opens = pf.firing.trigger == TRIGGER_OPEN && pf.helper.kfunc,
		.follow = !opt.now,
		.helper = pf.force.opt.helper,
		.max_bytes = force_max_bytes(&pf.force.opt),
		.on_event = firing_event,
		.ctx = &pf.firing,
	};
	char *why = NULL;
	enum status status;

	status = force_bpf_open(&pf.bpf, &pf.list, &to, &why);
	return status ? fail_with(why, status) : STATUS_DONE;
}

static bool on_events(void *ctx)
{
	bool over = firing_over(&pf.firing);

	return opt.run.command || !over;
}

/* Armed before COMMAND is let go, and not a moment before it exists. */
static enum status start(void)
{
	char *why = NULL;
	int err = 0;

	if (opt.run.command) {
		command_init(&pf.command, opt.run.command);
		err = command_fork(&pf.command);
		err = err ? err : counters_add_command(&pf.bpf.counters);
	}
	if (err)
		return fail_with(command_error(&pf.command, err), STATUS_FAILED);
	if (firing_start(&pf.firing, &why))
		return fail_with(why, STATUS_UNSUPPORTED);
	/* Who waits for this record finds the trigger armed. */
	if (opt.run.json) {
		struct json_object *meta =
			json_meta("pcforce", hooks_json(force_hooks, nr_force_hooks));

		json_text(meta, "engine", engine_names[opt.engine]);
		output_record(&pf.out, meta);
	}
	if (!opt.run.command)
		return STATUS_DONE;
	err = command_go(&pf.command);
	if (err)
		return fail_with(command_error(&pf.command, err), STATUS_BAD_INPUT);
	return STATUS_DONE;
}

static enum status run(void)
{
	struct session s = {
		.duration_us = opt.run.duration_us,
		.command = opt.run.command ? &pf.command : NULL,
		.on_events = on_events,
	};
	enum status status, receipts;
	int err;

	if (!opt.now || opt.engine != ENGINE_USER) {
		status = watch();
		if (status)
			return status;
	}
	status = start();
	s.event_fd = pf.firing.done_fd;
	if (!status) {
		err = session_run(&s);
		if (err)
			status = fail_with(xasprintf("waiting: %s", strerror(-err)), STATUS_FAILED);
	}
	firing_stop(&pf.firing);
	force_bpf_detach(&pf.bpf);
	if (status)
		return status;
	if (s.signal == SIGTERM)
		command_stop(&pf.command, SIGTERM);
	if (opt.run.command)
		output_after_command(&pf.out);
	receipts = receipt_print(&pf.receipt);
	if (opt.run.json && opt.run.command)
		output_record(&pf.out, json_command(&pf.command));
	if (!pf.firing.fired_ns && pf.list.nr_extents)
		say("the trigger did not fire: none of the list's files was %s",
		    pf.firing.trigger == TRIGGER_OPEN ? "opened" : "accessed");
	return s.signal || opt.dry_run ? STATUS_DONE : receipts;
}

static enum status force_main(void)
{
	enum status status;

	/* Only now: a list that comes from a pipe may never end. */
	session_block_signals();
	/* There is nothing to wait for with an empty list. */
	opt.now |= !pf.list.nr_extents && !opt.run.command;
	status = choose_engine();
	status = status ? status : prepare();
	if (status)
		return status;
	return run();
}

int main(int argc, char **argv)
{
	enum status status;
	int err;

	program_begin("pcforce", &argp, argc, argv);
	hooks_quiet_libbpf();
	/* The list first: it may be what -O names, too. */
	status = opt.check ? STATUS_DONE : load_list();
	if (!status) {
		err = output_open(&pf.out, opt.run.out, opt.run.json, &opt.run.tables);
		if (err)
			status = fail_with(xasprintf("%s: %s", opt.run.out, strerror(-err)),
					   STATUS_BAD_INPUT);
	}
	if (!status)
		status = opt.check ? check_print(&pf.out) : force_main();
	if (output_close(&pf.out) && !status)
		status = STATUS_FAILED;
	force_bpf_close(&pf.bpf);
	command_free(&pf.command);
	helper_free(&pf.helper);
	force_free(&pf.force);
	list_free(&pf.list);
	/* A list that did not come in whole does not change what COMMAND says. */
	if ((!status || status == STATUS_PARTIAL) && opt.run.exit_command && pf.command.ended)
		return command_exit_status(&pf.command);
	return status;
}
