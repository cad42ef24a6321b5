// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes a known sequence of accesses to one file and knows, for each of them,
 * whether it misses: just before it the kernel is asked whether the page is
 * cached. The last line on stdout is a JSON object with the totals; `access -h`
 * lists the options.
 *
 * An access is what the tools call one: a read request of at most one page, or
 * a page fault. Touching a page that is mapped already (fault-around did it) is
 * none. Requests of more than one page have no count of accesses that could be
 * told from outside (null); their absent pages, runs of them, and requests with
 * any are reported instead.
 *
 * The oracle is asked before the access, so nothing else may move the pages in
 * between: threads get separate parts of the file, and belong with
 * --fadvise/--madvise random, or their readahead runs into each other's part.
 */
#include <liburing.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#include "access.h"
#include "oracle.h"
#include "pages.h"

struct counts {
	uint64_t accesses, misses, late, slept, inflight, pages, runs, requests, touches, faults,
		major;
};

struct worker {
	pthread_t thread;
	struct pages blocks;
	struct counts c;
	struct pages absent, all;
	unsigned char *buf;
	struct io_uring ring;
	int pipe[2];
};

static struct oracle oracle;
static unsigned char *map;
static int fd, null_fd;

struct before {
	bool absent, inflight;
	struct rusage ru;
};

static void ask(struct worker *w, struct before *b, uint64_t first, uint64_t last)
{
	uint64_t page, absent = 0;
	bool run = false;

	memset(b, 0, sizeof(*b));
	if (opt.blind)
		return;
	for (page = first; page <= last; page++) {
		bool cached = oracle_cached(&oracle, page);

		if (opt.all)
			pages_add(&w->all, page);
		if (!cached) {
			absent++;
			w->c.runs += !run;
			pages_add(&w->absent, page);
		} else if (!oracle_uptodate(&oracle, page)) {
			b->inflight = true;
		}
		run = !cached;
	}
	w->c.pages += absent;
	w->c.requests += !!absent;
	b->absent = absent;
	getrusage(RUSAGE_THREAD, &b->ru);
}

static void tell(struct worker *w, const struct before *b)
{
	struct rusage ru;
	bool slept, preempted;

	w->c.accesses++;
	if (opt.blind)
		return;
	getrusage(RUSAGE_THREAD, &ru);
	slept = !b->absent && ru.ru_nvcsw > b->ru.ru_nvcsw;
	w->c.misses += b->absent;
	w->c.inflight += !b->absent && b->inflight;
	w->c.late += slept && b->inflight;
	/*
	 * On a page that was read in, only to submit readahead of its own: not late. And a
	 * reader that is preempted on its way to sleep for a page in flight counts as asleep, which
	 * the voluntary switches do not show: it may be late.
	 */
	preempted = !b->absent && b->inflight && !slept && ru.ru_nivcsw > b->ru.ru_nivcsw;
	w->c.slept += (slept && !b->inflight) || preempted;
	w->c.faults += ru.ru_minflt - b->ru.ru_minflt + ru.ru_majflt - b->ru.ru_majflt;
	w->c.major += ru.ru_majflt - b->ru.ru_majflt;
}

static ssize_t nowait(struct worker *w, off_t off, size_t len)
{
	struct iovec iov = { w->buf, len };

	return preadv2(fd, &iov, 1, off, RWF_NOWAIT);
}

static void read_nowait(struct worker *w, off_t off, size_t len)
{
	uint64_t page = off / oracle.page_size;
	ssize_t n;

	n = nowait(w, off, len);
	if (n < 0 && errno == EAGAIN && opt.mode == NOWAIT_PREAD)
		n = pread(fd, w->buf, len, off);
	while (n < 0 && errno == EAGAIN && opt.mode == NOWAIT) {
		/* Evicted before the second try, it is one more access that misses. */
		if (!oracle_wait_uptodate(&oracle, page)) {
			w->c.accesses++;
			w->c.misses++;
		}
		n = nowait(w, off, len);
	}
	if (n != (ssize_t)len && (opt.mode != NOWAIT_ONCE || errno != EAGAIN))
		die("preadv2 at %jd: %zd %s", (intmax_t)off, n, n < 0 ? strerror(errno) : "");
}

static void read_one(struct worker *w, off_t off, size_t len)
{
	ssize_t n = 0, m;
	loff_t at = off;

	switch (opt.mode) {
	case PREAD:
		n = pread(fd, w->buf, len, off);
		break;
	case SPLICE:
		n = splice(fd, &at, w->pipe[1], NULL, len, 0);
		for (m = n; m > 0;)
			m -= read(w->pipe[0], w->buf, m);
		break;
	case SENDFILE:
		n = sendfile(null_fd, fd, &at, len);
		break;
	default:
		read_nowait(w, off, len);
		return;
	}
	if (n != (ssize_t)len)
		die("%s at %jd: %zd %s", mode_names[opt.mode], (intmax_t)off, n,
		    n < 0 ? strerror(errno) : "");
}

static size_t length_at(off_t off)
{
	return oracle.size - off < opt.block ? oracle.size - off : opt.block;
}

static uint64_t block_offset(const struct worker *w, uint64_t i)
{
	return opt.offset + w->blocks.page[i] * opt.block;
}

/* `depth` requests in flight: the oracle is asked for all of them first. */
static uint64_t read_uring(struct worker *w, uint64_t i)
{
	struct before b[64];
	struct io_uring_cqe *cqe;
	uint64_t k, nr = w->blocks.nr - i < opt.depth ? w->blocks.nr - i : opt.depth;
	int err;

	for (k = 0; k < nr; k++) {
		off_t off = block_offset(w, i + k);
		size_t len = length_at(off);
		struct io_uring_sqe *sqe = io_uring_get_sqe(&w->ring);

		ask(w, &b[k], off / oracle.page_size, (off + len - 1) / oracle.page_size);
		io_uring_prep_read(sqe, fd, w->buf + k * opt.block, len, off);
		sqe->user_data = len;
		sqe->flags |= opt.mode == URING_ASYNC ? IOSQE_ASYNC : 0;
	}
	err = io_uring_submit_and_wait(&w->ring, nr);
	if (err < 0)
		die("io_uring: %s", strerror(-err));
	for (k = 0; k < nr; k++) {
		if (io_uring_wait_cqe(&w->ring, &cqe) || cqe->res != (int)cqe->user_data)
			die("io_uring: %s", strerror(-cqe->res));
		io_uring_cqe_seen(&w->ring, cqe);
		tell(w, &b[k]);
	}
	return nr;
}

static void touch(struct worker *w, off_t off)
{
	volatile unsigned char *p = map + off;
	struct before b;
	char drain;

	w->c.touches++;
	if (!opt.blind && oracle_mapped(&oracle, p)) {
		if (opt.all)
			pages_add(&w->all, off / oracle.page_size);
		return;
	}
	ask(w, &b, off / oracle.page_size, off / oracle.page_size);
	switch (opt.mode) {
	case MMAP_WRITE:
	case MMAP_SHARED:
		*p = 1;
		break;
	case MMAP_KERNEL:
		if (write(w->pipe[1], (void *)p, 1) != 1 || read(w->pipe[0], &drain, 1) != 1)
			die("write from the mapping: %s", strerror(errno));
		break;
	case MMAP_POPULATE:
		if (madvise((void *)(p - off % oracle.page_size), oracle.page_size,
			    MADV_POPULATE_READ))
			die("MADV_POPULATE_READ: %s", strerror(errno));
		break;
	default:
		(void)*p;
	}
	tell(w, &b);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	uint64_t i, start = now_us();
	struct before b;

	for (i = 0; i < w->blocks.nr;) {
		off_t off = block_offset(w, i);
		size_t len = length_at(off);

		if (opt.mode == URING || opt.mode == URING_ASYNC) {
			i += read_uring(w, i);
		} else if (is_mmap()) {
			touch(w, off);
			i++;
		} else {
			/* Refused on a page in flight the kernel tells nobody: no access to count. */
			if (opt.mode != PREAD && opt.mode < URING &&
			    oracle_cached(&oracle, off / oracle.page_size))
				oracle_wait_uptodate(&oracle, off / oracle.page_size);
			ask(w, &b, off / oracle.page_size, (off + len - 1) / oracle.page_size);
			read_one(w, off, len);
			tell(w, &b);
			i++;
		}
		if (oracle.no_cachestat && !opt.blind)
			oracle_settle(&oracle);
		while (opt.rate && now_us() - start < i * 1000000 / opt.rate)
			;
	}
	return NULL;
}

static void map_file(void)
{
	int prot = opt.mode == MMAP_EXEC			       ? PROT_READ | PROT_EXEC
		   : opt.mode == MMAP_WRITE || opt.mode == MMAP_SHARED ? PROT_READ | PROT_WRITE
								       : PROT_READ;
	struct uffdio_api api = { .api = UFFD_API, .features = 1 << 15 /* WP_ASYNC */ };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_WP };
	int uffd;

	map = mmap(NULL, oracle.size, prot, opt.mode == MMAP_WRITE ? MAP_PRIVATE : MAP_SHARED, fd,
		   0);
	if (map == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	if (opt.madvise >= 0 && madvise(map, oracle.size, opt.madvise))
		die("madvise: %s", strerror(errno));
	if (!opt.no_fault_around)
		return;
	/* The kernel faults page by page where a userfaultfd may track writes. */
	uffd = syscall(__NR_userfaultfd, O_CLOEXEC);
	reg.range.start = (uintptr_t)map;
	reg.range.len = oracle.pages * oracle.page_size;
	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api) || ioctl(uffd, UFFDIO_REGISTER, &reg)) {
		fprintf(stderr, "fault-around cannot be turned off: %s\n", strerror(errno));
		exit(3);
	}
}

static void wait_for_go(const sigset_t *usr1)
{
	char line[64];
	int sig;

	if (opt.ready) {
		int out = open(opt.ready, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

		if (out < 0 || close(out))
			die("%s: %s", opt.ready, strerror(errno));
	}
	if (!opt.wait)
		return;
	if (!strcmp(opt.wait, "usr1"))
		sigwait(usr1, &sig);
	else if (!fgets(line, sizeof(line), stdin))
		die("no line on stdin");
}

static void prepare(struct worker *w)
{
	uint64_t blocks, part, per = opt.count == UINT64_MAX ? opt.count : opt.count / opt.threads;
	uint64_t align = is_mmap() ? (2 << 20) / opt.block : 1;
	unsigned int i;

	if (!opt.length || opt.length > oracle.size - opt.offset)
		opt.length = oracle.size - opt.offset;
	blocks = (opt.length + opt.block - 1) / opt.block;
	part = blocks / opt.threads;
	/* One thread's fault-around must not reach into another's part. */
	if (opt.threads > 1 && align > 1)
		part -= part % align;
	if (!part)
		die("the file is too small for %u threads", opt.threads);
	for (i = 0; i < opt.threads; i++, w++) {
		size_t len = opt.block * opt.depth;

		plan(&w->blocks, part * i, part, per);
		/* Its own faults must be over before the first access. */
		w->buf = mmap(NULL, len, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		if (w->buf == MAP_FAILED || pipe2(w->pipe, O_CLOEXEC))
			die("out of memory or pipes");
		mlock(w->buf, len);
		if ((opt.mode == URING || opt.mode == URING_ASYNC) &&
		    io_uring_queue_init(64, &w->ring, 0))
			die("io_uring is not available");
	}
}

static void run(struct worker *w)
{
	unsigned int i;

	if (opt.threads == 1) {
		work(w);
		return;
	}
	for (i = 0; i < opt.threads; i++)
		if (pthread_create(&w[i].thread, NULL, work, &w[i]))
			die("pthread_create failed");
	for (i = 0; i < opt.threads; i++)
		pthread_join(w[i].thread, NULL);
}

static void field(const char *name, bool known, uint64_t value)
{
	if (known)
		printf(", \"%s\": %ju", name, (uintmax_t)value);
	else
		printf(", \"%s\": null", name);
}

static void save(const char *path, const struct worker *w, bool all)
{
	FILE *out = fopen(path, "w");

	for (unsigned int i = 0; out && i < opt.threads; i++)
		pages_print(all ? &w[i].all : &w[i].absent, out);
	if (!out || fclose(out))
		die("%s: %s", path, strerror(errno));
}

static void report(const struct worker *w, uint64_t before, uint64_t after, uint64_t us)
{
	bool page = opt.block <= oracle.page_size && !(opt.offset % opt.block) &&
		    !(oracle.page_size % opt.block);
	bool rd = !is_mmap(), asked = !opt.blind;
	bool uring = opt.mode == URING || opt.mode == URING_ASYNC;
	struct counts c = { 0 };

	for (unsigned int i = 0; i < opt.threads; i++, w++) {
		uint64_t *sum = (uint64_t *)&c;
		const uint64_t *one = (const uint64_t *)&w->c;

		for (size_t k = 0; k < sizeof(c) / sizeof(*sum); k++)
			sum[k] += one[k];
	}
	printf("{\"mode\": \"%s\", \"pattern\": \"%s\", \"oracle\": \"%s\"", mode_names[opt.mode],
	       opt.pattern, oracle.no_cachestat ? "mincore" : "cachestat");
	field("accesses", page || !rd, c.accesses);
	field("misses", asked && (page || !rd), c.misses);
	field("read_accesses", page || !rd, rd ? c.accesses : 0);
	field("read_misses", asked && (page || !rd), rd ? c.misses : 0);
	field("read_late", asked && !uring, rd ? c.late : 0);
	field("mmap_accesses", asked || rd, rd ? 0 : c.accesses);
	field("mmap_misses", asked || rd, rd ? 0 : c.misses);
	field("mmap_late", asked || rd, rd ? 0 : c.late);
	field("hits_in_flight", asked, c.inflight);
	field("hits_slept_otherwise", asked && !uring, c.slept);
	field("requests", true, c.accesses);
	field("absent_pages", asked, c.pages);
	field("absent_runs", asked, c.runs);
	field("absent_requests", asked, c.requests);
	field("touches", true, c.touches);
	field("faults", asked, c.faults);
	field("major_faults", asked, c.major);
	field("resident_before", true, before);
	field("resident_after", true, after);
	field("elapsed_us", true, us);
	printf("}\n");
}

int main(int argc, char **argv)
{
	uint64_t round, before = 0, us = 0;
	struct worker *workers;
	sigset_t usr1;

	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	parse(argc, argv);
	/* Its own code must not fault in the middle of an access: a page of it might, that
	 * begins a page table, where fault-around ends. */
	mlockall(MCL_CURRENT);
	if (opt.create)
		create_file();
	/* A userfaultfd is only for who could write. */
	fd = open(opt.file,
		  (opt.mode == MMAP_SHARED || opt.no_fault_around ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || null_fd < 0)
		die("%s: %s", opt.file, strerror(errno));
	oracle_open(&oracle, fd);
	workers = calloc(opt.threads, sizeof(*workers));
	if (!workers)
		die("out of memory");
	prepare(workers);
	if (opt.fadvise >= 0 && posix_fadvise(fd, 0, 0, opt.fadvise))
		die("fadvise failed");
	for (round = 0; round < opt.rounds; round++) {
		uint64_t page, start;

		/* Before the file is mapped: mapped pages cannot be evicted. */
		if (opt.evict)
			oracle_evict(&oracle);
		for (page = 0; opt.load && page < oracle.pages; page += opt.load_of)
			oracle_load(&oracle, page, opt.load);
		if (is_mmap())
			map_file();
		wait_for_go(&usr1);
		if (!round)
			before = oracle_resident(&oracle);
		start = now_us();
		run(workers);
		us += now_us() - start;
		if (is_mmap())
			munmap(map, oracle.size);
	}
	if (opt.list)
		save(opt.list, workers, false);
	if (opt.all)
		save(opt.all, workers, true);
	report(workers, before, oracle_resident(&oracle), us);
	return fflush(stdout) ? 1 : 0;
}
