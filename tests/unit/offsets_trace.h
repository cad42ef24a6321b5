/* SPDX-License-Identifier: GPL-2.0-only */
/* What tests of the offsets format share: a text's parsing as text, and what is expected of it. */
#ifndef PAGE2CACHE_OFFSETS_TRACE_H
#define PAGE2CACHE_OFFSETS_TRACE_H

#include "unit.h"
#include "list/offsets.h"

/* What the parser handed on, and how it ended, as text: two runs are equal or not. */
struct trace {
	char *text;
	size_t size;
	FILE *f;
	uint32_t sections; /* so far: the next one's extents are "of" that number */
};

static inline const char *trace_section(void *ctx, const struct offsets_section *s, uint32_t *file)
{
	struct trace *t = ctx;
	const char *c;
	size_t i;

	*file = t->sections++;
	fputs("section ", t->f);
	for (c = s->file; *c; c++)
		fprintf(t->f, "%02x", (unsigned char)*c);
	for (i = 0; uuid_is_known(&s->id.uuid) && i < sizeof(s->id.uuid.bytes); i++)
		fprintf(t->f, "%s%02x", i ? "" : " uuid=", s->id.uuid.bytes[i]);
	fprintf(t->f,
		" has=%x fsid=%llx ino=%llu gen=%u size=%llu mtime=%lld page=%llu misses=%llu pattern=%d\n",
		s->has, (unsigned long long)s->id.fsid, (unsigned long long)s->id.ino, s->id.gen,
		(unsigned long long)s->id.size, (long long)s->id.mtime_ns,
		(unsigned long long)s->page_size, (unsigned long long)s->misses, s->pattern);
	return NULL;
}

static inline const char *trace_extent(void *ctx, uint32_t file, uint64_t index, uint64_t nr)
{
	struct trace *t = ctx;

	fprintf(t->f, "extent %llu %llu", (unsigned long long)index, (unsigned long long)nr);
	if (file != OFFSETS_NO_FILE)
		fprintf(t->f, " of %u", file);
	fputc('\n', t->f);
	return NULL;
}

/* Feed TEXT in pieces of PIECE bytes, each in memory of its own. To be freed. */
static inline char *parse(const char *text, size_t len, size_t piece)
{
	struct trace t = { 0 };
	struct offsets_sink sink = { trace_section, trace_extent, NULL, &t };
	struct offsets_parser p;
	size_t at, n;
	char *copy;
	int err = 0;

	t.f = open_memstream(&t.text, &t.size);
	assert_non_null(t.f);
	offsets_parser_init(&p, &sink);
	for (at = 0; at < len && !err; at += n) {
		n = len - at < piece ? len - at : piece;
		copy = malloc(n);
		assert_non_null(copy);
		memcpy(copy, text + at, n);
		err = offsets_parser_feed(&p, copy, n);
		free(copy);
	}
	err = err ? err : offsets_parser_finish(&p);
	if (err)
		fprintf(t.f, "error %d line %llu: %s\n", err, (unsigned long long)p.line,
			p.error ? p.error : "(nothing said)");
	offsets_parser_free(&p);
	fclose(t.f);
	return t.text;
}

static inline void expect(const char *text, const char *want)
{
	char *got = parse(text, strlen(text), SIZE_MAX);

	if (strcmp(got, want))
		print_error("of the text:\n%s\n", text);
	assert_string_equal(got, want);
	free(got);
}

/* TEXT as the fourth line is refused there, after what came before it was taken. */
static inline void refused(const char *text, size_t len, const char *about)
{
	static const char before[] = "7\n\n# a comment\n";
	char *all = malloc(sizeof(before) + len), *got;

	assert_non_null(all);
	memcpy(all, before, sizeof(before) - 1);
	memcpy(all + sizeof(before) - 1, text, len);
	all[sizeof(before) - 1 + len] = '\n';
	got = parse(all, sizeof(before) + len, SIZE_MAX);
	if (strncmp(got, "extent 7 1\nerror -22 line 4: ", 29) || !strstr(got, about) ||
	    strstr(got, "nothing said"))
		fail_msg("'%s': want an error on line 4 about '%s', got:\n%s", text, about, got);
	free(got);
	free(all);
}

#define REFUSED(text, about) refused(text, sizeof(text) - 1, about)

#endif
