// SPDX-License-Identifier: GPL-2.0-only
/* What a recorded list says of the order in which each file's pages came. */
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

#define LIST(name) cmocka_unit_test_setup_teardown(name, new_list, free_list)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LIST(ascending_runs_are_in_order),
		LIST(each_file_has_an_order_of_its_own),
		LIST(a_tenth_of_the_pages_may_come_out_of_order),
		LIST(of_a_file_without_listed_pages_nothing_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
