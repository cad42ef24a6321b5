// SPDX-License-Identifier: GPL-2.0-only
/*
 * Late hits made on purpose: somebody else starts the I/O of a page, and a
 * reader wants the page while it is on its way. A hit is late for certain when
 * the page was cached but not yet valid just before, and the reader then gave
 * up the CPU: on a present page nothing else blocks, as readahead is off here.
 *
 *	late [-m pread|splice|mmap] [-s readahead|nowait] [-P] [-n COUNT] [-w PAGES] FILE
 *
 * The starter is a thread, with -P a process. `nowait` makes it a reader whose
 * RWF_NOWAIT request is refused: an access that missed, and that nobody retries.
 * The last line on stdout is a JSON object.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "oracle.h"

/* Shared with the starter: which window it is to start, and which it has. */
struct shared {
	_Atomic uint64_t wanted, started;
};

static struct shared *shared;

static const char *how = "pread", *start = "readahead", *file;
static uint64_t windows = 64, window_pages = 256;
static struct oracle oracle;
static unsigned char *buf, *map;
static int fd, pipe_fd[2];

/* The last page of a window comes last: it is in flight the longest. */
static uint64_t target(uint64_t window)
{
	return (window + 1) * window_pages - 1;
}

static void start_window(int own_fd, uint64_t window)
{
	uint64_t bytes = window_pages * oracle.page_size;
	struct iovec iov = { buf + oracle.page_size, oracle.page_size };

	if (!strcmp(start, "readahead")) {
		if (readahead(own_fd, window * bytes, bytes))
			die("readahead: %s", strerror(errno));
		return;
	}
	/* The page is absent, so this misses, refused or (if the device is quick) not. */
	if (preadv2(own_fd, &iov, 1, target(window) * oracle.page_size, RWF_NOWAIT) < 0 &&
	    errno != EAGAIN)
		die("preadv2: %s", strerror(errno));
}

static void *starter(void *arg)
{
	/* Of its own, so that the reader's readahead state stays untouched. */
	int own_fd = open(file, O_RDONLY | O_CLOEXEC);
	uint64_t done;

	(void)arg;
	if (own_fd < 0 || posix_fadvise(own_fd, 0, 0, POSIX_FADV_RANDOM))
		die("%s: %s", file, strerror(errno));
	for (done = 0; done < windows; done++) {
		/* The other one may have to run on this very processor. */
		while (shared->wanted <= done)
			sched_yield();
		start_window(own_fd, done);
		shared->started = done + 1;
	}
	return NULL;
}

static void read_page(uint64_t page)
{
	loff_t at = page * oracle.page_size;
	ssize_t n = oracle.page_size;

	if (!strcmp(how, "mmap")) {
		(void)*(volatile unsigned char *)(map + at);
	} else if (!strcmp(how, "splice")) {
		n = splice(fd, &at, pipe_fd[1], NULL, oracle.page_size, 0);
		if (n > 0)
			n = read(pipe_fd[0], buf, oracle.page_size);
	} else {
		n = pread(fd, buf, oracle.page_size, at);
	}
	if (n != (ssize_t)oracle.page_size)
		die("%s: %zd %s", how, n, strerror(errno));
}

int main(int argc, char **argv)
{
	uint64_t i, misses = 0, inflight = 0, late = 0, otherwise = 0;
	bool process = false, nowait;
	pthread_t thread;
	pid_t child = -1;
	int c, status;

	while ((c = getopt(argc, argv, "m:s:n:w:P")) != -1) {
		switch (c) {
		case 'm':
			how = optarg;
			break;
		case 's':
			start = optarg;
			break;
		case 'n':
			windows = strtoull(optarg, NULL, 0);
			break;
		case 'w':
			window_pages = strtoull(optarg, NULL, 0);
			break;
		case 'P':
			process = true;
			break;
		default:
			return 2;
		}
	}
	if (argc - optind != 1 || !windows || !window_pages)
		return 2;
	file = argv[optind];
	nowait = !strcmp(start, "nowait");
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM) || pipe2(pipe_fd, O_CLOEXEC))
		die("%s: %s", file, strerror(errno));
	oracle_open(&oracle, fd);
	if (oracle.pages < windows * window_pages)
		die("%s: too small", file);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	buf = mmap(NULL, 2 * oracle.page_size, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (shared == MAP_FAILED || buf == MAP_FAILED)
		die("out of memory");
	oracle_evict(&oracle);
	map = mmap(NULL, oracle.size, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED || madvise(map, oracle.size, MADV_RANDOM))
		die("mmap: %s", strerror(errno));

	if (process)
		child = fork();
	if (!child) {
		starter(NULL);
		_exit(0);
	}
	if (!process && pthread_create(&thread, NULL, starter, NULL))
		die("pthread_create failed");
	for (i = 0; i < windows; i++) {
		struct rusage before, after;
		bool cached, uptodate, slept;

		shared->wanted = i + 1;
		/* Its I/O may end at once: do not wait for the starter to say so. */
		while (shared->started <= i && !oracle_cached(&oracle, target(i))) {
			if (process && waitpid(child, &status, WNOHANG) == child &&
			    shared->started <= i)
				die("the starter has died");
			sched_yield();
		}
		/* What readahead(2) has inserted is there, also where cachestat(2) is not to say so. */
		cached = (oracle.no_cachestat && !nowait && shared->started > i) ||
			 oracle_cached(&oracle, target(i));
		uptodate = oracle_uptodate(&oracle, target(i));
		getrusage(RUSAGE_THREAD, &before);
		read_page(target(i));
		getrusage(RUSAGE_THREAD, &after);
		slept = after.ru_nvcsw > before.ru_nvcsw;
		misses += !cached;
		inflight += cached && !uptodate;
		late += cached && !uptodate && slept;
		otherwise += cached && uptodate && slept;
	}
	if (process)
		waitpid(child, &status, 0);
	else
		pthread_join(thread, NULL);
	printf("{\"mode\": \"%s\", \"starter\": \"%s\", \"accesses\": %ju, \"misses\": %ju, "
	       "\"in_flight\": %ju, \"late\": %ju, \"hits_slept_otherwise\": %ju, "
	       "\"starter_accesses\": %ju, \"starter_misses\": %ju}\n",
	       how, start, (uintmax_t)windows, (uintmax_t)misses, (uintmax_t)inflight,
	       (uintmax_t)late, (uintmax_t)otherwise, (uintmax_t)(nowait ? windows : 0),
	       (uintmax_t)(nowait ? windows : 0));
	return fflush(stdout) ? 1 : 0;
}
