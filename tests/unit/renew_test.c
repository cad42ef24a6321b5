// SPDX-License-Identifier: GPL-2.0-only
/* What becomes of a list when a start has accessed other pages, or the same. */
#include "unit.h"

#include "list/renew.h"

static struct list_writer writer;
static struct offsets_section *sections;
static uint32_t nr_sections;
static struct list old;
static bool changed;

/* Slots of the new recording: 1 is `data`, 2 is `other`, both of 100 pages; 0 is nobody's. */
static int make_files(void **state)
{
	unit_file("data", 100 * page_size() - 100);
	unit_file("other", 100 * page_size());
	return 0;
}

static void forget(void)
{
	uint32_t i;

	for (i = 0; i < nr_sections; i++)
		free(sections[i].file);
	free(sections);
	sections = NULL;
	nr_sections = 0;
	list_writer_free(&writer);
	list_free(&old);
}

static int drop_files(void **state)
{
	forget();
	unlink("data");
	unlink("other");
	return 0;
}

static void add_section(const char *file)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	sections = xrealloc(sections, nr_sections + 1, sizeof(*sections));
	memset(&sections[nr_sections], 0, sizeof(*sections));
	if (fd >= 0) {
		assert_int_equal(identity_of(fd, &sections[nr_sections].id), 0);
		sections[nr_sections].file = xstrdup(file);
		close(fd);
	}
	nr_sections++;
}

struct run {
	uint32_t slot;
	uint64_t index;
	uint32_t nr;
	enum p2c_page_use use;
};

/* A run a word, SLOT:INDEX+NR, behind `unused=N` where that begins; to be freed. */
static char *written(void)
{
	size_t size, i, mark = 0;
	char *text;
	FILE *f = open_memstream(&text, &size);

	for (i = 0; i < writer.nr; i++) {
		const struct p2c_page_record *r = &writer.runs[i];

		if (mark < writer.nr_unused && writer.unused[mark].run == i)
			fprintf(f, "unused=%d ", (int)writer.unused[mark++].starts);
		fprintf(f, "%u:%d", r->slot, (int)r->index);
		fprintf(f, r->nr_pages > 1 ? "+%u " : " ", r->nr_pages);
	}
	assert_int_equal(mark, writer.nr_unused);
	fclose(f);
	return text;
}

/* The list is TEXT, or not there if that is NULL; RUNS were accessed: WANT is to be written. */
static void renew(const char *text, const struct run *runs, size_t n, unsigned int keep,
		  const char *want)
{
	const struct list_options lo = { 0 };
	char *why = NULL, *got;
	size_t i;

	forget();
	add_section("none");
	add_section("data");
	add_section("other");
	if (text) {
		unit_text("text", text);
		assert_int_equal(list_load(&old, "text", &lo, &why), 0);
	}
	for (i = 0; i < n; i++) {
		const struct p2c_page_record r = { .slot = runs[i].slot,
						   .index = runs[i].index,
						   .nr_pages = runs[i].nr,
						   .use = runs[i].use };

		list_writer_add(&writer, &r);
	}
	changed = list_renew(&writer, &sections, &nr_sections, &old, keep);
	got = written();
	assert_string_equal(got, want);
	free(got);
}

#define RENEW(text, keep, want, ...)                               \
	do {                                                       \
		static const struct run runs_[] = { __VA_ARGS__ }; \
		renew(text, runs_, ARRAY_SIZE(runs_), keep, want); \
	} while (0)

static void a_first_recording_is_taken_as_it_is(void **state)
{
	RENEW(NULL, 3, "2:7 1:0+2 2:8 ", { 2, 7, 1 }, { 1, 0, 2 }, { 2, 8, 1 });
	assert_true(changed);
	/* Each page once, and none behind the end of the file or of a file that is not listed. */
	RENEW(NULL, 3, "1:98+2 1:5 ", { 1, 98, 8 }, { 1, 99, 1 }, { 0, 1, 1 }, { 1, 5, 1 },
	      { 7, 1, 1 }, { 1, 200, 3 });
	/* What was mapped along with others: nothing else is known of the file. */
	RENEW(NULL, 3, "1:3+5 ", { 1, 3, 5, PAGE_ALONG });
}

static void the_same_pages_in_any_order_are_no_change(void **state)
{
	static const char text[] = "# file=data\n0+2\n# file=other\n7\n";

	RENEW(text, 3, "1:0+2 2:7 ", { 1, 0, 2 }, { 2, 7, 1 });
	assert_false(changed);
	RENEW(text, 0, "2:7 1:1 1:0 ", { 2, 7, 1 }, { 1, 1, 1 }, { 1, 0, 1 });
	assert_false(changed);
	RENEW(text, 3, "1:0+2 2:7 2:9 ", { 1, 0, 2 }, { 2, 7, 1 }, { 2, 9, 1 });
	assert_true(changed);
}

static void what_no_start_used_for_a_while_goes(void **state)
{
	RENEW("# file=data\n0+4\n", 2, "1:0 unused=1 1:1+3 ", { 1, 0, 1 });
	assert_true(changed);
	RENEW("# file=data\n0\n# unused=1\n# file=data\n1+3\n", 2, "1:0 1:2 unused=2 1:1 1:3 ",
	      { 1, 0, 1 }, { 1, 2, 1 });
	RENEW("# file=data\n0\n2\n# unused=2\n# file=data\n1\n3\n", 2, "1:0 1:2 ", { 1, 0, 1 },
	      { 1, 2, 1 });
	assert_true(changed);
	RENEW("# file=data\n0\n1\n", 0, "1:1 ", { 1, 1, 1 });
	assert_true(changed);
	/* Each by its own age, and a file that was not accessed at all. */
	RENEW("# file=data\n0\n# unused=1\n# file=other\n5\n# unused=2\n9\n", 3,
	      "1:50 unused=1 1:0 unused=2 2:5 unused=3 2:9 ", { 1, 50, 1 });
}

static void a_file_that_is_not_accessed_keeps_its_section(void **state)
{
	unit_file("third", page_size());
	RENEW("# file=third\n0\n", 3, "1:0 unused=1 3:0 ", { 1, 0, 1 });
	assert_int_equal(nr_sections, 4);
	assert_string_equal(sections[3].file, "third");
	unlink("third");
	RENEW("# file=third\n0\n# file=data\n0\n", 3, "1:0 ", { 1, 0, 1 });
	assert_true(changed);
}

static void a_file_that_changed_is_recorded_anew(void **state)
{
	RENEW("# file=data ino=1\n0+4\n", 3, "1:9 ", { 1, 9, 1 });
	assert_true(changed);
	/* Written to, it is the same one: its section gets the new time. */
	RENEW("# file=data mtime_ns=1\n0\n", 3, "1:0 ", { 1, 0, 1 });
	assert_true(changed);
}

static void what_chance_maps_changes_nothing(void **state)
{
	static const char text[] = "# file=data\n20\n30+2\n";

	/* Others are mapped along where the list has the file already: only those that it lists. */
	RENEW(text, 3, "1:20 1:30+2 ", { 1, 20, 4, PAGE_ALONG }, { 1, 30, 2, PAGE_MAPPED });
	assert_false(changed);
	/* And one is not, though it could have been. */
	RENEW(text, 3, "1:31 1:20 1:30 ", { 1, 31, 1, PAGE_MAPPED });
	assert_false(changed);
	/* 16 pages off it could not; and who reads maps nothing. */
	RENEW(text, 3, "1:4 unused=1 1:20 1:30+2 ", { 1, 4, 1, PAGE_MAPPED });
	RENEW(text, 3, "1:31 unused=1 1:20 1:30 ", { 1, 31, 1, PAGE_READ });
	assert_true(changed);
	/* What is accessed by itself is added wherever it was mapped first. */
	RENEW(text, 3, "1:20+2 1:30+2 ", { 1, 20, 4, PAGE_ALONG }, { 1, 21, 1, PAGE_MAPPED },
	      { 1, 30, 2, PAGE_MAPPED });
	assert_true(changed);
}

static void of_two_lists_joined_the_second_begins_with_used_pages(void **state)
{
	/* As cat(1) joins two lists. */
	RENEW("# page2cache offsets 1\n# file=data\n0\n# unused=3\n1\n"
	      "# page2cache offsets 1\n# file=other\n5\n",
	      3, "1:0 unused=1 2:5 ", { 1, 0, 1 });
}

#define RENEWAL(name) cmocka_unit_test_setup_teardown(name, make_files, drop_files)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RENEWAL(a_first_recording_is_taken_as_it_is),
		RENEWAL(the_same_pages_in_any_order_are_no_change),
		RENEWAL(what_no_start_used_for_a_while_goes),
		RENEWAL(a_file_that_is_not_accessed_keeps_its_section),
		RENEWAL(a_file_that_changed_is_recorded_anew),
		RENEWAL(what_chance_maps_changes_nothing),
		RENEWAL(of_two_lists_joined_the_second_begins_with_used_pages),
	};

	return cmocka_run_group_tests(tests, unit_enter, unit_leave);
}
