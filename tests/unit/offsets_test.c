// SPDX-License-Identifier: GPL-2.0-only
/* The offsets format: what is read, what is refused and on which line, and the way back. */
#include "unit.h"
#include "offsets_trace.h"

/* Longer lines are refused. A path of PATH_MAX bytes, all of them %XX, must fit. */
#define LINE_LIMIT (16 << 10)

static void every_form_of_an_extent_is_read(void **state)
{
	expect("0", "extent 0 1\n");
	expect("0\n17+3\n128-255\n", "extent 0 1\nextent 17 3\nextent 128 128\n");
	expect("5-5\n", "extent 5 1\n");
	expect("5+1\n", "extent 5 1\n");
	expect("007+010\n", "extent 7 10\n");
	expect(" \t12 \t\n", "extent 12 1\n");
	expect("3\n3\n2+4\n", "extent 3 1\nextent 3 1\nextent 2 4\n");
}

static void blank_lines_and_comments_are_skipped(void **state)
{
	expect("", "");
	expect("\n", "");
	expect("\n \n\t\n\r\n", "");
	expect("#\n# words\n#0\n#file=/a\n  # 5\n", "");
	expect("# page2cache offsets 1\n4\n", "extent 4 1\n");
	expect("# page2cache offset 9\n# Page2cache offsets 9\n", "");
}

static void a_last_line_needs_no_newline(void **state)
{
	expect("1\n2", "extent 1 1\nextent 2 1\n");
	expect("1\n# file=/a ino=5", "extent 1 1\nsection 2f61 has=2 fsid=0 ino=5 gen=0 size=0 "
				     "mtime=0 page=0 misses=0 pattern=0\n");
	expect("1\n2+", "extent 1 1\nerror -22 line 2: "
			"a page index is expected: N, N+COUNT or N-LAST\n");
}

static void crlf_reads_like_lf(void **state)
{
	static const char lf[] = "# page2cache offsets 1\n# file=/a ino=5 gen=6\n0\n\n17+3\n5-9\n8";
	char crlf[2 * sizeof(lf)], *to = crlf, *a, *b;
	const char *c;

	for (c = lf; *c; c++) {
		if (*c == '\n')
			*to++ = '\r';
		*to++ = *c;
	}
	a = parse(lf, strlen(lf), SIZE_MAX);
	b = parse(crlf, to - crlf, SIZE_MAX);
	assert_string_equal(a, b);
	assert_non_null(strstr(a, "extent 17 3"));
	free(a);
	free(b);
}

static void indexes_reach_the_end_of_64_bits(void **state)
{
	expect("18446744073709551615\n", "extent 18446744073709551615 1\n");
	expect("9223372036854775808\n", "extent 9223372036854775808 1\n");
	expect("18446744073709551615+1\n", "extent 18446744073709551615 1\n");
	expect("18446744073709551615-18446744073709551615\n", "extent 18446744073709551615 1\n");
	expect("1-18446744073709551615\n", "extent 1 18446744073709551615\n");
	expect("1+18446744073709551615\n", "extent 1 18446744073709551615\n");
	expect("0+18446744073709551615\n", "extent 0 18446744073709551615\n");
}

static void extents_beyond_64_bits_are_refused(void **state)
{
	REFUSED("18446744073709551616", "64 bits");
	REFUSED("18446744073709551620", "64 bits");
	REFUSED("99999999999999999999999999", "64 bits");
	REFUSED("0+18446744073709551616", "64 bits");
	REFUSED("0-18446744073709551616", "64 bits");
	REFUSED("0-18446744073709551615", "64 bits");
	REFUSED("2+18446744073709551615", "64 bits");
	REFUSED("18446744073709551615+2", "64 bits");
}

static void malformed_extents_are_refused_with_their_line(void **state)
{
	REFUSED("x", "page index");
	REFUSED("-1", "page index");
	REFUSED("+1", "page index");
	REFUSED("-", "page index");
	REFUSED("0.5", "+COUNT or -LAST");
	REFUSED("0x10", "+COUNT or -LAST");
	REFUSED("1e3", "+COUNT or -LAST");
	REFUSED("1,2", "+COUNT or -LAST");
	REFUSED("1 2", "+COUNT or -LAST");
	REFUSED("1 + 2", "+COUNT or -LAST");
	REFUSED("1 # why", "+COUNT or -LAST");
	REFUSED("1:2", "+COUNT or -LAST");
	REFUSED("1\0", "+COUNT or -LAST");
	REFUSED("1\v", "+COUNT or -LAST");
	REFUSED("\xef\xbb\xbf"
		"1",
		"page index");
	REFUSED("\xd9\xa1", "page index");
	REFUSED("\0", "page index");
	REFUSED("1+", "page index");
	REFUSED("1-", "page index");
	REFUSED("1++2", "page index");
	REFUSED("1+-2", "page index");
	REFUSED("1- 2", "page index");
	REFUSED("1+x", "page index");
	REFUSED("1+2+3", "text follows");
	REFUSED("1-2-3", "text follows");
	REFUSED("1+2 3", "text follows");
	REFUSED("1-2;", "text follows");
	REFUSED("1+0", "no pages");
	REFUSED("5-4", "before the first");
}

static void every_field_of_a_section_is_read(void **state)
{
	expect("# file=/var/lib/db/data fsid=8f3a00000000abcd ino=1234 gen=77 size=536870912 "
	       "mtime_ns=1700000000000000000 page_size=4096 misses=3190\n",
	       "section 2f7661722f6c69622f64622f64617461 has=7f fsid=8f3a00000000abcd ino=1234 "
	       "gen=77 size=536870912 mtime=1700000000000000000 page=4096 misses=3190 pattern=0\n");
	expect("# file=a\n",
	       "section 61 has=0 fsid=0 ino=0 gen=0 size=0 mtime=0 page=0 misses=0 pattern=0\n");
	expect("# file=a\tmisses=3  ino=2 \n",
	       "section 61 has=42 fsid=0 ino=2 gen=0 size=0 mtime=0 page=0 misses=3 pattern=0\n");
	expect("# file=a mtime_ns=-5\n",
	       "section 61 has=10 fsid=0 ino=0 gen=0 size=0 mtime=-5 page=0 misses=0 pattern=0\n");
	expect("# file=a fsid=FFffFFffFFffFFff ino=18446744073709551615 gen=4294967295 "
	       "size=18446744073709551615 mtime_ns=9223372036854775807\n",
	       "section 61 has=1f fsid=ffffffffffffffff ino=18446744073709551615 gen=4294967295 "
	       "size=18446744073709551615 mtime=9223372036854775807 page=0 misses=0 pattern=0\n");
}

static void a_pattern_is_read_and_an_unknown_one_ignored(void **state)
{
	static const struct {
		const char *value;
		enum offsets_pattern pattern;
	} known[] = { { "seq", PATTERN_SEQ },	    { "mmap", PATTERN_MMAP },
		      { "random", PATTERN_RANDOM }, { "", PATTERN_UNKNOWN },
		      { "se", PATTERN_UNKNOWN },    { "seqs", PATTERN_UNKNOWN },
		      { "1", PATTERN_UNKNOWN },	    { "stride", PATTERN_UNKNOWN } };
	char line[64], want[160];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known); i++) {
		snprintf(line, sizeof(line), "# file=a pattern=%s ino=2\n", known[i].value);
		snprintf(want, sizeof(want),
			 "section 61 has=2 fsid=0 ino=2 gen=0 size=0 mtime=0 page=0 misses=0 "
			 "pattern=%d\n",
			 known[i].pattern);
		expect(line, want);
	}
}

static void a_uuid_is_read_and_zeros_are_none(void **state)
{
	expect("# file=a uuid=00112233-4455-6677-8899-aAbBcCdDeEfF ino=2\n",
	       "section 61 uuid=00112233445566778899aabbccddeeff has=2 fsid=0 ino=2 gen=0 size=0 "
	       "mtime=0 page=0 misses=0 pattern=0\n");
	expect("# file=a uuid=00000000-0000-0000-0000-000000000000\n",
	       "section 61 has=0 fsid=0 ino=0 gen=0 size=0 mtime=0 page=0 misses=0 pattern=0\n");
}

static void fields_of_later_versions_are_ignored(void **state)
{
	expect("# file=a colour=blue ino=2 x inode=9 xino=8\n",
	       "section 61 has=2 fsid=0 ino=2 gen=0 size=0 mtime=0 page=0 misses=0 pattern=0\n");
}

static void malformed_headers_are_refused_with_their_line(void **state)
{
	REFUSED("# page2cache offsets 3", "version");
	REFUSED("# page2cache offsets 0", "version");
	REFUSED("# page2cache offsets one", "version");
	REFUSED("# page2cache offsets 1 2", "version");
	REFUSED("# page2cache offsets 18446744073709551617", "version");
	REFUSED("# file=", "path");
	REFUSED("# file= ino=1", "path");
	REFUSED("# file=%", "%");
	REFUSED("# file=a%4", "%");
	REFUSED("# file=a%4 ino=1", "%");
	REFUSED("# file=a%4g", "%");
	REFUSED("# file=a%g4", "%");
	REFUSED("# file=a%00b", "%");
	REFUSED("# file=a fsid=xyz", "fsid=");
	REFUSED("# file=a fsid=-1", "fsid=");
	REFUSED("# file=a fsid=10000000000000000", "fsid=");
	REFUSED("# file=a ino=-1", "ino=");
	REFUSED("# file=a ino=+1", "ino=");
	REFUSED("# file=a ino=1x", "ino=");
	REFUSED("# file=a ino=a", "ino=");
	REFUSED("# file=a ino=18446744073709551616", "ino=");
	REFUSED("# file=a ino=000000000000000000000001", "ino=");
	REFUSED("# file=a gen=4294967296", "gen=");
	REFUSED("# file=a size=1k", "size=");
	REFUSED("# file=a size=1.5", "size=");
	REFUSED("# file=a mtime_ns=-", "mtime_ns=");
	REFUSED("# file=a mtime_ns=--5", "mtime_ns=");
	REFUSED("# file=a mtime_ns=9223372036854775808", "mtime_ns=");
	REFUSED("# file=a page_size=4k", "page_size=");
	REFUSED("# file=a misses=many", "misses=");
	REFUSED("# file=a uuid=00112233445566778899aabbccddeeff", "uuid=");
	REFUSED("# file=a uuid=00112233-4455-6677-8899-aabbccddeef", "uuid=");
	REFUSED("# file=a uuid=00112233-4455-6677-8899-aabbccddeeff0", "uuid=");
	REFUSED("# file=a uuid=0011223-34455-6677-8899-aabbccddeeff", "uuid=");
	REFUSED("# file=a uuid=0011223g-4455-6677-8899-aabbccddeeff", "uuid=");
}

/* A field without a value identifies nothing: a list must not count as checked. */
static void fields_without_a_value_are_refused(void **state)
{
	REFUSED("# file=a fsid=", "fsid=");
	REFUSED("# file=a ino= gen=1", "ino=");
	REFUSED("# file=a gen=", "gen=");
	REFUSED("# file=a size=", "size=");
	REFUSED("# file=a mtime_ns=", "mtime_ns=");
	REFUSED("# file=a page_size=", "page_size=");
	REFUSED("# file=a misses=", "misses=");
	REFUSED("# file=a uuid=", "uuid=");
}

/* It would end the name early, and another file would be forced. */
static void a_raw_nul_byte_is_refused_in_a_header(void **state)
{
	REFUSED("# file=/a\0b", "file=");
	REFUSED("# file=/a ino=1\0x", "ino=");
}

static const char *refuse_section(void *ctx, const struct offsets_section *s, uint32_t *file)
{
	return "not this section";
}

static const char *refuse_extent(void *ctx, uint32_t file, uint64_t index, uint64_t nr)
{
	return index == 9 ? "not this extent" : NULL;
}

static void the_sink_can_refuse_and_its_words_are_kept(void **state)
{
	struct offsets_sink sink = { refuse_section, refuse_extent, NULL, NULL };
	struct offsets_parser p;

	offsets_parser_init(&p, &sink);
	assert_int_equal(offsets_parser_feed(&p, "1\n9\n2\n", 6), -EINVAL);
	assert_int_equal(p.line, 2);
	assert_string_equal(p.error, "not this extent");
	offsets_parser_free(&p);
	offsets_parser_init(&p, &sink);
	assert_int_equal(offsets_parser_feed(&p, "1\n2\n# file=a", 12), 0);
	assert_int_equal(offsets_parser_finish(&p), -EINVAL);
	assert_int_equal(p.line, 3);
	assert_string_equal(p.error, "not this section");
	offsets_parser_free(&p);
}

static const char *take_comment(void *ctx, const char *text, const char *end)
{
	fprintf(ctx, "%.*s|", (int)(end - text), text);
	return end - text == 7 ? "not this comment" : NULL;
}

static void comments_are_handed_over_where_they_are_wanted(void **state)
{
	static const char text[] = " # one \n#\n# page2cache offsets 1\n0\n#fourth\n";
	struct offsets_sink sink = { refuse_section, refuse_extent, take_comment, NULL };
	struct offsets_parser p;
	char *got;
	size_t size;

	sink.ctx = open_memstream(&got, &size);
	assert_non_null(sink.ctx);
	offsets_parser_init(&p, &sink);
	assert_int_equal(offsets_parser_feed(&p, text, strlen(text)), -EINVAL);
	assert_int_equal(p.line, 5);
	assert_string_equal(p.error, "not this comment");
	offsets_parser_free(&p);
	fclose(sink.ctx);
	assert_string_equal(got, "# one|#|#fourth|");
	free(got);
}

static const char *const texts[] = {
	"# page2cache offsets 2\n# file=a @1\n# file=b @5\n0 @5\n7 @1\n# page2cache offsets 2\n8 @1\n",
	"",
	"\n",
	"0\n17+3\n128-255",
	"\r\n# page2cache offsets 1\r\n# file=/a%20b%0Ac ino=5 gen=6\r\n  0\r\n\r\n 17+3 \r\n5-9\r\n",
	"# file=a ino=1\n1\n# file=b\n2\n# file=a ino=1\n3",
	"1\n2\n3+\n4\n",
	"1\n# file=a%4",
	"18446744073709551615\n18446744073709551616\n",
	"\n\n\n\n#\n#",
	"1\n\n2 3",
};

static void pieces_of_any_size_give_the_same_result(void **state)
{
	size_t i, piece, len;
	char *whole, *got;

	for (i = 0; i < ARRAY_SIZE(texts); i++) {
		len = strlen(texts[i]);
		whole = parse(texts[i], len, SIZE_MAX);
		for (piece = 1; piece <= len + 1; piece++) {
			got = parse(texts[i], len, piece);
			assert_string_equal(got, whole);
			free(got);
		}
		free(whole);
	}
}

/* A line of LEN bytes, then one that is an extent. */
static char *long_line(size_t len, char first, char fill, size_t *total)
{
	char *text = malloc(len + 3);

	assert_non_null(text);
	memset(text, fill, len);
	text[0] = first;
	memcpy(text + len, "\n8", 2);
	text[len + 2] = 0;
	*total = len + 2;
	return text;
}

static void long_lines_are_taken_up_to_the_limit(void **state)
{
	size_t total, piece;
	char *text, *got;

	for (piece = 1000; piece <= 100000; piece *= 10) {
		text = long_line(LINE_LIMIT, '#', 'x', &total);
		got = parse(text, total, piece);
		assert_string_equal(got, "extent 8 1\n");
		free(got);
		free(text);
		text = long_line(LINE_LIMIT, '6', ' ', &total);
		got = parse(text, total, piece);
		assert_string_equal(got, "extent 6 1\nextent 8 1\n");
		free(got);
		free(text);
	}
}

static void longer_lines_are_refused_however_they_arrive(void **state)
{
	static const size_t pieces[] = {
		1, 7, 4096, LINE_LIMIT, LINE_LIMIT + 1, LINE_LIMIT + 2, SIZE_MAX
	};
	size_t total, i;
	char *text, *got;

	text = long_line(LINE_LIMIT + 1, '#', 'x', &total);
	for (i = 0; i < ARRAY_SIZE(pieces); i++) {
		got = parse(text, total, pieces[i]);
		if (strcmp(got, "error -22 line 1: the line is too long\n"))
			fail_msg("in pieces of %zu: %s", pieces[i], got);
		free(got);
	}
	free(text);
}

struct extent_pair {
	uint64_t index, nr;
};

static char *written(const struct offsets_section *s, const struct extent_pair *e, size_t n,
		     uint32_t number)
{
	size_t size, i;
	char *text;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	offsets_write_version(f, number ? OFFSETS_NUMBERED : OFFSETS_PLAIN);
	offsets_write_section(f, s, number);
	for (i = 0; i < n; i++)
		offsets_write_extent(f, e[i].index, e[i].nr, number);
	fclose(f);
	return text;
}

struct reread {
	const struct offsets_section *s;
	const struct extent_pair *e;
	size_t sections, extents;
};

#define THE_FILE 17

static const char *same_section(void *ctx, const struct offsets_section *s, uint32_t *file)
{
	struct reread *r = ctx;

	*file = THE_FILE;
	assert_string_equal(s->file, r->s->file);
	assert_memory_equal(&s->id, &r->s->id, sizeof(s->id));
	assert_int_equal(s->page_size, r->s->page_size);
	assert_int_equal(s->misses, r->s->misses);
	assert_int_equal(s->pattern, r->s->pattern);
	assert_int_equal(s->has, r->s->has);
	r->sections++;
	return NULL;
}

static const char *same_extent(void *ctx, uint32_t file, uint64_t index, uint64_t nr)
{
	struct reread *r = ctx;

	assert_int_equal(file, THE_FILE);
	assert_int_equal(index, r->e[r->extents].index);
	assert_int_equal(nr, r->e[r->extents].nr);
	r->extents++;
	return NULL;
}

/* Write, read, compare; the text has a line for each thing, whatever is in the name. */
static void round_trip_as(const struct offsets_section *s, const struct extent_pair *e, size_t n,
			  uint32_t number)
{
	struct reread r = { s, e, 0, 0 };
	struct offsets_sink sink = { same_section, same_extent, NULL, &r };
	char *text = written(s, e, n, number), *c;
	struct offsets_parser p;
	size_t lines = 0;

	for (c = text; *c; c++)
		lines += *c == '\n';
	assert_int_equal(lines, 2 + n);
	offsets_parser_init(&p, &sink);
	assert_int_equal(offsets_parser_feed(&p, text, strlen(text)), 0);
	assert_int_equal(offsets_parser_finish(&p), 0);
	offsets_parser_free(&p);
	assert_int_equal(r.sections, 1);
	assert_int_equal(r.extents, n);
	free(text);
}

static void round_trip(const struct offsets_section *s, const struct extent_pair *e, size_t n)
{
	round_trip_as(s, e, n, 0);
	round_trip_as(s, e, n, 1);
	round_trip_as(s, e, n, UINT32_MAX);
}

static void names_of_any_bytes_survive(void **state)
{
	static char *const names[] = { "a",	   "/with space/x", "new\nline",   "\r",
				       "%",	   "%41",	    "100%",	   "\t\v\f\x01\x7f",
				       "# file=b", "ino=5",	    "caf\xc3\xa9", "\xff\xfe",
				       "\xc3" };
	struct offsets_section s = { .page_size = 4096, .has = OFFSETS_PAGE_SIZE };
	char all[256 * 2], *to;
	size_t i;
	int c, d;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		s.file = names[i];
		round_trip(&s, NULL, 0);
	}
	s.file = all;
	for (c = 1; c < 256; c++) {
		/* Each byte between others, at the start, and at the end. */
		to = all;
		for (d = 1; d < 256; d++)
			*to++ = d;
		all[0] = c;
		all[128] = c;
		all[254] = c;
		all[255] = 0;
		round_trip(&s, NULL, 0);
	}
}

static void a_path_of_the_greatest_length_survives(void **state)
{
	struct offsets_section s = {
		.has = OFFSETS_ALL_FIELDS,
		.page_size = UINT64_MAX,
		.misses = UINT64_MAX,
		.id = { .fsid = UINT64_MAX,
			.ino = UINT64_MAX,
			.gen = UINT32_MAX,
			.size = UINT64_MAX,
			.mtime_ns = INT64_MIN },
	};
	static char path[4096];
	char *text, *got;

	memset(path, '\n', sizeof(path) - 1);
	s.file = path;
	round_trip(&s, NULL, 0);
	/* And when it arrives in pieces. */
	text = written(&s, NULL, 0, UINT32_MAX);
	got = parse(text, strlen(text), 1000);
	assert_null(strstr(got, "error"));
	free(got);
	free(text);
}

static void random_sections_and_extents_survive(void **state)
{
	static const struct extent_pair limits[] = {
		{ 0, 1 },	   { UINT64_MAX, 1 },	       { 1, UINT64_MAX },
		{ 0, UINT64_MAX }, { 1ULL << 63, 1ULL << 63 },
	};
	struct extent_pair e[64];
	struct offsets_section s;
	int round;
	size_t i;

	for (round = 0; round < 200; round++) {
		s = (struct offsets_section){ .file = "f", .has = unit_random() };
		s.has &= OFFSETS_ALL_FIELDS;
		s.pattern = unit_random() % NR_PATTERNS;
		for (i = 0; i < sizeof(s.id.uuid.bytes) && round % 2; i++)
			s.id.uuid.bytes[i] = unit_random();
		/* What a section has not is not written, and reads as 0. */
		if (s.has & OFFSETS_PAGE_SIZE)
			s.page_size = unit_random();
		if (s.has & OFFSETS_MISSES)
			s.misses = unit_random() >> (unit_random() % 64);
		if (s.has & OFFSETS_FSID)
			s.id.fsid = unit_random() >> (unit_random() % 64);
		if (s.has & OFFSETS_INO)
			s.id.ino = unit_random() >> (unit_random() % 64);
		if (s.has & OFFSETS_GEN)
			s.id.gen = unit_random();
		if (s.has & OFFSETS_SIZE)
			s.id.size = unit_random() >> (unit_random() % 64);
		if (s.has & OFFSETS_MTIME)
			s.id.mtime_ns = (int64_t)unit_random() >> (unit_random() % 64);
		for (i = 0; i < ARRAY_SIZE(e); i++) {
			e[i].index = unit_random() >> (unit_random() % 64);
			e[i].nr = (unit_random() >> (unit_random() % 64)) %
					  (UINT64_MAX - e[i].index) +
				  1;
		}
		round_trip(&s, e, ARRAY_SIZE(e));
	}
	round_trip(&s, limits, ARRAY_SIZE(limits));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_form_of_an_extent_is_read),
		cmocka_unit_test(blank_lines_and_comments_are_skipped),
		cmocka_unit_test(a_last_line_needs_no_newline),
		cmocka_unit_test(crlf_reads_like_lf),
		cmocka_unit_test(indexes_reach_the_end_of_64_bits),
		cmocka_unit_test(extents_beyond_64_bits_are_refused),
		cmocka_unit_test(malformed_extents_are_refused_with_their_line),
		cmocka_unit_test(every_field_of_a_section_is_read),
		cmocka_unit_test(a_pattern_is_read_and_an_unknown_one_ignored),
		cmocka_unit_test(a_uuid_is_read_and_zeros_are_none),
		cmocka_unit_test(fields_of_later_versions_are_ignored),
		cmocka_unit_test(malformed_headers_are_refused_with_their_line),
		cmocka_unit_test(fields_without_a_value_are_refused),
		cmocka_unit_test(a_raw_nul_byte_is_refused_in_a_header),
		cmocka_unit_test(the_sink_can_refuse_and_its_words_are_kept),
		cmocka_unit_test(comments_are_handed_over_where_they_are_wanted),
		cmocka_unit_test(pieces_of_any_size_give_the_same_result),
		cmocka_unit_test(long_lines_are_taken_up_to_the_limit),
		cmocka_unit_test(longer_lines_are_refused_however_they_arrive),
		cmocka_unit_test(names_of_any_bytes_survive),
		cmocka_unit_test(a_path_of_the_greatest_length_survives),
		cmocka_unit_test(random_sections_and_extents_survive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
