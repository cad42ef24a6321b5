// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the functions of the module bpf_page2cache take and what they refuse.
 *
 *   kfunc load                     each program: its name, and whether the verifier takes it
 *   kfunc force FILE [wrong|ringbuf|holders|past|long]
 *                                  maps FILE and has its first eight pages forced: the state of
 *                                  the list after a second, lists held. wrong: a descriptor for
 *                                  writing only; ringbuf: no array; holders: one that owns lists
 *                                  itself; past: a list that begins behind its map; long: one
 *                                  that is longer than its map
 *   kfunc keep FILE N              has a list held N times, a map keeps the last; ends
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

#include "shared.h"
#include "kfunc.skel.h"

static int quiet(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	return 0;
}

static struct kfunc_bpf *load(const char *name)
{
	struct kfunc_bpf *skel = kfunc_bpf__open();
	struct bpf_program *prog;

	if (!skel)
		exit(1);
	bpf_object__for_each_program(prog, skel->obj) {
		bpf_program__set_autoload(prog, !strcmp(bpf_program__name(prog), name));
	}
	if (!kfunc_bpf__load(skel))
		return skel;
	kfunc_bpf__destroy(skel);
	return NULL;
}

static int load_each(void)
{
	struct kfunc_bpf *all = kfunc_bpf__open(), *skel;
	struct bpf_program *prog;

	if (!all)
		return 1;
	bpf_object__for_each_program(prog, all->obj) {
		skel = load(bpf_program__name(prog));
		printf("%s %s\n", bpf_program__name(prog), skel ? "taken" : "refused");
		kfunc_bpf__destroy(skel);
	}
	kfunc_bpf__destroy(all);
	return 0;
}

static struct kfunc_bpf *attached(const char *name)
{
	struct kfunc_bpf *skel = load(name);

	if (!skel || kfunc_bpf__attach(skel)) {
		fprintf(stderr, "%s: not attached: %s\n", name, strerror(errno));
		exit(1);
	}
	return skel;
}

static int map_file(const char *path, int flags)
{
	int fd = open(path, flags);
	void *at;

	if (fd < 0) {
		perror(path);
		return -1;
	}
	/* What is not allowed to be mapped is asked for all the same: the program is before that. */
	at = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	if (at != MAP_FAILED)
		munmap(at, 4096);
	return fd;
}

static int force(const char *path, const char *how)
{
	struct kfunc_bpf *skel = attached("at_mmap");
	struct page2cache_head *head;
	struct page2cache_extent *e;
	int i;

	head = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(skel->maps.extents),
		    0);
	if (head == MAP_FAILED)
		return 1;
	e = (void *)(head + 1);
	e->nr_pages = 8;
	head->nr_extents = strcmp(how, "long") ? 1 : 11; /* of 16 elements the head takes six */
	head->max_pages = 8;
	skel->bss->use_ringbuf = !strcmp(how, "ringbuf");
	skel->bss->use_holders = !strcmp(how, "holders");
	skel->bss->first = strcmp(how, "past") ? 0 : 11;
	skel->bss->tgid = getpid();
	if (map_file(path, strcmp(how, "wrong") ? O_RDONLY : O_WRONLY) < 0)
		return 1;
	for (i = 0; i < 100 && __atomic_load_n(&head->state, __ATOMIC_ACQUIRE) != PAGE2CACHE_DONE;
	     i++)
		usleep(10000);
	printf("state %llu held %u read %llu\n", (unsigned long long)head->state, skel->bss->held,
	       (unsigned long long)head->read);
	return 0;
}

static int keep(const char *path, int n)
{
	struct kfunc_bpf *skel = attached("keeps");
	int i;

	skel->bss->tgid = getpid();
	for (i = 0; i < n; i++) {
		if (map_file(path, O_RDONLY) < 0)
			return 1;
	}
	printf("held %u\n", skel->bss->held);
	return 0;
}

int main(int argc, char **argv)
{
	libbpf_set_print(quiet);
	if (argc == 2 && !strcmp(argv[1], "load"))
		return load_each();
	if ((argc == 3 || argc == 4) && !strcmp(argv[1], "force"))
		return force(argv[2], argc == 4 ? argv[3] : "");
	if (argc == 4 && !strcmp(argv[1], "keep"))
		return keep(argv[2], atoi(argv[3]));
	fprintf(stderr,
		"usage: kfunc load | force FILE [wrong|ringbuf|holders|past|long] | keep FILE N\n");
	return 2;
}
