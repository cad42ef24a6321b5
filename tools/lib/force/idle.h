/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * --idle: read when the device has nothing else to do. The kernel's idle class of I/O is obeyed by
 * the schedulers mq-deadline and bfq only, and by these for requests that the device has not got
 * yet: beside a reader, a list that was submitted at once made its 99th percentile 4 to 25 times
 * as long with mq-deadline as well as with none. So there is one request of ours at a time, and
 * before it is submitted the device is looked at whether it has others.
 */
#ifndef PAGE2CACHE_IDLE_H
#define PAGE2CACHE_IDLE_H

#include <sys/types.h>

#include "base/util.h"

/* At most this many disks of an array are watched. */
#define IDLE_DISKS 32

struct idle {
	dev_t dev;	    /* whose disks these are, 0: nobody's yet */
	int fd[IDLE_DISKS]; /* the kernel's account of each */
	size_t nr;	    /* 0: what the device does is not known */
};

/* The calling thread's I/O, and that of threads which it starts, is of the idle class. */
void idle_begin(void);
/*
 * Wait until the device DEV, on which the file of FD lies, has nothing else to do; where that does
 * not come, until it has done much for others. By one thread only.
 */
void idle_wait(struct idle *d, int fd, dev_t dev, const volatile bool *stop);
void idle_free(struct idle *d);

#endif
