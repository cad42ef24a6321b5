// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "base/session.h"

/* What session_block_signals() has blocked: nothing else comes through the signalfd. */
static sigset_t held;

static bool ignored(int sig)
{
	struct sigaction a;

	return !sigaction(sig, NULL, &a) && a.sa_handler == SIG_IGN;
}

void session_block_signals(bool command)
{
	static const int may_be_ignored[] = { SIGINT, SIGHUP, SIGQUIT };
	size_t i;

	sigemptyset(&held);
	sigaddset(&held, SIGTERM);
	/* An ignored signal that is blocked would still be read from a signalfd. */
	for (i = 0; i < ARRAY_SIZE(may_be_ignored); i++) {
		if (!ignored(may_be_ignored[i]))
			sigaddset(&held, may_be_ignored[i]);
	}
	if (command) {
		sigaddset(&held, SIGUSR1);
		sigaddset(&held, SIGUSR2);
		/*
		 * SIGCHLD ends no run; it only wakes the loop, to collect processes that COMMAND
		 * has left behind.
		 */
		sigaddset(&held, SIGCHLD);
	}
	sigprocmask(SIG_BLOCK, &held, NULL);
	/* If the reader of the output goes away, that is a write error, not the end of the run. */
	signal(SIGPIPE, SIG_IGN);
}

bool session_signal_pending(void)
{
	sigset_t come;
	int sig;

	if (sigpending(&come))
		return false;
	for (sig = 1; sig < NSIG; sig++) {
		if (sig != SIGCHLD && sigismember(&held, sig) == 1 && sigismember(&come, sig) == 1)
			return true;
	}
	return false;
}

/* A signal has come. Does it end the run? */
static bool take_signal(struct session *s, int fd)
{
	struct signalfd_siginfo info;

	if (read(fd, &info, sizeof(info)) != sizeof(info))
		return false;
	if (info.ssi_signo == SIGCHLD)
		return false;
	if (!s->command) {
		s->signal = info.ssi_signo;
		return true;
	}
	/*
	 * A signal from the terminal went to the whole foreground group, COMMAND included: do not
	 * pass it on.
	 */
	if (info.ssi_code != SI_KERNEL)
		command_stop(s->command, info.ssi_signo);
	return false;
}

static uint64_t earliest(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

int session_run(struct session *s)
{
	uint64_t now = now_ns(), start = now, done = 0;
	uint64_t end = s->duration_us ? start + s->duration_us * 1000 : UINT64_MAX;
	uint64_t tick = s->interval_us ? start + s->interval_us * 1000 : UINT64_MAX;
	struct pollfd p[4] = {
		{ .fd = signalfd(-1, &held, SFD_CLOEXEC), .events = POLLIN },
		{ .fd = s->command ? s->command->pidfd : -1, .events = POLLIN },
		{ .fd = s->event_fd, .events = POLLIN },
		{ .fd = s->end_fd, .events = POLLIN },
	};
	int err = 0;

	if (p[0].fd < 0)
		return -errno;
	while (now < end && !(s->count && done >= s->count)) {
		uint64_t until = earliest(end, tick);
		struct timespec wait;
		int n;

		if (s->poll_us)
			until = earliest(until, now + s->poll_us * 1000);
		/* Wait at least 1 ns, as ppoll(2) does not wait otherwise, and at most an hour. */
		until = earliest(until > now ? until - now : 0, 3600000000000ULL);
		wait = timespec_of(until);
		n = ppoll(p, ARRAY_SIZE(p), &wait, NULL);
		if (n < 0 && errno != EINTR) {
			err = -errno;
			break;
		}
		if (s->on_events && !s->on_events(s->ctx))
			break;
		if (n > 0 && p[0].revents && take_signal(s, p[0].fd))
			break;
		if (n > 0 && p[3].revents)
			break;
		if (s->command) {
			command_poll(s->command);
			if (s->command->ended)
				break;
		}
		now = now_ns();
		if (now >= tick) {
			s->on_interval(s->ctx);
			done++;
			/* Missed ticks are dropped, so that they never come in a burst. */
			tick += s->interval_us * 1000 *
				(1 + (now - tick) / (s->interval_us * 1000));
		}
	}
	close(p[0].fd);
	return err;
}
