// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/command.h"

static struct {
	sigset_t mask;
	struct sigaction pipe, chld, xfsz;
	struct rlimit files;
	bool closed[STDERR_FILENO + 1];
} inherited;

void command_inherit(void)
{
	int fd, place;

	/*
	 * If one of them were closed, the next file to be opened would get its number, and the
	 * table would go into the list. What takes its place can be used no more than what is
	 * closed, so that reading or writing is the error that it is: no data come or go through
	 * an O_PATH descriptor, and whoever opens a directory by /dev/stdout gets none either.
	 */
	for (fd = 0; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		place = open("/", O_PATH | O_DIRECTORY);
		inherited.closed[fd] = place == fd;
	}
	sigprocmask(SIG_BLOCK, NULL, &inherited.mask);
	sigaction(SIGPIPE, NULL, &inherited.pipe);
	getrlimit(RLIMIT_NOFILE, &inherited.files);
	/* While SIGCHLD is ignored, a child that has ended cannot be collected. */
	sigaction(SIGCHLD, NULL, &inherited.chld);
	signal(SIGCHLD, SIG_DFL);
	/* A write beyond the limit of file sizes shall fail with an error, not kill the tool. */
	sigaction(SIGXFSZ, NULL, &inherited.xfsz);
	signal(SIGXFSZ, SIG_IGN);
}

/* Files whose descriptors fit into the table from the start. */
#define TABLE_FILES 1024

void raise_descriptors(void)
{
	struct rlimit all = inherited.files;
	int fd;

	all.rlim_cur = all.rlim_max;
	setrlimit(RLIMIT_NOFILE, &all);
	fd = fcntl(0, F_DUPFD_CLOEXEC, TABLE_FILES - 1);
	if (fd >= 0)
		close(fd);
}

void command_init(struct command *c, char **argv)
{
	memset(c, 0, sizeof(*c));
	c->argv = argv;
	c->pidfd = c->go = c->failed = -1;
}

char *command_error(const struct command *c, int err)
{
	const char *name = c->argv[0];

	if (err != -ENOENT)
		return xasprintf("%s: cannot be executed: %s", name, strerror(-err));
	if (!strchr(name, '/'))
		return xasprintf("%s: command not found in PATH", name);
	if (access(name, F_OK))
		return xasprintf("%s: command not found", name);
	return xasprintf("%s: cannot be executed: the interpreter that it names is missing", name);
}

/* Pipes between us and COMMAND's process, before its exec. */
struct gate {
	int ready[2], go[2], failed[2];
};

static void close_pipe(int *fds)
{
	if (fds[0] >= 0)
		close(fds[0]);
	if (fds[1] >= 0)
		close(fds[1]);
	fds[0] = fds[1] = -1;
}

static void close_gate(struct gate *g)
{
	close_pipe(g->ready);
	close_pipe(g->go);
	close_pipe(g->failed);
}

static int open_gate(struct gate *g)
{
	int err = 0;

	*g = (struct gate){ { -1, -1 }, { -1, -1 }, { -1, -1 } };
	if (pipe2(g->ready, O_CLOEXEC) || pipe2(g->go, O_CLOEXEC) || pipe2(g->failed, O_CLOEXEC)) {
		err = -errno;
		close_gate(g);
	}
	return err;
}

/* What COMMAND is to inherit, as it was before command_inherit(). */
static void restore_inherited(void)
{
	int fd;

	for (fd = 0; fd <= STDERR_FILENO; fd++) {
		if (inherited.closed[fd])
			close(fd);
	}
	setrlimit(RLIMIT_NOFILE, &inherited.files);
	sigaction(SIGPIPE, &inherited.pipe, NULL);
	sigaction(SIGCHLD, &inherited.chld, NULL);
	sigaction(SIGXFSZ, &inherited.xfsz, NULL);
	sigprocmask(SIG_SETMASK, &inherited.mask, NULL);
}

int command_exec(const struct command *c)
{
	restore_inherited();
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	execvp(c->argv[0], c->argv);
	return -errno;
}

/* COMMAND's process: waits at the gate, and becomes COMMAND. Returns errno of a failed exec. */
static int become(struct command *c, struct gate *g)
{
	char *const none[] = { ".", NULL };
	char byte = 0;

	/* A write end of its own would keep the gate open when the tool is gone. */
	close(g->go[1]);
	g->go[1] = -1;
	restore_inherited();
	/*
	 * A rehearsal: the code of exec, the C library's search of PATH included, is paged
	 * in before anybody counts. Each folder of PATH has a ".", which no exec takes.
	 */
	execvp(none[0], none);
	if (write(g->ready[1], &byte, 1) != 1 || read(g->go[0], &byte, 1) != 1)
		_exit(EXIT_TOOL);
	execvp(c->argv[0], c->argv);
	return errno;
}

/* The tool's side: until COMMAND's process is at the gate. Returns 0 or -errno. */
static int meet(struct command *c, struct gate *g)
{
	char byte;

	c->pidfd = syscall(SYS_pidfd_open, c->pid, 0);
	if (c->pidfd < 0)
		return -errno;
	close(g->ready[1]);
	close(g->failed[1]);
	g->ready[1] = g->failed[1] = -1;
	if (read(g->ready[0], &byte, 1) != 1)
		return -ECHILD;
	c->go = g->go[1];
	c->failed = g->failed[0];
	g->go[1] = g->failed[0] = -1;
	return 0;
}

int command_fork(struct command *c)
{
	struct gate g;
	int err = open_gate(&g);

	if (err)
		return err;
	c->pid = fork();
	if (c->pid < 0) {
		err = -errno;
		c->pid = 0;
	} else if (!c->pid) {
		err = become(c, &g);
		if (write(g.failed[1], &err, sizeof(err)) < 0)
			_exit(EXIT_CANNOT_EXECUTE);
		_exit(EXIT_NOT_FOUND);
	} else {
		err = meet(c, &g);
	}
	close_gate(&g);
	return err;
}

/* COMMAND cannot be executed: this process is the only one left to say so. */
static void end_unstarted(const struct command *c, int err) __attribute__((noreturn));

static void end_unstarted(const struct command *c, int err)
{
	char *why = command_error(c, -err);

	say("%s", why);
	_exit(command_start_status(-err));
}

int command_detach(struct command *c)
{
	pid_t pid = getpid(), middle;
	struct gate g;
	int err = open_gate(&g), status;

	if (err)
		return err;
	middle = fork();
	if (middle < 0) {
		err = -errno;
		close_gate(&g);
		return err;
	}
	if (middle) {
		/*
		 * Collect the helper child at once: COMMAND must not have a child that it did not
		 * make.
		 */
		waitpid(middle, &status, 0);
		if (!WIFEXITED(status) || WEXITSTATUS(status))
			end_unstarted(c, EAGAIN);
		end_unstarted(c, become(c, &g));
	}
	middle = fork();
	if (middle)
		_exit(middle < 0 ? EXIT_TOOL : 0);
	c->pid = pid;
	c->detached = true;
	err = meet(c, &g);
	close_gate(&g);
	return err;
}

int command_go(struct command *c)
{
	int err = 0;

	c->started_ns = now_ns();
	if (write(c->go, "", 1) != 1)
		return -errno;
	close(c->go);
	c->go = -1;
	/* Ends with the exec (close-on-exec), or with the reason why there was none. */
	if (read(c->failed, &err, sizeof(err)) == sizeof(err))
		return -err;
	return 0;
}

void command_adopt(void)
{
	if (prctl(PR_SET_CHILD_SUBREAPER, 1))
		say_verbose("PR_SET_CHILD_SUBREAPER: %s", strerror(errno));
}

/* Collect children that have ended. Returns whether there are any that have not. */
static bool collect(struct command *c)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != c->pid)
			continue;
		c->wait_status = status;
		c->ended = true;
	}
	return !pid;
}

void command_poll(struct command *c)
{
	struct pollfd p = { .fd = c->pidfd, .events = POLLIN };

	if (!c->pid || c->ended)
		return;
	if (c->detached)
		c->ended = poll(&p, 1, 0) == 1;
	else
		collect(c);
	if (c->ended)
		c->wall_us = (now_ns() - c->started_ns) / 1000;
}

bool command_left_any(struct command *c)
{
	return c->detached || collect(c);
}

void command_stop(struct command *c, int sig)
{
	if (!c->pid || c->ended)
		return;
	if (c->go >= 0) {
		close(c->go);
		c->go = -1;
		if (!c->detached)
			waitpid(c->pid, &c->wait_status, 0);
		c->ended = true;
		return;
	}
	/* By its descriptor: with -D its parent may have collected it, and its number be reused. */
	syscall(SYS_pidfd_send_signal, c->pidfd, sig, NULL, 0);
}

void command_free(struct command *c)
{
	if (!c->argv)
		return;
	if (c->go >= 0)
		command_stop(c, SIGTERM);
	if (c->pidfd >= 0)
		close(c->pidfd);
	if (c->failed >= 0)
		close(c->failed);
}

int end_by_signal(int sig)
{
	const struct rlimit none = { 0, 0 };
	sigset_t set;

	setrlimit(RLIMIT_CORE, &none);
	signal(sig, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, sig);
	raise(sig);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	/*
	 * The signal did not end this process, which may be init of a namespace: exit as a shell
	 * would.
	 */
	return 128 + sig;
}

int command_exit_status(const struct command *c)
{
	return WIFSIGNALED(c->wait_status) ? end_by_signal(WTERMSIG(c->wait_status))
					   : WEXITSTATUS(c->wait_status);
}

int command_start_status(int err)
{
	return err == -ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_EXECUTE;
}
