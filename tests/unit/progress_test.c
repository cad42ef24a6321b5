// SPDX-License-Identifier: GPL-2.0-only
/* The line about what takes long, with a clock of the test's own. */
#include "unit.h"

#include "base/progress.h"

#define SECOND 1000000000ULL
#define MIB    (1ULL << 20)

static void shows(const struct progress *p, uint64_t done, uint64_t total, uint64_t now,
		  const char *want)
{
	char *text = progress_text(p, done, total, now);

	if (!want) {
		assert_null(text);
		return;
	}
	assert_non_null(text);
	assert_string_equal(text, want);
	free(text);
}

static void nothing_is_shown_for_two_seconds(void **state)
{
	struct progress p = { .bytes = true, .start_ns = 5 * SECOND };

	shows(&p, 0, 100 * MIB, 5 * SECOND, NULL);
	shows(&p, 1, 100 * MIB, 7 * SECOND - 1, NULL);
	shows(&p, 20 * MIB, 100 * MIB, 7 * SECOND, "20 MiB of 100 MiB, 10 MiB a second, 8 s left");
}

static void a_line_stays_for_a_moment(void **state)
{
	struct progress p = { .start_ns = SECOND, .shown_ns = 5 * SECOND };

	shows(&p, 40, 80, 5 * SECOND + 199999999, NULL);
	shows(&p, 42, 84, 5 * SECOND + 200000000, "42 of 84 files, 10 a second, 4 s left");
}

static void what_is_not_known_is_not_said(void **state)
{
	struct progress p = { .start_ns = SECOND };

	shows(&p, 3000, 0, 4 * SECOND, "3000 files, 1000 a second");
	shows(&p, 0, 50, 4 * SECOND, "0 of 50 files, 0 a second");
	shows(&p, 50, 50, 6 * SECOND, "50 of 50 files, 10 a second");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_shown_for_two_seconds),
		cmocka_unit_test(a_line_stays_for_a_moment),
		cmocka_unit_test(what_is_not_known_is_not_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
