// SPDX-License-Identifier: GPL-2.0-only
/* What a recorded list says, of its pages and of the order in which each file's came. */
#include "unit.h"
#include "list/list_writer.h"

#define SLOTS 4

static struct list_writer writer;
static struct offsets_section sections[SLOTS];

static int new_list(void **state)
{
	size_t i;

	memset(&writer, 0, sizeof(writer));
	for (i = 0; i < SLOTS; i++)
		sections[i] = (struct offsets_section){ .pattern = PATTERN_MMAP };
	return 0;
}

static int free_list(void **state)
{
	list_writer_free(&writer);
	return 0;
}

static void add(uint32_t slot, uint64_t index, uint32_t nr)
{
	const struct p2c_page_record run = { .index = index, .nr_pages = nr, .slot = slot };

	list_writer_add(&writer, &run);
}

static enum offsets_pattern pattern_of(uint32_t slot)
{
	list_writer_find_random(&writer, sections, SLOTS);
	return sections[slot].pattern;
}

static void ascending_runs_are_in_order(void **state)
{
	add(1, 0, 4);
	add(1, 100, 1);
	add(1, 101, 1);
	add(1, 1ULL << 40, 7);
	assert_int_equal(pattern_of(1), PATTERN_MMAP);
}

static void each_file_has_an_order_of_its_own(void **state)
{
	add(1, 100, 4);
	add(2, 0, 4);
	add(1, 104, 4);
	add(2, 4, 4);
	add(3, 9, 1);
	add(3, 7, 1);
	assert_int_equal(pattern_of(1), PATTERN_MMAP);
	assert_int_equal(pattern_of(2), PATTERN_MMAP);
	assert_int_equal(pattern_of(3), PATTERN_RANDOM);
}

static void a_tenth_of_the_pages_may_come_out_of_order(void **state)
{
	add(1, 100, 90);
	add(1, 0, 10);
	assert_int_equal(pattern_of(1), PATTERN_MMAP);
	add(1, 5000, 9);
	add(1, 50, 2);
	assert_int_equal(pattern_of(1), PATTERN_RANDOM);
}

static void of_a_file_without_listed_pages_nothing_is_known(void **state)
{
	add(1, 0, 1);
	/* Of a file that came too late to have a section. */
	add(SLOTS, 0, 1);
	assert_int_equal(pattern_of(2), PATTERN_UNKNOWN);
}

/* The list, of the files named. */
static char *written(const char *a, const char *b)
{
	struct list_place *place = &writer.place;
	size_t size;
	char *text;

	sections[1].file = (char *)a;
	sections[2].file = (char *)b;
	place->stream = open_memstream(&text, &size);
	assert_non_null(place->stream);
	assert_int_equal(list_writer_write(&writer, sections, SLOTS), 0);
	return text;
}

static void list_is(const char *a, const char *b, const char *want)
{
	char *text;
	size_t i;

	for (i = 0; i < SLOTS; i++)
		sections[i] = (struct offsets_section){ 0 };
	text = written(a, b);
	assert_string_equal(text, want);
	free(text);
}

static void files_that_come_once_are_written_as_version_1(void **state)
{
	add(2, 7, 1);
	add(2, 9, 2);
	add(1, 0, 3);
	list_is("a", "b", "# page2cache offsets 1\n# file=b\n7\n9+2\n# file=a\n0+3\n");
}

static void a_file_that_comes_back_has_a_number(void **state)
{
	add(2, 7, 1);
	add(1, 0, 3);
	add(2, 9, 2);
	list_is("a", "b",
		"# page2cache offsets 2\n# file=b @1\n# file=a @2\n7 @1\n0+3 @2\n9+2 @1\n");
	/* Unless the one between is left out. */
	list_is(NULL, "b", "# page2cache offsets 1\n# file=b\n7\n9+2\n");
	list_is("a", NULL, "# page2cache offsets 1\n# file=a\n0+3\n");
}

static void files_without_pages_are_named_where_there_are_no_others(void **state)
{
	list_is("a", "b", "# page2cache offsets 1\n# file=a\n# file=b\n");
	/* Of a file that came too late to have a section. */
	add(SLOTS, 0, 1);
	list_is(NULL, "b", "# page2cache offsets 1\n# file=b\n");
	add(1, 5, 1);
	list_is("a", "b", "# page2cache offsets 1\n# file=a\n5\n");
}

static void a_list_says_that_it_is_incomplete(void **state)
{
	add(1, 5, 1);
	writer.incomplete = true;
	list_is("a", NULL,
		"# page2cache offsets 1\n# incomplete: events of the recording were lost, so pages "
		"may be missing\n# file=a\n5\n");
}

#define LIST(name) cmocka_unit_test_setup_teardown(name, new_list, free_list)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LIST(ascending_runs_are_in_order),
		LIST(each_file_has_an_order_of_its_own),
		LIST(a_tenth_of_the_pages_may_come_out_of_order),
		LIST(of_a_file_without_listed_pages_nothing_is_known),
		LIST(files_that_come_once_are_written_as_version_1),
		LIST(a_file_that_comes_back_has_a_number),
		LIST(files_without_pages_are_named_where_there_are_no_others),
		LIST(a_list_says_that_it_is_incomplete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
