/* SPDX-License-Identifier: GPL-2.0-only */
/* COMMAND: started stopped, found and executed once everything is attached. */
#ifndef PAGE2CACHE_COMMAND_H
#define PAGE2CACHE_COMMAND_H

#include <sys/types.h>

#include "base/util.h"

struct command {
	char **argv;
	pid_t pid; /* 0: not started */
	int pidfd;
	int go;	    /* a byte here lets it exec */
	int failed; /* it writes errno here if exec fails */
	uint64_t started_ns;
	bool detached; /* it is not our child: how it ended is not known */
	bool ended;
	int wait_status;
	uint64_t wall_us;
};

/* Exit statuses of a program around COMMAND, as env(1), nohup(1) and timeout(1) have them. */
enum {
	EXIT_TOOL = 125, /* the program itself failed before COMMAND could start */
	EXIT_CANNOT_EXECUTE = 126,
	EXIT_NOT_FOUND = 127,
};

/*
 * Remember what COMMAND is to inherit, before the tool changes it for itself: signal mask,
 * SIGPIPE, SIGCHLD, SIGXFSZ, the limit of open files, which of the descriptors 0 to 2 are closed.
 * For the tool itself the closed ones stay ones that cannot be used. Before any file is opened.
 */
void command_inherit(void);

/*
 * After command_inherit(): raise the limit of open files for the tool itself, as -f, lists and
 * whole trees name more files than a shell's soft limit lets a process open. Make the table of
 * descriptors large, too, before there are threads: once threads share the table, each doubling of
 * it waits some milliseconds for the kernel's RCU.
 */
void raise_descriptors(void);

/* Say what is to be executed. COMMAND is searched in PATH only when it is let go. */
void command_init(struct command *c, char **argv);

/* Why command_fork() or command_go() returned ERR, in words that name COMMAND; to be freed. */
char *command_error(const struct command *c, int err);

/*
 * Fork. The child waits, its code paged in, one system call away from exec, so
 * that what it accesses once it is let go is COMMAND's own. Returns 0 or -errno.
 */
int command_fork(struct command *c);

/*
 * As command_fork(), but COMMAND gets this very process, with its number and its parent, and the
 * call returns in a grandchild of it, as with strace -D.
 */
int command_detach(struct command *c);

/*
 * Processes of COMMAND whose parent ends become our children, so that command_left_any()
 * finds them and command_poll() collects them. Before command_fork().
 */
void command_adopt(void);

/* Become COMMAND, where no other process can: returns -errno, or not at all. */
int command_exec(const struct command *c);

/* Let COMMAND's process exec. Returns 0, or -errno if it could not. */
int command_go(struct command *c);

/* Collect COMMAND's process if it has ended, without waiting; sets c->ended. */
void command_poll(struct command *c);

/*
 * Does COMMAND or a descendant still run? Of a COMMAND that is not our child that is not known, and
 * taken to be so.
 */
bool command_left_any(struct command *c);

/* Send COMMAND a signal; a process that still waits to be let go ends without starting COMMAND. */
void command_stop(struct command *c, int sig);

/* Free what C holds. C may be all zero, never initialised. */
void command_free(struct command *c);

/*
 * After COMMAND has ended: returns its exit status, or ends this process by the signal that ended
 * COMMAND, without a core of our own.
 */
int command_exit_status(const struct command *c);
/* End this process by a signal, without a core; returns an exit status if it ends nobody. */
int end_by_signal(int sig);
/* The exit status for a COMMAND that command_go() did not start, by the error it gave. */
int command_start_status(int err);

#endif
