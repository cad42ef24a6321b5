/* SPDX-License-Identifier: GPL-2.0-only */
/* A run: it ends with COMMAND, after a time, after a count, or by a signal. */
#ifndef PAGE2CACHE_SESSION_H
#define PAGE2CACHE_SESSION_H

#include "base/command.h"

struct session {
	uint64_t duration_us;	      /* 0: no limit */
	uint64_t interval_us;	      /* 0: none */
	uint64_t count;		      /* of intervals, 0: no limit */
	struct command *command;      /* NULL: none */
	int event_fd;		      /* polled for input, -1: none */
	int end_fd;		      /* the run ends when it is readable, -1: none */
	uint64_t poll_us;	      /* on_events at least this often, 0: not */
	bool (*on_events)(void *ctx); /* false ends the run */
	void (*on_interval)(void *ctx);
	void *ctx;
	int signal; /* that ended it, 0: none */
};

/*
 * Hold the signals back that end a run, or that are COMMAND's: INT, TERM, HUP and QUIT,
 * with COMMAND USR1 and USR2 as well. HUP, INT and QUIT that are ignored stay so (nohup).
 * Before any thread is made.
 */
void session_block_signals(bool command);
/* Has one of them come, which only the run will take? SIGCHLD ends nothing and does not count. */
bool session_signal_pending(void);
/*
 * Until the end. With COMMAND, signals that a process sends are passed on to it, and the
 * run goes on; those of the terminal it has got by itself. Returns 0 or -errno.
 */
int session_run(struct session *s);

#endif
