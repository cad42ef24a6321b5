// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/output.h"
#include "list/list_writer.h"

/* Links that are followed one after the other, as path lookup in the kernel does. */
#define MAX_LINKS 40

/*
 * What a symbolic link at *PATH leads to, so that the link stays and its target is replaced.
 * One that somebody else has laid is not followed: it would choose what root overwrites.
 * Returns 0 with another path in *path, or -errno.
 */
static int follow_links(char **path)
{
	char target[PATH_MAX], *next, *slash;
	struct stat st;
	ssize_t len;
	int i;

	for (i = 0; i < MAX_LINKS; i++) {
		if (lstat(*path, &st) || !S_ISLNK(st.st_mode))
			return 0;
		if (st.st_uid && st.st_uid != geteuid())
			return -EPERM;
		len = readlink(*path, target, sizeof(target) - 1);
		if (len < 0)
			return -errno;
		target[len] = 0;
		slash = strrchr(*path, '/');
		if (*target == '/' || !slash)
			next = xstrdup(target);
		else
			next = xasprintf("%.*s/%s", (int)(slash - *path), *path, target);
		free(*path);
		*path = next;
	}
	return -ELOOP;
}

/*
 * Where the list goes that is not a file of its own: standard output, or a device, FIFO or
 * socket, which is written to as it is, as a file in its place would destroy it. Returns the
 * descriptor, -ENOENT if it is a file, or -errno.
 */
static int open_stream(const char *path)
{
	struct stat st;
	int fd;

	if (!strcmp(path, "-")) {
		fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
		return fd < 0 ? -errno : fd;
	}
	if (stat(path, &st) || S_ISREG(st.st_mode))
		return -ENOENT;
	return S_ISDIR(st.st_mode) ? -EISDIR : output_special(path);
}

int list_writer_open(struct list_writer *r, const char *path)
{
	mode_t mask = umask(0);
	int fd, err;

	umask(mask);
	memset(r, 0, sizeof(*r));
	fd = open_stream(path);
	if (fd != -ENOENT) {
		r->f = fd < 0 ? NULL : fdopen(fd, "w");
		return fd < 0 ? fd : r->f ? 0 : -errno;
	}
	r->path = xstrdup(path);
	err = follow_links(&r->path);
	if (err)
		return err;
	r->tmp = xasprintf("%s.XXXXXX", r->path);
	fd = mkostemp(r->tmp, 02000000 /* O_CLOEXEC */);
	if (fd < 0)
		goto fail;
	/* mkstemp() makes it private; a list is no secret of its own. */
	if (fchmod(fd, 0666 & ~mask) || !(r->f = fdopen(fd, "w"))) {
		err = -errno;
		close(fd);
		unlink(r->tmp);
		errno = -err;
		goto fail;
	}
	return 0;
fail:
	err = -errno;
	free(r->tmp);
	r->tmp = NULL;
	return err;
}

void list_writer_add(struct list_writer *r, const struct p2c_page_record *run)
{
	struct p2c_page_record *last = r->nr ? &r->runs[r->nr - 1] : NULL;

	if (last && last->slot == run->slot && last->index + last->nr_pages == run->index &&
	    last->nr_pages <= UINT32_MAX - run->nr_pages) {
		last->nr_pages += run->nr_pages;
		return;
	}
	if (r->nr == r->room) {
		r->room = r->room ? r->room * 2 : 1024;
		r->runs = xrealloc(r->runs, r->room, sizeof(*r->runs));
	}
	r->runs[r->nr++] = *run;
}

int list_writer_write(struct list_writer *r, const struct offsets_section *sections,
		      uint32_t nr_slots)
{
	uint32_t current = UINT32_MAX;
	size_t i;
	int err;

	offsets_write_version(r->f);
	for (i = 0; i < r->nr; i++) {
		const struct p2c_page_record *run = &r->runs[i];

		if (run->slot >= nr_slots || !sections[run->slot].file)
			continue;
		if (run->slot != current) {
			offsets_write_section(r->f, &sections[run->slot]);
			current = run->slot;
		}
		offsets_write_extent(r->f, run->index, run->nr_pages);
	}
	/* Files without a page to list are named all the same if they are the only ones. */
	if (current == UINT32_MAX) {
		for (i = 0; i < nr_slots; i++) {
			if (sections[i].file)
				offsets_write_section(r->f, &sections[i]);
		}
	}
	errno = 0;
	if (fflush(r->f) || ferror(r->f) || (r->tmp && fsync(fileno(r->f))))
		return errno ? -errno : -EIO;
	err = fclose(r->f);
	r->f = NULL;
	if (err || (r->tmp && rename(r->tmp, r->path)))
		return -errno;
	free(r->tmp);
	r->tmp = NULL;
	return 0;
}

void list_writer_free(struct list_writer *r)
{
	if (r->f)
		fclose(r->f);
	if (r->tmp)
		unlink(r->tmp);
	free(r->tmp);
	free(r->path);
	free(r->runs);
	memset(r, 0, sizeof(*r));
}
