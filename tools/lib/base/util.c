// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/progress.h"
#include "base/util.h"

const char *program_name = "page2cache";
bool verbose, quiet;

/*
 * Is the UTF-8 sequence that s begins with one that moves a cursor or starts a line? These
 * are the ASCII control characters and U+0080 to U+009F.
 */
static bool controls(const char *s)
{
	const unsigned char *c = (const unsigned char *)s;

	return *c < ' ' || *c == 0x7f || (c[0] == 0xc2 && c[1] < 0xa0);
}

char *percent_escape(const char *s, unsigned int what)
{
	char *text = xcalloc(3, strlen(s) + 1), *to = text;
	int len;

	while (*s) {
		len = utf8_len(s);
		if (len && !((what & ESCAPE_CONTROLS) && controls(s)) &&
		    !((what & ESCAPE_PERCENT) && *s == '%')) {
			to = mempcpy(to, s, len);
			s += len;
		} else {
			to += sprintf(to, "%%%02X", (unsigned char)*s++);
		}
	}
	return text;
}

static void vsay(const char *fmt, va_list ap)
{
	char *text, *shown, *line;

	if (quiet || vasprintf(&text, fmt, ap) < 0)
		return;
	/* Names come from others: escape bytes that would start a line or move the cursor. */
	shown = percent_escape(text, ESCAPE_CONTROLS);
	line = xasprintf("%s: %s\n", program_name, shown);
	fflush(stdout);
	progress_hide();
	/*
	 * Write the line with one call, so that messages of several programs do not mix within it.
	 */
	fputs(line, stderr);
	free(line);
	free(shown);
	free(text);
}

void say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsay(fmt, ap);
	va_end(ap);
}

void say_verbose(const char *fmt, ...)
{
	va_list ap;

	if (!verbose)
		return;
	va_start(ap, fmt);
	vsay(fmt, ap);
	va_end(ap);
}

static void *need(void *p)
{
	if (!p) {
		/* say() would need memory, so print directly. */
		fprintf(stderr, "%s: out of memory\n", program_name);
		exit(STATUS_FAILED);
	}
	return p;
}

enum status fail_with(char *why, enum status status)
{
	say("%s", why);
	free(why);
	return status;
}

void *xcalloc(size_t n, size_t size)
{
	return need(calloc(n ? n : 1, size));
}

void *xrealloc(void *p, size_t n, size_t size)
{
	return need(reallocarray(p, n ? n : 1, size));
}

char *xstrdup(const char *s)
{
	return need(strdup(s));
}

char *xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *s;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	return need(n < 0 ? NULL : s);
}

int parse_u64(const char *s, uint64_t *out)
{
	uint64_t v = 0;

	if (!*s)
		return -EINVAL;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return -EINVAL;
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return -ERANGE;
	}
	*out = v;
	return 0;
}

int parse_size(const char *s, uint64_t *out)
{
	static const char units[] = "KMGT";
	char digits[32];
	size_t len = strlen(s);
	unsigned int shift = 0;
	const char *unit;
	uint64_t v;
	int err;

	if (!len || len >= sizeof(digits))
		return -EINVAL;
	unit = strchr(units, s[len - 1]);
	if (unit) {
		shift = 10 * (unit - units + 1);
		len--;
	}
	memcpy(digits, s, len);
	digits[len] = 0;
	err = parse_u64(digits, &v);
	if (err)
		return err;
	if (v > UINT64_MAX >> shift)
		return -ERANGE;
	*out = v << shift;
	return 0;
}

/*
 * A decimal number without sign, space or trailing text. strtod(3) alone would take hexadecimal
 * ones, too.
 */
static int parse_decimal(const char *s, double *out)
{
	char *end;

	if (*s < '0' || *s > '9')
		return -EINVAL;
	errno = 0;
	*out = strtod(s, &end);
	return *end || errno || !isfinite(*out) || strchr(s, 'x') || strchr(s, 'X') ? -EINVAL : 0;
}

int parse_percent(const char *s, double *out)
{
	double v;
	int err = parse_decimal(s, &v);

	if (err)
		return err;
	if (v > 100)
		return -ERANGE;
	*out = v;
	return 0;
}

int parse_seconds(const char *s, uint64_t *us)
{
	double v;
	int err = parse_decimal(s, &v);

	if (err)
		return err;
	if (v < 1e-3 || v > 365.0 * 86400)
		return -ERANGE;
	*us = v * 1e6;
	return 0;
}

int utf8_len(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	/* The second byte has limits of its own where overlong forms and surrogates would be. */
	unsigned char low = 0x80, high = 0xbf;
	int len, i;

	if (*s < 0x80)
		return 1;
	if (*s < 0xc2 || *s > 0xf4)
		return 0;
	len = *s >= 0xf0 ? 4 : *s >= 0xe0 ? 3 : 2;
	switch (*s) {
	case 0xe0: /* below U+0800 two bytes do */
		low = 0xa0;
		break;
	case 0xed: /* U+D800 to U+DFFF are no characters */
		high = 0x9f;
		break;
	case 0xf0: /* below U+10000 three bytes do */
		low = 0x90;
		break;
	case 0xf4: /* U+10FFFF is the last one */
		high = 0x8f;
		break;
	}
	if (s[1] < low || s[1] > high)
		return 0;
	for (i = 2; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	}
	return len;
}

bool same_file(const char *a, const char *b)
{
	struct stat x, y;

	if (stat(a, &x) || stat(b, &y))
		return !strcmp(a, b);
	return x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

struct timespec timespec_of(uint64_t ns)
{
	return (struct timespec){ .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
}

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

uint64_t page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}
