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
 * The kernel would read on behind the run's end; its last two windows are
 * therefore read by readahead(2), which the reader does not have to wait for.
 * Where the kernel's window is narrow, all of the run is read exactly: by faults
 * on PMD-sized folios where those fit, which read just their own 2 MiB, and by
 * readahead(2) for the rest.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "file/residency.h"
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

/* The readahead setting of a device, in KiB. */
static unsigned long read_ahead_kb(dev_t dev)
{
	unsigned long kb;
	char path[96];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb", major(dev), minor(dev));
	f = fopen(path, "re");
	if (!f || fscanf(f, "%lu", &kb) != 1)
		kb = 8192; /* not known: the guard behind a stream has to be wide */
	if (f)
		fclose(f);
	return kb;
}

void submit_limits(dev_t dev, struct submit_limits *limits)
{
	unsigned long kb = read_ahead_kb(dev);

	limits->dev = dev;
	limits->window_pages = kb * 1024 / page_size();
	if (kb * 1024 > MAX_CHUNK_BYTES)
		kb = MAX_CHUNK_BYTES / 1024;
	if (kb * 1024 < MIN_CHUNK_BYTES)
		kb = MIN_CHUNK_BYTES / 1024;
	limits->chunk_pages = kb * 1024 / page_size();
}

static void submit_chunks(const struct submit_file *f, uint64_t index, uint64_t nr,
			  const volatile bool *stop)
{
	uint64_t n;

	for (; nr && !*stop; nr -= n, index += n) {
		n = nr < f->limits.chunk_pages ? nr : f->limits.chunk_pages;
		/* Unsupported or failing: the pages are read one by one when verified. */
		if (readahead(f->fd, index * page_size(), n * page_size()))
			return;
	}
}

/*
 * A fault in a VM_HUGEPAGE | VM_RAND_READ mapping reads one PMD-sized folio and
 * nothing else (do_sync_mmap_readahead()), and waits for it. Blocks of which the
 * cache has something by now are not waited for: what of them is absent goes
 * the ordinary way. Returns the pages that are dealt with.
 */
static uint64_t submit_huge(const struct submit_file *f, uint64_t index, uint64_t nr,
			    const volatile bool *stop)
{
	const uint64_t huge = HUGE_BYTES / page_size();
	uint64_t bytes = nr * page_size(), at = 0, cached;
	char *room, *map;

	room = mmap(NULL, bytes + HUGE_BYTES, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (room == MAP_FAILED)
		return 0;
	map = (char *)(((uintptr_t)room + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1));
	map = mmap(map, bytes, PROT_READ, MAP_SHARED | MAP_FIXED, f->fd, index * page_size());
	if (map != MAP_FAILED && !madvise(map, bytes, MADV_HUGEPAGE) &&
	    !madvise(map, bytes, MADV_RANDOM)) {
		for (; at < nr && !*stop; at += huge) {
			if (residency_count(f->fd, index + at, huge, &cached) || cached)
				submit_chunks(f, index + at, huge, stop);
			else if (madvise(map + at * page_size(), page_size(), MADV_POPULATE_READ))
				break;
		}
	}
	munmap(room, bytes + HUGE_BYTES);
	return at;
}

static void submit_exact(const struct submit_file *f, uint64_t index, uint64_t nr,
			 const volatile bool *stop)
{
	const uint64_t huge = HUGE_BYTES / page_size();
	uint64_t first = (index + huge - 1) / huge * huge;
	uint64_t last = (index + nr) / huge * huge, done;

	if (first >= last) {
		submit_chunks(f, index, nr, stop);
		return;
	}
	submit_chunks(f, index, first - index, stop);
	done = submit_huge(f, first, last - first, stop);
	submit_chunks(f, first + done, index + nr - first - done, stop);
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

	if (nr >= SUBMIT_LONG_PAGES && f->limits.window_pages * page_size() >= WIDE_WINDOW_BYTES) {
		if (run_end < f->nr_pages)
			stream_end = run_end > 2 * f->limits.window_pages
					     ? run_end - 2 * f->limits.window_pages
					     : 0;
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
