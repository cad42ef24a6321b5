// SPDX-License-Identifier: GPL-2.0-only
/* Version 2 of the offsets format: extents that say by number whose they are. */
#include "offsets_trace.h"
#include "list/list_emit.h"

#define NONE "has=0 fsid=0 ino=0 gen=0 size=0 mtime=0 page=0 misses=0 pattern=0\n"
#define V2   "# page2cache offsets 2\n"

static void an_extent_is_of_the_file_whose_number_it_has(void **state)
{
	expect(V2 "# file=a @1\n# file=b @2 colour=blue\n0 @1\n17+3 @2\n4-7\t @1 \r\n",
	       "section 61 " NONE "section 62 " NONE
	       "extent 0 1 of 0\nextent 17 3 of 1\nextent 4 4 of 0\n");
	expect(V2 "# file=a @4294967295\n# file=b @7\n0 @7\n1 @4294967295\n",
	       "section 61 " NONE "section 62 " NONE "extent 0 1 of 1\nextent 1 1 of 0\n");
	/* Declared later than another one's extents, and under one path twice. */
	expect(V2 "# file=a @1\n0 @1\n# file=a @2\n1 @1\n2 @2\n",
	       "section 61 " NONE "extent 0 1 of 0\nsection 61 " NONE
	       "extent 1 1 of 0\nextent 2 1 of 1\n");
}

static void one_without_a_number_is_of_the_last_section(void **state)
{
	expect(V2 "7\n# file=a @1\n0\n# file=b\n1\n2 @1\n3\n",
	       "extent 7 1\nsection 61 " NONE "extent 0 1 of 0\nsection 62 " NONE
	       "extent 1 1 of 1\nextent 2 1 of 0\nextent 3 1 of 1\n");
}

/* As cat(1) puts one list behind another. */
static void a_version_line_begins_anew(void **state)
{
	expect(V2 "# file=a @1\n0 @1\n" V2 "# file=b @1\n0 @1\n",
	       "section 61 " NONE "extent 0 1 of 0\nsection 62 " NONE "extent 0 1 of 1\n");
	expect(V2 "# file=a @1\n0 @1\n# page2cache offsets 1\n# file=b @1\n0\n5 @1\n",
	       "section 61 " NONE "extent 0 1 of 0\nsection 62 " NONE "extent 0 1 of 1\n"
	       "error -22 line 7: a number, @N, needs the line '# page2cache offsets 2' before it\n");
	expect(V2 "# file=a @1\n" V2 "0 @1\n",
	       "section 61 " NONE "error -22 line 4: no '# file=' line before has this number\n");
	expect("# page2cache offsets 1\n# file=a\n0\n# page2cache offsets 1\n5\n",
	       "section 61 " NONE "extent 0 1 of 0\nextent 5 1\n");
}

/* It was a field of a later version, and still is one where there is no version line. */
static void version_1_skips_the_number_of_a_section(void **state)
{
	expect("# file=a @1\n0\n# file=b @1\n",
	       "section 61 " NONE "extent 0 1 of 0\nsection 62 " NONE);
	expect("# page2cache offsets 1\n# file=a @x ino=2\n",
	       "section 61 has=2 fsid=0 ino=2 gen=0 size=0 mtime=0 page=0 misses=0 pattern=0\n");
}

static void a_number_needs_the_version_line(void **state)
{
	REFUSED("1 @1", "'# page2cache offsets 2'");
	REFUSED("1+3 @1", "'# page2cache offsets 2'");
}

/* TEXT behind a version line and the files @1 and @5 is refused on line 4. */
static void refused_in_version_2(const char *text, const char *about)
{
	char *all, *got;

	assert_true(asprintf(&all, V2 "# file=a @1\n# file=b @5\n%s\n", text) > 0);
	got = parse(all, strlen(all), SIZE_MAX);
	if (!strstr(got, "error -22 line 4: ") || !strstr(got, about))
		fail_msg("'%s': want an error on line 4 about '%s', got:\n%s", text, about, got);
	free(got);
	free(all);
}

static void numbers_that_are_none_are_refused_with_their_line(void **state)
{
	static const char *const none[] = {
		"@",   "@0",  "@x",	     "@-1",	    "@+1",
		"@1x", "@@1", "@4294967296", "@4294967297", "@18446744073709551617"
	};
	char text[80];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(none); i++) {
		snprintf(text, sizeof(text), "0 %s", none[i]);
		refused_in_version_2(text, "@N, is 1 to 4294967295");
		snprintf(text, sizeof(text), "# file=c %s ino=5", none[i]);
		refused_in_version_2(text, "@N, is 1 to 4294967295");
	}
	refused_in_version_2("0 @2", "no '# file=' line");
	refused_in_version_2("0+5 @6", "no '# file=' line");
	refused_in_version_2("# file=c @5", "before has this number");
	refused_in_version_2("# file=a @1", "before has this number");
	refused_in_version_2("# file=c ino=5 @2", "right behind the path");
	refused_in_version_2("# file=c @2 @3", "right behind the path");
	refused_in_version_2("0@1", "+COUNT or -LAST");
	refused_in_version_2("0+1@1", "text follows");
	refused_in_version_2("0 @1 @5", "@N, is 1 to 4294967295");
	refused_in_version_2("0 1", "+COUNT or -LAST");
	refused_in_version_2("0+2 1", "text follows");
	refused_in_version_2("@1", "page index");
}

/* More files than a table of numbers begins with, and numbers that lie far apart. */
static void many_numbers_are_all_found(void **state)
{
	enum {
		FILES = 5000
	};
	char *text, *got, *at;
	uint32_t number[FILES];
	size_t size, i;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	fputs(V2, f);
	for (i = 0; i < FILES; i++) {
		number[i] = i % 2 ? i : UINT32_MAX - i * 65536;
		fprintf(f, "# file=f @%u\n", number[i]);
	}
	for (i = FILES; i--;)
		fprintf(f, "%zu @%u\n", i, number[i]);
	fclose(f);
	got = parse(text, size, SIZE_MAX);
	assert_null(strstr(got, "error"));
	at = strstr(got, "extent");
	for (i = FILES; i--; at = strchr(at, '\n') + 1) {
		char want[40];

		snprintf(want, sizeof(want), "extent %zu 1 of %zu\n", i, i);
		assert_memory_equal(at, want, strlen(want));
	}
	free(got);
	free(text);
}

/* A list of two files, as cachemiss writes it; the first one comes back or not. */
static char *written(bool comes_back)
{
	const struct offsets_section files[] = { { .file = "a" }, { .file = "b" } };
	const uint32_t owners[] = { 0, 1, 0 };
	struct list_emit e;
	size_t size, i, n = comes_back ? 3 : 2;
	char *text;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	list_emit_init(&e, f, files, ARRAY_SIZE(files));
	for (i = 0; i < n; i++)
		list_emit_use(&e, owners[i]);
	list_emit_begin(&e, false, false);
	for (i = 0; i < n; i++)
		list_emit_run(&e, owners[i], 10 * i, 1);
	list_emit_free(&e);
	fclose(f);
	return text;
}

/*
 * What the reader of 0.1.0 does with the first line that is not blank: it knew one version, and
 * had refused each list of another one before its extents.
 */
static bool released_reader_refuses(const char *line)
{
	static const char version[] = "# page2cache offsets ";
	char *end;

	if (strncmp(line, version, strlen(version)))
		return false;
	return strtoull(line + strlen(version), &end, 10) != 1 || *end != '\n';
}

static void the_reader_of_0_1_0_refuses_version_2(void **state)
{
	char *numbered = written(true), *plain = written(false);

	assert_true(released_reader_refuses(numbered));
	assert_false(released_reader_refuses(plain));
	free(numbered);
	free(plain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_extent_is_of_the_file_whose_number_it_has),
		cmocka_unit_test(one_without_a_number_is_of_the_last_section),
		cmocka_unit_test(a_version_line_begins_anew),
		cmocka_unit_test(version_1_skips_the_number_of_a_section),
		cmocka_unit_test(a_number_needs_the_version_line),
		cmocka_unit_test(numbers_that_are_none_are_refused_with_their_line),
		cmocka_unit_test(many_numbers_are_all_found),
		cmocka_unit_test(the_reader_of_0_1_0_refuses_version_2),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
