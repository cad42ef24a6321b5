// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the patched kernel takes and what it refuses.
 *
 *   helper load                  each program: its name and 0, or the verifier's error
 *   helper call FILE [wrong]     maps FILE, open for reading (write-only with `wrong`): the
 *                                calls by name, each with its result
 *   helper full FILE             a list that says that it is longer than its map
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

static int call(const char *path, bool wrong, bool full)
{
	struct helper_bpf *skel;
	struct page2cache_head *head;
	int fd = open(path, wrong ? O_WRONLY : O_RDONLY);

	if (fd < 0) {
		perror(path);
		return 1;
	}
	skel = attached("at_mmap", NULL);
	head = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(skel->maps.good),
		    0);
	if (head == MAP_FAILED)
		return 1;
	if (full)
		head->nr_extents = 11; /* 16 elements, of which the head takes six */
	mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	printf("hash %ld\n", skel->data->result_hash);
	printf("not_mmapable %ld\nodd_values %ld\ntoo_few %ld\nfirst %ld\nflags %ld\nright %ld\n",
	       skel->data->result_not_mmapable, skel->data->result_odd_values,
	       skel->data->result_too_few, skel->data->result_first, skel->data->result_flags,
	       skel->data->result);
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
	if (argc >= 3 && !strcmp(argv[1], "call"))
		return call(argv[2], argc > 3, false);
	if (argc == 3 && !strcmp(argv[1], "full"))
		return call(argv[2], false, true);
	if (argc >= 4 && !strcmp(argv[1], "miss"))
		return miss(argv[2], argv + 3);
	fprintf(stderr, "usage: helper load | call FILE [wrong] | full FILE | miss FILE PAGE...\n");
	return 2;
}
