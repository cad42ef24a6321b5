// SPDX-License-Identifier: GPL-2.0-only
/* Numbers on the command line: all of the text, in range, or refused. */
#include "unit.h"

static const uint64_t untouched = 0x5a5a5a5a5a5a5a5aULL;

static void u64_takes_every_decimal_number_of_64_bits(void **state)
{
	static const struct {
		const char *text;
		uint64_t value;
	} good[] = {
		{ "0", 0 },
		{ "1", 1 },
		{ "007", 7 },
		{ "4294967296", 1ULL << 32 },
		{ "9223372036854775808", 1ULL << 63 },
		{ "18446744073709551615", UINT64_MAX },
	};
	uint64_t v;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(good); i++) {
		v = untouched;
		assert_int_equal(parse_u64(good[i].text, &v), 0);
		assert_int_equal(v, good[i].value);
	}
}

static void u64_refuses_what_is_not_only_digits(void **state)
{
	static const char *const bad[] = { "",	  " ",	 " 1",	"1 ",  "+1",  "-1", "-0",
					   "0x1", "1.0", "1e3", "1\n", "1,0", "a",  "1a" };
	uint64_t v = untouched;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(parse_u64(bad[i], &v), -EINVAL);
		assert_int_equal(v, untouched);
	}
}

static void u64_refuses_numbers_beyond_64_bits(void **state)
{
	static const char *const bad[] = { "18446744073709551616", "18446744073709551620",
					   "99999999999999999999", "100000000000000000000000000" };
	uint64_t v = untouched;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(parse_u64(bad[i], &v), -ERANGE);
		assert_int_equal(v, untouched);
	}
}

static void size_units_are_powers_of_1024(void **state)
{
	static const struct {
		const char *text;
		uint64_t value;
	} good[] = {
		{ "0", 0 },
		{ "4096", 4096 },
		{ "1K", 1024 },
		{ "512M", 512ULL << 20 },
		{ "3G", 3ULL << 30 },
		{ "2T", 2ULL << 40 },
		{ "16777215T", 16777215ULL << 40 },
		{ "18446744073709551615", UINT64_MAX },
	};
	uint64_t v;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(good); i++) {
		v = untouched;
		assert_int_equal(parse_size(good[i].text, &v), 0);
		assert_int_equal(v, good[i].value);
	}
}

static void size_refuses_other_text_and_what_overflows(void **state)
{
	static const struct {
		const char *text;
		int err;
	} bad[] = {
		{ "", -EINVAL },
		{ "K", -EINVAL },
		{ "M1", -EINVAL },
		{ "1KK", -EINVAL },
		{ "1KB", -EINVAL },
		{ "1 K", -EINVAL },
		{ "-1K", -EINVAL },
		{ "1.5G", -EINVAL },
		{ "00000000000000000000000000000000000000000001", -EINVAL },
		{ "16777216T", -ERANGE },
		{ "18014398509481984K", -ERANGE },
		{ "18446744073709551616", -ERANGE },
	};
	uint64_t v = untouched;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(parse_size(bad[i].text, &v), bad[i].err);
		assert_int_equal(v, untouched);
	}
}

static void seconds_become_microseconds(void **state)
{
	static const struct {
		const char *text;
		uint64_t us;
	} good[] = {
		{ "1", 1000000 },
		{ "0.001", 1000 },
		{ "0.25", 250000 },
		{ "90", 90000000 },
		{ "1.", 1000000 },
		{ "2.5", 2500000 },
		{ "31536000", 31536000000000ULL },
	};
	uint64_t us;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(good); i++) {
		us = untouched;
		assert_int_equal(parse_seconds(good[i].text, &us), 0);
		assert_int_equal(us, good[i].us);
	}
}

static void seconds_refuse_other_text_and_useless_times(void **state)
{
	static const struct {
		const char *text;
		int err;
	} bad[] = {
		{ "", -EINVAL },	 { " 1", -EINVAL },  { "1 ", -EINVAL },
		{ "-1", -EINVAL },	 { "+1", -EINVAL },  { "nan", -EINVAL },
		{ "inf", -EINVAL },	 { "1s", -EINVAL },  { "0x10", -EINVAL },
		{ "0X10", -EINVAL },	 { "1,5", -EINVAL }, { "1e999", -EINVAL },
		{ "0", -ERANGE },	 { "0.0", -ERANGE }, { "0.0009", -ERANGE },
		{ "31536001", -ERANGE },
	};
	uint64_t us = untouched;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(parse_seconds(bad[i].text, &us), bad[i].err);
		assert_int_equal(us, untouched);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(u64_takes_every_decimal_number_of_64_bits),
		cmocka_unit_test(u64_refuses_what_is_not_only_digits),
		cmocka_unit_test(u64_refuses_numbers_beyond_64_bits),
		cmocka_unit_test(size_units_are_powers_of_1024),
		cmocka_unit_test(size_refuses_other_text_and_what_overflows),
		cmocka_unit_test(seconds_become_microseconds),
		cmocka_unit_test(seconds_refuse_other_text_and_useless_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
