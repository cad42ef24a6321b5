// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/fanotify.h>
#include <unistd.h>

#include "force/opens.h"

int opens_watch(const struct list *l, bool hold)
{
	uint64_t mask = hold ? FAN_OPEN_PERM : FAN_OPEN;
	size_t i;
	int fd, err;

	fd = fanotify_init((hold ? FAN_CLASS_CONTENT : FAN_CLASS_NOTIF) | FAN_CLOEXEC |
				   FAN_NONBLOCK | FAN_UNLIMITED_MARKS,
			   O_RDONLY | O_CLOEXEC | O_LARGEFILE);
	if (fd < 0)
		return -errno;
	for (i = 0; i < l->nr_files; i++) {
		if (l->files[i].state != LIST_READY)
			continue;
		/* The file itself, whatever its name leads to by now. */
		if (fanotify_mark(fd, FAN_MARK_ADD, mask, l->files[i].target.fd, NULL)) {
			err = -errno;
			close(fd);
			return err;
		}
	}
	return fd;
}

bool opens_next(int fd, pid_t *pid, int *event)
{
	/* One at a time: the kernel hands out what fits whole. */
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
