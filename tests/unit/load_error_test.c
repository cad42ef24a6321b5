// SPDX-License-Identifier: GPL-2.0-only
/* Why the kernel did not load the programs: what an error means, and no guess where it is none. */

#include "unit.h"
#include "hook/hooks.h"

static bool says(int err, const char *words)
{
	char *text = hooks_load_error(err);
	bool found = strstr(text, words);

	free(text);
	return found;
}

static void what_is_too_large_is_not_locked_down(void **state)
{
	assert_true(says(-E2BIG, "too long for its verifier, or a map too large"));
	assert_false(says(-E2BIG, "lockdown"));
}

static void an_error_of_its_own_has_no_guess(void **state)
{
	assert_true(says(-ENOMEM, strerror(ENOMEM)));
	assert_false(says(-ENOMEM, "lockdown"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_too_large_is_not_locked_down),
		cmocka_unit_test(an_error_of_its_own_has_no_guess),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
