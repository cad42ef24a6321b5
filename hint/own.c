// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "own.h"

/* What any device reads at once: the kernel silently leaves out what is more. */
#define CHUNK_BYTES (128U << 10)
/*
 * A thread without hints naps before it rests. So a stream of hints with short gaps makes no
 * system call, and what gathers during a nap is merged. 20 naps are 1 ms or a little more.
 */
#define NAP_NS 50000
#define NAPS   20
/*
 * A reader that finds all cached comes through 64 hinted reads in the time of a nap: so many
 * hints end it, but no more often than once in so many.
 */
#define HINT_WORDS  3
#define NAP_HINTS   32
#define APART_HINTS 64
/* Where the kernel has no membarrier(2), a hint may be found so late. */
#define BLIND_REST_NS 100000000
#define STACK_BYTES   (256U << 10)

static uint64_t size_of(void *ctx, uint32_t file)
{
	const struct own *o = ctx;
	struct stat st;

	if (file >= PAGEHINT_MAX_FILES || o->files[file] < 0 || fstat(o->files[file], &st))
		return 0;
	return st.st_size;
}

static bool ends(const struct own *o)
{
	return __atomic_load_n(&o->stop, __ATOMIC_ACQUIRE);
}

/* One thread submits as fast as a device reads scattered pages: more, or io_uring, gain nothing. */
static void submit(const struct own *o, const struct request *r)
{
	uint64_t at = r->first * o->page_size, end = r->end * o->page_size, n;

	for (; at < end && !ends(o); at += n) {
		n = end - at < CHUNK_BYTES ? end - at : CHUNK_BYTES;
		if (readahead(o->files[r->file], at, n))
			return;
	}
}

/* Serve a batch of hints; false if there are none. */
static bool serve(struct own *o)
{
	size_t i, n = ring_take(&o->consumer, o->hints, OWN_BATCH);
	size_t nr = requests_make(o->requests, o->hints, n, o->page_size, size_of, o);

	for (i = 0; i < nr; i++)
		submit(o, &o->requests[i]);
	return n;
}

/* The path leads to the caller's table, which is not ours, and is opened anew: flags, position
 * and locks of the caller's are not shared.
 */
static int open_file(struct own *o)
{
	char path[64];
	int id = 0;

	while (id < PAGEHINT_MAX_FILES && o->files[id] >= 0)
		id++;
	if (id == PAGEHINT_MAX_FILES)
		return -EMFILE;
	snprintf(path, sizeof(path), "/proc/self/task/%d/fd/%d", o->tid, o->fd);
	o->files[id] = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return o->files[id] < 0 ? -errno : id;
}

static void answer(struct own *o)
{
	o->result = 0;
	switch (o->asked) {
	case OWN_START:
		if (syscall(SYS_close_range, 0U, ~0U, CLOSE_RANGE_UNSHARE))
			o->result = -errno;
		break;
	case OWN_OPEN:
		o->result = open_file(o);
		break;
	case OWN_CLOSE:
		close(o->files[o->id]);
		o->files[o->id] = -1;
		break;
	}
	__atomic_store_n(&o->asked, OWN_NOTHING, __ATOMIC_RELEASE);
	syscall(SYS_futex, &o->asked, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static bool is_asked(const struct own *o)
{
	return __atomic_load_n(&o->asked, __ATOMIC_ACQUIRE) != OWN_NOTHING;
}

/* Without hints: nap, or rest until the next one. */
static void rest(struct own *o, bool nap)
{
	uint32_t bell = ring_bell(&o->consumer);
	int64_t ns = NAP_NS;

	if (nap) {
		ring_wake_after(&o->consumer, NAP_HINTS * HINT_WORDS, APART_HINTS * HINT_WORDS);
	} else {
		ring_wake_after(&o->consumer, 1, 0);
		ns = ring_barrier() ? -1 : BLIND_REST_NS;
	}
	if (ring_is_empty(&o->consumer) && !is_asked(o) && !ends(o))
		ring_rest(&o->consumer, bell, ns);
}

static void *drain(void *ctx)
{
	struct own *o = ctx;
	unsigned int naps = 0;
	bool asked;

	/* Else a nap takes twice as long. */
	prctl(PR_SET_TIMERSLACK, 1UL);
	while (!ends(o)) {
		/* Read first: hints that were written before it are then served before it. */
		asked = is_asked(o);
		if (serve(o)) {
			naps = 0;
		} else if (asked) {
			answer(o);
		} else {
			rest(o, naps < NAPS);
			naps += naps < NAPS;
		}
	}
	return NULL;
}

/* Have the thread do something, and wait for it. */
static int ask(struct own *o, enum own_asked what)
{
	__atomic_store_n(&o->asked, what, __ATOMIC_RELEASE);
	ring_ring(o->ring);
	while (is_asked(o))
		syscall(SYS_futex, &o->asked, FUTEX_WAIT_PRIVATE, what, NULL, NULL, 0);
	return o->result;
}

/* Without the program's signals, whose handlers are not made for this thread. */
static int create(struct own *o)
{
	pthread_attr_t attr;
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&o->thread, &attr, drain, o);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	if (!err)
		pthread_setname_np(o->thread, "pagehint");
	return err;
}

struct own *own_start(struct ring *r, uint64_t nr_words)
{
	struct own *o = calloc(1, sizeof(*o));
	int err;

	if (!o)
		return NULL;
	memset(o->files, 0xff, sizeof(o->files));
	o->ring = r;
	o->page_size = sysconf(_SC_PAGESIZE);
	ring_consumer_init(&o->consumer, r, nr_words);
	err = create(o);
	if (err) {
		free(o);
		errno = err;
		return NULL;
	}
	err = ask(o, OWN_START);
	if (err) {
		own_stop(o);
		errno = -err;
		return NULL;
	}
	return o;
}

int own_open(struct own *o, int fd)
{
	o->tid = syscall(SYS_gettid);
	o->fd = fd;
	return ask(o, OWN_OPEN);
}

void own_close(struct own *o, int id)
{
	o->id = id;
	ask(o, OWN_CLOSE);
}

void own_stop(struct own *o)
{
	__atomic_store_n(&o->stop, 1, __ATOMIC_RELEASE);
	ring_ring(o->ring);
	pthread_join(o->thread, NULL);
	free(o);
}
