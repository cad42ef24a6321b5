// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/command.h"

static struct {
	sigset_t mask;
	struct sigaction pipe;
	struct rlimit files;
	bool closed[STDERR_FILENO + 1];
} inherited;

void command_inherit(void)
{
	int fd;

	/*
	 * Were one of them closed, the next file that is opened would be taken for it: the
	 * table would go into the list.
	 */
	for (fd = 0; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0)
			inherited.closed[fd] = open("/dev/null", O_RDWR) == fd;
	}
	sigprocmask(SIG_BLOCK, NULL, &inherited.mask);
	sigaction(SIGPIPE, NULL, &inherited.pipe);
	getrlimit(RLIMIT_NOFILE, &inherited.files);
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

static void child(struct command *c, int ready, int go, int failed) __attribute__((noreturn));

static void child(struct command *c, int ready, int go, int failed)
{
	char *const none[] = { ".", NULL };
	int err;
	char byte = 0;

	/*
	 * A rehearsal: the code of exec, the C library's search of PATH included, is paged
	 * in before anybody counts. Each folder of PATH has a ".", which no exec takes.
	 */
	execvp(none[0], none);
	if (write(ready, &byte, 1) != 1 || read(go, &byte, 1) != 1)
		_exit(127);
	execvp(c->argv[0], c->argv);
	err = errno;
	if (write(failed, &err, sizeof(err)) < 0)
		_exit(126);
	_exit(127);
}

int command_fork(struct command *c)
{
	int go[2] = { -1, -1 }, ready[2] = { -1, -1 }, failed[2] = { -1, -1 };
	char byte;
	int fd, err = 0;

	if (pipe2(go, O_CLOEXEC) || pipe2(ready, O_CLOEXEC) || pipe2(failed, O_CLOEXEC)) {
		err = -errno;
		goto out;
	}
	c->pid = fork();
	if (c->pid < 0) {
		err = -errno;
		c->pid = 0;
		goto out;
	}
	if (!c->pid) {
		close(go[1]);
		for (fd = 0; fd <= STDERR_FILENO; fd++) {
			if (inherited.closed[fd])
				close(fd);
		}
		setrlimit(RLIMIT_NOFILE, &inherited.files);
		sigaction(SIGPIPE, &inherited.pipe, NULL);
		sigprocmask(SIG_SETMASK, &inherited.mask, NULL);
		child(c, ready[1], go[0], failed[1]);
	}
	c->pidfd = syscall(SYS_pidfd_open, c->pid, 0);
	if (c->pidfd < 0) {
		err = -errno;
		goto out;
	}
	close(ready[1]);
	ready[1] = -1;
	if (read(ready[0], &byte, 1) != 1)
		err = -ECHILD;
	c->go = go[1];
	c->failed = failed[0];
	go[1] = failed[0] = -1;
out:
	if (go[0] >= 0)
		close(go[0]);
	if (go[1] >= 0)
		close(go[1]);
	if (ready[0] >= 0)
		close(ready[0]);
	if (ready[1] >= 0)
		close(ready[1]);
	if (failed[0] >= 0)
		close(failed[0]);
	if (failed[1] >= 0)
		close(failed[1]);
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

void command_poll(struct command *c)
{
	pid_t got;

	if (!c->pid || c->ended)
		return;
	got = waitpid(c->pid, &c->wait_status, WNOHANG);
	if (got != c->pid)
		return;
	c->ended = true;
	c->wall_us = (now_ns() - c->started_ns) / 1000;
}

void command_stop(struct command *c, int sig)
{
	if (!c->pid || c->ended)
		return;
	if (c->go >= 0) {
		close(c->go);
		c->go = -1;
		waitpid(c->pid, &c->wait_status, 0);
		c->ended = true;
		return;
	}
	kill(c->pid, sig);
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

int command_exit_status(const struct command *c)
{
	if (WIFSIGNALED(c->wait_status))
		return 128 + WTERMSIG(c->wait_status);
	return WEXITSTATUS(c->wait_status);
}
