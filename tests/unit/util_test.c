// SPDX-License-Identifier: GPL-2.0-only
/* Numbers on the command line: all of the text, in range, or refused. Texts: what is shown. */
#include "unit.h"

#include <limits.h>
#include <sys/socket.h>

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

static void a_percentage_is_a_decimal_of_at_most_a_hundred(void **state)
{
	double v = -1;

	assert_int_equal(parse_percent("0.5", &v), 0);
	assert_true(v == 0.5);
	assert_int_equal(parse_percent("0", &v), 0);
	assert_true(v == 0);
	assert_int_equal(parse_percent("100", &v), 0);
	assert_true(v == 100);
	assert_int_equal(parse_percent("100.1", &v), -ERANGE);
	assert_int_equal(parse_percent("1%", &v), -EINVAL);
	assert_int_equal(parse_percent("-1", &v), -EINVAL);
	assert_true(v == 100);
}

static void utf8_is_what_the_standard_calls_well_formed(void **state)
{
	static const struct {
		const char *text;
		int len;
	} sequences[] = {
		{ "a", 1 },
		{ "\x7f", 1 },
		{ "\xc2\x80", 2 },
		{ "\xdf\xbf", 2 },
		{ "\xe0\xa0\x80", 3 },
		{ "\xed\x9f\xbf", 3 },
		{ "\xee\x80\x80", 3 },
		{ "\xef\xbf\xbf", 3 },
		{ "\xf0\x90\x80\x80", 4 },
		{ "\xf4\x8f\xbf\xbf", 4 },
		/* a byte that begins none */
		{ "\x80", 0 },
		{ "\xbf", 0 },
		{ "\xf5\x80\x80\x80", 0 },
		{ "\xff", 0 },
		/* longer than need be */
		{ "\xc0\xaf", 0 },
		{ "\xc1\xbf", 0 },
		{ "\xe0\x80\xaf", 0 },
		{ "\xe0\x9f\xbf", 0 },
		{ "\xf0\x80\x80\xaf", 0 },
		{ "\xf0\x8f\xbf\xbf", 0 },
		/* surrogates */
		{ "\xed\xa0\x80", 0 },
		{ "\xed\xbf\xbf", 0 },
		/* beyond U+10FFFF */
		{ "\xf4\x90\x80\x80", 0 },
		/* cut off, or going on with something else */
		{ "\xc3", 0 },
		{ "\xe2\x82", 0 },
		{ "\xf0\x9f\x98", 0 },
		{ "\xc3(", 0 },
		{ "\xe2\x82(", 0 },
		{ "\xf0\x9f(\x80", 0 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sequences); i++) {
		if (utf8_len(sequences[i].text) != sequences[i].len)
			fail_msg("sequence %zu", i);
	}
}

static void bytes_that_are_not_utf8_are_escaped_controls_and_percent_if_they_are_to_be(void **state)
{
	static const struct {
		const char *text, *kept, *escaped, *name;
	} names[] = {
		{ "", "", "", "" },
		{ "100 %41", "100 %41", "100 %41", "100 %2541" },
		{ "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f",
		  "gr\xc3\xbc\xc3\x9f" },
		{ "a\xed\xa0\x80z", "a%ED%A0%80z", "a%ED%A0%80z", "a%ED%A0%80z" },
		{ "\xff\xfe", "%FF%FE", "%FF%FE", "%FF%FE" },
		{ "a\nb\x1b[1m\x7f", "a\nb\x1b[1m\x7f", "a%0Ab%1B[1m%7F", "a\nb\x1b[1m\x7f" },
		/* U+009B is a control sequence introducer, U+00A0 no control */
		{ "\xc2\x9b"
		  "1m\xc2\xa0",
		  "\xc2\x9b"
		  "1m\xc2\xa0",
		  "%C2%9B"
		  "1m\xc2\xa0",
		  "\xc2\x9b"
		  "1m\xc2\xa0" },
	};
	char *text;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		text = percent_escape(names[i].text, 0);
		assert_string_equal(text, names[i].kept);
		free(text);
		text = percent_escape(names[i].text, ESCAPE_CONTROLS);
		assert_string_equal(text, names[i].escaped);
		free(text);
		text = percent_escape(names[i].text, ESCAPE_PERCENT);
		assert_string_equal(text, names[i].name);
		free(text);
	}
}

static void a_message_is_one_write_and_one_line(void **state)
{
	char got[4 * PATH_MAX], name[3 * PATH_MAX];
	int ends[2], saved = dup(STDERR_FILENO);
	ssize_t len;

	/* Each write to such a socket is a packet of its own. */
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends), 0);
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	name[0] = '\n';
	dup2(ends[1], STDERR_FILENO);
	say("%s: is missing", name);
	dup2(saved, STDERR_FILENO);
	close(saved);
	len = recv(ends[0], got, sizeof(got) - 1, 0);
	assert_true(len > 0);
	got[len] = 0;
	assert_int_equal(strncmp(got, "page2cache: %0Axxx", 18), 0);
	assert_string_equal(got + len - 13, ": is missing\n");
	assert_ptr_equal(strchr(got, '\n'), got + len - 1);
	assert_int_equal(recv(ends[0], got, sizeof(got), 0), -1);
	close(ends[0]);
	close(ends[1]);
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
		cmocka_unit_test(a_percentage_is_a_decimal_of_at_most_a_hundred),
		cmocka_unit_test(seconds_refuse_other_text_and_useless_times),
		cmocka_unit_test(utf8_is_what_the_standard_calls_well_formed),
		cmocka_unit_test(
			bytes_that_are_not_utf8_are_escaped_controls_and_percent_if_they_are_to_be),
		cmocka_unit_test(a_message_is_one_write_and_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
