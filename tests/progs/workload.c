// SPDX-License-Identifier: GPL-2.0-only
/*
 * workload: a reader whose accesses are known and that times itself.
 *
 * It reads pages of one file, by pread() or through mmap, in an order that is
 * fixed before the clock starts: sequential, random by a seed, or the order of
 * an offsets list. The clock runs from just before the file is opened to the
 * last access, so what a tool around it does before or after is not counted.
 * read_bytes is what it had the device read meanwhile, rather than find it cached.
 */
#include <fcntl.h>
#include <getopt.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "list.h"

#define MAX_REQ_PAGES 256 /* longest single pread of a list's extent */

struct access {
	uint64_t index;
	uint64_t nr;
};

static struct access *order;
static size_t nr_order, cap_order;
static uint64_t rnd_state;
static uint64_t pages; /* of the file */
static long page_size;

static _Noreturn void usage(int status)
{
	fprintf(status ? stderr : stdout,
		"usage: workload read|mmap [options] FILE\n"
		"       workload touch BYTES    touch that much memory and free it\n"
		"  -r SEED     random order (default: sequential)\n"
		"  -p PERCENT  only that share of the pages, chosen by SEED\n"
		"  -H          only the first half of the file\n"
		"  -l LIST     the accesses of this offsets list, in its order\n"
		"  -a ADVICE   none, random or sequential; default: as the order is\n"
		"              (what fio does), none for a list\n"
		"  -n TIMES    go through the accesses that many times\n"
		"  -w LIST     only write the accesses as an offsets list, touch no page\n");
	exit(status);
}

/* splitmix64: the same seed gives the same order everywhere */
static uint64_t rnd(void)
{
	uint64_t z = (rnd_state += 0x9e3779b97f4a7c15ULL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static uint64_t number(const char *s)
{
	char *end;
	unsigned long long v;

	errno = 0;
	v = strtoull(s, &end, 10);
	if (errno || end == s || *end || *s == '-') {
		fprintf(stderr, "workload: not a number: %s\n", s);
		exit(2);
	}
	return v;
}

static void add(uint64_t index, uint64_t nr)
{
	order = grow(order, nr_order, &cap_order, sizeof(*order));
	order[nr_order++] = (struct access){ index, nr };
}

/* Long extents become several requests: a reader does not ask for 1 GiB at once. */
static void add_extent(uint64_t index, uint64_t nr)
{
	if (index >= pages)
		return;
	if (nr > pages - index)
		nr = pages - index;
	while (nr) {
		uint64_t n = nr < MAX_REQ_PAGES ? nr : MAX_REQ_PAGES;

		add(index, n);
		index += n;
		nr -= n;
	}
}

/* One file only: that of the command line, whatever the sections say. */
static void no_section(const char *name)
{
}

static void make_order(uint64_t nr, int random, double percent)
{
	uint64_t i, want = nr * percent / 100;

	for (i = 0; i < nr; i++)
		add(i, 1);
	if (!random)
		return;
	for (i = nr; i > 1; i--) {
		uint64_t j = rnd() % i;
		struct access t = order[j];

		order[j] = order[i - 1];
		order[i - 1] = t;
	}
	nr_order = want ? want : 1;
}

/* Runs are written as N+C where the accesses really are consecutive. */
static void write_list(const char *name)
{
	FILE *f = fopen(name, "we");
	size_t i = 0;

	if (!f)
		die(name, errno);
	while (i < nr_order) {
		uint64_t start = order[i].index, nr = order[i].nr;

		while (++i < nr_order && order[i].index == start + nr)
			nr += order[i].nr;
		if (nr == 1)
			fprintf(f, "%llu\n", (unsigned long long)start);
		else
			fprintf(f, "%llu+%llu\n", (unsigned long long)start,
				(unsigned long long)nr);
	}
	if (fclose(f))
		die(name, errno);
}

static unsigned int do_read(int fd, const struct access *a, char *buf)
{
	uint64_t len = a->nr * page_size;
	ssize_t n = pread(fd, buf, len, a->index * page_size);

	if (n < 0)
		die("pread", errno);
	return n ? (unsigned char)buf[0] : 0;
}

static unsigned int do_touch(const volatile unsigned char *map, const struct access *a)
{
	unsigned int sum = 0;
	uint64_t i;

	for (i = 0; i < a->nr; i++)
		sum += map[(a->index + i) * page_size];
	return sum;
}

/* What this process has had devices read so far: none of what others read for it. */
static uint64_t read_bytes(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return u.ru_inblock * 512ULL;
}

static void run(const char *file, uint64_t size, int is_mmap, const char *advice, uint64_t times)
{
	int random = !strcmp(advice, "random"), seq = !strcmp(advice, "sequential");
	uint64_t start, opened, first = 0, end, round, accesses, bytes = 0, device;
	unsigned char *map = NULL;
	unsigned int sum = 0;
	char *buf;
	size_t i;
	int fd;

	if (posix_memalign((void **)&buf, page_size, MAX_REQ_PAGES * page_size))
		die("memory", errno);
	memset(buf, 0, MAX_REQ_PAGES * page_size);
	/* Its own text and tables must not be faulted in on the clock. No MCL_FUTURE! */
	if (mlockall(MCL_CURRENT) && errno != EPERM && errno != ENOMEM)
		die("mlockall", errno);

	device = read_bytes();
	start = now_ns();
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die(file, errno);
	if (is_mmap) {
		map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
		if (map == MAP_FAILED)
			die("mmap", errno);
		if ((random && madvise(map, size, MADV_RANDOM)) ||
		    (seq && madvise(map, size, MADV_SEQUENTIAL)))
			die("madvise", errno);
	} else if ((random && posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM)) ||
		   (seq && posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL))) {
		die("fadvise", errno);
	}
	opened = now_ns();
	for (round = 0; round < times; round++) {
		for (i = 0; i < nr_order; i++) {
			sum += map ? do_touch(map, &order[i]) : do_read(fd, &order[i], buf);
			if (!first)
				first = now_ns();
		}
	}
	end = now_ns();
	device = read_bytes() - device;

	for (i = 0; i < nr_order; i++)
		bytes += order[i].nr * page_size;
	accesses = nr_order * times;
	printf("{\"elapsed_us\":%.1f,\"open_us\":%.1f,\"first_us\":%.1f,\"accesses\":%llu,\"bytes\":%llu,\"read_bytes\":%llu,\"ns_per_access\":%.1f,\"sum\":%u}\n",
	       (end - start) / 1e3, (opened - start) / 1e3, (first - start) / 1e3,
	       (unsigned long long)accesses, (unsigned long long)bytes, (unsigned long long)device,
	       accesses ? (double)(end - opened) / accesses : 0.0, sum);
}

int main(int argc, char **argv)
{
	const char *list = NULL, *out = NULL, *advice = NULL, *mode;
	uint64_t size, times = 1;
	int random = 0, half = 0, c;
	double percent = 100;
	struct stat st;

	if (argc > 1 && !strcmp(argv[1], "--help"))
		usage(0);
	if (argc < 3)
		usage(2);
	mode = argv[1];
	page_size = sysconf(_SC_PAGESIZE);
	if (!strcmp(mode, "touch"))
		return touch_memory(number(argv[2])), 0;
	if (strcmp(mode, "read") && strcmp(mode, "mmap"))
		usage(2);
	while ((c = getopt(argc - 1, argv + 1, "r:p:Hl:a:n:w:")) != -1) {
		switch (c) {
		case 'r':
			random = 1;
			rnd_state = number(optarg);
			break;
		case 'p':
			percent = number(optarg);
			break;
		case 'H':
			half = 1;
			break;
		case 'l':
			list = optarg;
			break;
		case 'a':
			advice = optarg;
			break;
		case 'n':
			times = number(optarg);
			break;
		case 'w':
			out = optarg;
			break;
		default:
			usage(2);
		}
	}
	if (optind + 1 != argc - 1)
		usage(2);
	argv += optind + 1;
	if (stat(argv[0], &st))
		die(argv[0], errno);
	size = st.st_size;
	pages = (size + page_size - 1) / page_size;
	if (!S_ISREG(st.st_mode) || !pages) {
		fprintf(stderr, "workload: %s: not a regular file with data\n", argv[0]);
		return 2;
	}
	if (list)
		read_list(list, no_section, add_extent);
	else
		make_order(half ? pages / 2 : pages, random, percent);
	if (!advice)
		advice = list ? "none" : random ? "random" : "sequential";
	if (out)
		write_list(out);
	else
		run(argv[0], size, mode[0] == 'm', advice, times);
	free(order);
	return 0;
}
