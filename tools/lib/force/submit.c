// SPDX-License-Identifier: GPL-2.0-only
/*
 * Measured on a virtio disk, 512 MiB, Linux 6.18 (make bench shows it anywhere):
 *
 * Scattered pages: one thread of readahead(2) calls reaches the device's own
 * limit; io_uring and more threads gain nothing. Its folios are of order 0.
 *
 * Long runs: order-0 folios cost the device twice the segments and the reader
 * up to three times as much afterwards (0.11 against 0.035 s for 256 MiB by
 * 4 KiB reads). The kernel's own readahead makes large ones and, where its
 * window is wide, is at the device's limit. So such a run is gone through as a
 * sequential reader that copies nothing: no slower for a reader that does the
 * same (anything else gets into its way: 0.12 to 0.14 s against 0.10), and less
 * disturbed by one that reads at random (0.28 against 0.35 s for 512 MiB).
 * The kernel would read on behind the run's end; its last three windows are
 * therefore read by readahead(2), which the reader does not have to wait for.
 * Where the kernel's window is narrow, or the run no longer than that, all of the run is
 * read exactly: by faults on PMD-sized folios where those fit, and by readahead(2)
 * for the rest.
 *
 * No readahead marker may be left from which a later reader's window, which
 * POSIX_FADV_SEQUENTIAL doubles, reaches beyond the run: the kernel would read there.
 * A stream leaves its last marker within one window of where it stopped; readahead(2)
 * sets none.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "file/residency.h"
#include "file/uuid.h"
#include "force/submit.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* Linux 5.14 */
#endif

#define STREAM_BYTES (8UL << 20)
/* A window from which the kernel's readahead is as fast as anything. */
#define WIDE_WINDOW_BYTES (1UL << 20)
#define HUGE_BYTES	  (2UL << 20)
/* force_page_cache_readahead() works in pieces of this size anyway. */
#define MAX_CHUNK_BYTES (2UL << 20)
#define MIN_CHUNK_BYTES (128UL << 10)
/* How often a request is looked at that is waited for: for a second at least. */
#define LOOK_NS	  200000
#define MAX_LOOKS 5000

/* Where the window is not known, what lies behind a run has to be safe from the widest. */
#define UNKNOWN_WINDOW_BYTES (8UL << 20)

/*
 * The readahead setting of the device of a file. btrfs has one for all of its devices.
 * Returns NULL where it is not known, as in an overlay, whose files lie on another device.
 */
static FILE *open_setting(int fd, dev_t dev)
{
	char path[128], text[UUID_TEXT];
	struct uuid uuid;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb", major(dev), minor(dev));
	f = fopen(path, "re");
	if (f)
		return f;
	uuid = uuid_of_fs(fd, BTRFS_SUPER_MAGIC);
	uuid_text(&uuid, text);
	snprintf(path, sizeof(path), "/sys/fs/btrfs/%s/bdi/read_ahead_kb", text);
	return fopen(path, "re");
}

void submit_limits(int fd, dev_t dev, struct submit_limits *limits)
{
	FILE *f = open_setting(fd, dev);
	unsigned long kb, chunk = MIN_CHUNK_BYTES, window = UNKNOWN_WINDOW_BYTES;

	limits->dev = dev;
	limits->known = f && fscanf(f, "%lu", &kb) == 1;
	if (f)
		fclose(f);
	if (limits->known)
		chunk = window = kb * 1024;
	if (chunk > MAX_CHUNK_BYTES)
		chunk = MAX_CHUNK_BYTES;
	if (chunk < MIN_CHUNK_BYTES)
		chunk = MIN_CHUNK_BYTES;
	limits->window_pages = window / page_size();
	limits->chunk_pages = chunk / page_size();
}

/*
 * Is the page of a request in the cache and not up to date? Where nobody tells, as before
 * cachestat(2), it is not.
 */
static bool under_way(struct submit_queue *q, const struct submit_request *r)
{
	unsigned char uptodate;
	uint64_t cached;

	if (residency_count(r->fd, r->index, 1, &cached) || !cached)
		return false;
	if (r->fd != q->map.fd)
		residency_unmap(&q->map);
	q->map.fd = r->fd;
	return !residency_uptodate(&q->map, r->index, 1, &uptodate) && !(uptodate & 1);
}

/*
 * Before one more request: if the queue is full, wait until a quarter of it has arrived. A page
 * whose reading has failed does not arrive: it is given up after a second.
 */
static void await_room(struct submit_queue *q, const volatile bool *stop)
{
	const struct timespec pause = { .tv_nsec = LOOK_NS };
	const unsigned int quarter = SUBMIT_IN_FLIGHT / 4;
	const struct submit_request *r = &q->requests[(q->nr + quarter - 1) % SUBMIT_IN_FLIGHT];
	unsigned int looks;

	if (q->nr < SUBMIT_IN_FLIGHT || q->nr % quarter)
		return;
	for (looks = 0; looks < MAX_LOOKS && !*stop && under_way(q, r); looks++)
		nanosleep(&pause, NULL);
}

void submit_queue_free(struct submit_queue *q)
{
	residency_unmap(&q->map);
}

static void submit_chunks(const struct submit_file *f, uint64_t index, uint64_t nr,
			  const volatile bool *stop)
{
	uint64_t n;

	for (; nr && !*stop; nr -= n, index += n) {
		n = nr < f->limits.chunk_pages ? nr : f->limits.chunk_pages;
		await_room(f->queue, stop);
		f->queue->requests[f->queue->nr++ % SUBMIT_IN_FLIGHT] =
			(struct submit_request){ f->fd, index + n - 1 };
		/* Unsupported or failing: the pages are read one by one when verified. */
		if (readahead(f->fd, index * page_size(), n * page_size()))
			return;
	}
}

/* From here on a reader's own window reaches over all of a PMD-sized folio. */
static bool wide_window(const struct submit_file *f)
{
	return f->limits.window_pages * page_size() >= WIDE_WINDOW_BYTES;
}

/*
 * A fault in a VM_HUGEPAGE mapping reads a PMD-sized folio and waits for it
 * (do_sync_mmap_readahead()). With VM_RAND_READ it reads nothing else, and leaves its
 * readahead marker on that very folio. Without, it wants the next 2 MiB as well and
 * would mark those: going backward, it finds them cached, and no marker is left.
 * Blocks of which the cache has something by now are not waited for: what of them
 * is absent goes the ordinary way.
 */
static void submit_huge(const struct submit_file *f, uint64_t index, uint64_t nr,
			const volatile bool *stop)
{
	const uint64_t huge = HUGE_BYTES / page_size();
	uint64_t bytes = nr * page_size(), done, at, cached;
	const bool backward = wide_window(f);
	char *room, *map;

	room = mmap(NULL, bytes + HUGE_BYTES, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (room == MAP_FAILED) {
		submit_chunks(f, index, nr, stop);
		return;
	}
	map = (char *)(((uintptr_t)room + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1));
	map = mmap(map, bytes, PROT_READ, MAP_SHARED | MAP_FIXED, f->fd, index * page_size());
	if (map == MAP_FAILED || madvise(map, bytes, MADV_HUGEPAGE) ||
	    (!backward && madvise(map, bytes, MADV_RANDOM))) {
		submit_chunks(f, index, nr, stop);
		nr = 0;
	}
	for (done = 0; done < nr && !*stop; done += huge) {
		at = backward ? nr - huge - done : done;
		if (residency_count(f->fd, index + at, huge, &cached) || cached ||
		    madvise(map + at * page_size(), page_size(), MADV_POPULATE_READ))
			submit_chunks(f, index + at, huge, stop);
	}
	munmap(room, bytes + HUGE_BYTES);
}

/*
 * Where the window is narrow, a marker on a folio of 2 MiB asks for nothing behind that
 * folio. Where it is wide, no folio is marked, and 4 MiB behind the last such folio are
 * read before: 6.12 and earlier look for that much there, if the 2 MiB behind are cached.
 */
static void submit_exact(const struct submit_file *f, uint64_t index, uint64_t nr,
			 const volatile bool *stop)
{
	const uint64_t huge = HUGE_BYTES / page_size();
	uint64_t first = (index + huge - 1) / huge * huge, end = index + nr;
	uint64_t guard = wide_window(f) && end < f->nr_pages ? 2 * huge : 0;
	uint64_t last = end / huge * huge;

	if (last < first + guard + huge) {
		submit_chunks(f, index, nr, stop);
		return;
	}
	last -= guard;
	submit_chunks(f, index, first - index, stop);
	submit_chunks(f, last, end - last, stop);
	submit_huge(f, first, last - first, stop);
}

/* Go up to page END as a sequential reader; returns the page it came to. */
static uint64_t submit_stream(const struct submit_file *f, uint64_t index, uint64_t end,
			      const volatile bool *stop)
{
	uint64_t to = end * page_size();
	off_t at = index * page_size();
	char path[64];
	int fd, null;

	/* Readahead state and advice belong to an open file: have one of its own. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", f->fd);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	while (fd >= 0 && null >= 0 && (uint64_t)at < to && !*stop) {
		/* To /dev/null nothing is copied. */
		if (sendfile(null, fd, &at, to - at < STREAM_BYTES ? to - at : STREAM_BYTES) <= 0)
			break;
	}
	if (fd >= 0)
		close(fd);
	if (null >= 0)
		close(null);
	return at / page_size();
}

void submit_pages(const struct submit_file *f, uint64_t index, uint64_t nr, uint64_t run_end,
		  const volatile bool *stop)
{
	uint64_t end = index + nr, stream_end = run_end, at = index;
	uint64_t guard = 3 * f->limits.window_pages;

	if (nr >= SUBMIT_LONG_PAGES && f->limits.known && wide_window(f)) {
		if (run_end < f->nr_pages)
			stream_end = run_end > guard ? run_end - guard : 0;
		if (stream_end > end)
			stream_end = end;
		if (stream_end > index)
			at = submit_stream(f, index, stream_end, stop);
	}
	if (at > index)
		submit_chunks(f, at, end - at, stop);
	else
		submit_exact(f, at, end - at, stop);
}

void submit_await(int fd, uint64_t index, uint64_t nr)
{
	char data[SUBMIT_AWAIT_BYTES];

	/* Errors show when the pages are verified. */
	if (pread(fd, data, nr * page_size(), index * page_size()) < 0)
		say_verbose("cannot read page %llu: %s", (unsigned long long)index,
			    strerror(errno));
}
