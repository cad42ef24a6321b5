// SPDX-License-Identifier: GPL-2.0-only
/* The receipt: ratios of 0 to 1 or unknown, null for what was not watched, a sum that holds. */
#include "unit.h"

#include <json-c/json.h>

#include "force/receipt.h"

static struct force_usage watched(uint64_t used, uint64_t lookups, uint64_t late, uint64_t polluted,
				  uint64_t misses)
{
	return (struct force_usage){ .known = true,
				     .late_known = true,
				     .used = used,
				     .lookups = lookups,
				     .late = late,
				     .polluted = polluted,
				     .accesses = misses + 1,
				     .misses = misses };
}

static void is_ratio_or_unknown(double r)
{
	assert_true(r < 0 || (r >= 0 && r <= 1));
}

static void ratios_are_0_to_1_whatever_was_counted(void **state)
{
	uint64_t v[7];
	int i, k;

	for (i = 0; i < 100000; i++) {
		struct force_usage t;

		for (k = 0; k < 7; k++)
			v[k] = unit_random() % 4 ? unit_random() >> (unit_random() % 64) : 0;
		t = watched(v[0], v[1], v[2], v[3], v[4]);
		is_ratio_or_unknown(receipt_accuracy(&t, v[5]));
		is_ratio_or_unknown(receipt_coverage(&t, true, v[6]));
		is_ratio_or_unknown(receipt_lateness(&t));
		is_ratio_or_unknown(receipt_pollution(&t));
	}
}

static void accuracy_is_what_was_used_of_what_was_read(void **state)
{
	struct force_usage t = watched(30, 0, 0, 0, 0);

	assert_true(receipt_accuracy(&t, 40) == 0.75);
	assert_true(receipt_accuracy(&t, 30) == 1);
	assert_true(receipt_accuracy(&t, 29) < 0);
	t.used = 0;
	assert_true(receipt_accuracy(&t, 40) == 0);
}

static void coverage_is_unknown_of_a_file_that_was_not_accessed(void **state)
{
	struct force_usage t = watched(0, 0, 0, 0, 0);

	t.accesses = 0;
	assert_true(receipt_coverage(&t, true, 100) < 0);
}

static void coverage_is_the_part_of_recorded_misses_that_is_gone(void **state)
{
	struct force_usage t = watched(0, 0, 0, 0, 25);

	assert_true(receipt_coverage(&t, true, 100) == 0.75);
	assert_true(receipt_coverage(&t, true, 25) == 0);
	assert_true(receipt_coverage(&t, true, 10) == 0);
	t.misses = 0;
	assert_true(receipt_coverage(&t, true, 100) == 1);
}

static void lateness_is_the_part_of_lookups_that_waited(void **state)
{
	struct force_usage t = watched(0, 8, 2, 0, 0);

	assert_true(receipt_lateness(&t) == 0.25);
	t.late = 0;
	assert_true(receipt_lateness(&t) == 0);
}

static void pollution_is_the_part_of_misses_that_forcing_caused(void **state)
{
	struct force_usage t = watched(0, 0, 0, 3, 12);

	assert_true(receipt_pollution(&t) == 0.25);
	t.polluted = 0;
	assert_true(receipt_pollution(&t) == 0);
}

static void without_a_denominator_nothing_is_known(void **state)
{
	struct force_usage t = watched(5, 0, 5, 5, 0);

	assert_true(receipt_accuracy(&t, 0) < 0);
	assert_true(receipt_coverage(&t, true, 0) < 0);
	assert_true(receipt_lateness(&t) < 0);
	assert_true(receipt_pollution(&t) < 0);
}

static void no_access_says_nothing_about_coverage(void **state)
{
	struct force_usage t = watched(0, 0, 0, 0, 0);

	t.accesses = 0;
	assert_true(receipt_coverage(&t, true, 100) < 0);
	t.accesses = 1;
	assert_true(receipt_coverage(&t, true, 100) == 1);
}

static void what_was_not_watched_is_unknown(void **state)
{
	struct force_usage t = watched(5, 6, 1, 1, 7);

	assert_true(receipt_coverage(&t, false, 10) < 0);
	t.late_known = false;
	assert_true(receipt_lateness(&t) < 0);
	assert_true(receipt_accuracy(&t, 5) >= 0);
	t.known = false;
	assert_true(receipt_accuracy(&t, 5) < 0);
	assert_true(receipt_coverage(&t, true, 10) < 0);
	assert_true(receipt_pollution(&t) < 0);
}

/* A forcing without any BPF, printed as JSON. */
static struct fake {
	struct list_file file;
	struct list list;
	struct force_counts counts;
	struct force force;
	struct force_bpf bpf;
	struct firing firing;
} fake;

static int make_fake(void **state)
{
	memset(&fake, 0, sizeof(fake));
	fake.file.target.path = "a name";
	fake.list.files = &fake.file;
	fake.list.nr_files = 1;
	fake.force.list = &fake.list;
	fake.force.counts = &fake.counts;
	fake.force.opt.engine = &engine_user;
	fake.firing.force = &fake.force;
	fake.bpf.force = &fake.force;
	fake.firing.bpf = &fake.bpf;
	fake.firing.trigger = TRIGGER_NOW;
	return 0;
}

static struct json_object *print_cut(enum status want, bool cut)
{
	char *text = NULL;
	size_t size = 0;
	struct output out = { .f = open_memstream(&text, &size), .json = true };
	struct receipt r = { .firing = &fake.firing, .out = &out, .cut = cut };
	struct json_object *o;

	assert_non_null(out.f);
	assert_int_equal(receipt_print(&r), want);
	fclose(out.f);
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	o = json_tokener_parse(text);
	assert_non_null(o);
	free(text);
	return o;
}

static struct json_object *print(enum status want)
{
	return print_cut(want, false);
}

static uint64_t number(struct json_object *o, const char *key)
{
	struct json_object *v;

	if (!json_object_object_get_ex(o, key, &v) || !json_object_is_type(v, json_type_int))
		fail_msg("no number '%s' in %s", key, json_object_to_json_string(o));
	return json_object_get_uint64(v);
}

static void is_null(struct json_object *o, const char *key)
{
	struct json_object *v;

	if (!json_object_object_get_ex(o, key, &v) || v)
		fail_msg("'%s' is not null in %s", key, json_object_to_json_string(o));
}

static const char *const unwatched[] = { "used",     "late",	 "unused_removed", "accuracy",
					 "coverage", "lateness", "pollution",	   "changed" };

static void a_receipt_has_every_count_and_null_for_the_unwatched(void **state)
{
	struct json_object *o, *v;
	size_t i;

	fake.counts = (struct force_counts){ .requested = 15,
					     .resident = 1,
					     .read = 2,
					     .failed = 3,
					     .past_eof = 4,
					     .skipped = 5,
					     .left = 2,
					     .submitted = 10 };
	fake.firing.fired_ns = 1000000;
	fake.firing.done_ns = 6000000;
	o = print(STATUS_PARTIAL);
	assert_int_equal(number(o, "requested"),
			 number(o, "resident") + number(o, "read") + number(o, "failed") +
				 number(o, "past_eof") + number(o, "skipped"));
	assert_int_equal(number(o, "requested"), 15);
	assert_int_equal(number(o, "failed"), 3);
	assert_int_equal(number(o, "past_eof"), 4);
	assert_int_equal(number(o, "left"), 2);
	assert_int_equal(number(o, "submitted"), 10);
	assert_int_equal(number(o, "bytes"), 2 * page_size());
	assert_int_equal(number(o, "elapsed_us"), 5000);
	is_null(o, "first_us");
	for (i = 0; i < ARRAY_SIZE(unwatched); i++)
		is_null(o, unwatched[i]);
	assert_true(json_object_object_get_ex(o, "record", &v));
	assert_string_equal(json_object_get_string(v), "receipt");
	assert_true(json_object_object_get_ex(o, "file", &v));
	assert_string_equal(json_object_get_string(v), "a name");
	assert_true(json_object_object_get_ex(o, "trigger", &v));
	assert_string_equal(json_object_get_string(v), "now");
	json_object_put(o);
}

static void what_never_fired_has_no_times(void **state)
{
	struct json_object *o;

	fake.counts = (struct force_counts){ .requested = 3, .skipped = 3 };
	o = print(STATUS_PARTIAL);
	is_null(o, "elapsed_us");
	is_null(o, "first_us");
	json_object_put(o);
}

static void only_all_pages_resident_is_done(void **state)
{
	fake.counts = (struct force_counts){ .requested = 3, .resident = 1, .read = 2 };
	json_object_put(print(STATUS_DONE));
	fake.counts = (struct force_counts){ .requested = 3, .read = 2, .past_eof = 1 };
	json_object_put(print(STATUS_PARTIAL));
	fake.counts = (struct force_counts){ .requested = 3, .read = 2, .failed = 1 };
	json_object_put(print(STATUS_PARTIAL));
	fake.counts = (struct force_counts){ .requested = 3, .read = 2, .skipped = 1 };
	json_object_put(print(STATUS_PARTIAL));
	fake.counts.left = 1;
	json_object_put(print(STATUS_DONE));
	fake.counts = (struct force_counts){ .requested = 4, .read = 2, .skipped = 2, .left = 1 };
	json_object_put(print(STATUS_PARTIAL));
}

static void a_cut_run_is_the_reason_for_what_was_not_left(void **state)
{
	struct json_object *o, *v;

	fake.counts = (struct force_counts){ .requested = 4, .read = 2, .skipped = 2, .left = 2 };
	o = print_cut(STATUS_DONE, true);
	is_null(o, "reason");
	json_object_put(o);
	fake.counts.left = 1;
	o = print_cut(STATUS_PARTIAL, true);
	assert_true(json_object_object_get_ex(o, "reason", &v));
	assert_non_null(strstr(json_object_get_string(v), "stopped"));
	json_object_put(o);
}

static void a_file_that_was_gone_is_partial_even_with_nothing_listed(void **state)
{
	struct json_object *o, *v;

	fake.file.state = LIST_GONE;
	fake.file.why = "a name: No such file or directory";
	o = print(STATUS_PARTIAL);
	assert_true(json_object_object_get_ex(o, "reason", &v));
	assert_non_null(strstr(json_object_get_string(v), "No such file"));
	json_object_put(o);
}

static void an_empty_list_is_done_with_nothing_requested(void **state)
{
	struct json_object *o;

	fake.list.nr_files = 0;
	o = print(STATUS_DONE);
	assert_int_equal(number(o, "requested"), 0);
	is_null(o, "file");
	json_object_put(o);
}

#define PRINT(name) cmocka_unit_test_setup(name, make_fake)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ratios_are_0_to_1_whatever_was_counted),
		cmocka_unit_test(accuracy_is_what_was_used_of_what_was_read),
		cmocka_unit_test(coverage_is_unknown_of_a_file_that_was_not_accessed),
		cmocka_unit_test(coverage_is_the_part_of_recorded_misses_that_is_gone),
		cmocka_unit_test(lateness_is_the_part_of_lookups_that_waited),
		cmocka_unit_test(pollution_is_the_part_of_misses_that_forcing_caused),
		cmocka_unit_test(without_a_denominator_nothing_is_known),
		cmocka_unit_test(no_access_says_nothing_about_coverage),
		cmocka_unit_test(what_was_not_watched_is_unknown),
		PRINT(a_receipt_has_every_count_and_null_for_the_unwatched),
		PRINT(what_never_fired_has_no_times),
		PRINT(only_all_pages_resident_is_done),
		PRINT(a_cut_run_is_the_reason_for_what_was_not_left),
		PRINT(a_file_that_was_gone_is_partial_even_with_nothing_listed),
		PRINT(an_empty_list_is_done_with_nothing_requested),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
