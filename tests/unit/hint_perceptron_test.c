// SPDX-License-Identifier: GPL-2.0-only
/* The perceptron: what it learns, and what weights that somebody else wrote can do to it. */
#include "unit.h"

#include "pagehint.h"
#include "perceptron.h"

_Static_assert(PAGEHINT_DOMAINS == PERCEPTRON_DOMAINS, "as the manual says");
_Static_assert(PAGEHINT_FEATURES == PERCEPTRON_FEATURES, "as the manual says");

static signed char weights[PERCEPTRON_BYTES];

static bool predicts(unsigned int domain, const uint64_t *features, unsigned int n)
{
	return perceptron_sum(weights, domain, features, n) >= 0;
}

/* By the second of three numbers; the others are noise. */
static void it_learns_what_an_outcome_goes_by(void **state)
{
	unsigned int i, right = 0;
	uint64_t features[3];

	memset(weights, 0, sizeof(weights));
	for (i = 0; i < 4000; i++) {
		features[0] = unit_random() % 8;
		features[1] = unit_random() % 16;
		features[2] = unit_random() % 8;
		if (i >= 2000)
			right += predicts(1, features, 3) == (features[1] < 5);
		perceptron_learn(weights, 1, features, 3, features[1] < 5);
	}
	assert_in_range(right, 1980, 2000);
	/* Then the other way around. */
	for (i = 0; i < 4000; i++) {
		features[1] = unit_random() % 16;
		perceptron_learn(weights, 1, features, 3, features[1] >= 5);
	}
	for (features[1] = 0; features[1] < 16; features[1]++)
		assert_int_equal(predicts(1, features, 3), features[1] >= 5);
}

static void domains_do_not_meet(void **state)
{
	const uint64_t features[] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	unsigned int domain, i;

	memset(weights, 0, sizeof(weights));
	for (i = 0; i < 100; i++)
		perceptron_learn(weights, 3, features, 8, 0);
	for (domain = 0; domain < PERCEPTRON_DOMAINS; domain++)
		assert_int_equal(predicts(domain, features, 8), domain != 3);
}

static void it_stops_where_it_is_sure(void **state)
{
	const uint64_t features[] = { 7, 7 };
	unsigned int i, moved = 0;
	int before;

	memset(weights, 0, sizeof(weights));
	for (i = 0; i < 200; i++) {
		before = perceptron_sum(weights, 0, features, 2);
		perceptron_learn(weights, 0, features, 2, 1);
		moved += perceptron_sum(weights, 0, features, 2) != before;
	}
	/* Two at a time, up to the first sum above 1.93 * 2 + 14. */
	assert_int_equal(moved, 9);
	assert_int_equal(perceptron_sum(weights, 0, features, 2), 18);
}

/* Any byte may stand there: it weighs no more than what was learnt, and is unlearnt as soon. */
static void weights_of_others_weigh_no_more(void **state)
{
	const uint64_t features[] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	unsigned int i;

	memset(weights, 0x80, sizeof(weights));
	assert_int_equal(perceptron_sum(weights, 7, features, 8), -8 * PERCEPTRON_MOST);
	memset(weights, 0x7f, sizeof(weights));
	assert_int_equal(perceptron_sum(weights, 7, features, 8), 8 * PERCEPTRON_MOST);
	assert_int_equal(perceptron_sum(weights, UINT32_MAX, features, UINT32_MAX),
			 8 * PERCEPTRON_MOST);
	for (i = 0; i <= PERCEPTRON_MOST; i++)
		perceptron_learn(weights, 7, features, 8, 0);
	assert_false(predicts(7, features, 8));
}

static void what_cannot_be_asked_is_refused(void **state)
{
	struct pagehint *h = pagehint_connect(NULL);
	const uint64_t features[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };
	unsigned int i;

	assert_non_null(h);
	assert_int_equal(pagehint_predict(NULL, 0, features, 1), -EINVAL);
	assert_int_equal(pagehint_update(NULL, 0, features, 1, 1), -EINVAL);
	assert_int_equal(pagehint_predict(h, 0, features, 0), -EINVAL);
	assert_int_equal(pagehint_predict(h, 0, features, 9), -EINVAL);
	assert_int_equal(pagehint_predict(h, 8, features, 1), -EINVAL);
	assert_int_equal(pagehint_update(h, 8, features, 1, 1), -EINVAL);
	for (i = 0; i < 2; i++)
		assert_int_equal(pagehint_update(h, 7, features, 8, 0), 0);
	assert_int_equal(pagehint_predict(h, 7, features, 8), 0);
	assert_int_equal(pagehint_predict(h, 6, features, 8), 1);
	pagehint_close(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_learns_what_an_outcome_goes_by),
		cmocka_unit_test(domains_do_not_meet),
		cmocka_unit_test(it_stops_where_it_is_sure),
		cmocka_unit_test(weights_of_others_weigh_no_more),
		cmocka_unit_test(what_cannot_be_asked_is_refused),
	};

	return cmocka_run_group_tests_name("the perceptron", tests, NULL, NULL);
}
