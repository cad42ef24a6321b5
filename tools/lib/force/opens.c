// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/fanotify.h>
#include <unistd.h>

#include "force/opens.h"

#ifndef FAN_MARK_EVICTABLE
#define FAN_MARK_EVICTABLE 0x00000200 /* Linux 5.19 */
#endif

int opens_mark(int fd, const struct list *l, bool hold)
{
	/* An inode that is marked otherwise stays in memory, and its space allocated. */
	unsigned int flags = FAN_MARK_ADD | FAN_MARK_EVICTABLE;
	uint64_t mask = hold ? FAN_OPEN_PERM : FAN_OPEN;
	size_t i = 0;

	while (i < l->nr_files) {
		/* The file itself, whatever its name leads to by now. */
		if (l->files[i].target.fd < 0 ||
		    !fanotify_mark(fd, flags, mask, l->files[i].target.fd, NULL)) {
			i++;
			continue;
		}
		/* Before Linux 5.19 there is no such mark. */
		if (errno != EINVAL || flags == FAN_MARK_ADD)
			return -errno;
		flags = FAN_MARK_ADD;
	}
	return 0;
}

int opens_watch(const struct list *l, bool hold)
{
	int fd = fanotify_init((hold ? FAN_CLASS_CONTENT : FAN_CLASS_NOTIF) | FAN_CLOEXEC |
				       FAN_NONBLOCK | FAN_UNLIMITED_MARKS,
			       O_RDONLY | O_CLOEXEC | O_LARGEFILE);
	int err;

	if (fd < 0)
		return -errno;
	err = opens_mark(fd, l, hold);
	if (!err)
		return fd;
	close(fd);
	return err;
}

bool opens_next(int fd, pid_t *pid, int *event)
{
	/* Read one event at a time: the kernel hands out as many as fit. */
	struct fanotify_event_metadata m;

	for (;;) {
		if (read(fd, &m, sizeof(m)) < (ssize_t)sizeof(m))
			return false;
		if (m.vers != FANOTIFY_METADATA_VERSION)
			return false;
		if (m.fd < 0)
			continue; /* the queue overflowed: an open was not seen */
		*pid = m.pid;
		if (event && m.mask & FAN_OPEN_PERM) {
			*event = m.fd;
			return true;
		}
		close(m.fd);
		return true;
	}
}

void opens_allow(int fd, int event)
{
	struct fanotify_response r = { .fd = event, .response = FAN_ALLOW };

	if (write(fd, &r, sizeof(r)) < 0 && errno != ENOENT)
		say_verbose("fanotify: %s", strerror(errno));
	close(event);
}
