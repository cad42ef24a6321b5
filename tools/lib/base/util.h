/* SPDX-License-Identifier: GPL-2.0-only */
/* Exit statuses, messages and the parsing of numbers. */
#ifndef PAGE2CACHE_UTIL_H
#define PAGE2CACHE_UTIL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Exit statuses of every program; see the manual pages. */
enum status {
	STATUS_DONE = 0,
	STATUS_FAILED = 1,	/* while running */
	STATUS_BAD_INPUT = 2,	/* usage, a file, a list */
	STATUS_UNSUPPORTED = 3, /* this kernel cannot do it */
	STATUS_PARTIAL = 4,	/* not all requested pages became resident */
};

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

extern const char *program_name;
extern bool verbose, quiet;

/* A line on stderr, unless quiet, after the program's name. */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The same, only with -v. */
void say_verbose(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* say() WHY, free it and return STATUS. */
enum status fail_with(char *why, enum status status);

/* Memory that is needed to go on at all: ends the program when there is none. */
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t n, size_t size);
char *xstrdup(const char *s);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * Whole decimal numbers, without sign, space or trailing text. Returns 0,
 * -EINVAL or -ERANGE and leaves *out alone on error.
 */
int parse_u64(const char *s, uint64_t *out);
/* A number with an optional K, M, G or T (powers of 1024). */
int parse_size(const char *s, uint64_t *out);
/* Per cent, 0 to 100, decimals allowed. */
int parse_percent(const char *s, double *out);
/* Seconds, decimals allowed, above 0 and at most a year; in microseconds. */
int parse_seconds(const char *s, uint64_t *us);

/* Do these names lead to one file, or would they if it were there? */
bool same_file(const char *a, const char *b);

/* The length of the valid UTF-8 sequence that s begins with, 0 if there is none. */
int utf8_len(const char *s);
enum escape {
	ESCAPE_CONTROLS = 1, /* control characters */
	ESCAPE_PERCENT = 2,  /* % itself: no two texts then become one */
};
/* Bytes that are not UTF-8, and what is in the enum escape bits of WHAT, become %XX. */
char *percent_escape(const char *s, unsigned int what);

struct timespec timespec_of(uint64_t ns);
uint64_t now_ns(void); /* CLOCK_MONOTONIC, as bpf_ktime_get_ns() */
uint64_t page_size(void);

#endif
