// SPDX-License-Identifier: GPL-2.0-only
/*
 * floor: how long the device itself needs for exactly the extents of a list.
 *
 * The extents are sorted and merged, then read with O_DIRECT through io_uring at
 * queue depths 1 to 256 and block sizes 4 KiB to 4 MiB: a longer extent is cut
 * into blocks, a shorter one is read whole. Buffered reading in file order is
 * tried too, since it can beat O_DIRECT. The best is the floor.
 *
 * An arm that is clearly slower than the best so far is stopped, so most of the sweep
 * costs little. The best few are run again and stand by their medians, so
 * that the floor is not one lucky run.
 */
#include <fcntl.h>
#include <getopt.h>
#include <liburing.h>
#include <sys/stat.h>
#include <unistd.h>

#include "list.h"

#define MAX_QD	     256
#define MIN_BS	     (4ULL << 10)
#define MAX_BS	     (4ULL << 20)
#define MAX_INFLIGHT (128ULL << 20) /* bytes; more than any queue takes */
#define MAX_ARMS     128
#define AGAIN	     4 /* how many of the best are repeated */
#define REPEATS	     3

#ifndef __NR_cachestat
#define __NR_cachestat 451
#endif

struct source {
	char *name;
	int fd; /* buffered, opened when the list is read */
	int direct;
	int busy; /* pages that cannot be dropped: told once */
	uint64_t pages;
};

struct extent {
	int src;
	uint64_t index, nr; /* pages */
};

struct arm {
	int direct;
	unsigned int qd;
	uint64_t bs;
	double us[REPEATS], best; /* best: the median of the runs so far */
	int runs, stopped;
};

static struct source *sources;
static int nr_sources;
static struct extent *extents;
static size_t nr_extents, cap_extents;
static struct arm arms[MAX_ARMS];
static int nr_arms, cur_src = -1;
static const char *only_file;
static uint64_t total_pages, max_extent;
static long page_size;
static char *buffers;

static double now_us(void)
{
	return now_ns() / 1e3;
}

/* A section may come back: the same name is the same source. */
static int add_source(const char *name)
{
	struct source *s;
	struct stat st;
	int i;

	for (i = 0; i < nr_sources; i++)
		if (!strcmp(sources[i].name, name))
			return i;
	sources = realloc(sources, (nr_sources + 1) * sizeof(*sources));
	if (!sources)
		die("memory", ENOMEM);
	s = &sources[nr_sources];
	s->name = strdup(name);
	s->pages = 0;
	s->busy = 0;
	s->direct = -1;
	s->fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (s->fd < 0 || fstat(s->fd, &st) || !S_ISREG(st.st_mode)) {
		fprintf(stderr, "floor: %s: skipped\n", name);
		return nr_sources++;
	}
	s->pages = (st.st_size + page_size - 1) / page_size;
	/* Not every file system has O_DIRECT; then only buffered arms are run. */
	s->direct = open(name, O_RDONLY | O_CLOEXEC | O_DIRECT);
	return nr_sources++;
}

static void add_section(const char *name)
{
	if (!only_file)
		cur_src = add_source(name);
}

static void add_extent(uint64_t index, uint64_t nr)
{
	int src = cur_src;

	if (src < 0) {
		fprintf(stderr, "floor: the list names no file, give one with -f\n");
		exit(2);
	}
	if (index >= sources[src].pages)
		return;
	if (nr > sources[src].pages - index)
		nr = sources[src].pages - index;
	extents = grow(extents, nr_extents, &cap_extents, sizeof(*extents));
	extents[nr_extents++] = (struct extent){ src, index, nr };
}

static int by_place(const void *pa, const void *pb)
{
	const struct extent *a = pa, *b = pb;

	if (a->src != b->src)
		return a->src < b->src ? -1 : 1;
	return a->index < b->index ? -1 : a->index > b->index;
}

static void merge(void)
{
	size_t i, n = 0;

	qsort(extents, nr_extents, sizeof(*extents), by_place);
	for (i = 0; i < nr_extents; i++) {
		struct extent *last = n ? &extents[n - 1] : NULL, *e = &extents[i];

		if (last && last->src == e->src && e->index <= last->index + last->nr) {
			if (e->index + e->nr > last->index + last->nr)
				last->nr = e->index + e->nr - last->index;
		} else {
			extents[n++] = *e;
		}
	}
	nr_extents = n;
	for (i = 0; i < n; i++) {
		total_pages += extents[i].nr;
		if (extents[i].nr > max_extent)
			max_extent = extents[i].nr;
	}
}

/* Walks the extents in blocks of at most @bs bytes. */
struct cursor {
	size_t i;
	uint64_t done;	/* pages of extent i */
	uint64_t pages; /* in all */
};

static int next_block(struct cursor *c, uint64_t bs, int *src, uint64_t *off, uint64_t *len)
{
	const struct extent *e;
	uint64_t nr;

	if (c->i == nr_extents)
		return 0;
	e = &extents[c->i];
	nr = e->nr - c->done;
	if (nr > bs / page_size)
		nr = bs / page_size;
	*src = e->src;
	*off = (e->index + c->done) * page_size;
	*len = nr * page_size;
	c->done += nr;
	c->pages += nr;
	if (c->done == e->nr) {
		c->i++;
		c->done = 0;
	}
	return 1;
}

/* After an eighth of the way it shows whether an arm can still end within @limit. */
static int hopeless(double used, const struct cursor *c, double limit)
{
	if (used > limit)
		return 1;
	return c->pages > total_pages / 8 && used / c->pages * total_pages > limit;
}

/*
 * Returns the time, or a negative one when it was stopped at @limit. The tail of a
 * file is asked for as a whole page, which O_DIRECT allows, and comes back short.
 */
static double run_direct(unsigned int qd, uint64_t bs, double limit)
{
	unsigned int inflight = 0, queued, i, nr_free = qd;
	struct io_uring_cqe *cqe;
	struct io_uring_sqe *sqe;
	struct cursor cur = { 0 };
	int free_slot[MAX_QD], src, err, fixed, slot, stopped = 0;
	uint64_t off, len;
	struct iovec iov[MAX_QD];
	struct io_uring ring;
	double start, used;

	err = io_uring_queue_init(qd, &ring, 0);
	if (err)
		die("io_uring", -err);
	for (i = 0; i < qd; i++) {
		free_slot[i] = i;
		iov[i] = (struct iovec){ buffers + i * bs, bs };
	}
	/* Pinned once, outside the clock, where the memlock limit allows it. */
	fixed = !io_uring_register_buffers(&ring, iov, qd);
	start = now_us();
	do {
		for (queued = 0; nr_free && next_block(&cur, bs, &src, &off, &len); queued++) {
			slot = free_slot[--nr_free];
			sqe = io_uring_get_sqe(&ring);
			if (fixed)
				io_uring_prep_read_fixed(sqe, sources[src].direct,
							 iov[slot].iov_base, len, off, slot);
			else
				io_uring_prep_read(sqe, sources[src].direct, iov[slot].iov_base,
						   len, off);
			sqe->user_data = slot;
		}
		inflight += queued;
		if (!inflight)
			break;
		err = io_uring_submit_and_wait(&ring, 1);
		if (err < 0 && err != -EINTR)
			die("io_uring", -err);
		while (!io_uring_peek_cqe(&ring, &cqe)) {
			if (cqe->res <= 0)
				die("O_DIRECT read", cqe->res ? -cqe->res : ENODATA);
			free_slot[nr_free++] = cqe->user_data;
			io_uring_cqe_seen(&ring, cqe);
			inflight--;
		}
		used = now_us() - start;
		if (hopeless(used, &cur, limit)) {
			cur.i = nr_extents; /* what is in flight lands, no more is started */
			stopped = 1;
		}
	} while (inflight || cur.i < nr_extents);
	used = now_us() - start;
	io_uring_queue_exit(&ring);
	return stopped ? -used : used;
}

static void make_cold(void)
{
	uint64_t range[2] = { 0 }, stat[5]; /* cachestat(2): offset, length; cached, ... */
	int i, tries;

	for (i = 0; i < nr_sources; i++) {
		struct source *s = &sources[i];

		if (s->fd < 0)
			continue;
		range[1] = s->pages * page_size;
		for (tries = 0; tries < 5; tries++) {
			fdatasync(s->fd);
			posix_fadvise(s->fd, 0, 0, POSIX_FADV_DONTNEED);
			stat[0] = 0;
			if (syscall(__NR_cachestat, s->fd, range, stat, 0) || !stat[0])
				break;
		}
		if (stat[0] && !s->busy) {
			s->busy = 1;
			fprintf(stderr, "floor: %s: %llu pages stay cached, somebody uses them\n",
				s->name, (unsigned long long)stat[0]);
		}
	}
}

static double run_buffered(uint64_t bs, double limit)
{
	struct cursor cur = { 0 };
	uint64_t off, len;
	double start, used = 0;
	int src;

	make_cold();
	touch_memory(total_pages * page_size);
	start = now_us();
	while (!hopeless(used, &cur, limit) && next_block(&cur, bs, &src, &off, &len)) {
		if (pread(sources[src].fd, buffers, len, off) < 0)
			die("buffered read", errno);
		used = now_us() - start;
	}
	make_cold();
	return cur.i < nr_extents ? -used : used;
}

/*
 * Huge pages, where there are any: a block of scattered 4 KiB pages is a request of
 * many segments, which some devices take at half the speed.
 */
static void make_buffers(void)
{
	buffers = aligned_alloc(2 << 20, MAX_INFLIGHT);
	if (!buffers)
		die("memory", errno);
	madvise(buffers, MAX_INFLIGHT, MADV_HUGEPAGE);
	memset(buffers, 1, MAX_INFLIGHT);
}

static int by_time(const void *pa, const void *pb)
{
	const struct arm *a = pa, *b = pb;

	if (a->stopped != b->stopped)
		return a->stopped - b->stopped;
	return a->best < b->best ? -1 : a->best > b->best;
}

static int by_value(const void *a, const void *b)
{
	double d = *(const double *)a - *(const double *)b;

	return d < 0 ? -1 : d > 0;
}

static void run_arm(struct arm *a, double limit)
{
	double t = a->direct ? run_direct(a->qd, a->bs, limit) : run_buffered(a->bs, limit);

	if (t < 0) {
		if (a->runs) /* a slow repeat counts as it is */
			t = -t;
		else
			a->stopped = 1;
	}
	a->us[a->runs++] = t < 0 ? -t : t;
	qsort(a->us, a->runs, sizeof(*a->us), by_value);
	a->best = a->us[a->runs / 2];
}

static void add_arm(int direct, unsigned int qd, uint64_t bs)
{
	if (nr_arms < MAX_ARMS)
		arms[nr_arms++] = (struct arm){ .direct = direct, .qd = qd, .bs = bs };
}

/* Most promising first, so that the slow ones are stopped early. */
static void plan_sweep(int direct)
{
	uint64_t bs, longest = max_extent * page_size;
	unsigned int qd;

	for (bs = MAX_BS; direct && bs >= MIN_BS; bs /= 2) {
		/* Beyond the longest extent a larger block changes nothing. */
		if (bs > MIN_BS && bs / 2 >= longest)
			continue;
		for (qd = MAX_QD; qd; qd /= 2)
			if (qd * bs <= MAX_INFLIGHT && qd / 2 < total_pages)
				add_arm(1, qd, bs);
	}
	for (bs = MAX_BS; bs >= 64 << 10; bs /= 4)
		if (bs / 4 < longest || bs == 64 << 10)
			add_arm(0, 1, bs);
}

static void parse_only(const char *s)
{
	unsigned long long bs;
	unsigned int qd;
	char how[9];

	if (sscanf(s, "%8[a-z]:%u:%llu", how, &qd, &bs) != 3 || !qd || qd > MAX_QD || bs < MIN_BS ||
	    bs > MAX_BS || bs % page_size) {
		fprintf(stderr, "floor: not HOW:QD:BS: %s\n", s);
		exit(2);
	}
	add_arm(!strcmp(how, "direct"), qd, bs);
}

static void print_arm(const struct arm *a)
{
	printf("{\"how\":\"%s\",\"qd\":%u,\"bs\":%llu,\"us\":%.1f,\"runs\":%d,\"stopped\":%s}",
	       a->direct ? "direct" : "buffered", a->qd, (unsigned long long)a->bs, a->best,
	       a->runs, a->stopped ? "true" : "false");
}

int main(int argc, char **argv)
{
	double limit = 60e6; /* a sweep's first arm; nothing sensible takes longer */
	int c, i, r, swept = 1, direct = 1;

	page_size = sysconf(_SC_PAGESIZE);
	while ((c = getopt(argc, argv, "f:o:h")) != -1) {
		switch (c) {
		case 'f':
			only_file = optarg;
			break;
		case 'o':
			parse_only(optarg);
			swept = 0;
			break;
		default:
			fprintf(stderr,
				"usage: floor [-f FILE] [-o direct|buffered:QD:BS]... LIST\n"
				"  -o  run only this arm, once; else the whole sweep\n");
			return c == 'h' ? 0 : 2;
		}
	}
	if (optind + 1 != argc)
		return fprintf(stderr, "floor: one LIST, see -h\n"), 2;
	if (only_file)
		cur_src = add_source(only_file);
	read_list(argv[optind], add_section, add_extent);
	merge();
	if (!nr_extents) {
		printf("{\"best_us\":0,\"best\":null,\"bytes\":0,\"extents\":0,\"all\":[]}\n");
		return 0;
	}
	for (i = 0; i < nr_sources; i++)
		if (sources[i].pages && sources[i].direct < 0)
			direct = 0;
	make_buffers();
	if (swept)
		plan_sweep(direct);
	for (i = 0; i < nr_arms; i++) {
		run_arm(&arms[i], limit);
		if (swept && !arms[i].stopped && arms[i].best * 1.2 < limit)
			limit = arms[i].best * 1.2;
	}
	qsort(arms, nr_arms, sizeof(*arms), by_time);
	for (r = 1; swept && r < REPEATS; r++)
		for (i = 0; i < AGAIN && i < nr_arms && !arms[i].stopped; i++)
			run_arm(&arms[i], 2 * limit);
	qsort(arms, nr_arms, sizeof(*arms), by_time);
	/* An arm that ran once only may be luck; the floor is one that was repeated. */
	for (i = 0; i < nr_arms - 1 && swept && arms[i].runs < REPEATS; i++)
		;
	printf("{\"best_us\":%.1f,\"best\":", arms[i].best);
	print_arm(&arms[i]);
	printf(",\"bytes\":%llu,\"extents\":%zu,\"files\":%d,\"all\":[",
	       (unsigned long long)total_pages * page_size, nr_extents, nr_sources);
	for (i = 0; i < nr_arms; i++) {
		printf(i ? "," : "");
		print_arm(&arms[i]);
	}
	printf("]}\n");
	return 0;
}
