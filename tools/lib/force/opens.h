/* SPDX-License-Identifier: GPL-2.0-only */
/* Opens of the files of a list, seen and, if asked for, held, by fanotify(7). */
#ifndef PAGE2CACHE_OPENS_H
#define PAGE2CACHE_OPENS_H

#include "list/list.h"

/*
 * Returns a descriptor to poll and to hand to opens_next(), or -errno. hold:
 * who opens waits for opens_allow(). Closing it lets everybody go.
 */
int opens_watch(const struct list *l, bool hold);
/*
 * Mark those files of the list that are open once more: the kernel may have dropped their
 * inodes, and the marks with them. Returns 0 or -errno.
 */
int opens_mark(int fd, const struct list *l, bool hold);

/* The next open: its process in *pid and, if held, what opens_allow() needs in *event. */
bool opens_next(int fd, pid_t *pid, int *event);
void opens_allow(int fd, int event);

#endif
