// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "learn/learned_file.h"

/* Times that a list is opened again which was replaced before it was locked. */
#define MAX_TRIES 10
/* So much of a list is looked at here, enough for its first two lines. */
#define HEAD_BYTES 1024

/* Is the owner root, or the user who has started pcforce? */
static bool is_trusted(uid_t uid)
{
	return !uid || uid == getuid() || uid == geteuid();
}

/* Is it writable only by its owner, and by root's group? */
static bool is_private(const struct stat *st)
{
	return is_trusted(st->st_uid) && !(st->st_mode & S_IWOTH) &&
	       !(st->st_mode & S_IWGRP && st->st_gid);
}

/*
 * Root uses a learned list without checking it, so another user who can write it could choose what
 * fills the memory. In a folder with the sticky bit no other user can replace it.
 */
static bool is_safe(const struct list_place *p)
{
	struct stat st;

	if (geteuid())
		return true;
	if (fstat(p->folder, &st) ||
	    !(is_private(&st) || (is_trusted(st.st_uid) && st.st_mode & S_ISVTX)))
		return false;
	if (fstatat(p->folder, p->name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT;
	return is_private(&st);
}

bool learned_file_stays(const struct learned_file *f, const struct list_place *p)
{
	struct stat st;

	return !fstatat(p->folder, p->name, &st, AT_SYMLINK_NOFOLLOW) &&
	       st.st_dev == f->was.st_dev && st.st_ino == f->was.st_ino;
}

/* Returns 0, -EWOULDBLOCK where another one learns, or -errno. */
static int open_locked(struct learned_file *f, const struct list_place *p)
{
	const int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	int err, i;

	for (i = 0; i < MAX_TRIES; i++) {
		f->fd = openat(p->folder, p->name, flags | O_CREAT | O_EXCL, 0644);
		f->made = f->fd >= 0;
		if (f->fd < 0 && errno == EEXIST)
			f->fd = openat(p->folder, p->name, flags);
		if (f->fd < 0 && errno == ENOENT)
			continue;
		if (f->fd < 0)
			return -errno;
		err = flock(f->fd, LOCK_EX | LOCK_NB) || fstat(f->fd, &f->was) ? -errno : 0;
		if (!err && learned_file_stays(f, p))
			return 0;
		close(f->fd);
		f->fd = -1;
		if (err)
			return err;
	}
	return -EBUSY;
}

/* Is it empty, or a list? Looks on which kernel it was learned, too. */
static bool is_list(struct learned_file *f)
{
	static const char version[] = "# page2cache offsets";
	char head[HEAD_BYTES + 1] = "", *learned, *end;
	struct utsname kernel;
	ssize_t n = pread(f->fd, head, HEAD_BYTES, 0);
	char *want;

	if (n <= 0)
		return !n;
	if (strncmp(head, version, strlen(version)))
		return false;
	learned = strstr(head, "\n# learned ");
	end = learned ? strchr(learned + 1, '\n') : NULL;
	if (!end)
		return true;
	*end = 0;
	uname(&kernel);
	want = xasprintf(" kernel=%s ", kernel.release);
	f->this_kernel = strstr(learned, want);
	free(want);
	return true;
}

enum learned_state learned_file_open(struct learned_file *f, const char *path,
				     const struct list_place *p)
{
	int err;

	*f = (struct learned_file){ .path = path, .fd = -1 };
	if (!is_safe(p)) {
		say("%s: not used: with --learn, root takes no list that others can write or "
		    "replace (see pcforce(8), SECURITY)",
		    path);
		return LEARNED_UNUSED;
	}
	err = open_locked(f, p);
	if (err == -EWOULDBLOCK)
		say_verbose("%s: another pcforce learns this list: it is only forced", path);
	else if (err)
		say("%s: not learned: %s", path, strerror(-err));
	if (err)
		return LEARNED_FORCED;
	if (is_list(f))
		return LEARNED_OURS;
	say("%s: not a list: not replaced (it does not begin with '# page2cache offsets')", path);
	learned_file_close(f, p);
	return LEARNED_FORCED;
}

void learned_file_unlock(struct learned_file *f)
{
	flock(f->fd, LOCK_UN);
}

void learned_file_touch(const struct learned_file *f, bool now)
{
	const struct timespec times[] = { { .tv_nsec = UTIME_OMIT },
					  { .tv_nsec = now ? UTIME_NOW : 0 } };

	if (futimens(f->fd, times))
		say_verbose("%s: cannot set the modification time: %s", f->path, strerror(errno));
}

void learned_file_close(struct learned_file *f, const struct list_place *p)
{
	struct stat st;

	if (f->fd < 0)
		return;
	if (f->made && learned_file_stays(f, p) && !fstat(f->fd, &st) && !st.st_size)
		unlinkat(p->folder, p->name, 0);
	close(f->fd);
	f->fd = -1;
}
