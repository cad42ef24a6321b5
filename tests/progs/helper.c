// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the patched kernel takes and what it refuses.
 *
 *   helper load                  each program: its name and 0, or the verifier's error
 *   helper call FILE             reads a page of FILE that is absent: the calls by name, each
 *                                with its result
 *   helper full FILE             a list that says that it is longer than its map
 *   helper kptrs FILE            a map with pointers of the kernel in it
 *   helper tail                  a program that may not sleep, to call one that does
 *   helper miss FILE PAGE...     faults and reads these pages, which are absent: how often the
 *                                hook was called for each way, and with which lock a fault came
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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

int main(int argc, char **argv)
{
	libbpf_set_print(quiet);
	if (argc == 2 && !strcmp(argv[1], "load"))
		return load_each();
	if (argc == 3 && !strcmp(argv[1], "call"))
		return call(argv[2], false);
	if (argc == 3 && !strcmp(argv[1], "full"))
		return call(argv[2], true);
	if (argc == 3 && !strcmp(argv[1], "kptrs"))
		return call_kptrs(argv[2]);
	if (argc == 2 && !strcmp(argv[1], "tail"))
		return tail();
	if (argc >= 4 && !strcmp(argv[1], "miss"))
		return miss(argv[2], argv + 3);
	fprintf(stderr,
		"usage: helper load | call FILE | full FILE | kptrs FILE | tail | miss FILE PAGE...\n");
	return 2;
}
