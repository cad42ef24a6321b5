// SPDX-License-Identifier: GPL-2.0-only
/* pcforce: put the pages of a list into the page cache before they are missed. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "force/check.h"
#include "force/receipt.h"
#include "base/session.h"
#include "report/trace_run.h"

static struct options {
	struct run_options run;
	const char *list;
	const struct engine *engine; /* NULL: the best that serves */
	int trigger;		     /* enum trigger, -1: the default */
	bool now, check, dry_run, once, follow, detach, stale_ok, strict;
	uint64_t jobs;
	uint64_t max_bytes;
	uint64_t hold_ms;
} opt = { .trigger = -1 };

static struct pcforce {
	struct list list;
	struct force force;
	struct force_bpf bpf;
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
	OPT_FOLLOW,
	OPT_JOBS,
	OPT_MAX_BYTES,
	OPT_HOLD,
	OPT_STALE_OK,
	OPT_STRICT,
};

static const char doc[] =
	"Prefetch exactly the listed pages before a program misses them.\v"
	"TRIGGER is now (the default with COMMAND), access (the default without: the first\n"
	"access to any file of the list), miss (the first that misses) or open. Without COMMAND\n"
	"the next open of a listed file re-arms the trigger.\n"
	"\n"
	"COMMAND always runs, whatever happens to the list, and its status is the exit status.\n"
	"\n"
	"EXAMPLES:\n"
	"    pcforce -o app.offsets -- ./app       force while ./app starts\n"
	"    pcforce -f data -o data.offsets       force whenever data is first accessed\n"
	"    pcforce --now -f data                 read a whole file in, at once\n"
	"    pcforce --now -o app.offsets          a list, at once\n"
	"    pcforce --dry-run -o app.offsets      what would be read?\n"
	"    pcforce --check                       what does this kernel allow?\n"
	"\n"
	"Status without COMMAND, or with --tool-status: 0 done, 1 failed, 2 bad usage or input,\n"
	"3 this kernel cannot do it, 4 not all requested pages became resident, or files of the\n"
	"list were gone or stale. With COMMAND: its own; 127 it was not found, 126 it cannot be\n"
	"executed, 125 bad usage.";

static const struct argp_option argp_options[] = {
	{ "offsets", 'o', "OFFSETS", 0, "The list of pages, - for standard input", 0 },
	{ "engine", 'e', "ENGINE", 0,
	  "Who reads: auto, helper, kfunc or user (default auto: the best that works)", 0 },
	{ "trigger", 't', "TRIGGER", 0, "When to force: now, access, miss or open", 0 },
	{ "follow", OPT_FOLLOW, NULL, 0,
	  "Watch what becomes of forced pages (default only with a trigger other than now)", 0 },
	{ "detach", 'D', NULL, 0,
	  "Let COMMAND have this process, and go on beside it; writes to -O only", 0 },
	{ "now", OPT_NOW, NULL, 0, "Force at once; without a list, whole files", 0 },
	{ "check", OPT_CHECK, NULL, 0, "List usable engines and hooks, with reasons", 0 },
	{ "dry-run", OPT_DRY_RUN, NULL, 0, "Look at the list and the cache, read nothing", 0 },
	{ "once", OPT_ONCE, NULL, 0, "Fire once; without COMMAND, then end", 0 },
	{ "jobs", OPT_JOBS, "N", 0,
	  "Submitting threads, 1 to 64 (default half the CPUs, at most 4)", 0 },
	{ "max-bytes", OPT_MAX_BYTES, "SIZE", 0,
	  "Read no more than SIZE (K, M, G, T; default 90 % of MemAvailable)", 0 },
	{ "hold", OPT_HOLD, "MS", 0,
	  "Block open(2) until forcing is done, at most MS ms; implies -t open", 0 },
	{ "stale-ok", OPT_STALE_OK, NULL, 0, "Force files that changed since the recording", 0 },
	{ "strict", OPT_STRICT, NULL, 0, "Treat a newer mtime as stale", 0 },
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
	opt.engine = engine_find(arg);
	if (!opt.engine && strcmp(arg, "auto"))
		argp_error(state, "-e takes auto, helper, kfunc or user, not '%s'", arg);
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
	if (opt.now && (opt.run.command || opt.trigger >= 0 || opt.hold_ms || opt.follow))
		argp_error(state,
			   "--now and --dry-run take no COMMAND, trigger, --follow or --hold");
	if (!opt.list && !opt.now)
		argp_error(state, "need -o OFFSETS, --now or --check");
	if (!opt.list && !opt.run.nr_files)
		argp_error(state, "--now needs -f FILE or -o OFFSETS");
	if (opt.hold_ms && opt.trigger >= 0 && opt.trigger != TRIGGER_OPEN)
		argp_error(state, "--hold goes with -t open");
	if (opt.detach && !opt.run.command)
		argp_error(state, "-D goes with COMMAND");
	if (opt.detach && opt.run.tool_status)
		argp_error(state, "-D and --tool-status exclude each other");
	if (opt.list && opt.run.nr_files > 1)
		argp_error(state, "a list takes one -f at most");
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'o':
		if (opt.list)
			argp_error(state, "-o takes one list: '%s' and '%s'", opt.list, arg);
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
	case OPT_FOLLOW:
		opt.follow = true;
		break;
	case 'D':
		opt.detach = true;
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

/* Files whose descriptors fit into the table from the start. */
#define TABLE_FILES 1024

/*
 * A list can name more files than a shell's soft limit lets a process open. And where
 * threads share a table of descriptors, each doubling of it waits for the kernel's RCU,
 * milliseconds: have it large before there are threads.
 */
static void prepare_descriptors(void)
{
	struct rlimit r;
	int fd;

	if (!getrlimit(RLIMIT_NOFILE, &r)) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
	fd = fcntl(0, F_DUPFD_CLOEXEC, TABLE_FILES - 1);
	if (fd >= 0)
		close(fd);
}

/* Of a list with many files that cannot be forced, words about the first ones will do. */
#define NAMED_FILES 3

static enum status load_list(void)
{
	struct list_options lo = {
		.only_file = opt.run.nr_files ? opt.run.files[0] : NULL,
		.stale_ok = opt.stale_ok,
		.strict = opt.strict,
	};
	size_t i, unready = 0;
	char *why = NULL;
	int err;

	err = opt.list ? list_load(&pf.list, opt.list, &lo, &why)
		       : list_whole_files(&pf.list, opt.run.files, opt.run.nr_files, &why);
	if (err)
		return fail_with(why, STATUS_BAD_INPUT);
	for (i = 0; i < pf.list.nr_files; i++) {
		if (!pf.list.files[i].why)
			continue;
		if (unready++ < NAMED_FILES || !opt.run.command || verbose)
			say("%s", pf.list.files[i].why);
	}
	if (unready > NAMED_FILES && opt.run.command && !verbose)
		say("%zu more files of the list cannot be forced (-v names them)",
		    unready - NAMED_FILES);
	return unready && unready == pf.list.nr_files ? STATUS_BAD_INPUT : STATUS_DONE;
}

/* When to force: as asked for, or what fits the rest of the command line. */
static enum trigger trigger(void)
{
	if (opt.now)
		return TRIGGER_NOW;
	if (opt.trigger >= 0)
		return opt.trigger;
	if (opt.hold_ms)
		return TRIGGER_OPEN;
	return opt.run.command ? TRIGGER_NOW : TRIGGER_ACCESS;
}

/* Does the run see accesses? If not, BPF is not used at all, unless by the engine. */
static bool watches(void)
{
	if (opt.now)
		return false;
	return opt.follow || !opt.run.command || trigger() != TRIGGER_NOW;
}

static enum status choose_engine(void)
{
	char *why = NULL;
	size_t i;

	/* Looking at the cache takes no engine, and what starts at once no miss to start it. */
	if (opt.dry_run || (!opt.engine && !watches()))
		opt.engine = &engine_user;
	if (opt.engine)
		why = engine_unusable(opt.engine, &pf.list);
	if (why) {
		say("engine %s: %s", opt.engine->name, why);
		free(why);
		return STATUS_UNSUPPORTED;
	}
	for (i = 0; !opt.engine; i++) {
		why = engine_unusable(engines[i], &pf.list);
		if (why)
			say_verbose("engine %s: %s", engines[i]->name, why);
		else
			opt.engine = engines[i];
		free(why);
	}
	say_verbose("engine: %s", opt.engine->name);
	return STATUS_DONE;
}

static void mark_submitting(void *ctx, uint32_t file, uint64_t index, uint64_t nr)
{
	force_bpf_mark(ctx, file, index, nr);
}

static void on_again(void *ctx)
{
	const struct receipt *r = ctx;

	receipt_print(r);
	force_bpf_reset(r->firing->bpf);
}

static enum status prepare(void)
{
	struct force_options fo = {
		.engine = opt.engine,
		.jobs = opt.jobs,
		.max_bytes = opt.max_bytes,
		.dry_run = opt.dry_run,
		.submitting = mark_submitting,
		.ctx = &pf.bpf,
	};
	int err = force_init(&pf.force, &pf.list, &fo);

	if (err)
		return fail_with(xasprintf("preparing to force: %s", strerror(-err)),
				 STATUS_FAILED);
	pf.firing = (struct firing){
		.trigger = trigger(),
		.once = opt.once || !watches(),
		.hold_ns = opt.hold_ms * 1000000,
		.force = &pf.force,
		.bpf = &pf.bpf,
		.on_again = on_again,
		.ctx = &pf.receipt,
	};
	pf.receipt = (struct receipt){ &pf.firing, &pf.out, opt.run.command && !verbose };
	return STATUS_DONE;
}

static enum status watch(void)
{
	struct counters_options w = { .tree = opt.run.command != NULL,
				      .nr_files = pf.list.nr_files };
	struct force_bpf_options to = {
		.watch = &w,
		.fire_on_hits = pf.firing.trigger == TRIGGER_ACCESS,
		.fire_on_opens = pf.firing.trigger == TRIGGER_OPEN && opt.engine->at_open,
		.follow = watches(),
		.on_event = firing_event,
		.ctx = &pf.firing,
	};
	char *why = NULL;
	enum status status;

	status = force_bpf_open(&pf.bpf, &pf.force, &to, &why);
	return status ? fail_with(why, status) : STATUS_DONE;
}

/* The list, its engine and its plan; what is to be seen is watched, nothing is armed. */
static enum status prepare_hint(void)
{
	enum status status = load_list();

	if (status)
		return status;
	/* There is nothing to wait for with an empty list. */
	opt.now |= !pf.list.nr_extents && !opt.run.command;
	status = choose_engine();
	status = status ? status : prepare();
	if (!status && (watches() || !opt.engine->plain))
		status = watch();
	return status;
}

static enum status arm(void)
{
	struct json_object *meta;
	char *why = NULL;

	if (firing_start(&pf.firing, &why))
		return fail_with(why, STATUS_UNSUPPORTED);
	if (!opt.run.json)
		return STATUS_DONE;
	/* Who waits for this record finds the trigger armed. */
	meta = json_meta("pcforce", hooks_json(force_hooks, nr_force_hooks));
	json_text(meta, "engine", opt.engine->name);
	output_record(&pf.out, meta);
	return STATUS_DONE;
}

static bool on_events(void *ctx)
{
	bool over = firing_over(&pf.firing);

	return opt.run.command || !over;
}

static bool same_file(const char *a, const char *b)
{
	struct stat x, y;

	return !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static void clean_up(void)
{
	force_bpf_close(&pf.bpf);
	command_free(&pf.command);
	force_free(&pf.force);
	list_free(&pf.list);
}

/* COMMAND has our descriptors, and whoever waits for their end waits for COMMAND alone. */
static void leave_terminal(void)
{
	int fd, null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (fd = 0; fd <= 2 && null >= 0; fd++)
		dup2(null, fd);
	if (null > 2)
		close(null);
}

/* Forcing is stopped and the receipts are printed. */
static enum status conclude(void)
{
	enum status receipts;

	if (opt.run.command)
		output_after_command(&pf.out);
	receipts = receipt_print(&pf.receipt);

	if (!pf.firing.fired_ns && pf.force.plan.nr_runs)
		say("the trigger did not fire: none of the list's files %s",
		    pf.firing.trigger == TRIGGER_OPEN	? "was opened"
		    : pf.firing.trigger == TRIGGER_MISS ? "had a miss"
							: "was accessed");
	return receipts;
}

static enum status open_output(void)
{
	int err = output_open(&pf.out, opt.run.out, opt.run.json, false, &opt.run.tables);

	return err ? fail_with(xasprintf("%s: %s", opt.run.out, strerror(-err)), STATUS_BAD_INPUT)
		   : STATUS_DONE;
}

static enum status run_check(void)
{
	enum status status = open_output();

	return status ? status : check_print(&pf.out);
}

/* Without COMMAND: until a signal, the end of the time, or the only firing. */
static enum status run_alone(void)
{
	struct session s = { .duration_us = opt.run.duration_us, .on_events = on_events };
	enum status status;
	int err;

	/* Only now: a list that comes from a pipe may never end. */
	prepare_descriptors();
	status = prepare_hint();
	/* The list may be what -O names, too: it has been read by now. */
	status = status ? status : open_output();
	session_block_signals(false);
	status = status ? status : arm();
	if (!status) {
		s.event_fd = pf.firing.done_fd;
		err = session_run(&s);
		if (err)
			status = fail_with(xasprintf("waiting: %s", strerror(-err)), STATUS_FAILED);
	}
	if (pf.firing.force)
		firing_stop(&pf.firing, 0);
	force_bpf_detach(&pf.bpf);
	if (status)
		return status;
	status = conclude();
	return s.signal || opt.dry_run ? STATUS_DONE : status;
}

/*
 * COMMAND is let go this long after our start at the latest, however far the list is.
 * A start that finds all pages cached is over by then.
 */
#define LET_GO_NS 4000000
/* What still runs that long after COMMAND's end is left behind. */
#define END_MS 100

/* The list beside COMMAND: whatever it waits for, COMMAND does not. */
static struct hint {
	pthread_t thread;
	bool started; /* there is a thread */
	int ready_fd; /* eventfd: `status` is set, and pf is main()'s again */
	enum status status;
} hint = { .ready_fd = -1, .status = STATUS_FAILED };

static void *hint_thread(void *ctx)
{
	uint64_t one = 1;

	hint.status = prepare_hint();
	hint.status = hint.status ? hint.status : arm();
	if (write(hint.ready_fd, &one, sizeof(one)) < 0)
		say_verbose("eventfd: %s", strerror(errno));
	return NULL;
}

static void await_fd(int fd, uint64_t until_ns)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct timespec left = { 0 };
	uint64_t now = now_ns();

	if (now >= until_ns)
		return;
	left.tv_nsec = until_ns - now;
	ppoll(&p, 1, &left, NULL);
}

static void start_hint(uint64_t start_ns)
{
	int err;

	prepare_descriptors();
	hint.ready_fd = eventfd(0, EFD_CLOEXEC);
	err = pthread_create(&hint.thread, NULL, hint_thread, NULL);
	hint.started = !err;
	if (err) {
		say("starting a thread: %s", strerror(err));
		return;
	}
	await_fd(hint.ready_fd, start_ns + LET_GO_NS);
	/* All in place within the moment: COMMAND starts with that. */
	if (pthread_tryjoin_np(hint.thread, NULL) == 0) {
		hint.started = false;
		if (!hint.status)
			await_fd(pf.firing.done_fd, start_ns + LET_GO_NS);
	}
}

/* Is the list's thread at its end, and pf ours? */
static bool end_hint(void)
{
	struct timespec until;

	if (!hint.started)
		return true;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += END_MS * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	hint.started = pthread_clockjoin_np(hint.thread, NULL, CLOCK_MONOTONIC, &until) != 0;
	return !hint.started;
}

/* Armed before COMMAND is let go, and not a moment before it exists. */
static enum status arm_around_command(void)
{
	int err = opt.detach ? counters_add_task(&pf.bpf.counters, pf.command.pid)
			     : counters_add_command(&pf.bpf.counters);

	if (err)
		return fail_with(xasprintf("counting COMMAND: %s", strerror(-err)), STATUS_FAILED);
	return arm();
}

/* COMMAND's process, and the list as far as it is by the time that COMMAND is let go. */
static int start_command(uint64_t start_ns)
{
	int err;

	command_init(&pf.command, opt.run.command);
	/* Programs that watch are attached first, to see COMMAND's process begin. */
	if (watches() && !opt.detach) {
		prepare_descriptors();
		hint.status = prepare_hint();
	}
	err = opt.detach ? command_detach(&pf.command) : command_fork(&pf.command);
	if (err) {
		say("%s: cannot be started: %s", opt.run.command[0], strerror(-err));
		return EXIT_TOOL;
	}
	if (watches() && opt.detach) {
		prepare_descriptors();
		hint.status = prepare_hint();
	}
	if (!watches())
		start_hint(start_ns);
	else if (!hint.status)
		hint.status = arm_around_command();
	err = command_go(&pf.command);
	if (!err)
		return 0;
	/* It is the user's mistake to see, whatever else is to be quiet. */
	quiet = false;
	fail_with(command_error(&pf.command, err), STATUS_FAILED);
	return command_start_status(err);
}

/* COMMAND runs all the same where OUT is of no use: nobody reads what is lost. */
static void open_beside_command(void)
{
	bool is_list = opt.run.out && opt.list && same_file(opt.list, opt.run.out);
	int err = is_list ? -EEXIST
			  : output_open(&pf.out, opt.run.out, opt.run.json, opt.run.command,
					&opt.run.tables);

	if (!err)
		return;
	say("%s: %s: no receipt", opt.run.out,
	    is_list ? "is the list, which COMMAND needs first" : strerror(-err));
	output_open(&pf.out, "/dev/null", opt.run.json, true, &opt.run.tables);
}

/* COMMAND and its end come first: the list serves it. Returns the exit status. */
static int run_command(uint64_t start_ns)
{
	struct session s = {
		.duration_us = opt.run.duration_us,
		.command = &pf.command,
		.event_fd = -1,
	};
	bool ours;
	int status, err;

	open_beside_command();
	session_block_signals(true);
	status = start_command(start_ns);
	if (!status && opt.detach)
		leave_terminal();
	err = status ? 0 : session_run(&s);
	if (err)
		say("waiting: %s", strerror(-err));
	ours = end_hint();
	if (ours && pf.firing.force)
		ours = firing_stop(&pf.firing, END_MS);
	if (!ours) {
		say("COMMAND ended before the list was forced, which did not stop within %d ms: "
		    "no receipt",
		    END_MS);
	} else if (!hint.status) {
		force_bpf_detach(&pf.bpf);
		if (!status)
			hint.status = conclude();
	}
	if (opt.run.json && !status)
		output_record(&pf.out, json_command(&pf.command));
	if (output_close(&pf.out) && !hint.status)
		hint.status = STATUS_FAILED;
	if (ours)
		clean_up();
	if (opt.run.tool_status)
		return status ? STATUS_BAD_INPUT : (int)hint.status;
	if (status)
		return status;
	/* After -d COMMAND may run on. */
	return pf.command.ended ? command_exit_status(&pf.command) : STATUS_DONE;
}

int main(int argc, char **argv)
{
	uint64_t start_ns = now_ns();
	enum status status;

	program_begin("pcforce", &argp, argc, argv);
	hooks_quiet_libbpf();
	if (opt.run.command)
		return run_command(start_ns);
	status = opt.check ? run_check() : run_alone();
	if (output_close(&pf.out) && !status)
		status = STATUS_FAILED;
	clean_up();
	return status;
}
