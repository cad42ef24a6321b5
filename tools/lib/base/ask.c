// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/ask.h"
#include "base/util.h"

/* How often a process that has not answered is looked at. */
#define LOOK_MS 20

enum kind {
	LSTAT,
	OPEN,
	FILE_SYSTEM,
};

struct question {
	enum kind kind;
	char path[PATH_MAX];
};

struct answer {
	int err;
	struct stat st;
};

/* Close the file only after the answer: close(2) may hang as well. */
static int find_out(const struct question *q, struct answer *a)
{
	struct statfs fs;
	int fd = -1, err;

	memset(a, 0, sizeof(*a));
	err = q->kind == LSTAT	? lstat(q->path, &a->st)
	      : q->kind == OPEN ? stat(q->path, &a->st)
				: statfs(q->path, &fs);
	if (!err && q->kind == OPEN && S_ISREG(a->st.st_mode))
		err = fd = open(q->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	a->err = err < 0 ? -errno : 0;
	return fd;
}

/* The asking process: it serves until its socket is closed. */
static void serve(int fd) __attribute__((noreturn));

static void serve(int fd)
{
	static struct question q;
	struct answer a;
	int opened;

	/*
	 * Close the standard streams, so that readers of the tool's output do not wait for this
	 * process.
	 */
	if (fd > 0)
		close_range(0, fd - 1, 0);
	close_range(fd + 1, ~0U, 0);
	while (recv(fd, &q, sizeof(q), 0) > 0) {
		opened = find_out(&q, &a);
		if (send(fd, &a, sizeof(a), MSG_NOSIGNAL) < 0)
			break;
		if (opened >= 0)
			close(opened);
	}
	_exit(0);
}

static int start(struct asker *a)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
		return -errno;
	a->pid = fork();
	if (!a->pid)
		serve(fds[1]);
	close(fds[1]);
	a->fd = fds[0];
	if (a->pid > 0)
		return 0;
	a->pid = 0;
	close(fds[0]);
	return -EAGAIN;
}

void ask_end(struct asker *a)
{
	if (!a->pid)
		return;
	close(a->fd);
	kill(a->pid, SIGKILL);
	/* A process that hangs is not waited for: its next parent collects it. */
	waitpid(a->pid, NULL, WNOHANG);
	a->pid = 0;
}

/* Does the process sleep in the kernel? Without /proc it is taken to. */
static bool sleeps(pid_t pid)
{
	char path[32], text[128] = "";
	const char *state;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (f) {
		text[fread(text, 1, sizeof(text) - 1, f)] = 0;
		fclose(f);
	}
	/* The name before it, of up to 15 characters, may have parentheses, too: the last one counts. */
	state = strrchr(text, ')');
	return !state || strchr("DS", state[2]);
}

/*
 * Wait for the answer until the asking process was seen asleep for SECONDS. The looks are counted:
 * on a machine that stands still, no time passes for either of the two.
 */
static bool answered(const struct asker *a, unsigned int seconds)
{
	struct pollfd p = { .fd = a->fd, .events = POLLIN };
	unsigned int asleep = 0;
	int n;

	while (asleep < seconds * 1000 / LOOK_MS) {
		n = poll(&p, 1, LOOK_MS);
		if (n > 0)
			return true;
		if (!n && sleeps(a->pid))
			asleep++;
	}
	return false;
}

static int ask(struct asker *a, enum kind kind, const char *path, unsigned int seconds,
	       struct answer *answer)
{
	size_t len = strlen(path) + 1;
	struct question q = { .kind = kind };
	int err;

	if (len > sizeof(q.path))
		return -ENAMETOOLONG;
	memcpy(q.path, path, len);
	err = a->pid ? 0 : start(a);
	if (err)
		return err;
	if (send(a->fd, &q, offsetof(struct question, path) + len, MSG_NOSIGNAL) < 0 ||
	    !answered(a, seconds))
		err = -ETIMEDOUT;
	else if (recv(a->fd, answer, sizeof(*answer), 0) != sizeof(*answer))
		err = -EIO;
	if (err)
		ask_end(a);
	return err ? err : answer->err;
}

int ask_lstat(struct asker *a, const char *path, struct stat *st, unsigned int seconds)
{
	struct answer answer;
	int err = ask(a, LSTAT, path, seconds, &answer);

	if (!err)
		*st = answer.st;
	return err;
}

int ask_open(struct asker *a, const char *path, unsigned int seconds)
{
	struct answer answer;

	return ask(a, OPEN, path, seconds, &answer);
}

int ask_file_system(struct asker *a, const char *path, unsigned int seconds)
{
	struct answer answer;

	return ask(a, FILE_SYSTEM, path, seconds, &answer);
}
