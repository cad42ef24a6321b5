// SPDX-License-Identifier: GPL-2.0-only
/*
 * hints call METHOD FILE: what a call costs its caller that says which page will be read soon,
 * over 1,000 calls between two looks at the clock, for scattered pages that are not cached.
 * hints read METHOD FILE: a reader of one page in ten at random, which knows 64 reads ahead.
 * hints stat WAY FILE: what it costs to ask about the file, or about anything, in the same way.
 * With SOCKET behind FILE hints go to the server there. FILE must not be cached; one line of JSON
 * is printed.
 */
#include <fcntl.h>
#include <linux/bpf.h>
#include <liburing.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "list.h"
#include "pagehint.h"

#define CALLS  1000
#define ROUNDS 13 /* of that many calls */
#define AHEAD  64 /* reads that are known */
#define PAGE   4096

static int fd, id;
static const char *server; /* the socket of one, NULL: a thread of our own */
static struct pagehint *hints;
static struct io_uring uring;
static struct pagehint_range ranges[CALLS];

static void check(int err, const char *what)
{
	if (err < 0)
		die(what, -err);
}

/* --- one way of saying it each */

static void say_nothing(uint64_t offset)
{
	/* Else the loop around it would be gone. */
	__asm__ volatile("" : : "r"(offset));
}

static void connect_hints(void)
{
	hints = pagehint_connect(server);
	if (!hints)
		die("pagehint_connect", errno);
	id = pagehint_file(hints, fd);
	check(id, "pagehint_file");
}

static void say_hint(uint64_t offset)
{
	pagehint_willneed(hints, id, offset, PAGE);
}

static void say_fadvise(uint64_t offset)
{
	posix_fadvise(fd, offset, PAGE, POSIX_FADV_WILLNEED);
}

static void say_readahead(uint64_t offset)
{
	readahead(fd, offset, PAGE);
}

static void start_uring(void)
{
	check(io_uring_queue_init(2 * CALLS, &uring, 0), "io_uring");
}

static void start_sqpoll(void)
{
	struct io_uring_params p = { .flags = IORING_SETUP_SQPOLL, .sq_thread_idle = 1000 };

	check(io_uring_queue_init_params(2 * CALLS, &uring, &p), "io_uring, SQPOLL");
}

static void say_uring(uint64_t offset)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&uring);

	if (!sqe)
		die("io_uring: its queue is full", 0);
	io_uring_prep_fadvise(sqe, fd, offset, PAGE, POSIX_FADV_WILLNEED);
	check(io_uring_submit(&uring), "io_uring_submit");
}

static void reap_uring(void)
{
	struct io_uring_cqe *cqe;
	unsigned int i;

	for (i = 0; i < CALLS; i++) {
		check(io_uring_wait_cqe(&uring, &cqe), "io_uring_wait_cqe");
		check(cqe->res, "IORING_OP_FADVISE");
		io_uring_cqe_seen(&uring, cqe);
	}
}

static const struct method {
	const char *name;
	void (*start)(void);
	void (*say)(uint64_t offset);
	void (*reap)(void);
	bool awake;  /* the other side has just done something */
	bool many;   /* all of a round in one call */
	bool before; /* another process has read all of it in */
} methods[] = {
	{ "none", .say = say_nothing },
	{ "before", .say = say_nothing, .before = true },
	{ "hint", connect_hints, say_hint, .awake = true },
	{ "hint-asleep", connect_hints, say_hint },
	{ "hint-many", connect_hints, say_hint, .awake = true, .many = true },
	{ "fadvise", .say = say_fadvise },
	{ "readahead", .say = say_readahead },
	{ "uring", start_uring, say_uring, reap_uring },
	{ "sqpoll", start_sqpoll, say_uring, reap_uring },
};

/* --- pages in an order that is the same in every run */

static uint64_t *pages;
static uint64_t nr_pages;

static void shuffle_pages(void)
{
	uint64_t x = 88172645463325252ULL, i, j, page;
	struct stat st;

	if (fstat(fd, &st))
		die("fstat", errno);
	nr_pages = st.st_size / PAGE;
	if (nr_pages < ROUNDS * CALLS)
		die("FILE has too few pages", 0);
	pages = malloc(nr_pages * sizeof(*pages));
	if (!pages)
		die("memory", errno);
	for (i = 0; i < nr_pages; i++)
		pages[i] = i;
	for (i = nr_pages - 1; i; i--) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		j = x % (i + 1);
		page = pages[i];
		pages[i] = pages[j];
		pages[j] = page;
	}
}

static void nap_ns(long ns)
{
	nanosleep(&(struct timespec){ 0, ns }, NULL);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Ns a call, of the median round. */
static void measure_calls(const struct method *m)
{
	double took[ROUNDS];
	const uint64_t *page = pages;
	unsigned int round, i;
	uint64_t start;

	for (round = 0; round < ROUNDS; round++, page += CALLS) {
		/* What was said before has been done, and the other side sleeps. */
		nap_ns(50000000);
		for (i = 0; i < CALLS; i++)
			ranges[i] = (struct pagehint_range){ page[i] * PAGE, PAGE };
		if (m->awake) {
			say_hint(page[0] * PAGE);
			nap_ns(300000);
		}
		start = now_ns();
		if (m->many)
			check(pagehint_willneed_many(hints, id, ranges, CALLS), "many");
		for (i = 0; i < CALLS && !m->many; i++)
			m->say(ranges[i].offset);
		took[round] = (double)(now_ns() - start) / CALLS;
		if (m->reap)
			m->reap();
	}
	if (pagehint_dropped(hints))
		die("hints were dropped", 0);
	qsort(took, ROUNDS, sizeof(*took), by_value);
	printf("{\"ns\": %.2f, \"worst_ns\": %.2f}\n", took[ROUNDS / 2], took[ROUNDS - 1]);
}

/* --- one way of asking each; what is asked about is as little as the way allows */

static int map;

static void make_map(void)
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 40, .max_entries = 1
	};

	map = syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));
	check(map < 0 ? -errno : 0, "bpf");
}

static int ask_bpf(void)
{
	uint32_t key = 0;
	uint64_t value[5];
	union bpf_attr attr = { .map_fd = map, .key = (uintptr_t)&key, .value = (uintptr_t)value };

	return syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, &attr, sizeof(attr));
}

static int ask_hints(void)
{
	struct pagehint_stat st;

	return pagehint_stat(hints, id, &st);
}

static int ask_cachestat(void)
{
	const uint64_t range[2] = { 0, PAGE };
	uint64_t counts[5];

	/* cachestat(2), which headers of Debian 12 do not have. */
	return syscall(451, fd, range, counts, 0);
}

static int ask_statfs(void)
{
	struct statfs fs;

	return fstatfs(fd, &fs);
}

static const struct way {
	const char *name;
	void (*start)(void);
	int (*ask)(void);
} ways[] = {
	{ "pagehint_stat", connect_hints, ask_hints },
	{ "cachestat", .ask = ask_cachestat },
	{ "statfs", .ask = ask_statfs },
	{ "bpf", make_map, ask_bpf },
};

static void measure_asking(const char *name)
{
	const struct way *w = ways, *end = ways + sizeof(ways) / sizeof(*ways);
	double took[ROUNDS];
	unsigned int round, i;
	int failed = 0;
	uint64_t start;

	while (w < end && strcmp(w->name, name))
		w++;
	if (w == end)
		die(name, EINVAL);
	if (w->start)
		w->start();
	for (round = 0; round < ROUNDS; round++) {
		start = now_ns();
		for (i = 0; i < CALLS; i++)
			failed |= w->ask();
		took[round] = (double)(now_ns() - start) / CALLS;
	}
	if (failed)
		die(name, errno);
	qsort(took, ROUNDS, sizeof(*took), by_value);
	printf("{\"ns\": %.2f, \"worst_ns\": %.2f}\n", took[ROUNDS / 2], took[ROUNDS - 1]);
}

/* Of this thread. getrusage(2) is up to a tick of the kernel's behind, some milliseconds. */
static double cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

/* How often this thread has gone to sleep. */
static long sleeps(void)
{
	struct rusage used;

	getrusage(RUSAGE_THREAD, &used);
	return used.ru_nvcsw;
}

/*
 * A child submits the first COUNT pages, and waits for all of them. So the reader finds them as
 * somebody else's hints leave them: their data and the kernel's words about them are in no cache of
 * its processor. It looks at one byte of each, as whoever reads last has to wait for the disk.
 */
static void read_in(uint64_t count)
{
	uint64_t i;
	int status;
	char byte;
	pid_t pid = fork();

	if (pid < 0)
		die("fork", errno);
	if (!pid) {
		for (i = 0; i < count; i++)
			readahead(fd, pages[i] * PAGE, PAGE);
		for (i = 0; i < count; i++) {
			if (pread(fd, &byte, 1, pages[i] * PAGE) != 1)
				_exit(1);
		}
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		die("a child that reads", 0);
}

/* From before the method is started to the last read; reading_us: from the first hint on. */
static void measure_reader(const struct method *m)
{
	uint64_t count = nr_pages / 10, i, start, started, now;
	unsigned int sum = 0;
	char data[PAGE];
	double cpu;
	long slept;

	if (posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM))
		die("fadvise", errno);
	if (m->before)
		read_in(count);
	cpu = cpu_us();
	slept = sleeps();
	start = now_ns();
	if (m->start)
		m->start();
	started = now_ns();
	for (i = 0; i < AHEAD && i < count; i++)
		m->say(pages[i] * PAGE);
	for (i = 0; i < count; i++) {
		if (i + AHEAD < count)
			m->say(pages[i + AHEAD] * PAGE);
		if (pread(fd, data, PAGE, pages[i] * PAGE) != PAGE)
			die("pread", errno);
		sum += (unsigned char)data[0];
	}
	now = now_ns();
	printf("{\"us\": %.0f, \"reading_us\": %.0f, \"cpu_us\": %.0f, \"sleeps\": %ld, ",
	       (now - start) / 1e3, (now - started) / 1e3, cpu_us() - cpu, sleeps() - slept);
	printf("\"accesses\": %llu, \"dropped\": %llu, \"sum\": %u}\n", (unsigned long long)count,
	       (unsigned long long)pagehint_dropped(hints), sum);
}

int main(int argc, char **argv)
{
	const struct method *m = methods, *end = methods + sizeof(methods) / sizeof(*methods);
	bool right = argc == 4 || argc == 5;
	bool call = right && !strcmp(argv[1], "call");
	bool stat = right && !strcmp(argv[1], "stat");

	if (!right || (!call && !stat && strcmp(argv[1], "read"))) {
		fprintf(stderr, "usage: hints call|read METHOD FILE [SOCKET]\n"
				"       hints stat WAY FILE [SOCKET]\n");
		return 2;
	}
	server = argv[4];
	fd = open(argv[3], O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die(argv[3], errno);
	if (stat) {
		measure_asking(argv[2]);
		pagehint_close(hints);
		return 0;
	}
	while (m < end && strcmp(m->name, argv[2]))
		m++;
	if (m == end || (call ? m->before : m->reap || m->many))
		die(argv[2], EINVAL);
	shuffle_pages();
	if (!call) {
		measure_reader(m);
	} else {
		if (m->start)
			m->start();
		measure_calls(m);
	}
	pagehint_close(hints);
	return 0;
}
