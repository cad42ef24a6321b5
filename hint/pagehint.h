/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pagehint: tell which parts of files will be read soon, without a system call for each.
 *
 * A handle has a queue in memory, into which pagehint_willneed() writes, and a thread (of this
 * process, or of a server) that has the kernel read the hinted pages, ahead of the reader. A hint
 * never blocks and never changes the data that a program reads: at worst pages are read that no
 * program needs, or a hinted page is still read by its reader. pagehint(7) explains when this is
 * quicker than posix_fadvise(2), and pagehint(3) has all errors.
 *
 * Threads: a handle is for one thread at a time. A program that hints from several threads
 * connects one handle for each, or has a lock around the handle. Without either, hints are lost
 * or wrong; nothing else is harmed.
 *
 * fork(2): a handle belongs to the process that connected it. In a child every function returns
 * -ESTALE, except pagehint_close(), which frees the child's copy of the handle. The child connects
 * a handle of its own.
 *
 * NULL in place of a handle is allowed: every function then returns -EINVAL, and does nothing. So a
 * program whose pagehint_connect() failed may call the others all the same, without effect.
 */
#ifndef PAGEHINT_H
#define PAGEHINT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pagehint;

/* A part of a file, in bytes. It may begin or end beyond the end of the file. */
struct pagehint_range {
	uint64_t offset;
	uint64_t length;
};

/* Files that one handle may have at a time. */
#define PAGEHINT_MAX_FILES 4096

/*
 * Make a handle. With NULL for PATH a thread of this process drains the queue. Any other PATH is the
 * socket of a server, `pcforce --serve PATH`, which then drains it; if there is no server, a program
 * can go on with pagehint_connect(NULL).
 * Returns NULL and sets errno: ECONNREFUSED (no server at PATH), EACCES (a server of another user),
 * EAGAIN (no more threads, or connections of the server), EPROTONOSUPPORT (a server of another
 * version), ENOMEM, or an error of close_range(2) or membarrier(2); pagehint(3) has all.
 */
struct pagehint *pagehint_connect(const char *path);

/*
 * Name the file of descriptor FD, a regular file that is open for reading. The library opens the
 * file again for itself: FD may be closed at any time, and its locks, position and advice are left
 * alone. Hints are for this file, even if its name is given to another file later.
 * Returns an id of 0 or more for pagehint_willneed(), or -errno: -EBADF (not open, or not for
 * reading), -EINVAL (no regular file), -EMFILE, -ESTALE, or an error of open(2) for
 * /proc/self/task/TID/fd/FD: -EACCES if the process has given up the right to the file, -ENOENT
 * without /proc. With a server also -EOPNOTSUPP (a file of FUSE or of the network) and -ECONNRESET
 * (the server is gone). Takes some 50 us: name a file once.
 */
int pagehint_file(struct pagehint *h, int fd);

/*
 * Give an id back and close the library's descriptor of its file, after the hints before this
 * call have been served. Returns 0, -EBADF (no such id), -ESTALE, or -ECONNRESET.
 */
int pagehint_forget(struct pagehint *h, int id);

/*
 * LENGTH bytes from OFFSET of file ID will be read soon; whole pages are read in. A LENGTH of
 * UINT64_MAX reaches to the end of the file. Bytes beyond the end are silently left out.
 * Takes some nanoseconds. Only the first call after a pause of a millisecond makes a system call,
 * which wakes the thread.
 * Returns 0, -EAGAIN (the queue is full: this hint is dropped), -EBADF (no such id) or -ESTALE.
 */
int pagehint_willneed(struct pagehint *h, int id, uint64_t offset, uint64_t length);

/*
 * The same for N ranges of one file at once, which is cheaper. Ranges that will be read first come
 * first. Returns as pagehint_willneed(); -EAGAIN if some of the ranges are dropped.
 */
int pagehint_willneed_many(struct pagehint *h, int id, const struct pagehint_range *ranges,
			   size_t n);

/* How many ranges were dropped so far because the queue was full; 0 without a handle. */
uint64_t pagehint_dropped(const struct pagehint *h);

/* A count that nobody keeps, or that this process may not know. */
#define PAGEHINT_UNKNOWN UINT64_MAX

/*
 * Counts of a file since pagehint_file() named it. Each is PAGEHINT_UNKNOWN where it is not known:
 * only a server that may load BPF knows hits, misses, late and used; pagehint(3) says more. Hits,
 * misses and late are accesses of this process to the file: hits found their page cached, misses
 * did not, late are the hits that had to wait for the page. Forced are pages that entered the page
 * cache by hints, used those of them that this process has accessed since.
 */
struct pagehint_stat {
	uint64_t hits;
	uint64_t misses;
	uint64_t late;
	uint64_t forced;
	uint64_t used;
};

/*
 * Read the counts of file ID from memory, without a system call. They are at most 10 ms old, or
 * older if the server is late.
 * Returns 0, -EAGAIN (they are just being written), -EBADF (no such id) or -ESTALE.
 */
int pagehint_stat(struct pagehint *h, int id, struct pagehint_stat *st);

/* Limits of pagehint_predict(): kinds of decisions, and numbers for one decision. */
#define PAGEHINT_DOMAINS  8
#define PAGEHINT_FEATURES 8

/*
 * Guess how a decision of kind DOMAIN will come out, from the N numbers (features) that describe it
 * and from the outcomes that pagehint_update() was told. Each feature counts by its value alone:
 * bring values that mean the same to one value. The features of a domain always have the same order.
 * Makes no system call; takes some 10 ns.
 * Returns 1 (yes) or 0 (no), -EINVAL (no such domain, none or too many features) or -ESTALE.
 */
int pagehint_predict(struct pagehint *h, unsigned int domain, const uint64_t *features, size_t n);

/*
 * Tell how the decision came out: DIRECTION is 0 for no. Takes some 15 ns.
 * Returns 0, -EINVAL or -ESTALE as pagehint_predict().
 */
int pagehint_update(struct pagehint *h, unsigned int domain, const uint64_t *features, size_t n,
		    int direction);

/*
 * End the thread, or the connection, and free everything. Hints that have not been served are
 * dropped. Waits until the thread has finished its current request to the disk, which normally is
 * only submitted. Returns 0, or -EINVAL for NULL.
 */
int pagehint_close(struct pagehint *h);

#ifdef __cplusplus
}
#endif

#endif
