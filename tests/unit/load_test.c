// SPDX-License-Identifier: GPL-2.0-only
/* The fuzzer of the loader of lists (tests/fuzz/list.c), by recipes that are the same in each run. */
#include "unit.h"

#define RECIPES	     6000
#define RECIPE_BYTES 600

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What does not hold ends the process, after a line that says what. */
static void test_recipes(void **state)
{
	uint8_t recipe[RECIPE_BYTES];
	size_t i, k, size;

	for (i = 0; i < RECIPES; i++) {
		size = unit_random() % sizeof(recipe);
		for (k = 0; k < size; k++)
			recipe[k] = unit_random();
		assert_int_equal(LLVMFuzzerTestOneInput(recipe, size), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recipes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
