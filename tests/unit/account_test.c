// SPDX-License-Identifier: GPL-2.0-only
/* From counters to figures: they add up, never go down, and percentiles are near the truth. */
#include "unit.h"

#include <math.h>

#include "hook/counters.h"
#include "report/account.h"

static struct p2c_file_counts random_counts(void)
{
	struct p2c_file_counts c;
	int i;

	for (i = 0; i < NR_COUNTS; i++)
		c.count[i] = unit_random() >> (4 + unit_random() % 60);
	return c;
}

/* No figure is the result of a subtraction below 0, and the sums hold. */
static void adds_up(const struct account *a)
{
	assert_int_equal(a->accesses, a->hits + a->misses);
	assert_int_equal(a->read_accesses, a->read_hits + a->read_misses);
	assert_int_equal(a->accesses, a->read_accesses + a->mmap_accesses);
	assert_int_equal(a->misses, a->read_misses + a->mmap_misses);
	assert_true(a->hits <= a->accesses && a->misses <= a->accesses);
	assert_true(a->mmap_misses <= a->mmap_accesses);
	assert_true(a->mmap_fault_around <= a->mmap_accesses - a->mmap_misses);
	assert_true(a->accesses < 1ULL << 63);
}

static void hits_and_misses_are_all_accesses(void **state)
{
	struct p2c_file_counts c;
	struct account a;
	int i;

	for (i = 0; i < 100000; i++) {
		c = random_counts();
		account_derive(&c, i & 1, NULL, &a);
		adds_up(&a);
		assert_int_equal(a.late_known, i & 1);
	}
}

static void each_counter_comes_out_in_its_figures(void **state)
{
	struct p2c_file_counts c = { { [COUNT_READ_HITS] = 1,
				       [COUNT_READ_MISSES] = 20,
				       [COUNT_READ_LATE] = 300,
				       [COUNT_MMAP_HITS] = 4000,
				       [COUNT_MMAP_MISSES] = 50000,
				       [COUNT_MMAP_LATE] = 600000,
				       [COUNT_AROUND] = 7000000,
				       [COUNT_AROUND_REDONE] = 1000000,
				       [COUNT_INSERTED] = 80000000,
				       [COUNT_REMOVED] = 900000000,
				       [COUNT_LOST] = 11 } };
	struct account a;

	account_derive(&c, true, NULL, &a);
	assert_int_equal(a.read_accesses, 21);
	assert_int_equal(a.read_hits, 1);
	assert_int_equal(a.read_misses, 20);
	assert_int_equal(a.read_late, 300);
	assert_int_equal(a.mmap_fault_around, 6000000);
	assert_int_equal(a.mmap_misses, 50000);
	assert_int_equal(a.mmap_accesses, 6054000);
	assert_int_equal(a.accesses, 6054021);
	assert_int_equal(a.misses, 50020);
	assert_int_equal(a.hits, 6004001);
	assert_int_equal(a.late, 600300);
	assert_int_equal(a.inserted_pages, 80000000);
	assert_int_equal(a.removed_pages, 900000000);
	assert_int_equal(a.lost_events, 11);
}

static void reads_with_unseen_lookups_are_counted_as_lower_bounds(void **state)
{
	struct p2c_file_counts c = { { [COUNT_READ_HITS] = 5 } };
	struct account a, since, before = { 0 };

	account_derive(&c, true, NULL, &a);
	assert_int_equal(a.exact, EXACT);
	assert_false(a.pages_unknown);
	c.count[COUNT_READS_UNSEEN] = 1;
	account_derive(&c, true, NULL, &a);
	assert_int_equal(a.exact, NOT_EXACT);
	assert_false(a.pages_unknown);
	c.count[COUNT_READS_UNSEEN] = 0;
	c.count[COUNT_READS_UNPLACED] = 1;
	account_derive(&c, true, NULL, &a);
	account_since(&before, &a, &since);
	assert_int_equal(since.exact, NOT_EXACT);
	assert_true(since.pages_unknown);
	assert_int_equal(since.read_accesses, 5);
}

static void what_was_taken_back_before_it_was_seen_is_not_negative(void **state)
{
	struct p2c_file_counts c = { { [COUNT_AROUND] = 5, [COUNT_AROUND_REDONE] = 6 } };
	struct account a;

	account_derive(&c, true, NULL, &a);
	adds_up(&a);
	assert_int_equal(a.mmap_fault_around, 0);
	assert_int_equal(a.accesses, 0);
}

static void the_figures_before_are_a_watermark(void **state)
{
	struct p2c_file_counts c = { { [COUNT_AROUND] = 10, [COUNT_MMAP_HITS] = 3 } };
	struct account first, second, since;

	account_derive(&c, true, NULL, &first);
	/* One of the ten turns out to have been a fault of its own. */
	c.count[COUNT_AROUND_REDONE] = 1;
	c.count[COUNT_MMAP_MISSES] = 1;
	account_derive(&c, true, &first, &second);
	adds_up(&second);
	account_since(&first, &second, &since);
	adds_up(&since);
	assert_int_equal(since.mmap_fault_around, 0);
	assert_int_equal(since.mmap_misses, 1);
	/* Without it, the true figure. */
	account_derive(&c, true, NULL, &second);
	assert_int_equal(second.mmap_fault_around, 9);
	assert_int_equal(second.accesses, 13);
}

/* Counters that grow as the BPF side lets them, looked at any time. */
static void no_interval_is_ever_negative(void **state)
{
	struct account before = { 0 }, now, since, sum = { 0 };
	struct p2c_file_counts c = { 0 };
	uint64_t what;
	int i, k;

	for (i = 0; i < 20000; i++) {
		for (k = unit_random() % 5; k > 0; k--) {
			what = unit_random() % NR_COUNTS;
			if (what == COUNT_AROUND_REDONE &&
			    c.count[COUNT_AROUND_REDONE] >= c.count[COUNT_AROUND] + 2)
				continue;
			c.count[what] += 1 + unit_random() % 3;
		}
		account_derive(&c, true, &before, &now);
		account_since(&before, &now, &since);
		adds_up(&now);
		adds_up(&since);
		assert_true(since.inserted_pages < 1000 && since.removed_pages < 1000);
		assert_true(since.late < 1000 && since.lost_events < 1000);
		sum.accesses += since.accesses;
		sum.misses += since.misses;
		before = now;
	}
	assert_int_equal(sum.accesses, now.accesses);
	assert_int_equal(sum.misses, now.misses);
	assert_true(sum.misses > 0);
}

static void every_cpu_counts(void **state)
{
	struct p2c_file_counts cpu[7], sum, want = { 0 };
	int i, k;

	for (i = 0; i < 7; i++) {
		cpu[i] = random_counts();
		for (k = 0; k < NR_COUNTS; k++)
			want.count[k] += cpu[i].count[k];
	}
	file_counts_sum(cpu, 7, &sum);
	assert_memory_equal(&sum, &want, sizeof(sum));
	file_counts_sum(cpu, 0, &sum);
	for (k = 0; k < NR_COUNTS; k++)
		assert_int_equal(sum.count[k], 0);
}

static void the_hit_ratio_is_0_to_1_or_unknown(void **state)
{
	struct account a = { 0 };
	struct p2c_file_counts c;
	double r;
	int i;

	assert_true(account_hit_ratio(&a) < 0);
	a.accesses = a.hits = 3;
	assert_true(account_hit_ratio(&a) == 1);
	a.hits = 0;
	assert_true(account_hit_ratio(&a) == 0);
	a.accesses = 4;
	a.hits = 3;
	assert_true(account_hit_ratio(&a) == 0.75);
	for (i = 0; i < 10000; i++) {
		c = random_counts();
		account_derive(&c, true, NULL, &a);
		r = account_hit_ratio(&a);
		assert_true(a.accesses ? r >= 0 && r <= 1 : r < 0);
	}
}

/*
 * Where the BPF side puts a latency, found in another way than there: the lower
 * bounds of all slots are laid out one after the other, then searched.
 */
static uint64_t bounds[LAT_SLOTS];

static int lay_out_slots(void **state)
{
	uint64_t bound = 0, width = 1;
	int i, steps = 1 << LAT_SUB_BITS;

	for (i = 0; i < LAT_SLOTS; i++) {
		bounds[i] = bound;
		bound += width;
		/* From the second octave of steps on each is twice as wide as the one before. */
		if (i >= steps && i % steps == steps - 1)
			width *= 2;
	}
	return 0;
}

static unsigned int slot_of(uint64_t ns)
{
	unsigned int low = 0, high = LAT_SLOTS;

	while (high - low > 1) {
		unsigned int mid = (low + high) / 2;

		if (ns >= bounds[mid])
			low = mid;
		else
			high = mid;
	}
	return low;
}

static void the_middle_of_a_slot_lies_in_it(void **state)
{
	unsigned int i;
	double middle;

	assert_int_equal(bounds[0], 0);
	assert_int_equal(bounds[8], 8);
	assert_int_equal(bounds[16], 16);
	assert_int_equal(bounds[17], 18);
	assert_int_equal(bounds[24], 32);
	for (i = 0; i < LAT_SLOTS; i++) {
		middle = latency_slot_ns(i);
		assert_true(middle >= bounds[i]);
		if (i + 1 < LAT_SLOTS)
			assert_true(middle < bounds[i + 1]);
		assert_int_equal(slot_of(middle), i);
	}
	/* An hour has a slot of its own. */
	assert_true(bounds[LAT_SLOTS - 1] > 3600ULL * 1000000000);
}

static void a_slot_is_within_a_sixteenth_of_what_it_holds(void **state)
{
	uint64_t ns;
	int i;

	for (i = 0; i < 200000; i++) {
		ns = 1 + (unit_random() >> (22 + unit_random() % 42));
		assert_true(fabs(latency_slot_ns(slot_of(ns)) - ns) <= ns / 16.0);
	}
}

static int by_value(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void near(double got_us, const uint64_t *sorted, size_t n, unsigned int percent)
{
	/* The smallest sample with PERCENT of all at or below it. */
	double want = sorted[(n * percent + 99) / 100 - 1] / 1e3;

	if (fabs(got_us - want) > want / 16 * (1 + 1e-9))
		fail_msg("p%u of %zu samples: %f, want %f", percent, n, got_us, want);
}

static void check_percentiles(uint64_t *ns, size_t n)
{
	struct p2c_file_latency l = { 0 };
	struct percentiles p;
	size_t i;

	for (i = 0; i < n; i++) {
		l.slots[slot_of(ns[i])]++;
		if (ns[i] > l.max_ns)
			l.max_ns = ns[i];
	}
	qsort(ns, n, sizeof(*ns), by_value);
	account_percentiles(&l, n, &p);
	assert_int_equal(p.samples, n);
	near(p.p50, ns, n, 50);
	near(p.p90, ns, n, 90);
	near(p.p99, ns, n, 99);
	assert_true(fabs(p.max - ns[n - 1] / 1e3) < 1e-6 * p.max + 1e-9);
	assert_true(p.p50 <= p.p90 && p.p90 <= p.p99 && p.p99 <= p.max);
}

static void percentiles_are_within_a_sixteenth_of_the_exact_ones(void **state)
{
	static uint64_t ns[5000];
	size_t n, i;
	int round;

	for (round = 0; round < 200; round++) {
		n = 1 + unit_random() % (round % 2 ? 5000 : 12);
		for (i = 0; i < n; i++) {
			switch (round % 4) {
			case 0: /* any order of magnitude up to an hour */
				ns[i] = 1 + (unit_random() >> (22 + unit_random() % 42));
				break;
			case 1: /* a device: 80 us and some that wait */
				ns[i] = 80000 + unit_random() % 8000 +
					(unit_random() % 50 ? 0 : 4000000);
				break;
			case 2: /* two devices */
				ns[i] = unit_random() % 2 ? 50000 : 9000000;
				break;
			default: /* the edges of slots */
				ns[i] = bounds[1 + unit_random() % 300] - unit_random() % 2;
				ns[i] = ns[i] ? ns[i] : 1;
			}
		}
		check_percentiles(ns, n);
	}
}

static void one_sample_is_all_percentiles(void **state)
{
	uint64_t ns[] = { 123456 };

	check_percentiles(ns, 1);
}

static void no_sample_has_no_percentiles(void **state)
{
	struct p2c_file_latency l = { .max_ns = 5 };
	struct percentiles p;

	account_percentiles(&l, 0, &p);
	assert_int_equal(p.samples, 0);
	assert_true(p.p50 == 0 && p.p90 == 0 && p.p99 == 0 && p.max == 0);
}

static void a_histogram_that_lacks_some_has_no_percentiles(void **state)
{
	struct p2c_file_latency l = { .max_ns = 5, .slots[5] = 3 };
	struct percentiles p;

	account_percentiles(&l, 4, &p);
	assert_int_equal(p.samples, 0);
	assert_true(p.p50 == 0 && p.max == 0);
	account_percentiles(&l, 3, &p);
	assert_int_equal(p.samples, 3);
}

/* A clock that did not move between miss and data. */
static void samples_of_0_count_like_others(void **state)
{
	uint64_t ns[100] = { [99] = 1000000 };

	check_percentiles(ns, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hits_and_misses_are_all_accesses),
		cmocka_unit_test(each_counter_comes_out_in_its_figures),
		cmocka_unit_test(reads_with_unseen_lookups_are_counted_as_lower_bounds),
		cmocka_unit_test(what_was_taken_back_before_it_was_seen_is_not_negative),
		cmocka_unit_test(the_figures_before_are_a_watermark),
		cmocka_unit_test(no_interval_is_ever_negative),
		cmocka_unit_test(every_cpu_counts),
		cmocka_unit_test(the_hit_ratio_is_0_to_1_or_unknown),
		cmocka_unit_test(the_middle_of_a_slot_lies_in_it),
		cmocka_unit_test(a_slot_is_within_a_sixteenth_of_what_it_holds),
		cmocka_unit_test(percentiles_are_within_a_sixteenth_of_the_exact_ones),
		cmocka_unit_test(one_sample_is_all_percentiles),
		cmocka_unit_test(no_sample_has_no_percentiles),
		cmocka_unit_test(a_histogram_that_lacks_some_has_no_percentiles),
		cmocka_unit_test(samples_of_0_count_like_others),
	};

	return cmocka_run_group_tests(tests, lay_out_slots, NULL);
}
