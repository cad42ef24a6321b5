// SPDX-License-Identifier: GPL-2.0-only
/* What ratrace says of a file in words: how readahead went, what was in vain, what helps. */
#include "unit.h"

#include "report/decisions.h"

static struct p2c_ra_counts counts(uint64_t sync, uint64_t plain, uint64_t async, uint64_t order,
				   uint64_t force)
{
	return (struct p2c_ra_counts){ .decisions = { [RA_SYNC] = sync,
						      [RA_ASYNC] = async,
						      [RA_ORDER] = order,
						      [RA_FORCE] = force },
				       .plain = plain,
				       .largest = 32 };
}

static struct p2c_ra_counts read_and_used(struct p2c_ra_counts c, uint64_t pages_read,
					  uint64_t pages_used)
{
	c.pages_read = pages_read;
	c.pages_used = pages_used;
	return c;
}

/* A file that was accessed, and not missed by any fault. */
static const struct account hits = { .accesses = 100 };

static bool says(struct p2c_ra_counts c, const char *words)
{
	char *meaning = ra_meaning(&c, &hits);
	bool found = strstr(meaning, words) != NULL;

	if (!found)
		print_message("not \"%s\": %s\n", words, meaning);
	free(meaning);
	return found;
}

static bool is_silent_on(struct p2c_ra_counts c, const char *words)
{
	char *meaning = ra_meaning(&c, &hits);
	bool found = strstr(meaning, words) != NULL;

	if (found)
		print_message("\"%s\": %s\n", words, meaning);
	free(meaning);
	return !found;
}

/* The words that tell the shapes apart. */
enum shape {
	NONE,
	SEQUENTIAL,
	RANDOM,
	FAULTS,
	OVER,
	FEW,
	FORCED,
	NR_SHAPES
};

static const char *const shapes[NR_SHAPES] = {
	[NONE] = "no readahead",
	[SEQUENTIAL] = "and stay: sequential",
	[RANDOM] = "each miss reads what was asked for, no more",
	[FAULTS] = "faults that miss read up to",
	[OVER] = "starts over at",
	[FEW] = "too few to see a pattern",
	[FORCED] = "asked for by a program",
};

/* It has the words of this shape, and of no other. */
static void has_shape(struct p2c_ra_counts c, enum shape shape)
{
	int i;

	for (i = 0; i < NR_SHAPES; i++)
		assert_true(i == (int)shape ? says(c, shapes[i]) : is_silent_on(c, shapes[i]));
}

static void without_a_decision_there_was_no_readahead(void **state)
{
	struct p2c_ra_counts c = counts(0, 0, 0, 0, 0);

	has_shape(c, NONE);
	assert_true(says(c, "was in the page cache"));
	assert_true(is_silent_on(c, "%"));
}

static void one_miss_and_then_ahead_of_the_reader_is_sequential(void **state)
{
	struct p2c_ra_counts c = counts(1, 0, 64, 0, 0);

	has_shape(c, SEQUENTIAL);
	assert_true(says(c, "windows grow to 32 pages"));
	c.largest = 2048;
	assert_true(says(c, "windows grow to 2048 pages"));
	/* By mmap the first page is a fault's. */
	has_shape(counts(0, 0, 128, 1, 0), SEQUENTIAL);
	/* Here and there a page elsewhere. */
	has_shape(counts(10, 9, 30, 0, 0), SEQUENTIAL);
	/* Many short runs: each starts with one miss and goes on with one window. */
	has_shape(counts(20, 0, 20, 0, 0), SEQUENTIAL);
}

static void single_pages_are_random(void **state)
{
	has_shape(counts(400, 400, 0, 0, 0), RANDOM);
	assert_true(says(counts(400, 400, 0, 0, 0), "POSIX_FADV_RANDOM"));
	has_shape(counts(3, 3, 0, 0, 0), RANDOM);
	/* Two pages in a row by chance: readahead thinks of a run. */
	has_shape(counts(400, 390, 5, 0, 0), RANDOM);
	has_shape(counts(400, 398, 5, 0, 0), RANDOM);
}

static void faults_that_miss_read_around(void **state)
{
	struct p2c_ra_counts c = counts(0, 0, 0, 8, 0);

	has_shape(c, FAULTS);
	assert_true(says(c, "up to 32 pages around them"));
	has_shape(counts(2, 2, 3, 8, 0), FAULTS);
}

static void windows_that_nothing_follows_start_over(void **state)
{
	has_shape(counts(30, 0, 10, 0, 0), OVER);
	assert_true(says(counts(30, 0, 10, 0, 0), "at 30 of 40 decisions"));
	/* A fault's window starts anew as well; what reads no more than was asked for does not. */
	assert_true(says(counts(25, 5, 10, 10, 0), "at 30 of 45 decisions"));
}

static void one_or_two_decisions_make_no_pattern(void **state)
{
	has_shape(counts(1, 0, 0, 0, 0), FEW);
	assert_true(says(counts(1, 0, 0, 0, 0), "1 decision,"));
	has_shape(counts(1, 0, 1, 0, 0), FEW);
	has_shape(counts(0, 0, 0, 2, 0), FEW);
	has_shape(counts(3, 0, 0, 0, 0), OVER);
}

static void faults_that_read_alone_are_not_in_the_page_cache(void **state)
{
	struct p2c_ra_counts none = counts(0, 0, 0, 0, 0);
	struct account a = { .accesses = 200, .mmap_misses = 150 }, untouched = { 0 };
	char *meaning = ra_meaning(&none, &a);

	assert_non_null(strstr(meaning, "no readahead: 150 faults"));
	free(meaning);
	meaning = ra_meaning(&none, &untouched);
	assert_string_equal(meaning, "not accessed");
	free(meaning);
}

static void what_a_program_asks_for_is_forced(void **state)
{
	struct p2c_ra_counts c = counts(0, 0, 0, 0, 1024);

	has_shape(c, FORCED);
	assert_true(says(c, "at most 32 pages"));
	c.largest = 1;
	assert_true(says(c, "at most 1 page"));
	assert_true(is_silent_on(c, "pages"));
	has_shape(counts(1, 0, 10, 1, 13), FORCED);
	has_shape(counts(1, 0, 12, 0, 13), SEQUENTIAL);
}

static void a_part_of_what_was_read_was_in_vain(void **state)
{
	struct p2c_ra_counts c = counts(1, 0, 9, 0, 0);

	assert_true(
		says(read_and_used(c, 128, 74), "; 42 % of what was read ahead was never used"));
	assert_true(says(read_and_used(c, 100, 99), "; 1 % "));
	assert_true(says(read_and_used(c, 100, 0), "; 100 % "));
	/* What had left the cache before it was used is in it, and adds nothing. */
	c.pages_unused_removed = 54;
	assert_true(says(read_and_used(c, 128, 74), "; 42 % "));
}

static void nothing_was_in_vain(void **state)
{
	struct p2c_ra_counts c = counts(1, 0, 64, 0, 0);

	assert_true(says(read_and_used(c, 4096, 4096), "; all that was read ahead was used"));
	assert_true(is_silent_on(read_and_used(c, 4096, 4096), "%"));
	/* Less than half a per cent is not nothing. */
	assert_true(says(read_and_used(c, 16384, 16354),
			 "; 30 of the 16384 pages that were read ahead were never used"));
	/* Read while it changes: uses can be seen before the reading. */
	assert_true(says(read_and_used(c, 4096, 5000), "; all that was read ahead was used"));
}

static void from_a_half_on_it_says_what_reads_less(void **state)
{
	struct p2c_ra_counts reads = counts(30, 0, 10, 0, 0), faults = counts(0, 0, 0, 8, 0);

	assert_true(says(read_and_used(reads, 1000, 500), "50 %"));
	assert_true(says(read_and_used(reads, 1000, 500),
			 "(POSIX_FADV_RANDOM or a smaller read_ahead_kb reads less)"));
	assert_true(is_silent_on(read_and_used(reads, 1000, 520), "read_ahead_kb"));
	assert_true(says(read_and_used(faults, 256, 128),
			 "(MADV_RANDOM or a smaller read_ahead_kb reads less)"));
	assert_true(is_silent_on(read_and_used(faults, 256, 128), "FADV"));
	assert_true(is_silent_on(read_and_used(faults, 256, 200), "MADV"));
	faults.forward = 5;
	assert_true(
		says(read_and_used(faults, 256, 128), "from theirs on: of an executable mapping"));
	assert_true(says(read_and_used(faults, 256, 128), "(a smaller read_ahead_kb reads less)"));
	faults.forward = 4;
	assert_true(says(read_and_used(faults, 256, 128), "pages around them"));
}

static void what_is_used_of_a_window_decides_what_reads_less(void **state)
{
	struct p2c_ra_counts reads = counts(30, 0, 10, 0, 0), faults = counts(0, 0, 0, 8, 0);

	reads.windows[11] = 40;
	faults.windows[11] = 8;
	faults.largest = reads.largest = 2048;
	/* Slices of 1 MiB in windows of 8 MiB. */
	assert_true(says(read_and_used(faults, 8 * 2048, 8 * 256),
			 "(of a window some 256 pages are used: read_ahead_kb 1024 or less"));
	assert_true(is_silent_on(read_and_used(faults, 8 * 2048, 8 * 256), "RANDOM"));
	assert_true(says(read_and_used(reads, 40 * 2048, 40 * 5), "read_ahead_kb 32 or less"));
	/* One access a window: fault-around maps 16 pages. */
	assert_true(says(read_and_used(faults, 8 * 2048, 8 * 16), "(MADV_RANDOM or"));
	assert_true(says(read_and_used(reads, 40 * 2048, 40 * 4), "(POSIX_FADV_RANDOM or"));
}

static void without_a_window_there_is_none_to_speak_of(void **state)
{
	struct p2c_ra_counts c = counts(0, 0, 5, 0, 0);

	c.largest = 0;
	assert_true(says(c, "5 decisions, and what they could have read was cached"));
	assert_true(is_silent_on(c, "sequential"));
}

static void readahead_that_is_off_tells_nothing_of_the_reader(void **state)
{
	struct p2c_ra_counts c = counts(400, 400, 0, 0, 0);

	c.largest = 1;
	c.off = 400;
	assert_true(says(c, "readahead is off (read_ahead_kb 0)"));
	assert_true(is_silent_on(c, "random"));
	/* One of several openers had it off. */
	c.off = 100;
	assert_true(says(c, "random"));
}

static void what_was_forced_is_not_used_yet(void **state)
{
	struct p2c_ra_counts c = counts(0, 0, 0, 0, 1024);

	assert_true(says(read_and_used(c, 1024, 0),
			 "; 100 % of what was read ahead was never used yet"));
	assert_true(is_silent_on(read_and_used(c, 1024, 0), "RANDOM"));
	assert_true(is_silent_on(read_and_used(c, 1024, 1000), "yet"));
}

static void without_pages_there_is_no_part_of_them(void **state)
{
	has_shape(counts(1, 0, 64, 0, 0), SEQUENTIAL);
	assert_true(is_silent_on(counts(1, 0, 64, 0, 0), "%"));
	assert_true(is_silent_on(counts(1, 0, 64, 0, 0), "used"));
}

static void pages_that_were_lost_leave_the_part_out(void **state)
{
	struct p2c_ra_counts c = read_and_used(counts(1, 0, 64, 0, 0), 4096, 100);

	c.lost_pages = 1;
	has_shape(c, SEQUENTIAL);
	assert_true(is_silent_on(c, "%"));
	assert_true(is_silent_on(c, "used"));
}

/* Lost lines are of no account: the counts stay exact. */
static void lines_that_were_lost_change_nothing(void **state)
{
	struct p2c_ra_counts c = read_and_used(counts(1, 0, 9, 0, 0), 128, 74);

	c.lost_events = 5;
	assert_true(says(c, "; 42 % "));
}

static uint64_t some(void)
{
	return unit_random() % 3 ? unit_random() >> (8 + unit_random() % 56) : 0;
}

static void whatever_was_counted_it_has_one_shape_and_0_to_100_per_cent(void **state)
{
	int i, k, n;

	for (i = 0; i < 20000; i++) {
		uint64_t sync = some();
		struct p2c_ra_counts c =
			counts(sync, sync ? unit_random() % (sync + 1) : 0, some(), some(), some());
		char *meaning, *per_cent;

		c = read_and_used(c, some(), some());
		meaning = ra_meaning(&c, &hits);
		for (k = 0, n = 0; k < NR_SHAPES; k++)
			n += strstr(meaning, shapes[k]) != NULL;
		assert_int_equal(n, 1);
		per_cent = strstr(meaning, " % of what");
		if (per_cent) {
			*per_cent = 0;
			n = atoi(strrchr(meaning, ' '));
			assert_in_range(n, 0, 100);
		}
		free(meaning);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_decision_there_was_no_readahead),
		cmocka_unit_test(one_miss_and_then_ahead_of_the_reader_is_sequential),
		cmocka_unit_test(single_pages_are_random),
		cmocka_unit_test(faults_that_miss_read_around),
		cmocka_unit_test(windows_that_nothing_follows_start_over),
		cmocka_unit_test(one_or_two_decisions_make_no_pattern),
		cmocka_unit_test(faults_that_read_alone_are_not_in_the_page_cache),
		cmocka_unit_test(what_a_program_asks_for_is_forced),
		cmocka_unit_test(a_part_of_what_was_read_was_in_vain),
		cmocka_unit_test(nothing_was_in_vain),
		cmocka_unit_test(from_a_half_on_it_says_what_reads_less),
		cmocka_unit_test(what_is_used_of_a_window_decides_what_reads_less),
		cmocka_unit_test(without_a_window_there_is_none_to_speak_of),
		cmocka_unit_test(readahead_that_is_off_tells_nothing_of_the_reader),
		cmocka_unit_test(what_was_forced_is_not_used_yet),
		cmocka_unit_test(without_pages_there_is_no_part_of_them),
		cmocka_unit_test(pages_that_were_lost_leave_the_part_out),
		cmocka_unit_test(lines_that_were_lost_change_nothing),
		cmocka_unit_test(whatever_was_counted_it_has_one_shape_and_0_to_100_per_cent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
