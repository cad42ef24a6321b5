/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the test programs ask the kernel about a page before they touch it.
 *
 * The answers come from system calls that neither look a page up the way a
 * reader does nor fault, so asking changes no count of the tools under test.
 */
#ifndef ORACLE_H
#define ORACLE_H

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#ifndef __NR_cachestat
#define __NR_cachestat 451
#endif

/* Debian 12's headers are older than the system call. */
struct oracle_cachestat_range {
	uint64_t off, len;
};

struct oracle_cachestat {
	uint64_t cache, dirty, writeback, evicted, recently_evicted;
};

struct oracle {
	int fd;
	int pagemap;
	uint64_t size;
	uint64_t pages;
	uint64_t page_size;
	unsigned char *map; /* for mincore(2) alone: never touched */
	bool no_cachestat;
	int disk;	   /* its /sys/.../stat, -1 if it cannot be told which it is */
	bool worker;	   /* pages become valid in a worker, some time after the disk's answer */
	uint64_t requests; /* that the disk had answered when it was last seen idle */
};

static inline void __attribute__((noreturn, format(printf, 1, 2))) die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

static inline void nap_us(long us)
{
	struct timespec ts = { us / 1000000, us % 1000000 * 1000 };

	nanosleep(&ts, NULL);
}

static inline uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ULL + ts.tv_nsec / 1000;
}

/* Pages of the range in the page cache, those still being read included; -1 without cachestat(2). */
static inline int64_t oracle_count(struct oracle *o, uint64_t page, uint64_t nr)
{
	/* A length of 0 would mean up to the end of the file. */
	struct oracle_cachestat_range range = { page * o->page_size, nr * o->page_size };
	struct oracle_cachestat cs;

	if (!nr)
		return 0;
	if (o->no_cachestat || syscall(__NR_cachestat, o->fd, &range, &cs, 0))
		return -1;
	return cs.cache;
}

/* Read in and valid: what mincore(2) says. A page that is still being read is not. */
static inline bool oracle_uptodate(struct oracle *o, uint64_t page)
{
	unsigned char vec;

	if (mincore(o->map + page * o->page_size, o->page_size, &vec))
		die("mincore: %s", strerror(errno));
	return vec & 1;
}

static inline bool oracle_cached(struct oracle *o, uint64_t page)
{
	return o->no_cachestat ? oracle_uptodate(o, page) : oracle_count(o, page, 1) > 0;
}

/* Pages of the file that are read in and valid. */
static inline uint64_t oracle_valid(struct oracle *o)
{
	uint64_t page, n, i, nr = 0;
	unsigned char vec[4096];

	for (page = 0; page < o->pages; page += n) {
		n = o->pages - page < sizeof(vec) ? o->pages - page : sizeof(vec);
		if (mincore(o->map + page * o->page_size, n * o->page_size, vec))
			die("mincore: %s", strerror(errno));
		for (i = 0; i < n; i++)
			nr += vec[i] & 1;
	}
	return nr;
}

static inline uint64_t oracle_resident(struct oracle *o)
{
	return o->no_cachestat ? oracle_valid(o) : (uint64_t)oracle_count(o, 0, o->pages);
}

/*
 * Somebody started the I/O: wait for its end, but never for ever. False if the
 * page was evicted meanwhile, which the kernel may do at any time.
 */
static inline bool oracle_wait_uptodate(struct oracle *o, uint64_t page)
{
	uint64_t end = now_us() + 30000000;

	while (!oracle_uptodate(o, page)) {
		if (!o->no_cachestat && !oracle_cached(o, page))
			return false;
		if (now_us() > end)
			die("page %ju is not read in after 30 s", (uintmax_t)page);
		nap_us(20);
	}
	return true;
}

/*
 * Without cachestat(2) a page that is being read looks absent: wait until the disk
 * has nothing to do. A request ends after its pages became valid, or after a worker was
 * told, which is done when no more pages become valid.
 */
static inline void oracle_settle(struct oracle *o)
{
	unsigned long reads, inflight;
	uint64_t valid;
	char text[256];
	ssize_t n;

	do {
		n = o->disk < 0 ? -1 : pread(o->disk, text, sizeof(text) - 1, 0);
		if (n <= 0) {
			nap_us(5000);
			return;
		}
		text[n] = 0;
	} while (sscanf(text, "%lu %*u %*u %*u %*u %*u %*u %*u %lu", &reads, &inflight) != 2 ||
		 inflight);
	if (o->worker && reads != o->requests) {
		do {
			valid = oracle_valid(o);
			nap_us(2000);
		} while (oracle_valid(o) != valid);
	}
	o->requests = reads;
}

/* The disk below a file; a file system of btrfs has a device number of its own, and a folder for its disks. */
static inline void oracle_find_disk(struct oracle *o, dev_t dev)
{
	char path[64];
	glob_t found;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/stat", major(dev), minor(dev));
	o->disk = open(path, O_RDONLY | O_CLOEXEC);
	if (o->disk >= 0 || glob("/sys/fs/btrfs/*/devices/*/stat", 0, NULL, &found))
		return;
	/* Of several it cannot be told which. */
	if (found.gl_pathc == 1)
		o->disk = open(found.gl_pathv[0], O_RDONLY | O_CLOEXEC);
	o->worker = true;
	globfree(&found);
}

/* Whether this process has the address mapped: then touching it is no fault. */
static inline bool oracle_mapped(struct oracle *o, const volatile void *addr)
{
	uint64_t entry;

	if (pread(o->pagemap, &entry, sizeof(entry),
		  (uintptr_t)addr / o->page_size * sizeof(entry)) != sizeof(entry))
		die("/proc/self/pagemap: %s", strerror(errno));
	return entry >> 63;
}

static inline void oracle_open(struct oracle *o, int fd)
{
	struct stat st;

	memset(o, 0, sizeof(*o));
	if (fstat(fd, &st))
		die("fstat: %s", strerror(errno));
	o->fd = fd;
	o->page_size = sysconf(_SC_PAGESIZE);
	o->size = st.st_size;
	o->pages = (o->size + o->page_size - 1) / o->page_size;
	if (!o->pages)
		die("the file is empty");
	o->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (o->pagemap < 0)
		die("/proc/self/pagemap: %s", strerror(errno));
	/* MAP_STACK keeps khugepaged off, which reads in what is absent of a file that is mapped. */
	o->map = mmap(NULL, o->size, PROT_READ, MAP_SHARED | MAP_STACK, fd, 0);
	if (o->map == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	oracle_find_disk(o, st.st_dev);
	o->no_cachestat = oracle_count(o, 0, 1) < 0;
	if (o->no_cachestat && errno != ENOSYS)
		die("cachestat: %s", strerror(errno));
}

/* Mapped pages stay, and so do dirty ones: nothing of either may be left before this. */
static inline void oracle_evict(struct oracle *o)
{
	int try;

	if (fsync(o->fd))
		die("fsync: %s", strerror(errno));
	for (try = 0; try < 200; try++) {
		int err = posix_fadvise(o->fd, 0, 0, POSIX_FADV_DONTNEED);

		if (err)
			die("fadvise: %s", strerror(err));
		if (!oracle_resident(o))
			return;
		nap_us(5000);
	}
	die("%ju pages cannot be evicted", (uintmax_t)oracle_resident(o));
}

static inline void oracle_readahead(struct oracle *o, uint64_t page)
{
	if (readahead(o->fd, page * o->page_size, o->page_size))
		die("readahead: %s", strerror(errno));
}

/* Read in without a lookup or a fault. One call may be clamped: ask page by page. */
static inline void oracle_load(struct oracle *o, uint64_t page, uint64_t nr)
{
	uint64_t i, end = page + nr < o->pages ? page + nr : o->pages;

	for (i = page; i < end; i++)
		oracle_readahead(o, i);
	for (i = page; i < end; i++)
		while (!oracle_wait_uptodate(o, i))
			oracle_readahead(o, i);
}

#endif
