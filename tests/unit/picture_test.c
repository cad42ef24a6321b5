// SPDX-License-Identifier: GPL-2.0-only
/* The picture of what is cached of a file. */
#include "unit.h"

#include "report/picture.h"

static struct picture picture;

static void shows(const char *want)
{
	char *text = picture_text(&picture);

	assert_string_equal(text, want);
	free(text);
	picture_free(&picture);
}

static void a_character_stands_for_its_share_of_pages(void **state)
{
	picture_init(&picture, 5, 20);
	picture_add(&picture, 4, 4);
	picture_add(&picture, 8, 2);
	picture_add(&picture, 15, 1);
	shows(".#+-.");
	picture_init(&picture, 5, 20);
	picture_add(&picture, 0, 20);
	shows("#####");
}

static void a_page_is_as_wide_as_it_has_to_be(void **state)
{
	picture_init(&picture, 8, 3);
	picture_add(&picture, 1, 1);
	shows("...###..");
	picture_init(&picture, 7, 1);
	picture_add(&picture, 0, 1);
	shows("#######");
}

static void an_empty_file_has_no_picture(void **state)
{
	picture_init(&picture, 8, 0);
	shows("");
}

/* Any runs give each character the share that counting page by page gives it. */
static void runs_are_counted_as_pages(void **state)
{
	uint64_t pages, index, nr, i;
	unsigned int round;
	struct picture one;
	char *a, *b;

	for (round = 0; round < 500; round++) {
		pages = 1 + unit_random() % 300;
		picture_init(&picture, 1 + unit_random() % 120, pages);
		picture_init(&one, picture.width, pages);
		for (index = unit_random() % 20; index < pages;
		     index += nr + 1 + unit_random() % 20) {
			nr = 1 + unit_random() % 30;
			nr = nr < pages - index ? nr : pages - index;
			picture_add(&picture, index, nr);
			for (i = 0; i < nr; i++)
				picture_add(&one, index + i, 1);
		}
		a = picture_text(&picture);
		b = picture_text(&one);
		assert_string_equal(a, b);
		free(a);
		free(b);
		picture_free(&picture);
		picture_free(&one);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_character_stands_for_its_share_of_pages),
		cmocka_unit_test(a_page_is_as_wide_as_it_has_to_be),
		cmocka_unit_test(an_empty_file_has_no_picture),
		cmocka_unit_test(runs_are_counted_as_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
