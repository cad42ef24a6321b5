/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the unit tests share: cmocka, a folder on a real file system, random
 * numbers that are the same in every run.
 */
#ifndef PAGE2CACHE_UNIT_H
#define PAGE2CACHE_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"

/* Paths are relative to this folder: the tests run in it. */
static char unit_dir[4096];

static inline int unit_enter(void **state)
{
	const char *base = getenv("PAGE2CACHE_TEST_DIR");

	snprintf(unit_dir, sizeof(unit_dir), "%s/page2cache-unit.XXXXXX",
		 base && *base ? base : "/var/tmp");
	if (!mkdtemp(unit_dir) || chdir(unit_dir)) {
		print_error("%s: %s\n", unit_dir, strerror(errno));
		return -1;
	}
	return 0;
}

static inline int unit_leave(void **state)
{
	struct dirent *e;
	DIR *d = opendir(unit_dir);

	while (d && (e = readdir(d))) {
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") && unlink(e->d_name))
			rmdir(e->d_name);
	}
	if (d)
		closedir(d);
	return chdir("/") || rmdir(unit_dir);
}

/* A file of SIZE bytes without blocks. */
static inline void unit_file(const char *name, uint64_t size)
{
	int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	close(fd);
}

static inline void unit_text(const char *name, const char *text)
{
	FILE *f = fopen(name, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* xorshift64*, from a fixed seed. */
static inline uint64_t unit_random(void)
{
	static uint64_t x = 0x9e3779b97f4a7c15ULL;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	return x * 0x2545f4914f6cdd1dULL;
}

#endif
