// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files whose every byte is known from its place.
 *
 *   content write FILE BYTES        makes the file
 *   content check FILE read|mmap [zeros]
 *                                   is all of it as written? With `zeros` words may be 0 instead
 *                                   (holes are punched, the file is cut and extended meanwhile)
 *   content stress FILE SECONDS SEED
 *                                   what other programs do to a file that is being forced: cuts
 *                                   and extends it, punches holes, writes (through the cache, a
 *                                   mapping and past it), reads, drops its pages; the words it
 *                                   writes are always the right ones for their place
 *
 * Status 1: something is wrong with the bytes, and where. 2: usage or an error.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CHUNK (64 << 10)

static void die(const char *what)
{
	perror(what);
	exit(2);
}

/* The word at a byte offset: splitmix64 of its number, never 0. */
static uint64_t word(uint64_t at)
{
	uint64_t x = at / 8 + 0x9e3779b97f4a7c15;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return (x ^ x >> 31) | 1;
}

static void fill(uint64_t *words, uint64_t at, size_t bytes)
{
	size_t i;

	for (i = 0; i < bytes / 8; i++)
		words[i] = word(at + i * 8);
}

static bool right(const uint64_t *words, uint64_t at, size_t bytes, bool zeros)
{
	size_t i;

	for (i = 0; i < bytes / 8; i++) {
		if (words[i] == word(at + i * 8) || (zeros && !words[i]))
			continue;
		printf("byte %llu: %016llx, not %016llx\n", (unsigned long long)(at + i * 8),
		       (unsigned long long)words[i], (unsigned long long)word(at + i * 8));
		return false;
	}
	return true;
}

static void write_all(const char *path, uint64_t bytes)
{
	static uint64_t words[CHUNK / 8];
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	uint64_t at;

	if (fd < 0)
		die(path);
	for (at = 0; at < bytes; at += sizeof(words)) {
		fill(words, at, sizeof(words));
		if (pwrite(fd, words, sizeof(words), at) != sizeof(words))
			die(path);
	}
	if (fsync(fd))
		die(path);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
}

static int check(const char *path, bool mapped, bool zeros)
{
	static uint64_t words[CHUNK / 8];
	int fd = open(path, O_RDONLY);
	const char *map = NULL;
	struct stat st;
	uint64_t at;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st))
		die(path);
	if (mapped) {
		map = mmap(NULL, st.st_size, PROT_READ, MAP_SHARED, fd, 0);
		if (map == MAP_FAILED)
			die("mmap");
	}
	for (at = 0; at < (uint64_t)st.st_size; at += n) {
		n = (uint64_t)st.st_size - at < CHUNK ? (uint64_t)st.st_size - at : CHUNK;
		if (!mapped)
			n = pread(fd, words, n, at);
		if (n <= 0)
			die(path);
		if (!right(mapped ? (const uint64_t *)(map + at) : words, at, n, zeros))
			return 1;
	}
	close(fd);
	return 0;
}

static uint64_t number(uint64_t *seed, uint64_t below)
{
	*seed = *seed * 6364136223846793005 + 1442695040888963407;
	return (*seed >> 33) % below;
}

/* Writes pages [index, index + nr), by one of the three ways. */
static void rewrite(int fd, int direct, uint64_t index, uint64_t nr, int way)
{
	uint64_t at = index * 4096, bytes = nr * 4096;
	uint64_t *words = NULL;
	void *map;

	if (posix_memalign((void **)&words, 4096, bytes))
		die("memory");
	fill(words, at, bytes);
	if (way == 2) {
		map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, at);
		if (map != MAP_FAILED) {
			memcpy(map, words, bytes);
			munmap(map, bytes);
		}
	} else if (pwrite(way == 1 && direct >= 0 ? direct : fd, words, bytes, at) < 0 &&
		   errno != EIO && errno != ENOMEM && errno != ENOSPC) {
		die("pwrite");
	}
	free(words);
}

static int stress(const char *path, double seconds, uint64_t seed)
{
	static uint64_t words[CHUNK / 8];
	int fd = open(path, O_RDWR), direct = open(path, O_RDWR | O_DIRECT);
	time_t end = time(NULL) + seconds;
	uint64_t size, index, nr, rounds = 0;
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st))
		die(path);
	size = st.st_size / 4096;
	for (; time(NULL) < end; rounds++) {
		index = number(&seed, size - 16);
		nr = 1 + number(&seed, 16);
		switch (number(&seed, 12)) {
		case 0:
			/* Nobody maps it beyond its end meanwhile: one process does all of it. */
			if (ftruncate(fd, index * 4096) || ftruncate(fd, size * 4096))
				perror("ftruncate");
			break;
		case 1:
			fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, index * 4096,
				  nr * 4096);
			break;
		case 2:
			posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
			break;
		case 3:
			rewrite(fd, direct, index, nr, 1);
			break;
		case 4:
			rewrite(fd, direct, index, nr, 2);
			break;
		case 5:
		case 6:
			rewrite(fd, direct, index, nr, 0);
			break;
		default:
			n = pread(fd, words, nr * 4096, index * 4096);
			if (n > 0 && !right(words, index * 4096, n, true))
				return 1;
		}
	}
	printf("%llu\n", (unsigned long long)rounds);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "write"))
		return write_all(argv[2], strtoull(argv[3], NULL, 0)), 0;
	if (argc >= 4 && !strcmp(argv[1], "check"))
		return check(argv[2], !strcmp(argv[3], "mmap"), argc > 4);
	if (argc == 5 && !strcmp(argv[1], "stress"))
		return stress(argv[2], atof(argv[3]), strtoull(argv[4], NULL, 0));
	fprintf(stderr, "usage: content write FILE BYTES | check FILE read|mmap [zeros] | "
			"stress FILE SECONDS SEED\n");
	return 2;
}
