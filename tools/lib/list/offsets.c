// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "list/offsets.h"

/* A header line: a path of PATH_MAX bytes, each as %XX, and the fields. */
#define MAX_LINE (16 << 10)

static const char incomplete[] = "# incomplete:";
static const char uuid_key[] = "uuid=";
static const char unused_line[] = "# unused=";
static const char pattern_key[] = "pattern=";
static const char *const pattern_names[NR_PATTERNS] = {
	[PATTERN_SEQ] = "seq",
	[PATTERN_MMAP] = "mmap",
	[PATTERN_RANDOM] = "random",
};

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static bool begins(const char *s, const char *end, const char *with)
{
	size_t len = strlen(with);

	return (size_t)(end - s) >= len && !memcmp(s, with, len);
}

/* A decimal number at *s, which is moved behind it. */
static const char *number(const char **s, const char *end, uint64_t *out)
{
	const char *at = *s;
	uint64_t v = 0;

	for (; at < end && *at >= '0' && *at <= '9'; at++) {
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*at - '0'), &v))
			return "the number does not fit in 64 bits";
	}
	if (at == *s)
		return "a page index is expected: N, N+COUNT or N-LAST";
	*s = at;
	*out = v;
	return NULL;
}

/* The @N at S, which reaches to END. */
static const char *file_number(const char *s, const char *end, uint32_t *out)
{
	uint64_t v;

	s++;
	if (number(&s, end, &v) || s < end || !v || v > UINT32_MAX)
		return "the number of a file, @N, is 1 to 4294967295";
	*out = v;
	return NULL;
}

/* The file of an extent that is followed by the blanks and @N at S. */
static const char *parse_owner(const struct offsets_parser *p, const char *s, const char *end,
			       uint32_t *file)
{
	const char *error;
	uint32_t n = 0;

	if (p->version < OFFSETS_NUMBERED)
		return "a number, @N, needs the line '# page2cache offsets 2' before it";
	error = file_number(s, end, &n);
	if (!error && !numbers_find(&p->numbers, n, file))
		error = "no '# file=' line before has this number";
	return error;
}

/* Where the blanks and @N at S begin with @; NULL: something else is there. */
static const char *owner_at(const char *s, const char *end)
{
	const char *at = s;

	while (at < end && is_space(*at))
		at++;
	return at > s && at < end && *at == '@' ? at : NULL;
}

static const char *parse_extent(struct offsets_parser *p, const char *s, const char *end)
{
	const char *error, *owner;
	uint32_t file = p->file;
	uint64_t index, nr = 1;
	char op;

	error = number(&s, end, &index);
	if (error)
		return error;
	if (s < end && (*s == '+' || *s == '-')) {
		op = *s++;
		error = number(&s, end, &nr);
		if (error)
			return error;
		if (s < end && !owner_at(s, end))
			return "text follows the extent";
		if (op == '+' && !nr)
			return "an extent of no pages";
		if (op == '-') {
			if (nr < index)
				return "the last page lies before the first";
			nr = nr - index + 1;
		}
		if (!nr || nr - 1 > UINT64_MAX - index)
			return "the extent does not fit in 64 bits";
	}
	if (s < end) {
		owner = owner_at(s, end);
		if (!owner)
			return "only +COUNT or -LAST can follow a page index";
		error = parse_owner(p, owner, end, &file);
		if (error)
			return error;
	}
	return p->sink.extent(p->sink.ctx, file, index, nr);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static const char *decode_path(const char *s, const char *end, char **out)
{
	char *path = malloc(end - s + 1), *to = path;

	if (!path)
		return "out of memory";
	if (memchr(s, 0, end - s)) {
		free(path);
		return "file=: a NUL byte in the path";
	}
	for (; s < end; s++) {
		if (*s != '%') {
			*to++ = *s;
			continue;
		}
		if (end - s < 3 || hex_digit(s[1]) < 0 || hex_digit(s[2]) < 0 ||
		    !(hex_digit(s[1]) | hex_digit(s[2]))) {
			free(path);
			return "file=: % takes two hexadecimal digits, not 00";
		}
		*to++ = hex_digit(s[1]) << 4 | hex_digit(s[2]);
		s += 2;
	}
	*to = 0;
	*out = path;
	return NULL;
}

const char *offsets_decode_path(const char *text, char **path)
{
	return decode_path(text, text + strlen(text), path);
}

/* A name that only a later version knows is as good as none: a pattern is a hint. */
static enum offsets_pattern pattern_of(const char *s, const char *end)
{
	size_t i;

	for (i = 0; i < NR_PATTERNS; i++) {
		if (pattern_names[i] && strlen(pattern_names[i]) == (size_t)(end - s) &&
		    !memcmp(s, pattern_names[i], end - s))
			return i;
	}
	return PATTERN_UNKNOWN;
}

/* As file systems' UUIDs are printed everywhere: digits in groups of 8, 4, 4, 4 and 12. */
static const char *parse_uuid(struct uuid *uuid, const char *s, const char *end)
{
	static const char form[] = "00000000-0000-0000-0000-000000000000";
	uint8_t *to = uuid->bytes;
	size_t i;

	if ((size_t)(end - s) != sizeof(form) - 1)
		goto fail;
	for (i = 0; i < sizeof(form) - 1; i++) {
		if (form[i] == '-' ? s[i] != '-' : hex_digit(s[i]) < 0)
			goto fail;
	}
	for (; s < end; s += 2) {
		s += *s == '-';
		*to++ = hex_digit(s[0]) << 4 | hex_digit(s[1]);
	}
	return NULL;
fail:
	return "uuid=: 8-4-4-4-12 hexadecimal digits are expected";
}

static void write_uuid(FILE *f, const struct uuid *uuid)
{
	char text[UUID_TEXT];

	uuid_text(uuid, text);
	fprintf(f, " %s%s", uuid_key, text);
}

static const char *parse_field(struct offsets_section *sec, const char *s, const char *end)
{
	static const struct {
		const char *key;
		enum offsets_field field;
		int base;
		const char *error;
	} fields[] = {
		{ "fsid=", OFFSETS_FSID, 16, "fsid=: a hexadecimal number is expected" },
		{ "ino=", OFFSETS_INO, 10, "ino=: a number is expected" },
		{ "gen=", OFFSETS_GEN, 10, "gen=: a number is expected" },
		{ "size=", OFFSETS_SIZE, 10, "size=: a number is expected" },
		{ "mtime_ns=", OFFSETS_MTIME, 10, "mtime_ns=: a number is expected" },
		{ "page_size=", OFFSETS_PAGE_SIZE, 10, "page_size=: a number is expected" },
		{ "misses=", OFFSETS_MISSES, 10, "misses=: a number is expected" },
	};
	char digits[24], *stop;
	size_t i, len;
	uint64_t v;

	if (begins(s, end, uuid_key))
		return parse_uuid(&sec->id.uuid, s + strlen(uuid_key), end);
	if (begins(s, end, pattern_key)) {
		sec->pattern = pattern_of(s + strlen(pattern_key), end);
		return NULL;
	}
	for (i = 0; i < ARRAY_SIZE(fields) && !begins(s, end, fields[i].key); i++)
		;
	if (i == ARRAY_SIZE(fields))
		return NULL; /* a later version's field */
	s += strlen(fields[i].key);
	len = end - s;
	if (!len || len >= sizeof(digits) || !(hex_digit(*s) >= 0 || (*s == '-' && len > 1)))
		return fields[i].error;
	memcpy(digits, s, len);
	digits[len] = 0;
	if (digits[strspn(digits, "-0123456789abcdefABCDEF")])
		return fields[i].error;
	errno = 0;
	if (fields[i].field == OFFSETS_MTIME)
		v = strtoll(digits, &stop, 10);
	else
		v = *digits == '-' ? (errno = EINVAL, 0) : strtoull(digits, &stop, fields[i].base);
	if (errno || stop != digits + len)
		return fields[i].error;
	sec->has |= fields[i].field;
	switch (fields[i].field) {
	case OFFSETS_FSID:
		sec->id.fsid = v;
		break;
	case OFFSETS_INO:
		sec->id.ino = v;
		break;
	case OFFSETS_GEN:
		if (v > UINT32_MAX)
			return fields[i].error;
		sec->id.gen = v;
		break;
	case OFFSETS_SIZE:
		sec->id.size = v;
		break;
	case OFFSETS_MTIME:
		sec->id.mtime_ns = v;
		break;
	case OFFSETS_PAGE_SIZE:
		sec->page_size = v;
		break;
	case OFFSETS_MISSES:
		sec->misses = v;
		break;
	}
	return NULL;
}

/* Is the field from S to END @N? Version 1 has none, and skips it as a field of later versions. */
static bool is_number(const struct offsets_parser *p, const char *s)
{
	return p->version >= OFFSETS_NUMBERED && *s == '@';
}

/* The text behind `# file=`. */
static const char *parse_section(struct offsets_parser *p, const char *s, const char *end)
{
	struct offsets_section sec = { 0 };
	const char *at = s, *error;
	uint32_t n = 0, file;
	bool first = true;

	while (at < end && !is_space(*at))
		at++;
	if (at == s)
		return "file=: a path is expected";
	error = decode_path(s, at, &sec.file);
	while (!error && at < end) {
		while (at < end && is_space(*at))
			at++;
		for (s = at; at < end && !is_space(*at);)
			at++;
		if (at == s)
			break;
		if (!is_number(p, s))
			error = parse_field(&sec, s, at);
		else if (first)
			error = file_number(s, at, &n);
		else
			error = "a number, @N, stands right behind the path";
		first = false;
	}
	if (!error && n && numbers_find(&p->numbers, n, &file))
		error = "a '# file=' line before has this number";
	if (!error)
		error = p->sink.section(p->sink.ctx, &sec, &p->file);
	if (!error && n)
		numbers_add(&p->numbers, n, p->file);
	free(sec.file);
	return error;
}

/* A list begins here, the first one of the text or, after cat(1), another. */
static const char *parse_version(struct offsets_parser *p, const char *s, const char *end)
{
	uint64_t v;

	if (number(&s, end, &v) || s < end)
		return "a version number is expected";
	if (v < OFFSETS_PLAIN || v > OFFSETS_NUMBERED)
		return "a version of the format that this program does not know";
	p->version = v;
	p->file = OFFSETS_NO_FILE;
	numbers_free(&p->numbers);
	if (p->sink.unused)
		p->sink.unused(p->sink.ctx, 0);
	return NULL;
}

/* Anything else behind it is a comment. */
static void parse_unused(struct offsets_parser *p, const char *s, const char *end)
{
	uint64_t starts;

	if (p->sink.unused && !number(&s, end, &starts) && s == end)
		p->sink.unused(p->sink.ctx, starts);
}

static const char *parse_comment(struct offsets_parser *p, const char *s, const char *end)
{
	static const char version[] = "# page2cache offsets ", file[] = "# file=";

	if (begins(s, end, file))
		return parse_section(p, s + strlen(file), end);
	if (begins(s, end, unused_line))
		parse_unused(p, s + strlen(unused_line), end);
	if (begins(s, end, version))
		return parse_version(p, s + strlen(version), end);
	return p->sink.comment ? p->sink.comment(p->sink.ctx, s, end) : NULL;
}

static const char *parse_line(struct offsets_parser *p, const char *s, const char *end)
{
	while (s < end && is_space(*s))
		s++;
	while (end > s && is_space(end[-1]))
		end--;
	if (s == end)
		return NULL;
	if (*s == '#')
		return parse_comment(p, s, end);
	return parse_extent(p, s, end);
}

void offsets_parser_init(struct offsets_parser *p, const struct offsets_sink *sink)
{
	memset(p, 0, sizeof(*p));
	p->sink = *sink;
	p->version = OFFSETS_PLAIN;
	p->file = OFFSETS_NO_FILE;
}

void offsets_parser_free(struct offsets_parser *p)
{
	free(p->partial);
	p->partial = NULL;
	numbers_free(&p->numbers);
}

static const char too_long[] = "the line is too long";

static int keep_partial(struct offsets_parser *p, const char *buf, size_t len)
{
	if (p->partial_len + len > MAX_LINE) {
		p->line++;
		p->error = too_long;
		return -EINVAL;
	}
	if (!p->partial)
		p->partial = xcalloc(1, MAX_LINE);
	memcpy(p->partial + p->partial_len, buf, len);
	p->partial_len += len;
	return 0;
}

int offsets_parser_feed(struct offsets_parser *p, const char *buf, size_t len)
{
	const char *end = buf + len, *nl;

	for (; buf < end; buf = nl + 1) {
		nl = memchr(buf, '\n', end - buf);
		if (!nl)
			return keep_partial(p, buf, end - buf);
		if (p->partial_len) {
			if (keep_partial(p, buf, nl - buf))
				return -EINVAL;
			p->line++;
			p->error = parse_line(p, p->partial, p->partial + p->partial_len);
			p->partial_len = 0;
		} else {
			p->line++;
			p->error = nl - buf > MAX_LINE ? too_long : parse_line(p, buf, nl);
		}
		if (p->error)
			return -EINVAL;
	}
	return 0;
}

int offsets_parser_finish(struct offsets_parser *p)
{
	if (!p->partial_len)
		return 0;
	return offsets_parser_feed(p, "\n", 1);
}

void offsets_write_version(FILE *f, int version)
{
	fprintf(f, "# page2cache offsets %d\n", version);
}

bool offsets_says_incomplete(const char *text, const char *end)
{
	return begins(text, end, incomplete);
}

void offsets_write_incomplete(FILE *f)
{
	fprintf(f, "%s events of the recording were lost, so pages may be missing\n", incomplete);
}

void offsets_write_unused(FILE *f, uint64_t starts)
{
	fprintf(f, "%s%" PRIu64 "\n", unused_line, starts);
}

static void write_path(FILE *f, const char *path)
{
	const char *c;
	int len;

	for (c = path; *c; c += len) {
		len = utf8_len(c);
		if (!len || (unsigned char)*c <= ' ' || *c == '%' || *c == 0x7f) {
			len = 1;
			fprintf(f, "%%%02X", (unsigned char)*c);
		} else {
			fwrite(c, 1, len, f);
		}
	}
}

void offsets_write_section(FILE *f, const struct offsets_section *sec, uint32_t number)
{
	fputs("# file=", f);
	write_path(f, sec->file);
	if (number)
		fprintf(f, " @%" PRIu32, number);
	if (sec->has & OFFSETS_FSID)
		fprintf(f, " fsid=%016" PRIx64, sec->id.fsid);
	if (sec->has & OFFSETS_INO)
		fprintf(f, " ino=%" PRIu64, sec->id.ino);
	if (sec->has & OFFSETS_GEN)
		fprintf(f, " gen=%" PRIu32, sec->id.gen);
	if (sec->has & OFFSETS_SIZE)
		fprintf(f, " size=%" PRIu64, sec->id.size);
	if (sec->has & OFFSETS_MTIME)
		fprintf(f, " mtime_ns=%" PRId64, sec->id.mtime_ns);
	if (sec->has & OFFSETS_PAGE_SIZE)
		fprintf(f, " page_size=%" PRIu64, sec->page_size);
	if (sec->has & OFFSETS_MISSES)
		fprintf(f, " misses=%" PRIu64, sec->misses);
	if (uuid_is_known(&sec->id.uuid))
		write_uuid(f, &sec->id.uuid);
	if (sec->pattern)
		fprintf(f, " %s%s", pattern_key, pattern_names[sec->pattern]);
	fputc('\n', f);
}

void offsets_write_extent(FILE *f, uint64_t index, uint64_t nr_pages, uint32_t number)
{
	fprintf(f, "%" PRIu64, index);
	if (nr_pages != 1)
		fprintf(f, "+%" PRIu64, nr_pages);
	if (number)
		fprintf(f, " @%" PRIu32, number);
	fputc('\n', f);
}
