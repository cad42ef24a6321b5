// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/session.h"

static sigset_t ending_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	return set;
}

void session_block_signals(void)
{
	sigset_t set = ending_signals();

	sigprocmask(SIG_BLOCK, &set, NULL);
	/* A reader of our output that goes away is an error of writing, not an end. */
	signal(SIGPIPE, SIG_IGN);
}

static uint64_t earliest(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

int session_run(struct session *s)
{
	sigset_t set = ending_signals();
	uint64_t now = now_ns(), start = now, done = 0;
	uint64_t end = s->duration_us ? start + s->duration_us * 1000 : UINT64_MAX;
	uint64_t tick = s->interval_us ? start + s->interval_us * 1000 : UINT64_MAX;
	struct signalfd_siginfo info;
	struct pollfd p[3] = {
		{ .fd = signalfd(-1, &set, SFD_CLOEXEC), .events = POLLIN },
		{ .fd = s->command ? s->command->pidfd : -1, .events = POLLIN },
		{ .fd = s->event_fd, .events = POLLIN },
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
		/* Below 1 ns ppoll would not wait; beyond an hour it may look again. */
		until = earliest(until > now ? until - now : 0, 3600000000000ULL);
		wait.tv_sec = until / 1000000000;
		wait.tv_nsec = until % 1000000000;
		n = ppoll(p, 3, &wait, NULL);
		if (n < 0 && errno != EINTR) {
			err = -errno;
			break;
		}
		if (s->on_events && !s->on_events(s->ctx))
			break;
		if (n > 0 && p[0].revents && read(p[0].fd, &info, sizeof(info)) == sizeof(info)) {
			s->signal = info.ssi_signo;
			break;
		}
		if (s->command) {
			command_poll(s->command);
			if (s->command->ended)
				break;
		}
		now = now_ns();
		if (now >= tick) {
			s->on_interval(s->ctx);
			done++;
			/* Never in a burst: ticks that were slept through are gone. */
			tick += s->interval_us * 1000 *
				(1 + (now - tick) / (s->interval_us * 1000));
		}
	}
	close(p[0].fd);
	return err;
}
