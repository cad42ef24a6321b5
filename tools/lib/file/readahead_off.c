// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"
#include "file/readahead_off.h"

#define BDI_DIR "/sys/class/bdi"

/* A device with readahead: its read_ahead_kb, and what that said. */
struct setting {
	int fd;
	char text[32];
	ssize_t len;
};

struct settings {
	struct setting *of;
	size_t nr;
};

static ssize_t read_setting(int fd, char *text, size_t size)
{
	return pread(fd, text, size, 0);
}

static bool is_zero(const char *text, ssize_t len)
{
	return len >= 1 && text[0] == '0';
}

static void close_settings(struct settings *s)
{
	while (s->nr)
		close(s->of[--s->nr].fd);
	free(s->of);
	s->of = NULL;
}

/* Find all devices with readahead. Returns 0, or -errno with *why. */
static int read_settings(DIR *dir, struct settings *s, char **why)
{
	struct dirent *d;

	while ((d = readdir(dir))) {
		char *name = xasprintf("%s/read_ahead_kb", d->d_name);
		struct setting one = { .fd = openat(dirfd(dir), name, O_RDWR | O_CLOEXEC) };
		int err = one.fd < 0 ? -errno : 0;

		/* A device that has just gone, "." and "..". */
		if (err && err != -ENOENT)
			*why = xasprintf(BDI_DIR "/%s: %s", name, strerror(-err));
		free(name);
		if (err == -ENOENT)
			continue;
		if (err)
			return err;
		one.len = read_setting(one.fd, one.text, sizeof(one.text));
		if (one.len <= 0 || is_zero(one.text, one.len)) {
			close(one.fd);
			continue;
		}
		s->of = xrealloc(s->of, s->nr + 1, sizeof(*s->of));
		s->of[s->nr++] = one;
	}
	return 0;
}

/* Restore each setting, unless another process has changed it meanwhile. */
static void restore(const struct settings *s)
{
	char text[32];
	size_t i;

	for (i = 0; i < s->nr; i++) {
		const struct setting *one = &s->of[i];

		if (is_zero(text, read_setting(one->fd, text, sizeof(text))) &&
		    pwrite(one->fd, one->text, one->len, 0) < 0)
			continue; /* the device is gone */
	}
}

/*
 * The guard process ignores signals, so that neither the terminal nor a kill of the tool's group
 * ends it.
 */
static void guard(const struct settings *s, int end) __attribute__((noreturn));

static void guard(const struct settings *s, int end)
{
	sigset_t all;
	char byte;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	setsid();
	while (read(end, &byte, 1) < 0 && errno == EINTR)
		;
	restore(s);
	_exit(0);
}

static int start_guard(struct readahead_off *r, const struct settings *s)
{
	int line[2], err;

	if (pipe2(line, O_CLOEXEC))
		return -errno;
	r->guard = fork();
	err = r->guard < 0 ? -errno : 0;
	if (!r->guard) {
		close(line[1]);
		guard(s, line[0]);
	}
	close(line[0]);
	r->lifeline = line[1];
	if (err) {
		close(r->lifeline);
		r->guard = 0;
	}
	return err;
}

static int switch_off(struct readahead_off *r, const struct settings *s)
{
	size_t i;

	for (i = 0; i < s->nr; i++) {
		/* ENODEV and the like: a device that has just gone. */
		if (pwrite(s->of[i].fd, "0", 1, 0) < 0 && (errno == EACCES || errno == EPERM))
			return -errno;
		r->nr++;
	}
	return 0;
}

int readahead_off_begin(struct readahead_off *r, char **why)
{
	struct settings s = { 0 };
	DIR *dir = opendir(BDI_DIR);
	int err = 0;

	memset(r, 0, sizeof(*r));
	*why = NULL;
	if (!dir) {
		err = -errno;
		*why = xasprintf(BDI_DIR ": %s", strerror(-err));
		return err;
	}
	if (flock(dirfd(dir), LOCK_EX | LOCK_NB))
		err = -errno;
	if (err == -EWOULDBLOCK) {
		*why = xstrdup("another recording with --exact has the readahead settings");
		err = -EBUSY;
	}
	err = err ? err : read_settings(dir, &s, why);
	/* The guard inherits the lock with DIR, and holds it as long as it lives. */
	err = err ? err : start_guard(r, &s);
	err = err ? err : switch_off(r, &s);
	if (err) {
		readahead_off_end(r);
		if (!*why)
			*why = xasprintf(BDI_DIR ": %s", strerror(-err));
	}
	close_settings(&s);
	closedir(dir);
	return err;
}

void readahead_off_end(struct readahead_off *r)
{
	if (!r->guard)
		return;
	close(r->lifeline);
	waitpid(r->guard, NULL, 0);
	r->guard = 0;
}
