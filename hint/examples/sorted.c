// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A table whose records lie in the order in which they came, and an index that is sorted by key. A
 * walk along the index reads records from all over the table: each read of a cold table waits for
 * the disk. The index says which records come next, so the walk hints them.
 *
 * sorted build TABLE INDEX RECORDS
 * sorted walk TABLE INDEX AHEAD      AHEAD: so many records, 0 hints none
 *
 * cc -O2 sorted.c -o sorted $(pkg-config --cflags --libs pagehint)
 */
#include <fcntl.h>
#include <pagehint.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define RECORD 1024

struct entry {
	uint64_t key;
	uint64_t offset; /* of the record in the table */
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int by_key(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return x->key < y->key ? -1 : x->key > y->key;
}

static int build(const char *table, const char *index, size_t n)
{
	struct entry *entries = calloc(n, sizeof(*entries));
	FILE *t = fopen(table, "w"), *x = fopen(index, "w");
	uint64_t record[RECORD / sizeof(uint64_t)] = { 0 };
	size_t i;

	if (!entries || !t || !x)
		die("sorted");
	for (i = 0; i < n; i++) {
		entries[i].key = (i + 1) * 0x9e3779b97f4a7c15ULL;
		entries[i].offset = i * RECORD;
		record[0] = entries[i].key;
		fwrite(record, sizeof(record), 1, t);
	}
	qsort(entries, n, sizeof(*entries), by_key);
	fwrite(entries, sizeof(*entries), n, x);
	free(entries);
	if (fclose(t) || fclose(x))
		die("sorted");
	return 0;
}

static struct entry *load(const char *index, size_t *n)
{
	int fd = open(index, O_RDONLY);
	struct entry *entries;
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		die(index);
	entries = malloc(st.st_size + 1);
	if (!entries || read(fd, entries, st.st_size) != st.st_size)
		die(index);
	close(fd);
	*n = st.st_size / sizeof(*entries);
	return entries;
}

static int walk(const char *table, const char *index, size_t ahead)
{
	uint64_t record[RECORD / sizeof(uint64_t)], wrong = 0;
	struct timespec begin, end;
	size_t n, i, hinted = 0;
	struct entry *entries = load(index, &n);
	int fd = open(table, O_RDONLY), id = -1;
	struct pagehint *hints = NULL;

	if (fd < 0)
		die(table);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	if (ahead) {
		/* Without a handle the walk is slower, and right all the same. */
		hints = pagehint_connect(NULL);
		id = pagehint_file(hints, fd);
	}
	for (i = 0; i < n; i++) {
		for (; hinted < n && hinted < i + ahead; hinted++)
			pagehint_willneed(hints, id, entries[hinted].offset, RECORD);
		if (pread(fd, record, RECORD, entries[i].offset) != RECORD)
			die(table);
		wrong += record[0] != entries[i].key;
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%zu records, %ju wrong, %.1f ms\n", n, (uintmax_t)wrong,
	       (end.tv_sec - begin.tv_sec) * 1e3 + (end.tv_nsec - begin.tv_nsec) / 1e6);
	pagehint_close(hints);
	free(entries);
	return wrong != 0;
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "build"))
		return build(argv[2], argv[3], strtoul(argv[4], NULL, 10));
	if (argc == 5 && !strcmp(argv[1], "walk"))
		return walk(argv[2], argv[3], strtoul(argv[4], NULL, 10));
	fprintf(stderr, "usage: sorted build TABLE INDEX RECORDS\n"
			"       sorted walk TABLE INDEX AHEAD\n");
	return 2;
}
