// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "cached.h"
#include "own.h"
#include "processors.h"

/*
 * A thread without hints first looks for some for a while, because a reader that waits for the disk
 * soon has more; then it naps, then it rests. So a stream of hints with short gaps makes no system
 * call, and hints that gather during a nap are merged. 20 naps are 1 ms or a little more.
 *
 * How long the thread looks: a reader waits the longer, the more pages have just been submitted,
 * and hints that lie in the queue until a nap ends reach the disk late. (A virtual disk may
 * interrupt only when it has served all its requests: then the reader waits for all that it has
 * hinted, and the disk for the next hint.) So the time that the thread may look grows with the time
 * that it has worked: beyond SPIN_LEAST_NS it takes a processor SPIN_SHARE times as long as its
 * work does, and no more.
 *
 * Where the thread would take its time from the reader, on one processor or within a quota, it naps
 * at once.
 */
#define SPIN_LEAST_NS 30000
#define SPIN_MOST_NS  1000000
#define SPIN_SHARE    3
#define NAP_NS	      50000
#define NAPS	      20
/* The nap if a BPF program takes hints as well, which normally leaves none to the thread. */
#define BESIDE_NAP_NS 1000000
/* The longest rest without membarrier(2), when the thread can miss the bell. */
#define BLIND_REST_NS 100000000
#define STACK_BYTES   (256U << 10)
/* Cached pages are counted in parts of this size: 2^22 pages, some 20 ms. */
#define COUNT_BYTES (16ULL << 30)
/*
 * A caller with a request rings again after this time, because the other process of a shared ring
 * can undo the bell's change before the thread has seen it.
 */
#define RING_AGAIN_NS 10000000

static uint64_t bytes_of(const struct own *o, uint32_t file)
{
	struct stat st;

	if (file >= PAGEHINT_MAX_FILES || o->files[file] < 0 || fstat(o->files[file], &st))
		return 0;
	return st.st_size;
}

static uint64_t size_of(void *ctx, uint32_t file)
{
	return bytes_of(ctx, file);
}

static bool ends(const struct own *o)
{
	return __atomic_load_n(&o->asked, __ATOMIC_ACQUIRE) == OWN_END;
}

/*
 * A piece is no longer in flight. AWAIT: wait for that, by reading a byte of its last page. What the
 * read returns does not matter.
 */
static void arrived(const struct own *o, struct own_piece *p, bool await)
{
	ssize_t n;
	char byte;

	if (p->file < 0)
		return;
	if (await) {
		n = pread(o->files[p->file], &byte, 1, p->at);
		(void)n;
	}
	p->file = -1;
	__atomic_sub_fetch(o->limits->in_flight, 1, __ATOMIC_RELAXED);
}

/*
 * Wait for the older half of the pieces. Returns whether others may be in flight. A disk answers the
 * reads of a file in about the order in which they were submitted, so of pieces of one file the latest
 * is waited for. To read of each takes the thread a fifth of the time of submitting it, and a page that
 * the program reads once looks to the kernel like one that is used again and again.
 */
static bool await_half(struct own *o)
{
	uint64_t end = o->nr_awaited + (o->nr_sent - o->nr_awaited + 1) / 2, i;
	struct own_piece *p;
	int file = -1, next;

	for (i = end; i > o->nr_awaited; i--) {
		p = &o->flight[(i - 1) % OWN_FLIGHT];
		next = p->file;
		arrived(o, p, next != file);
		file = next;
	}
	o->nr_awaited = end;
	return o->nr_awaited != o->nr_sent;
}

/* Note a submitted piece. Before, wait until no more are in flight than the limits allow. */
static void sent(struct own *o, int file, uint64_t last_page)
{
	while (o->nr_sent - o->nr_awaited >= o->limits->flight(o->limits->ctx))
		await_half(o);
	o->flight[o->nr_sent++ % OWN_FLIGHT] = (struct own_piece){ file, last_page };
	__atomic_add_fetch(o->limits->in_flight, 1, __ATOMIC_RELAXED);
}

/* How many of N bytes from AT of a file are absent: all N, if the kernel does not tell. */
static uint64_t absent_bytes(const struct own *o, int file, uint64_t at, uint64_t n)
{
	int64_t cached = 0;

	if (o->results[file].stat.forced != PAGEHINT_UNKNOWN)
		cached = cached_pages(o->files[file], at, n);
	return cached > 0 ? n - cached * o->page_size : n;
}

/* Count the pages of N bytes from AT that have come, ABSENT bytes having been absent before. */
static void count_forced(struct own *o, int file, uint64_t at, uint64_t n, uint64_t absent)
{
	struct result *r = &o->results[file];
	int64_t cached;

	if (r->stat.forced == PAGEHINT_UNKNOWN)
		return;
	cached = cached_pages(o->files[file], at, n) - (n - absent) / o->page_size;
	if (cached > 0)
		result_set_forced(r, r->stat.forced + cached);
}

/* Counted in parts: one call for a large file would delay the end of the thread. */
static uint64_t pages_cached_of(const struct own *o, uint32_t file)
{
	uint64_t at, size = bytes_of(o, file), pages = 0;
	int64_t n;

	for (at = 0; at < size && !ends(o); at += COUNT_BYTES) {
		n = cached_pages(o->files[file], at, COUNT_BYTES);
		pages += n > 0 ? n : 0;
	}
	return pages;
}

uint64_t own_cached(const struct own *o)
{
	uint64_t pages = 0;
	uint32_t i;

	for (i = 0; i < PAGEHINT_MAX_FILES; i++) {
		if (o->files[i] >= 0)
			pages += pages_cached_of(o, i);
	}
	return pages * o->page_size;
}

/* Have the kernel read N bytes from AT of a file; false: give up the rest of this range. */
static bool read_in(struct own *o, int file, uint64_t at, uint64_t n)
{
	uint64_t absent = absent_bytes(o, file, at, n);

	if (!absent)
		return true;
	if (o->limits && !o->limits->admit(o->limits->ctx, absent))
		return false;
	/* A file without a page cache has nothing in flight. */
	if (readahead(o->files[file], at, n))
		return false;
	count_forced(o, file, at, n, absent);
	if (o->limits)
		sent(o, file, at + n - o->page_size);
	return true;
}

/* One thread submits as fast as a device reads scattered pages; more, or io_uring, gain nothing. */
static void submit(struct own *o, const struct request *r)
{
	uint64_t at = r->first * o->page_size, end = r->end * o->page_size, n;

	for (; at < end && !ends(o); at += n) {
		n = end - at < OWN_PIECE_BYTES ? end - at : OWN_PIECE_BYTES;
		if (!read_in(o, r->file, at, n))
			return;
	}
}

/* Does a BPF program take hints from this ring, too? */
static bool is_shared(const struct own *o)
{
	return o->limits && o->limits->take;
}

/* AT_ONCE: take all hints, also those that are left for the BPF program. */
static size_t take(struct own *o, bool at_once)
{
	if (is_shared(o))
		return o->limits->take(o->limits->ctx, &o->consumer, o->hints, OWN_BATCH, at_once);
	return ring_take(&o->consumer, o->hints, OWN_BATCH);
}

/* Serve a batch of hints; false if there are none. */
static bool serve(struct own *o, bool at_once)
{
	size_t i, n = take(o, at_once);
	size_t nr = requests_make(o->requests, o->hints, n, o->page_size, size_of, o);

	for (i = 0; i < nr; i++)
		submit(o, &o->requests[i]);
	return n;
}

/*
 * The file is opened anew, by its path in the caller's table of descriptors: so the thread shares
 * neither flags, position nor locks with the caller.
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
	if (o->files[id] < 0)
		return -errno;
	/* await() reads one byte; that must not start readahead. */
	posix_fadvise(o->files[id], 0, 0, POSIX_FADV_RANDOM);
	result_reset(&o->results[id], o->may_count && cached_is_told(o->files[id]));
	return id;
}

static int close_file(struct own *o)
{
	int i;

	if (o->id < 0 || o->id >= PAGEHINT_MAX_FILES || o->files[o->id] < 0)
		return -EBADF;
	/* A program must not have more in flight by giving files back: wait for the file's pieces. */
	for (i = 0; i < OWN_FLIGHT; i++) {
		if (o->flight[i].file == o->id)
			arrived(o, &o->flight[i], true);
	}
	close(o->files[o->id]);
	o->files[o->id] = -1;
	return 0;
}

static void answer(struct own *o)
{
	o->result = 0;
	switch (o->asked) {
	case OWN_START:
		if (syscall(SYS_close_range, 0U, ~0U, CLOSE_RANGE_UNSHARE))
			o->result = -errno;
		/* The descriptor is in the thread's own table, so it closes none of the program's. */
		o->spins = !is_shared(o) && processors_spare(PROCESSORS_GROUPS, PROCESSORS_FOLDERS);
		break;
	case OWN_OPEN:
		o->result = open_file(o);
		break;
	case OWN_CLOSE:
		o->result = close_file(o);
		break;
	case OWN_END:
		while (o->awaits && await_half(o))
			;
		break;
	}
	__atomic_store_n(&o->asked, OWN_NOTHING, __ATOMIC_RELEASE);
	syscall(SYS_futex, &o->asked, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static bool is_asked(const struct own *o)
{
	return __atomic_load_n(&o->asked, __ATOMIC_ACQUIRE) != OWN_NOTHING;
}

static bool is_idle(const struct own *o)
{
	return ring_is_empty(&o->consumer) && !is_asked(o);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* After NS nanoseconds of work the thread may look for hints the longer. */
static void earn(struct own *o, uint64_t ns)
{
	o->spin_ns += SPIN_SHARE * ns;
	if (o->spin_ns > SPIN_MOST_NS)
		o->spin_ns = SPIN_MOST_NS;
}

/* This loop makes no sched_yield(2): a thread that yields comes too late for the next hints. */
static void spin(struct own *o)
{
	uint64_t most = o->spin_ns > SPIN_LEAST_NS ? o->spin_ns : SPIN_LEAST_NS;
	uint64_t begin = now_ns(), took = 0;

	while (is_idle(o) && took < most)
		took = now_ns() - begin;
	o->spin_ns -= took < o->spin_ns ? took : o->spin_ns;
}

/* The nap ends by time only: a program that rings all the time must not keep the thread awake. */
static void nap(const struct own *o)
{
	const struct timespec t = { 0, is_shared(o) ? BESIDE_NAP_NS : NAP_NS };

	/* Hints that lie in the ring are for the BPF program. */
	if (is_shared(o) ? !is_asked(o) : is_idle(o))
		nanosleep(&t, NULL);
}

/*
 * On one processor a woken thread takes the processor from the one that woke it, so the first hint
 * after a pause would last as long as the work that it starts. A thread of SCHED_BATCH waits until
 * the processor is free. If the program has chosen another policy, the thread keeps that.
 */
static void set_policy(const struct own *o, int policy)
{
	const struct sched_param none = { 0 };

	if (o->is_normal)
		sched_setscheduler(0, policy, &none);
}

static void rest(struct own *o)
{
	uint32_t bell = ring_bell(&o->consumer);
	int64_t ns;

	/* Else the pieces of an idle program count as in flight, and other programs have less. */
	while (is_idle(o) && await_half(o))
		;
	set_policy(o, SCHED_BATCH);
	ring_wake(&o->consumer, true);
	ns = ring_barrier(&o->consumer) ? -1 : BLIND_REST_NS;
	if (is_idle(o))
		ring_rest(&o->consumer, bell, ns);
	ring_wake(&o->consumer, false);
	set_policy(o, SCHED_OTHER);
}

/* ROUNDS: how often in a row there were no hints. */
static void wait_for_hints(struct own *o, unsigned int rounds)
{
	if (!rounds && o->spins)
		spin(o);
	else if (rounds <= NAPS)
		nap(o);
	else
		rest(o);
}

static void *drain(void *ctx)
{
	struct own *o = ctx;
	unsigned int idle = 0;
	uint64_t begin;
	bool asked;

	o->worker = syscall(SYS_gettid);
	/* With the default timer slack a nap takes twice as long. */
	prctl(PR_SET_TIMERSLACK, 1UL);
	o->is_normal = sched_getscheduler(0) == SCHED_OTHER;
	while (!ends(o)) {
		/* Read `asked` first, so that hints from before the request are served before it. */
		asked = is_asked(o);
		begin = now_ns();
		if (serve(o, asked)) {
			earn(o, now_ns() - begin);
			/* The thread may delay the caller that woke it, so it naps at once. */
			idle = idle > NAPS;
		} else if (asked) {
			answer(o);
		} else {
			/* After a rest that no hint has ended, nap first: each rest is a barrier for all. */
			if (idle > NAPS + 1)
				idle = 1;
			wait_for_hints(o, idle);
			idle++;
		}
	}
	answer(o);
	return NULL;
}

/* Ask the thread to do WHAT, and wait until it is done. */
static int ask(struct own *o, enum own_asked what)
{
	const struct timespec again = { 0, RING_AGAIN_NS };

	__atomic_store_n(&o->asked, what, __ATOMIC_RELEASE);
	while (is_asked(o)) {
		ring_ring(o->ring, o->consumer.shared);
		syscall(SYS_futex, &o->asked, FUTEX_WAIT_PRIVATE, what, &again, NULL, 0);
	}
	return o->result;
}

/* The thread blocks all signals, as the program's handlers are not made for it. */
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

struct own *own_start(struct ring *r, uint64_t nr_words, struct result *results,
		      const struct own_limits *limits)
{
	struct own *o = calloc(1, sizeof(*o));
	int err;

	if (!o)
		return NULL;
	memset(o->files, 0xff, sizeof(o->files));
	memset(o->flight, 0xff, sizeof(o->flight));
	o->ring = r;
	o->results = results;
	o->limits = limits;
	o->page_size = sysconf(_SC_PAGESIZE);
	/* Only a server sets limits, and its producers are other processes. */
	ring_consumer_init(&o->consumer, r, nr_words, limits);
	err = create(o);
	if (err) {
		free(o);
		errno = err;
		return NULL;
	}
	err = ask(o, OWN_START);
	if (err) {
		own_stop(o, false);
		errno = -err;
		return NULL;
	}
	return o;
}

int own_open(struct own *o, int fd, bool may_count)
{
	o->tid = syscall(SYS_gettid);
	o->fd = fd;
	o->may_count = may_count;
	return ask(o, OWN_OPEN);
}

int own_close(struct own *o, int id)
{
	o->id = id;
	return ask(o, OWN_CLOSE);
}

void own_stop(struct own *o, bool await)
{
	o->awaits = await;
	ask(o, OWN_END);
	pthread_join(o->thread, NULL);
	free(o);
}
