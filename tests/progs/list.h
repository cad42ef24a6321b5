/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What workload and floor share. The list reader is a second, minimal one on
 * purpose: figures about pcforce must not depend on pcforce's own parser.
 */
#ifndef PROGS_LIST_H
#define PROGS_LIST_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

static _Noreturn void die(const char *what, int err)
{
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(err));
	exit(1);
}

static inline uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/* One more element in a growing array; returns the array. */
static inline void *grow(void *array, size_t nr, size_t *cap, size_t size)
{
	if (nr < *cap)
		return array;
	*cap = *cap ? *cap * 2 : 4096;
	array = realloc(array, *cap * size);
	if (!array)
		die("memory", ENOMEM);
	return array;
}

/*
 * Memory that the host took back is slow to get again: touch it and free it, so
 * that the page cache finds it in place.
 */
static inline void touch_memory(uint64_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (p == MAP_FAILED)
		die("touching memory", errno);
	munmap(p, bytes);
}

/* %XX of a section's file name, up to the first space; in place */
static inline void decode_name(char *s)
{
	char *to = s;
	unsigned int c;

	for (; *s && *s != ' ' && *s != '\n'; s++) {
		if (*s == '%' && sscanf(s + 1, "%2x", &c) == 1) {
			*to++ = c;
			s += 2;
		} else {
			*to++ = *s;
		}
	}
	*to = 0;
}

/* The names of files by their numbers in a list of version 2. */
struct numbered {
	char **names;
	size_t nr;
};

static inline void keep_name(struct numbered *n, size_t number, const char *name)
{
	if (number >= n->nr) {
		n->names = realloc(n->names, (number + 1) * 2 * sizeof(*n->names));
		if (!n->names)
			die("memory", ENOMEM);
		memset(n->names + n->nr, 0, ((number + 1) * 2 - n->nr) * sizeof(*n->names));
		n->nr = (number + 1) * 2;
	}
	free(n->names[number]);
	n->names[number] = strdup(name);
}

/* The N of an @N at S, behind blanks; 0: there is none. */
static inline size_t number_at(const char *s)
{
	s += strspn(s, " \t");
	return *s == '@' ? strtoul(s + 1, NULL, 10) : 0;
}

/* Calls @section at each "# file=" or other @N, and @extent for each N, N+C and N-M. */
static inline void read_list(const char *list, void (*section)(const char *name),
			     void (*extent)(uint64_t index, uint64_t nr))
{
	FILE *f = strcmp(list, "-") ? fopen(list, "re") : stdin;
	size_t cap = 0, number, current = 0;
	struct numbered files = { 0 };
	char *line = NULL, *end;

	if (!f)
		die(list, errno);
	while (getline(&line, &cap, f) > 0) {
		uint64_t index, nr = 1;

		if (!strncmp(line, "# file=", 7)) {
			current = number_at(line + 7 + strcspn(line + 7, " \t\n"));
			decode_name(line + 7);
			if (current)
				keep_name(&files, current, line + 7);
			section(line + 7);
		}
		if (line[0] < '0' || line[0] > '9')
			continue;
		index = strtoull(line, &end, 10);
		if (*end == '+')
			nr = strtoull(end + 1, &end, 10);
		else if (*end == '-')
			nr = strtoull(end + 1, &end, 10) - index + 1;
		number = number_at(end);
		if (number && number != current) {
			if (number >= files.nr || !files.names[number])
				die(list, EINVAL);
			section(files.names[number]);
			current = number;
		}
		extent(index, nr);
	}
	while (files.nr)
		free(files.names[--files.nr]);
	free(files.names);
	free(line);
	if (f != stdin)
		fclose(f);
}

#endif
