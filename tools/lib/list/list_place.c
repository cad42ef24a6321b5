// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/ask.h"
#include "base/output.h"
#include "list/list_place.h"

/* Links that are followed one after the other, as path lookup in the kernel does. */
#define MAX_LINKS 40
/* Random names that are tried before one is taken for impossible. */
#define MAX_NAMES 100

/* Go to the folder of PATH, a path as seen from the folder where P is by now. */
static int enter(struct list_place *p, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash ? xasprintf("%.*s", (int)(slash - path) + 1, path) : xstrdup(".");
	char *name = xstrdup(slash ? slash + 1 : path);
	int fd = openat(p->name ? p->folder : AT_FDCWD, folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int err = fd < 0 ? -errno : *name ? 0 : *path ? -EISDIR : -ENOENT;

	free(folder);
	if (err) {
		free(name);
		if (fd >= 0)
			close(fd);
		return err;
	}
	list_place_close(p);
	p->folder = fd;
	p->name = name;
	return 0;
}

/* In /proc a link is an open file itself; the path that it shows may lead elsewhere. */
static bool is_open_file(const struct list_place *p)
{
	struct statfs fs;

	return !fstatfs(p->folder, &fs) && fs.f_type == PROC_SUPER_MAGIC;
}

/* A descriptor of standard output, or -errno: it may be closed, or be open for reading only. */
static int open_stdout(void)
{
	int flags = fcntl(STDOUT_FILENO, F_GETFL), fd;

	if (flags >= 0 && (flags & O_ACCMODE) == O_RDONLY)
		return -EBADF;
	fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

/* What such a link leads to; standard output itself, so that the list follows what is there. */
static int open_open_file(const struct list_place *p)
{
	struct stat st, out;
	int fd;

	if (fstatat(p->folder, p->name, &st, 0))
		return -errno;
	if (!fstat(STDOUT_FILENO, &out) && st.st_dev == out.st_dev && st.st_ino == out.st_ino)
		return open_stdout();
	if (!S_ISREG(st.st_mode))
		return output_special(p->folder, p->name, 0);
	fd = openat(p->folder, p->name, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return fd;
}

/*
 * Come to a name that is no symbolic link. *stream is -1 where a list is to be a file, else a
 * descriptor of what is written to as it is, as a file in its place would destroy it. Returns
 * 0 or -errno.
 */
static int look_up(struct list_place *p, const char *path, bool streams, int *stream, char **why)
{
	char target[PATH_MAX];
	struct stat st;
	ssize_t len;
	int i, err;

	*stream = -1;
	for (i = 0; i < MAX_LINKS; i++) {
		err = enter(p, path);
		if (err)
			return err;
		if (fstatat(p->folder, p->name, &st, AT_SYMLINK_NOFOLLOW))
			return errno == ENOENT ? 0 : -errno;
		if (S_ISREG(st.st_mode))
			return 0;
		if (S_ISDIR(st.st_mode))
			return -EISDIR;
		if (!S_ISLNK(st.st_mode) || is_open_file(p)) {
			if (!streams) {
				*why = xstrdup("not a regular file");
				return -EINVAL;
			}
			*stream = S_ISLNK(st.st_mode)
					  ? open_open_file(p)
					  : output_special(p->folder, p->name, O_NOFOLLOW);
			return *stream < 0 ? *stream : 0;
		}
		if (st.st_uid && st.st_uid != geteuid()) {
			/* Another user's link would choose which file root overwrites. */
			*why = xasprintf("is a symbolic link of user %u, which is not followed",
					 st.st_uid);
			return -EPERM;
		}
		len = readlinkat(p->folder, p->name, target, sizeof(target) - 1);
		if (len < 0)
			return -errno;
		target[len] = 0;
		path = target;
	}
	return -ELOOP;
}

/* A name for what is not yet a list, which nobody can foresee. */
static char *spare_name(const struct list_place *p)
{
	uint32_t n = 0;

	if (getrandom(&n, sizeof(n), GRND_NONBLOCK) < 0)
		n = now_ns();
	return xasprintf("%.200s.%08x", p->name, n);
}

/* A new file under a name of its own. Returns its descriptor with *name, or -errno. */
static int make_named(const struct list_place *p, char **name)
{
	int fd, i;

	for (i = 0; i < MAX_NAMES; i++) {
		*name = spare_name(p);
		fd = openat(p->folder, *name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (fd >= 0)
			return fd;
		free(*name);
		*name = NULL;
		if (errno != EEXIST)
			break;
	}
	return -errno;
}

/* A file without a name vanishes with this process, however it ends. */
static int make_nameless(const struct list_place *p)
{
	const int flags = O_WRONLY | O_TMPFILE | O_CLOEXEC;
	int fd = openat(p->folder, ".", flags, 0666);

	if (fd < 0)
		return -errno;
	return fd;
}

/* Give a nameless file a name of its own. Returns 0 with *name, or -errno. */
static int name_file(const struct list_place *p, int fd, char **name)
{
	char proc[64];
	int i;

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	for (i = 0; i < MAX_NAMES; i++) {
		*name = spare_name(p);
		/* The one needs a capability, the other /proc. */
		if (!linkat(fd, "", p->folder, *name, AT_EMPTY_PATH) ||
		    !linkat(AT_FDCWD, proc, p->folder, *name, AT_SYMLINK_FOLLOW))
			return 0;
		free(*name);
		*name = NULL;
		if (errno != EEXIST)
			break;
	}
	return -errno;
}

/*
 * Can a file be made there? To be known before anything is recorded. Not every file system
 * has nameless files, and not every process may name one.
 */
static int try_place(struct list_place *p)
{
	char *name = NULL;
	int fd = make_nameless(p);

	p->nameless = fd >= 0 && !name_file(p, fd, &name);
	if (!p->nameless) {
		if (fd >= 0)
			close(fd);
		fd = make_named(p, &name);
		if (fd < 0)
			return fd;
	}
	unlinkat(p->folder, name, 0);
	free(name);
	close(fd);
	return 0;
}

/* Or would a look at PATH hold us, as a mount there hangs? */
static bool answers(const char *path)
{
	struct asker asker = { 0 };
	int err = ask_file_system(&asker, path, ASK_ANY);

	ask_end(&asker);
	return err != -ETIMEDOUT;
}

/* The same of the folder, by the link that /proc has to it. */
static bool folder_answers(const struct list_place *p)
{
	char proc[64];

	snprintf(proc, sizeof(proc), "/proc/%d/fd/%d", getpid(), p->folder);
	return answers(proc);
}

int list_place_open(struct list_place *p, const char *path, bool streams, char **why)
{
	int err = 0, stream;

	*p = (struct list_place){ 0 };
	*why = NULL;
	if (!answers(path)) {
		*why = xstrdup("does not answer (a hung mount?)");
		return -ETIMEDOUT;
	}
	if (strcmp(path, "-")) {
		err = look_up(p, path, streams, &stream, why);
	} else {
		stream = open_stdout();
		err = stream < 0 ? stream : 0;
	}
	if (!err && stream < 0)
		err = try_place(p);
	else if (!err && !(p->stream = fdopen(stream, "w")))
		err = -errno;
	if (err && !*why)
		*why = xstrdup(strerror(-err));
	if (err)
		list_place_close(p);
	return err;
}

void list_place_close(struct list_place *p)
{
	if (p->name)
		close(p->folder);
	if (p->stream)
		fclose(p->stream);
	free(p->name);
	*p = (struct list_place){ 0 };
}

/* All of EMIT's text into F. */
static int fill(FILE *f, int (*emit)(void *ctx, FILE *f), void *ctx)
{
	int err = emit(ctx, f);

	return err ? err : fflush(f) ? -errno : 0;
}

static int write_stream(struct list_place *p, int (*emit)(void *ctx, FILE *f), void *ctx)
{
	int err = fill(p->stream, emit, ctx);

	if (fclose(p->stream) && !err)
		err = -errno;
	p->stream = NULL;
	return err;
}

/* The new list gets the owner and mode of the old one, so that the same users may use it. */
static int keep_owner(const struct list_place *p, int fd)
{
	if (!p->like)
		return 0;
	/* chown(2) may take bits off the mode, which so comes second. */
	return fchown(fd, p->like->st_uid, p->like->st_gid) || fchmod(fd, p->like->st_mode & 07777)
		       ? -errno
		       : 0;
}

/*
 * Give the whole list its name. What had the name when the place was opened was no device, FIFO or
 * socket. One that is there by now is not replaced either.
 */
static int give_name(const struct list_place *p, const char *name)
{
	struct stat st;

	if (!fstatat(p->folder, p->name, &st, AT_SYMLINK_NOFOLLOW) && !S_ISREG(st.st_mode) &&
	    !S_ISLNK(st.st_mode))
		return -EEXIST;
	return renameat(p->folder, name, p->folder, p->name) ? -errno : 0;
}

int list_place_write(struct list_place *p, int (*emit)(void *ctx, FILE *f), void *ctx)
{
	char *name = NULL;
	int fd, err;
	FILE *f;

	if (p->stream)
		return write_stream(p, emit, ctx);
	/*
	 * The mount may hang by now: then give the list up, so that at least the figures are
	 * printed.
	 */
	if (!folder_answers(p))
		return -ETIMEDOUT;
	fd = p->nameless ? make_nameless(p) : make_named(p, &name);
	if (fd < 0)
		return fd;
	f = fdopen(fd, "w");
	if (!f) {
		err = -errno;
		close(fd);
	} else {
		err = keep_owner(p, fd);
		err = err ? err : fill(f, emit, ctx);
		if (!err && fsync(fd))
			err = -errno;
		if (!err && !name)
			err = name_file(p, fd, &name);
		if (fclose(f) && !err)
			err = -errno;
	}
	if (!err)
		err = give_name(p, name);
	if (err && name)
		unlinkat(p->folder, name, 0);
	free(name);
	return err;
}
