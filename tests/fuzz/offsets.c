// SPDX-License-Identifier: GPL-2.0-only
/*
 * libFuzzer target of the offsets parser. Any input, fed whole and in pieces,
 * must give the same result; extents must be sane; and what was parsed must
 * survive the writer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "list/offsets.h"
#include "check.h"

struct trace {
	char *text; /* of the result, to be compared */
	size_t size;
	FILE *f;
	FILE *copy;	   /* what was parsed, written again with numbers; may be NULL */
	uint32_t sections; /* so far */
};

static const char *on_section(void *ctx, const struct offsets_section *s, uint32_t *file)
{
	struct trace *t = ctx;
	size_t i;

	CHECK(s->file && *s->file);
	*file = t->sections++;
	for (i = 0; i < sizeof(s->id.uuid.bytes); i++)
		fprintf(t->f, "%02x", s->id.uuid.bytes[i]);
	fputc(' ', t->f);
	fprintf(t->f, "%s has=%02x %llx %llu %u %llu %lld %llu %llu %d\n", s->file, s->has,
		(unsigned long long)s->id.fsid, (unsigned long long)s->id.ino, s->id.gen,
		(unsigned long long)s->id.size, (long long)s->id.mtime_ns,
		(unsigned long long)s->page_size, (unsigned long long)s->misses, s->pattern);
	if (t->copy)
		offsets_write_section(t->copy, s, t->sections);
	return NULL;
}

static const char *on_extent(void *ctx, uint32_t file, uint64_t index, uint64_t nr)
{
	struct trace *t = ctx;
	bool owned = file != OFFSETS_NO_FILE;

	CHECK(!owned || file < t->sections);
	CHECK(nr > 0);
	CHECK(nr - 1 <= UINT64_MAX - index);
	fprintf(t->f, "%u %llu %llu\n", file, (unsigned long long)index, (unsigned long long)nr);
	if (!t->copy)
		return NULL;
	/* Of no file, as a version line came: it is written again. */
	if (!owned)
		offsets_write_version(t->copy, OFFSETS_NUMBERED);
	offsets_write_extent(t->copy, index, nr, owned ? file + 1 : 0);
	return NULL;
}

/* Parse in pieces whose sizes follow from SEED (0: all at once). Returns 0 or the error. */
static int parse(const char *data, size_t size, unsigned int seed, struct trace *t)
{
	struct offsets_sink sink = { on_section, on_extent, NULL, t };
	struct offsets_parser p;
	size_t at, n;
	char *piece;
	int err = 0;

	t->f = open_memstream(&t->text, &t->size);
	CHECK(t->f);
	offsets_parser_init(&p, &sink);
	for (at = 0; at < size && !err; at += n) {
		n = size - at;
		if (seed) {
			seed = seed * 1103515245 + 12345;
			if (n > 1 + (seed >> 16) % 23)
				n = 1 + (seed >> 16) % 23;
		}
		/* Memory of its own, so that reading beyond a piece is seen. */
		piece = malloc(n);
		CHECK(piece);
		memcpy(piece, data + at, n);
		err = offsets_parser_feed(&p, piece, n);
		free(piece);
	}
	err = err ? err : offsets_parser_finish(&p);
	CHECK(!err == !p.error);
	if (err)
		fprintf(t->f, "%d: line %llu: %s\n", err, (unsigned long long)p.line, p.error);
	offsets_parser_free(&p);
	fclose(t->f);
	return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trace whole = { 0 }, pieces = { 0 }, again = { 0 };
	char *copy = NULL;
	size_t copy_size = 0;
	int err;

	whole.copy = open_memstream(&copy, &copy_size);
	CHECK(whole.copy);
	offsets_write_version(whole.copy, OFFSETS_NUMBERED);
	err = parse((const char *)data, size, 0, &whole);
	fclose(whole.copy);
	parse((const char *)data, size, 1 + size * 7 + (size ? data[size / 2] : 0), &pieces);
	CHECK(!strcmp(whole.text, pieces.text));
	if (!err) {
		CHECK(!parse(copy, copy_size, 0, &again));
		CHECK(!strcmp(whole.text, again.text));
	}
	free(whole.text);
	free(pieces.text);
	free(again.text);
	free(copy);
	return 0;
}
