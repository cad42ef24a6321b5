// SPDX-License-Identifier: GPL-2.0-only
/* pcforce: put the pages of a list into the page cache before they are missed. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/notify.h"
#include "base/options.h"
#include "base/progress.h"
#include "base/session.h"
#include "force/beside.h"
#include "force/check.h"
#include "learn/learner.h"
#include "serve/serve.h"

static struct options {
	struct run_options run;
	struct filter_options filter;
	struct learn_options learn;
	const char *list;
	const char *root;	     /* of the list's names, NULL: none */
	const char *serve;	     /* a socket, NULL: serves nobody */
	const struct engine *engine; /* NULL: the best that serves */
	int trigger;		     /* enum trigger, -1: the default */
	bool now, check, dry_run, idle, once, follow, detach, stale_ok, strict;
	uint64_t jobs;
	uint64_t max_bytes;
	uint64_t rate;
	uint64_t hold_ms;
	int wait_ms;	 /* below 0: not given */
	double tolerate; /* per cent; below 0: not given */
} opt = {
	.run.file_help = "Force only FILE of the list; with --now and no list FILE as a whole, or "
			 "all files below a directory (repeatable)",
	.trigger = -1,
	.wait_ms = -1,
	.tolerate = -1,
	.learn = LEARN_DEFAULTS,
};

enum {
	OPT_NOW = 256,
	OPT_CHECK,
	OPT_DRY_RUN,
	OPT_ONCE,
	OPT_FOLLOW,
	OPT_JOBS,
	OPT_MAX_BYTES,
	OPT_IDLE,
	OPT_RATE,
	OPT_HOLD,
	OPT_WAIT,
	OPT_STALE_OK,
	OPT_STRICT,
	OPT_ROOT,
	OPT_SERVE,
	OPT_TOLERATE,
};

static const char doc[] =
	"Prefetch exactly the listed pages before a program misses them.\v"
	"TRIGGER is now (the default with COMMAND), access (the default without: the first access "
	"to any file of the list), miss (the first access that misses) or open (the first open). "
	"Without COMMAND the next open of a listed file re-arms the trigger.\n"
	"\n"
	"COMMAND always runs, whatever happens to the list, and its status is the exit status.\n"
	"\n"
	"EXAMPLES:\n"
	"    pcforce -o app.offsets -- ./app          force while ./app starts\n"
	"    pcforce --learn -o app.offsets -- ./app  also record at each start\n"
	"    pcforce -f data -o data.offsets          force when data is first accessed\n"
	"    pcforce --now -f data                    read a whole file, at once\n"
	"    pcforce --now -o app.offsets             read the pages of a list, at once\n"
	"    pcforce --dry-run -o app.offsets         what would be read?\n"
	"    pcforce --serve SOCKET                   read what programs hint\n"
	"    pcforce --check                          what does this kernel allow?\n"
	"\n"
	"Status without COMMAND, or with --tool-status: 0 done, 1 failed, 2 bad usage or input, "
	"3 this kernel cannot do it, 4 some requested pages did not become resident, or files of "
	"the list were gone or stale. With COMMAND: its own status; 127 it was not found, 126 it "
	"cannot be executed, 125 bad usage.";

static const struct argp_option argp_options[] = {
	{ "offsets", 'o', "OFFSETS", 0, "The list of pages, - for standard input", 0 },
	{ "engine", 'e', "ENGINE", 0,
	  "Who reads: auto, helper, kfunc or user (default auto: the best that works; with --serve "
	  "user or kfunc, default user)",
	  0 },
	{ "trigger", 't', "TRIGGER", 0,
	  "When to force: now, access, miss or open (default now with COMMAND, else access)", 0 },
	{ "follow", OPT_FOLLOW, NULL, 0,
	  "Watch what becomes of forced pages (default: only with a trigger other than now)", 0 },
	{ "detach", 'D', NULL, 0,
	  "Run COMMAND as this process and force from another one; write to -O only", 0 },
	{ "now", OPT_NOW, NULL, 0, "Force at once, then end; without -o, whole files", 0 },
	{ "check", OPT_CHECK, NULL, 0, "List usable engines and hooks, with reasons", 0 },
	{ "serve", OPT_SERVE, "SOCKET", 0,
	  "Read the pages that programs of this user hint through libpagehint, until a signal or -d",
	  0 },
	{ "dry-run", OPT_DRY_RUN, NULL, 0, "Show what would be read, and read nothing", 0 },
	{ "once", OPT_ONCE, NULL, 0, "Fire once; without COMMAND, then end", 0 },
	{ "jobs", OPT_JOBS, "N", 0,
	  "Submitting threads, 1 to 64 (default half the CPUs, at most 4)", 0 },
	{ "max-bytes", OPT_MAX_BYTES, "SIZE", 0,
	  "Read no more than SIZE (K, M, G, T; default 90 % of the available memory)", 0 },
	{ "idle", OPT_IDLE, NULL, 0,
	  "Read only when the device is idle, one request at a time (with engine user)", 0 },
	{ "rate", OPT_RATE, "BYTES", 0,
	  "Read at most BYTES a second (K, M, G, T; default no limit; with engine user)", 0 },
	{ "hold", OPT_HOLD, "MS", 0,
	  "Block open(2) until forcing is done, at most MS ms; implies -t open", 0 },
	{ "wait", OPT_WAIT, "MS", 0,
	  "Start COMMAND only when a large file's random list is read, or after MS ms (0: at "
	  "once; default 1.5 times the expected time)",
	  0 },
	{ "stale-ok", OPT_STALE_OK, NULL, 0,
	  "Force files that changed since the recording (default with --learn)", 0 },
	{ "root", OPT_ROOT, "DIR", 0,
	  "Resolve the list's names below DIR, as if DIR were the root directory", 0 },
	{ "strict", OPT_STRICT, NULL, 0,
	  "Treat a file with a newer mtime as stale (default: only warn)", 0 },
	{ "tolerate", OPT_TOLERATE, "PERCENT", 0,
	  "Exit with status 0 if at most PERCENT of the pages are not resident at the end "
	  "(default 0; 1 for a learned list)",
	  0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static const struct argp_child argp_children[] = {
	{ &run_argp, 0, NULL, 0 },
	{ &filter_argp, 0, NULL, 0 },
	{ &learn_argp, 0, NULL, 0 },
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
	opt.engine = engine_find(arg);
	if (!opt.engine && strcmp(arg, "auto"))
		argp_error(state, "-e takes auto, helper, kfunc or user, not '%s'", arg);
}

/* When to force: as asked for, or what fits the rest of the command line. */
static enum trigger trigger(void)
{
	if (opt.now || opt.learn.on)
		return TRIGGER_NOW;
	if (opt.trigger >= 0)
		return opt.trigger;
	if (opt.hold_ms)
		return TRIGGER_OPEN;
	return opt.run.command ? TRIGGER_NOW : TRIGGER_ACCESS;
}

/* With COMMAND and the trigger now, pages are watched only if --follow asks for it. */
static bool watches(void)
{
	return !opt.now && !opt.learn.on &&
	       (opt.follow || !opt.run.command || trigger() != TRIGGER_NOW);
}

/* --learn forces at once, by itself, and has its own time to end. */
static void check_learn(const struct argp_state *state)
{
	if (!opt.learn.on && opt.learn.given)
		argp_error(state, "--learn-for, --learn-status, --learn-keep and --relearn-after "
				  "go with --learn");
	if (!opt.learn.on)
		return;
	if (!opt.list || !strcmp(opt.list, "-"))
		argp_error(state, "--learn needs -o OFFSETS, a file");
	if (opt.now || opt.check || opt.follow || opt.once || opt.hold_ms || opt.trigger >= 0)
		argp_error(state, "--learn forces at once and watches by itself: it takes no "
				  "trigger, --now, --once, --follow, --hold, --dry-run or --check");
	if (opt.engine && opt.engine != &engine_user)
		argp_error(state, "--learn goes with engine user");
	if (options_name_files(&opt.run) || opt.root)
		argp_error(state, "--learn records every file by its own name: it takes no -f, "
				  "--files0-from or --root");
	/* Beside COMMAND, which runs whatever is wrong, there is no output then. */
	if (opt.run.out && !opt.run.command && same_file(opt.list, opt.run.out))
		argp_error(state, "-o and -O name the same file: '%s'", opt.list);
	if (opt.run.duration_us)
		argp_error(state, "--learn ends by --learn-for, not by -d");
}

/* Is there an option that says what is forced, when or how? --check and --serve take none of these. */
static bool says_what_to_force(void)
{
	const struct run_options *run = &opt.run;

	return opt.list || options_name_files(run) || run->command || run->tool_status || opt.now ||
	       opt.dry_run || opt.learn.on || opt.trigger >= 0 || opt.follow || opt.once ||
	       opt.detach || opt.jobs || opt.max_bytes || opt.idle || opt.hold_ms ||
	       opt.wait_ms >= 0 || opt.stale_ok || opt.strict || opt.root || opt.tolerate >= 0 ||
	       has_filter(&opt.filter);
}

static void check_serve(const struct argp_state *state)
{
	const struct print_options *print = &opt.run.print;

	if (opt.engine == &engine_helper)
		argp_error(state, "--serve reads by engine user or kfunc: helper reads only at a "
				  "miss of its own, which takes longer than reading");
	/* The module submits in the kernel, where nothing limits the rate. */
	if (opt.rate && opt.engine == &engine_kfunc)
		argp_error(state, "--rate goes with engine user, not with kfunc");
	if (says_what_to_force() || opt.check || opt.run.out || print->json ||
	    print->tables.columns || print->tables.raw || print->tables.no_headings)
		argp_error(state, "--serve takes -e, --rate, -d, -v and -q only");
}

static void check_usage(struct argp_state *state)
{
	const struct table_layout *table = opt.check ? &check_table : &receipt_table;

	check_filters(state, &opt.run, &opt.filter);
	check_columns(state, &opt.run.print, &table, 1);
	check_learn(state);
	if (opt.serve) {
		check_serve(state);
		return;
	}
	if (opt.check) {
		if (says_what_to_force() || opt.engine || opt.rate || opt.run.duration_us)
			argp_error(state, "--check only shows what could be used: it takes -j, -O, "
					  "-v, -q and options of tables");
		return;
	}
	/* --dry-run looks at once: it waits for no trigger either. */
	opt.now |= opt.dry_run;
	if (opt.now && (opt.run.command || opt.trigger >= 0 || opt.hold_ms || opt.follow))
		argp_error(state,
			   "--now and --dry-run take no COMMAND, trigger, --follow or --hold");
	if (!opt.list && !opt.now)
		argp_error(state, "need -o OFFSETS, --now, --serve or --check");
	if (!opt.list && !options_name_files(&opt.run))
		argp_error(state, "--now needs -f FILE, --files0-from or -o OFFSETS");
	if (opt.hold_ms && opt.trigger >= 0 && opt.trigger != TRIGGER_OPEN)
		argp_error(state, "--hold goes with -t open");
	if (opt.wait_ms >= 0 && (!opt.run.command || trigger() != TRIGGER_NOW))
		argp_error(state, "--wait goes with COMMAND and -t now");
	/* The other engines submit in the kernel, where nothing limits the rate. */
	if ((opt.rate || opt.idle) && opt.engine && opt.engine != &engine_user)
		argp_error(state, "--rate and --idle go with engine user, not with %s",
			   opt.engine->name);
	if (opt.idle && opt.jobs)
		argp_error(state, "--idle reads one request at a time: it takes no --jobs");
	if (has_filter(&opt.filter) && !watches() && !opt.learn.on)
		argp_error(state,
			   "-p, -P, -c, --unit, --uid and -a say whose accesses fire: they go "
			   "with a trigger other than now, or --follow");
	if (opt.detach && !opt.run.command)
		argp_error(state, "-D goes with COMMAND");
	if (opt.detach && opt.run.tool_status)
		argp_error(state, "-D and --tool-status exclude each other");
	if (opt.stale_ok && opt.strict)
		argp_error(state, "--stale-ok and --strict exclude each other");
	if (opt.root && !opt.list)
		argp_error(state, "--root goes with -o OFFSETS");
	if (opt.list && (opt.run.nr_files > 1 || opt.run.files0))
		argp_error(state, "-o OFFSETS takes one -f at most, and no --files0-from");
}

/* Options that have no value, but for those that programs share. */
static const struct {
	int key;
	bool *set;
} flags[] = {
	{ OPT_FOLLOW, &opt.follow },   { 'D', &opt.detach },
	{ OPT_NOW, &opt.now },	       { OPT_CHECK, &opt.check },
	{ OPT_DRY_RUN, &opt.dry_run }, { OPT_ONCE, &opt.once },
	{ OPT_IDLE, &opt.idle },       { OPT_STALE_OK, &opt.stale_ok },
	{ OPT_STRICT, &opt.strict },
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	uint64_t ms;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		if (flags[i].key == key) {
			*flags[i].set = true;
			return 0;
		}
	}
	switch (key) {
	case 'o':
		take_once(state, "-o", &opt.list, arg);
		break;
	case 'e':
		parse_engine(arg, state);
		break;
	case 't':
		opt.trigger = name_index(trigger_names, NR_TRIGGERS, arg);
		if (opt.trigger < 0)
			argp_error(state, "-t takes access, miss, open or now, not '%s'", arg);
		break;
	case OPT_JOBS:
		if (parse_u64(arg, &opt.jobs) || !opt.jobs || opt.jobs > 64)
			argp_error(state, "--jobs takes 1 to 64, not '%s'", arg);
		break;
	case OPT_MAX_BYTES:
		if (parse_size(arg, &opt.max_bytes) || !opt.max_bytes)
			argp_error(state, "--max-bytes takes a size such as 512M, not '%s'", arg);
		break;
	case OPT_RATE:
		if (parse_size(arg, &opt.rate) || !opt.rate)
			argp_error(state, "--rate takes bytes a second such as 20M, not '%s'", arg);
		break;
	case OPT_HOLD:
		if (parse_u64(arg, &opt.hold_ms) || !opt.hold_ms || opt.hold_ms > 60000)
			argp_error(state, "--hold takes 1 to 60000 milliseconds, not '%s'", arg);
		break;
	case OPT_WAIT:
		if (parse_u64(arg, &ms) || ms > 60000)
			argp_error(state, "--wait takes 0 to 60000 milliseconds, not '%s'", arg);
		opt.wait_ms = ms;
		break;
	case OPT_ROOT:
		take_once(state, "--root", &opt.root, arg);
		break;
	case OPT_SERVE:
		take_once(state, "--serve", &opt.serve, arg);
		break;
	case OPT_TOLERATE:
		if (parse_percent(arg, &opt.tolerate))
			argp_error(state, "--tolerate takes 0 to 100 per cent, not '%s'", arg);
		break;
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &opt.run;
		state->child_inputs[1] = &opt.filter;
		state->child_inputs[2] = &opt.learn;
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

/* Forcing with --rate or --idle is slow on purpose: COMMAND waits for it only with --wait. */
static int wait_ms(void)
{
	if (trigger() != TRIGGER_NOW || ((opt.rate || opt.idle) && opt.wait_ms < 0))
		return 0;
	return opt.wait_ms;
}

static void set_hint(struct hint *h, struct output *out)
{
	const char *always = getenv("PAGE2CACHE_ALWAYS");

	h->out = out;
	h->opt = (struct hint_options){
		.list = opt.list,
		.renewed = opt.learn.on,
		.files = opt.run.files,
		.nr_files = opt.run.nr_files,
		.files0 = opt.run.files0,
		.root = opt.root,
		.engine = opt.rate || opt.idle ? &engine_user : opt.engine,
		.trigger = trigger(),
		.filter = &opt.filter,
		.watch = watches(),
		.beside_command = opt.run.command,
		.once = opt.once,
		.dry_run = opt.dry_run,
		/* A file that is replaced at each start would be cold at each start. */
		.stale_ok = opt.stale_ok || (opt.learn.on && !opt.strict),
		.strict = opt.strict,
		.tolerate = opt.tolerate >= 0 ? opt.tolerate
			    : opt.learn.on    ? 1
					      : 0,
		.jobs = opt.jobs,
		.max_bytes = opt.max_bytes,
		.rate = opt.rate,
		.idle = opt.idle,
		.always = always && !strcmp(always, "1"),
		.hold_ms = opt.hold_ms,
		.wait_ms = wait_ms(),
	};
}

static enum status open_output(struct output *out)
{
	int err = output_open(out, opt.run.out, opt.run.print.json, false, &opt.run.print.tables);

	return err ? fail_with(xasprintf("%s: %s", opt.run.out, strerror(-err)), STATUS_BAD_INPUT)
		   : STATUS_DONE;
}

/* COMMAND runs even if OUT cannot be opened: the receipt then goes to /dev/null. */
static void open_output_beside(struct output *out)
{
	bool is_list = opt.run.out && opt.list && same_file(opt.list, opt.run.out);
	int err = is_list ? -EEXIST
			  : output_open(out, opt.run.out, opt.run.print.json, true,
					&opt.run.print.tables);

	if (!err)
		return;
	say("%s: %s: no receipt is written", opt.run.out,
	    is_list ? "is the list itself" : strerror(-err));
	output_open(out, "/dev/null", opt.run.print.json, true, &opt.run.print.tables);
}

static bool on_events(void *ctx)
{
	return !firing_over(ctx);
}

#define PROGRESS_US 200000

static void on_interval(void *ctx)
{
	const struct firing *f = ctx;
	uint64_t done, total;

	force_progress(f->force, &done, &total);
	progress_set(done, total);
}

static bool on_look(void *ctx)
{
	struct companion *c = ctx;

	return c->look(c);
}

/* Threads that have not stopped so long after the end are left behind. */
#define END_MS 3000

/* Until a signal, the end of the time, or the only firing; with COMPANION until it is done. */
static enum status wait_for_end(struct hint *h, struct companion *companion, int *signal)
{
	struct session s = {
		.duration_us = opt.run.duration_us,
		.event_fd = h->firing.done_fd,
		.end_fd = opt.filter.pid ? opt.filter.pid_fd : -1,
		.on_events = on_events,
		.ctx = &h->firing,
	};
	int err;

	if (companion && companion->attach(companion, 0, true)) {
		s.event_fd = -1;
		s.poll_us = companion->poll_us;
		s.on_events = on_look;
		s.ctx = companion;
	}
	/* Progress is shown with --now only: before its trigger, a run forces nothing. */
	if (opt.now) {
		s.interval_us = PROGRESS_US;
		s.on_interval = on_interval;
		progress_begin(true);
	} else {
		notify_ready();
	}
	err = session_run(&s);
	progress_end();
	if (companion)
		companion->end(companion, NULL, true);
	*signal = s.signal;
	return err ? fail_with(xasprintf("cannot wait for the end: %s", strerror(-err)),
			       STATUS_FAILED)
		   : STATUS_DONE;
}

/* Without COMMAND. Unless *over, the hint is not to be freed. */
static enum status run_alone(struct hint *h, struct companion *companion, bool *over)
{
	enum status status;
	int signal = 0;

	status = hint_prepare(h);
	/* The list may be what -O names, too: it has been read by now. */
	status = status ? status : open_output(h->out);
	/* Only now, unless with --learn: a list that comes from a pipe may never end. */
	session_block_signals(false);
	status = status ? status : hint_arm(h);
	status = status ? status : wait_for_end(h, companion, &signal);
	*over = hint_stop(h, END_MS);
	if (!*over)
		say("forcing did not stop within %d s (a device or mount that hangs?)",
		    END_MS / 1000);
	if (status)
		return status;
	status = hint_conclude(h);
	return signal || opt.dry_run ? STATUS_DONE : status;
}

static enum status run_check(struct output *out)
{
	enum status status = open_output(out);

	return status ? status : check_print(out);
}

int main(int argc, char **argv)
{
	uint64_t start_ns = now_ns();
	static struct output out;
	static struct hint hint;
	static struct learner learner;
	struct companion *companion = NULL;
	enum status status;
	bool over = true;

	program_begin("pcforce", &argp, argc, argv);
	if (opt.serve)
		return serve(&(struct serve_options){ opt.serve, opt.engine == &engine_kfunc,
						      opt.rate, opt.run.duration_us });
	hooks_quiet_libbpf();
	set_hint(&hint, &out);
	if (opt.learn.on) {
		/* A signal that ends the run leaves no empty file where the list will be. */
		session_block_signals(opt.run.command);
		learner_init(&learner, &opt.learn, &hint, &opt.filter, opt.run.command);
		companion = &learner.companion;
	}
	if (opt.run.command) {
		open_output_beside(&out);
		return run_beside(&hint, &opt.run, opt.detach, companion, start_ns);
	}
	status = opt.check ? run_check(&out) : run_alone(&hint, companion, &over);
	if (opt.learn.on)
		learner_free(&learner);
	if (output_close(&out) && !status)
		status = STATUS_FAILED;
	if (over)
		hint_free(&hint);
	return out.broken_pipe ? end_by_signal(SIGPIPE) : (int)status;
}
