// SPDX-License-Identifier: GPL-2.0-only
/* --rate: never more than it allows, evenly, and nothing made up for in a burst. */
#include "unit.h"

#include "force/pace.h"

#define SECOND 1000000000ULL
#define BEGIN  (1000 * SECOND)

static struct pace pace;

static void begin(uint64_t rate)
{
	pace_init(&pace, rate, PACE_BYTES);
	pace_begin(&pace, BEGIN);
}

/* Nothing goes free: neither the first bytes nor what is rounded. */
static void bytes_take_as_long_as_the_rate_says(void **state)
{
	static const uint64_t rates[] = { 1, 4096, 1000003, 20 << 20, 1ULL << 40, UINT64_MAX };
	uint64_t bytes, total, due = 0, last;
	unsigned int i, n;

	for (i = 0; i < ARRAY_SIZE(rates); i++) {
		begin(rates[i]);
		total = 0;
		last = BEGIN;
		for (n = 0; n < 1000; n++) {
			bytes = (1 + unit_random() % 512) * page_size();
			total += bytes;
			/* Each thread asks when its last bytes are due. */
			due = pace_due(&pace, last, bytes);
			assert_true(due >= last);
			last = due;
		}
		assert_true((due - BEGIN) / 1e9 * rates[i] >= total);
		assert_true((due - BEGIN) / 1e9 <= (double)total / rates[i] * 1.001 + 1e-5);
	}
}

static void a_pause_is_not_made_up_for(void **state)
{
	uint64_t rate = 20 << 20, now = BEGIN + 100 * SECOND, sent = 0, due;

	begin(rate);
	do {
		due = pace_due(&pace, now, page_size());
		sent += page_size();
	} while (due <= now);
	assert_in_range(sent, rate / 50, rate / 10);
}

static void pieces_are_small_and_aligned(void **state)
{
	static const uint64_t rates[] = { 1, 4096, 1 << 20, 20 << 20, 1ULL << 40 };
	uint64_t index, n;
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(rates); i++) {
		begin(rates[i]);
		for (j = 0; j < 1000; j++) {
			index = unit_random() % 100000;
			n = pace_piece(&pace, index, 5000);
			assert_in_range(n, 1, 512);
			assert_true(n == 1 || n * page_size() <= rates[i] / 20);
			/* What follows is a whole piece. */
			assert_int_equal(pace_piece(&pace, index + n, 5000),
					 pace_piece(&pace, 0, 5000));
			assert_int_equal(pace_piece(&pace, index, 1), 1);
		}
	}
}

static void without_a_rate_nothing_waits(void **state)
{
	volatile bool stop = false;

	begin(0);
	assert_true(pace_wait(&pace, 1ULL << 50, &stop));
}

static void a_stop_ends_the_wait(void **state)
{
	volatile bool stop = true;

	begin(1);
	assert_false(pace_wait(&pace, 1ULL << 20, &stop));
}

/* Others share the rate: they do not wait for what was not read. */
static void a_stopped_wait_takes_nothing_of_the_rate(void **state)
{
	volatile bool stop = true;
	uint64_t now;

	begin(1 << 20);
	pace_begin(&pace, now_ns());
	assert_false(pace_wait(&pace, 1ULL << 40, &stop));
	now = now_ns();
	assert_true(pace_due(&pace, now, 1) <= now + SECOND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_take_as_long_as_the_rate_says),
		cmocka_unit_test(a_pause_is_not_made_up_for),
		cmocka_unit_test(pieces_are_small_and_aligned),
		cmocka_unit_test(without_a_rate_nothing_waits),
		cmocka_unit_test(a_stop_ends_the_wait),
		cmocka_unit_test(a_stopped_wait_takes_nothing_of_the_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
