// SPDX-License-Identifier: GPL-2.0-only
/* When counts are called exact: never where the programs could not follow a task. */
#include "unit.h"
#include "hook/counters.h"

static enum exactness exactness_of(const struct p2c_watch *watch)
{
	struct p2c_watch copy = *watch;
	struct counters w = { .watch = &copy };

	return counters_exactness(&w, NULL, 0);
}

static void counts_are_exact_where_every_task_was_followed(void **state)
{
	struct p2c_watch watch = { .tasks_found = 3, .others_inserted = 5 };

	assert_int_equal(exactness_of(&watch), EXACT);
}

static void descendants_that_were_lost_are_not_counted(void **state)
{
	struct p2c_watch watch = { .tasks_lost = 1 };

	assert_int_equal(exactness_of(&watch), NOT_EXACT);
}

static void events_of_tasks_without_a_state_are_not_counted(void **state)
{
	struct p2c_watch watch = { .states_lost = 1 };

	assert_int_equal(exactness_of(&watch), NOT_EXACT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_are_exact_where_every_task_was_followed),
		cmocka_unit_test(descendants_that_were_lost_are_not_counted),
		cmocka_unit_test(events_of_tasks_without_a_state_are_not_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
