// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the patched kernel takes and what it refuses.
 *
 *   helper load                  each program: its name and 0, or the verifier's error
 *   helper call FILE             reads a page of FILE that is absent: the calls by name, each
 *                                with its result
 *   helper full FILE             a list that says that it is longer than its map
 *   helper far FILE FIRST N      a list of N extents, at element FIRST of its map: all but the last
 *                                one are 2^40 pages past the end of FILE, that is page 1; what the
 *                                kernel says of it
 *   helper stop FILE FIRST N     the same, stopped as soon as it has begun
 *   helper kptrs FILE            a map with pointers of the kernel in it
 *   helper tail                  a program that may not sleep, to call one that does
 *   helper count FILE COMMAND... runs COMMAND: its output, and how often the hook was called for
 *                                FILE meanwhile
 *   helper slow FILE COMMAND...  runs COMMAND, while each miss of FILE takes 40 ms longer
 *   helper gone FILE             a fault whose mapping is replaced while a program sleeps in the
 *                                hook: how often that was called
 *   helper scribble SECONDS      writes at random to the lists of all processes: how many words
 *   helper miss FILE PAGE...     faults and reads these pages, which are absent: how often the
 *                                hook was called for each way, and with which lock a fault came
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "force/engine_kernel.h"
#include "shared.h"
#include "helper.skel.h"

static int quiet(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	return 0;
}

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static struct helper_bpf *open_with(const char *name, const char *other)
{
	struct helper_bpf *skel = helper_bpf__open();
	struct bpf_program *prog;
	int err;

	if (!skel)
		exit(1);
	for (prog = bpf_object__next_program(skel->obj, NULL); prog;
	     prog = bpf_object__next_program(skel->obj, prog)) {
		bool wanted = !strcmp(bpf_program__name(prog), name) ||
			      (other && !strcmp(bpf_program__name(prog), other));

		bpf_program__set_autoload(prog, wanted);
		if (!wanted)
			continue;
		err = helper_set_number(prog);
		if (err) {
			fprintf(stderr, "this kernel has no helper\n");
			exit(3);
		}
	}
	return skel;
}

static int load_each(void)
{
	struct helper_bpf *all = helper_bpf__open(), *skel;
	struct bpf_program *prog;

	if (!all)
		return 1;
	for (prog = bpf_object__next_program(all->obj, NULL); prog;
	     prog = bpf_object__next_program(all->obj, prog)) {
		skel = open_with(bpf_program__name(prog), NULL);
		printf("%s %s\n", bpf_program__name(prog),
		       helper_bpf__load(skel) ? "refused" : "taken");
		helper_bpf__destroy(skel);
	}
	helper_bpf__destroy(all);
	return 0;
}

static struct helper_bpf *attached(const char *name, const char *other)
{
	struct helper_bpf *skel = open_with(name, other);

	if (helper_bpf__load(skel) || helper_bpf__attach(skel)) {
		fprintf(stderr, "%s: not attached: %s\n", name, strerror(errno));
		exit(1);
	}
	skel->bss->tgid = getpid();
	return skel;
}

/* A page that is not cached, read at once. */
static int miss_one(const char *path)
{
	int fd = open(path, O_RDONLY);
	char byte;

	if (fd < 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) || pread(fd, &byte, 1, 0) != 1) {
		perror(path);
		exit(1);
	}
	return close(fd);
}

static int call(const char *path, bool full)
{
	struct helper_bpf *skel = open_with("call_all", NULL);
	struct page2cache_head *head;

	if (helper_bpf__load(skel) || bpf_map_freeze(bpf_map__fd(skel->maps.frozen)) ||
	    helper_bpf__attach(skel)) {
		fprintf(stderr, "call_all: not attached: %s\n", strerror(errno));
		return 1;
	}
	head = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(skel->maps.good),
		    0);
	if (head == MAP_FAILED)
		return 1;
	if (full)
		head->nr_extents = 11; /* 16 elements, of which the head takes six */
	skel->bss->tgid = getpid();
	miss_one(path);
	printf("hash %ld\nread_only %ld\nfrozen %ld\n", skel->data->result_hash,
	       skel->data->result_read_only, skel->data->result_frozen);
	printf("not_mmapable %ld\nodd_values %ld\ntoo_few %ld\nfirst %ld\nflags %ld\nright %ld\n",
	       skel->data->result_not_mmapable, skel->data->result_odd_values,
	       skel->data->result_too_few, skel->data->result_first, skel->data->result_flags,
	       skel->data->result);
	printf("again %ld\nreset %ld\nlists %ld\nmore %ld\n", skel->data->result_again,
	       skel->data->result_reset, skel->data->result_lists, skel->data->result_more);
	return 0;
}

/* The list lies in the map; the head is returned. */
static struct page2cache_head *far_list(struct helper_bpf *skel, uint64_t first, uint64_t nr)
{
	size_t elements = first + PAGE2CACHE_HEAD + nr;
	struct page2cache_extent *map, *e;

	if (bpf_map__set_max_entries(skel->maps.good, elements) || helper_bpf__load(skel) ||
	    helper_bpf__attach(skel))
		die("call_far");
	map = mmap(NULL, elements * sizeof(*map), PROT_READ | PROT_WRITE, MAP_SHARED,
		   bpf_map__fd(skel->maps.good), 0);
	if (map == MAP_FAILED)
		die("mmap");
	for (e = map + first + PAGE2CACHE_HEAD; e < map + elements - 1; e++)
		*e = (struct page2cache_extent){ .index = 1ULL << 50, .nr_pages = 1ULL << 40 };
	*e = (struct page2cache_extent){ .index = 1, .nr_pages = 1 };
	return (void *)(map + first);
}

static int call_far(const char *path, uint64_t first, uint64_t nr, bool stop)
{
	struct helper_bpf *skel = open_with("call_far", NULL);
	struct page2cache_head *head = far_list(skel, first, nr);
	int fd = open(path, O_RDONLY);
	char byte;

	head->nr_extents = nr;
	head->max_pages = 16;
	skel->bss->first = first;
	skel->bss->tgid = getpid();
	/* Closed, the file would end the list. */
	if (fd < 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) || pread(fd, &byte, 1, 0) != 1)
		die(path);
	while (stop && !skel->data->result && !__atomic_load_n(&head->reached, __ATOMIC_RELAXED))
		usleep(100);
	if (stop)
		__atomic_store_n(&head->state, PAGE2CACHE_STOP, __ATOMIC_RELAXED);
	while (!skel->data->result &&
	       __atomic_load_n(&head->state, __ATOMIC_ACQUIRE) != PAGE2CACHE_DONE)
		usleep(100);
	printf("right %ld\nerror %lld\nall %d\npast %d\npages %llu\n", skel->data->result,
	       (long long)head->error, head->reached == nr,
	       head->past_eof == (head->reached - (head->reached == nr)) << 40,
	       (unsigned long long)(head->read + head->resident));
	return 0;
}

static int call_kptrs(const char *path)
{
	struct helper_bpf *skel = attached("call_kptrs", NULL);

	miss_one(path);
	printf("kptrs %ld\n", skel->data->result_kptrs);
	return 0;
}

static int tail(void)
{
	struct helper_bpf *skel = open_with("tail_call", "at_miss");
	__u32 zero = 0;
	int fd;

	if (helper_bpf__load(skel)) {
		fprintf(stderr, "not loaded: %s\n", strerror(errno));
		return 1;
	}
	fd = bpf_program__fd(skel->progs.at_miss);
	puts(bpf_map_update_elem(bpf_map__fd(skel->maps.progs), &zero, &fd, BPF_ANY) ? "refused"
										     : "taken");
	return 0;
}

/* Evicts the pages, then has them missed. */
static int miss(const char *path, char **pages)
{
	struct helper_bpf *skel = attached("count_miss", "note_lock");
	int fd = open(path, O_RDONLY), i;
	long size = sysconf(_SC_PAGESIZE);
	volatile char sum = 0;
	const char *const locks[] = { "", " mmap_lock", " vma_lock" };
	uint64_t before;
	char *map, byte;

	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	for (i = 0; pages[i]; i++) {
		long at = atol(pages[i]) * size;
		const char *ways[] = { "read", "fault", "populate" };
		int way;

		for (way = 0; way < 3; way++) {
			posix_fadvise(fd, at, size, POSIX_FADV_DONTNEED);
			before = skel->bss->fires;
			skel->bss->lock = 0;
			map = mmap(NULL, size, PROT_READ,
				   MAP_SHARED | (way == 2 ? MAP_POPULATE : 0), fd, at);
			if (map == MAP_FAILED)
				return 1;
			madvise(map, size, MADV_RANDOM);
			if (way == 0)
				sum += pread(fd, &byte, 1, at);
			else
				sum += *(volatile char *)map;
			munmap(map, size);
			printf("%s %llu%s\n", ways[way],
			       (unsigned long long)(skel->bss->fires - before),
			       locks[skel->bss->lock]);
		}
	}
	return 0;
}

/* The program of this name is attached, and told of the file. */
static struct helper_bpf *attached_to(const char *path, const char *name)
{
	struct helper_bpf *skel = attached(name, NULL);
	struct stat st;

	if (stat(path, &st)) {
		perror(path);
		exit(1);
	}
	skel->bss->ino = st.st_ino;
	return skel;
}

/* Returns the status that COMMAND ended with, 1 if it was killed. */
static int run(char **command)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		execvp(command[0], command);
		perror(command[0]);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		die(command[0]);
	if (status)
		fprintf(stderr, "%s: wait status %#x\n", command[0], status);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int count(const char *path, char **command)
{
	struct helper_bpf *skel = attached_to(path, "count_calls");
	int status = run(command);

	if (!status)
		printf("calls %llu\n", (unsigned long long)skel->bss->calls);
	return status;
}

static int slow(const char *path, char **command)
{
	attached_to(path, "slow_miss");
	return run(command);
}

static void *touch(void *page)
{
	return (void *)(long)*(volatile char *)page;
}

/* A page that is not there until somebody gives it: who reads it sleeps. */
static char *page_on_demand(int uffd, long size)
{
	char *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { (uintptr_t)page, size },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	if (uffd < 0 || page == MAP_FAILED || ioctl(uffd, UFFDIO_API, &api) ||
	    ioctl(uffd, UFFDIO_REGISTER, &reg)) {
		perror("userfaultfd");
		exit(1);
	}
	return page;
}

static int gone(const char *path)
{
	struct helper_bpf *skel = attached_to(path, "count_calls");
	long size = sysconf(_SC_PAGESIZE);
	int fd = open(path, O_RDONLY), uffd = syscall(__NR_userfaultfd, O_CLOEXEC);
	char *page = page_on_demand(uffd, size), *map;
	struct uffdio_zeropage zero = { .range = { (uintptr_t)page, size } };
	struct uffd_msg msg;
	pthread_t thread;

	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	map = mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	skel->bss->user_address = (uintptr_t)page;
	if (map == MAP_FAILED || pthread_create(&thread, NULL, touch, map))
		return 1;
	/* The program sleeps; what the thread then finds in place of its mapping is a page of zeros. */
	if (read(uffd, &msg, sizeof(msg)) != sizeof(msg) || msg.event != UFFD_EVENT_PAGEFAULT ||
	    mmap(map, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != map)
		return 1;
	/* Until the mapping is freed: two grace periods and more. */
	usleep(100000);
	if (ioctl(uffd, UFFDIO_ZEROPAGE, &zero) || pthread_join(thread, NULL))
		return 1;
	printf("calls %llu\n", (unsigned long long)skel->bss->calls);
	return 0;
}

/* What a word of a list may be mistaken for: a state, a page, a number of pages, anything. */
static uint64_t random_word(void)
{
	uint64_t word = (uint64_t)random() << 33 ^ (uint64_t)random() << 11 ^ random();

	switch (random() % 4) {
	case 0:
		return word % 4;
	case 1:
		return word % 10000;
	case 2:
		return -(word % 4);
	default:
		return word;
	}
}

/* Half of it hits the head of the first list. Returns how many words were written. */
static unsigned long scribble_map(int fd, const struct bpf_map_info *info)
{
	size_t words = (size_t)info->max_entries * info->value_size / sizeof(uint64_t);
	uint64_t *map = mmap(NULL, words * sizeof(*map), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	unsigned long i;

	if (map == MAP_FAILED)
		return 0;
	for (i = 0; i < 1000; i++) {
		size_t at = random() % (random() % 2 ? PAGE2CACHE_HEAD * 2 : words);

		__atomic_store_n(map + at, random_word(), __ATOMIC_RELAXED);
	}
	munmap(map, words * sizeof(*map));
	return i;
}

static int scribble(long seconds)
{
	time_t end = time(NULL) + seconds;
	unsigned long written = 0;

	while (time(NULL) < end) {
		__u32 id = 0;

		while (!bpf_map_get_next_id(id, &id)) {
			struct bpf_map_info info = { 0 };
			__u32 size = sizeof(info);
			int fd = bpf_map_get_fd_by_id(id);

			if (fd < 0)
				continue;
			if (!bpf_obj_get_info_by_fd(fd, &info, &size) &&
			    !strcmp(info.name, "extents"))
				written += scribble_map(fd, &info);
			close(fd);
		}
		usleep(2000);
	}
	printf("%lu\n", written);
	return 0;
}

int main(int argc, char **argv)
{
	libbpf_set_print(quiet);
	if (argc == 2 && !strcmp(argv[1], "load"))
		return load_each();
	if (argc == 3 && !strcmp(argv[1], "call"))
		return call(argv[2], false);
	if (argc == 3 && !strcmp(argv[1], "full"))
		return call(argv[2], true);
	if (argc == 5 && (!strcmp(argv[1], "far") || !strcmp(argv[1], "stop")))
		return call_far(argv[2], strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10),
				!strcmp(argv[1], "stop"));
	if (argc == 3 && !strcmp(argv[1], "kptrs"))
		return call_kptrs(argv[2]);
	if (argc == 2 && !strcmp(argv[1], "tail"))
		return tail();
	if (argc >= 4 && !strcmp(argv[1], "count"))
		return count(argv[2], argv + 3);
	if (argc >= 4 && !strcmp(argv[1], "slow"))
		return slow(argv[2], argv + 3);
	if (argc == 3 && !strcmp(argv[1], "scribble"))
		return scribble(atol(argv[2]));
	if (argc == 3 && !strcmp(argv[1], "gone"))
		return gone(argv[2]);
	if (argc >= 4 && !strcmp(argv[1], "miss"))
		return miss(argv[2], argv + 3);
	fprintf(stderr,
		"usage: helper load | tail | call|full|kptrs|gone FILE | count FILE COMMAND... |\n"
		"              far|stop FILE FIRST N | scribble SECONDS | miss FILE PAGE...\n");
	return 2;
}
