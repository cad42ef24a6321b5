// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a miss costs without a device: reads each page of a file that is one
 * hole, uncached, and prints nanoseconds a miss, the median and the least of the rounds.
 *
 *     holes FILE read|mmap ROUNDS
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGES 8192UL
#define PAGE  4096UL

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static double round_ns(int fd, int mapped)
{
	volatile char *at = mmap(NULL, PAGES * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	double start;
	size_t i;
	char byte;

	if (at == MAP_FAILED || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) ||
	    madvise((void *)at, PAGES * PAGE, MADV_RANDOM))
		fail("preparing a round");
	start = now_ns();
	for (i = 0; i < PAGES; i++) {
		if (mapped)
			byte = at[i * PAGE];
		else if (pread(fd, &byte, 1, i * PAGE) != 1)
			fail("pread");
	}
	start = now_ns() - start;
	munmap((void *)at, PAGES * PAGE);
	return start / PAGES;
}

int main(int argc, char **argv)
{
	int fd, i, rounds = argc == 4 ? atoi(argv[3]) : 0;
	double *ns;

	if (rounds < 1 || (strcmp(argv[2], "read") && strcmp(argv[2], "mmap"))) {
		fprintf(stderr, "usage: holes FILE read|mmap ROUNDS\n");
		return 2;
	}
	fd = open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0600);
	ns = calloc(rounds, sizeof(*ns));
	if (fd < 0 || !ns || ftruncate(fd, PAGES * PAGE) ||
	    posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM))
		fail(argv[1]);
	for (i = 0; i < rounds; i++)
		ns[i] = round_ns(fd, argv[2][0] == 'm');
	qsort(ns, rounds, sizeof(*ns), compare);
	printf("%.0f %.0f\n", ns[rounds / 2], ns[0]);
	free(ns);
	return close(fd) || unlink(argv[1]);
}
