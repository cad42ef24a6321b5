// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/session.h"
#include "force/beside.h"
#include "force/waiting.h"

/*
 * COMMAND starts at most this long after pcforce, however far the list is. If all pages are cached,
 * forcing is over by then.
 */
#define LET_GO_NS 4000000
/*
 * With a trigger or --follow, COMMAND waits at most this long until the BPF programs are attached.
 */
#define ATTACH_NS 10000000000ULL
/* Threads that still run this long after COMMAND's end are left behind. */
#define END_MS 100
/*
 * If COMMAND has ended and processes of it live, forcing that has begun goes on for at most this
 * long.
 */
#define FINISH_US 30000000
#define LOOK_US	  5000

/*
 * The list is taken by a thread of its own, so that COMMAND never waits for what the list waits
 * for.
 */
struct beside {
	struct hint *hint;
	struct companion *companion; /* NULL: none */
	bool accompanied;	     /* it looks while COMMAND runs */
	struct command command;
	bool detach;
	pthread_t thread;
	bool running;	    /* the thread: the hint is its own */
	int ready_fd;	    /* eventfd: the thread is at its end */
	enum status status; /* of the hint, by then */
};

static void *prepare(void *ctx)
{
	struct beside *b = ctx;
	uint64_t one = 1;

	b->status = hint_prepare(b->hint);
	if (!b->status && !b->hint->opt.watch)
		b->status = hint_arm(b->hint);
	if (write(b->ready_fd, &one, sizeof(one)) < 0)
		say_verbose("eventfd: %s", strerror(errno));
	return NULL;
}

static bool await_fd(int fd, uint64_t until_ns)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t now = now_ns(), left = until_ns > now ? until_ns - now : 0;
	struct timespec wait = timespec_of(left);

	return ppoll(&p, 1, &wait, NULL) > 0;
}

/* Waits for the end of the thread until the given time. Returns whether it has ended. */
static bool join(struct beside *b, uint64_t until_ns)
{
	struct timespec until = timespec_of(until_ns);

	if (b->running)
		b->running = pthread_clockjoin_np(b->thread, NULL, CLOCK_MONOTONIC, &until) != 0;
	return !b->running;
}

static void start_thread(struct beside *b)
{
	int err;

	b->ready_fd = eventfd(0, EFD_CLOEXEC);
	err = pthread_create(&b->thread, NULL, prepare, b);
	b->running = !err;
	if (err)
		say("cannot start a thread: %s; nothing is forced", strerror(err));
}

/* Give the list a moment before COMMAND starts: if all pages are cached, that is all it takes. */
static void force_ahead(struct beside *b, uint64_t start_ns)
{
	bool ready;

	start_thread(b);
	ready = await_fd(b->ready_fd, start_ns + LET_GO_NS);
	if (b->companion)
		b->accompanied = b->companion->attach(b->companion, b->command.pid, ready);
	while (!ready && waiting_for_load(b->hint, &b->command, start_ns))
		ready = await_fd(b->ready_fd, now_ns() + LOOK_US * 1000);
	if (ready && join(b, now_ns() + END_MS * 1000000ULL) && !b->status)
		await_fd(b->hint->firing.done_fd, start_ns + LET_GO_NS);
}

static void attach_ahead(struct beside *b)
{
	start_thread(b);
	if (!join(b, now_ns() + ATTACH_NS))
		say("the list is not ready after %llu s: COMMAND starts without it",
		    ATTACH_NS / 1000000000);
}

/*
 * The trigger is armed before COMMAND starts, but after its process exists: BPF needs its number.
 */
static enum status arm_around(struct beside *b)
{
	struct counters *counters = &b->hint->bpf.counters;
	int err = 0;

	if (counters->config->filter_tree)
		err = counters_add_command(counters, b->command.pid);
	if (err)
		return fail_with(xasprintf("cannot count COMMAND: %s", strerror(-err)),
				 STATUS_FAILED);
	return hint_arm(b->hint);
}

/* COMMAND cannot be executed. Returns the exit status. */
static int not_started(const struct beside *b, int err)
{
	/* A COMMAND that cannot be executed is the user's mistake: say so even with -q. */
	quiet = false;
	fail_with(command_error(&b->command, err), STATUS_FAILED);
	return command_start_status(err);
}

/* Fork COMMAND's process, and get the list as far as possible before COMMAND starts. */
static int start_command(struct beside *b, char **argv, uint64_t start_ns)
{
	bool watch = b->hint->opt.watch;
	int err;

	command_init(&b->command, argv);
	if (!b->detach)
		command_adopt();
	/* Programs that watch see COMMAND's process begin. With -D it is this one. */
	if (watch && !b->detach)
		attach_ahead(b);
	err = b->detach ? command_detach(&b->command) : command_fork(&b->command);
	if (err) {
		/* Without a process for the list, COMMAND still runs. */
		say("%s: runs without the list: cannot fork: %s", argv[0], strerror(-err));
		return not_started(b, command_exec(&b->command));
	}
	if (watch && b->detach)
		attach_ahead(b);
	if (!watch)
		force_ahead(b, start_ns);
	else if (!b->running && !b->status)
		b->status = arm_around(b);
	if (!b->running && !b->status)
		waiting_run(b->hint, &b->command, start_ns);
	/* Ctrl-C also ends COMMAND's process while that waits at the gate. */
	command_poll(&b->command);
	err = b->command.ended ? 0 : command_go(&b->command);
	return err ? not_started(b, err) : 0;
}

static bool look(void *ctx)
{
	struct beside *b = ctx;

	if (b->accompanied)
		b->accompanied = b->companion->look(b->companion);
	return true;
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

/* Is the list being forced, for processes that COMMAND has left? */
static bool is_of_use(void *ctx)
{
	struct beside *b = ctx;
	/* Without a trigger, forcing counts as begun while the list is still being loaded. */
	bool begun = !join(b, 0) ? !b->hint->opt.watch
				 : !b->status && firing_under_way(&b->hint->firing);

	return begun && command_left_any(&b->command);
}

/* A signal ends this wait: COMMAND, to which it would be passed on, has ended. */
static void finish_firing(struct beside *b)
{
	struct session s = {
		.duration_us = FINISH_US,
		.event_fd = -1,
		.end_fd = -1,
		.poll_us = LOOK_US,
		.on_events = is_of_use,
		.ctx = b,
	};
	int err = is_of_use(b) ? session_run(&s) : 0;

	if (err)
		say("cannot wait for COMMAND: %s", strerror(-err));
}

/* Stops the hint and prints its receipts. False: it is left behind, not to be touched. */
static bool end_hint(struct beside *b, bool started)
{
	uint64_t until_ns = now_ns() + END_MS * 1000000ULL;

	if (!join(b, until_ns) || !hint_stop(b->hint, END_MS)) {
		say("COMMAND ended, but forcing did not stop within %d ms (a device that hangs?): "
		    "no receipt",
		    END_MS);
		return false;
	}
	if (!b->status && started)
		b->status = hint_conclude(b->hint);
	return true;
}

int run_beside(struct hint *h, const struct run_options *run, bool detach,
	       struct companion *companion, uint64_t start_ns)
{
	struct beside b = {
		.hint = h,
		.companion = companion,
		.detach = detach,
		.status = STATUS_FAILED,
	};
	struct session s = {
		.duration_us = run->duration_us,
		.command = &b.command,
		.event_fd = -1,
		.end_fd = -1,
		.poll_us = companion ? companion->poll_us : 0,
		.on_events = look,
		.ctx = &b,
	};
	int status, err;
	bool ended;

	session_block_signals(true);
	status = start_command(&b, run->command, start_ns);
	if (!status && detach)
		leave_terminal();
	err = status ? 0 : session_run(&s);
	if (err)
		say("cannot wait for COMMAND: %s", strerror(-err));
	if (companion)
		companion->end(companion, status ? NULL : &b.command, join(&b, 0));
	if (b.command.ended)
		finish_firing(&b);
	ended = end_hint(&b, !status);
	if (h->out->json && !status)
		output_record(h->out, json_command(&b.command));
	if (output_close(h->out) && !b.status)
		b.status = STATUS_FAILED;
	if (ended)
		hint_free(h);
	command_free(&b.command);
	if (run->tool_status)
		return status ? STATUS_BAD_INPUT : (int)b.status;
	if (status)
		return status;
	/* After -d COMMAND may run on. */
	return b.command.ended ? command_exit_status(&b.command) : STATUS_DONE;
}
