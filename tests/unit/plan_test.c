// SPDX-License-Identifier: GPL-2.0-only
/* The reading plan: windows of the listed order, each bounded, sorted and merged. */
#include "unit.h"
#include "list/plan.h"
#include "list/sort.h"

#define ROOM 4096

static struct extent extents[ROOM];
static size_t nr_extents;

static void put(uint32_t file, uint64_t index, uint32_t nr)
{
	assert_true(nr_extents < ROOM);
	extents[nr_extents++] = (struct extent){ index, nr, file };
}

static struct list_file files[3];

static int empty_list(void **state)
{
	nr_extents = 0;
	memset(files, 0, sizeof(files));
	return 0;
}

static uint64_t pages_of(const struct extent *e, size_t n)
{
	uint64_t pages = 0;

	while (n--)
		pages += e++->nr_pages;
	return pages;
}

/* Is page INDEX of FILE in one of these, and in how many? */
static unsigned int holds(const struct extent *e, size_t n, uint32_t file, uint64_t index)
{
	unsigned int times = 0;

	for (; n--; e++)
		times += e->file == file && index >= e->index && index - e->index < e->nr_pages;
	return times;
}

/* The plan of the extents that were put; they stay where they are. */
static struct plan make_plan_for(bool beside_reader)
{
	struct list list = {
		.files = files,
		.nr_files = ARRAY_SIZE(files),
		.nr_extents = nr_extents,
		.room = ROOM,
	};
	struct plan p;

	list.extents = xcalloc(ROOM, sizeof(*list.extents));
	memcpy(list.extents, extents, sizeof(extents));
	plan_make(&p, &list, beside_reader);
	assert_null(list.extents);
	assert_int_equal(list.nr_extents, 0);
	return p;
}

static struct plan make_plan(void)
{
	return make_plan_for(false);
}

/* Extents from NEXT on that a window of LIMIT pages holds. */
static size_t fitting(size_t next, uint64_t limit)
{
	size_t n = 1;

	while (next + n < nr_extents && pages_of(extents + next, n + 1) <= limit)
		n++;
	return n;
}

/* How many of the runs from RUN on hold that many pages: all of a window and no more. */
static size_t runs_of(const struct plan *p, size_t run, uint64_t pages)
{
	size_t n = 0;
	uint64_t sum = 0;

	while (run + n < p->nr_runs && sum < pages)
		sum += p->runs[run + n++].nr_pages;
	return sum == pages ? n : 0;
}

/*
 * Walk all windows of the plan. Each has to hold the pages of the extents that
 * come next in the list, as many as fit, all of them and nothing else, in as few
 * runs in file order as can be. Returns the number of windows.
 */
static size_t check_plan(void)
{
	size_t next = 0, run = 0, windows = 0, taken, n, i;
	struct plan p = make_plan();

	while (next < nr_extents) {
		taken = fitting(next, PLAN_WINDOW_PAGES);
		n = runs_of(&p, run, pages_of(extents + next, taken));
		/* Only the first may be a head window, and only of short runs. */
		if (!next && !(n && pages_of(p.runs, n) / n >= PLAN_HEAD_MAX_RUN)) {
			taken = fitting(next, PLAN_HEAD_PAGES);
			n = runs_of(&p, run, pages_of(extents + next, taken));
		}
		assert_true(n > 0);
		for (i = 0; i < taken; i++) {
			const struct extent *e = &extents[next + i];

			assert_int_equal(holds(p.runs + run, n, e->file, e->index), 1);
			assert_int_equal(
				holds(p.runs + run, n, e->file, e->index + e->nr_pages - 1), 1);
		}
		for (i = run + 1; i < run + n; i++) {
			const struct extent *a = &p.runs[i - 1], *b = &p.runs[i];

			assert_true(a->file < b->file ||
				    (a->file == b->file &&
				     (a->index + a->nr_pages < b->index ||
				      a->nr_pages + (uint64_t)b->nr_pages > UINT32_MAX)));
		}
		next += taken;
		run += n;
		windows++;
	}
	assert_int_equal(run, p.nr_runs);
	plan_free(&p);
	return windows;
}

static void an_empty_list_has_no_window(void **state)
{
	assert_int_equal(check_plan(), 0);
}

static void the_head_window_comes_first_and_is_small(void **state)
{
	struct plan p;
	uint32_t i;

	/* The reader's first pages lie at the end of the file. */
	for (i = 0; i < 1000; i++)
		put(0, 100000 - 7 * i, 1);
	p = make_plan();
	assert_int_equal(p.nr_runs, 1000);
	assert_int_equal(p.runs[PLAN_HEAD_PAGES - 1].index, 100000);
	assert_int_equal(p.runs[0].index, 100000 - 7 * (PLAN_HEAD_PAGES - 1));
	assert_int_equal(p.runs[PLAN_HEAD_PAGES].index, 100000 - 7 * 999);
	plan_free(&p);
	assert_int_equal(check_plan(), 2);
}

static void a_window_is_in_file_order_and_merged(void **state)
{
	static const struct extent want[] = { { 0, 6, 0 }, { 8, 1, 0 }, { 2, 2, 1 }, { 9, 1, 2 } };
	struct plan p;

	put(1, 3, 1);
	put(0, 4, 2);
	put(2, 9, 1);
	put(0, 0, 3);
	put(1, 2, 1);
	put(0, 8, 1);
	put(0, 3, 1);
	p = make_plan();
	assert_int_equal(p.nr_runs, ARRAY_SIZE(want));
	assert_memory_equal(p.runs, want, sizeof(want));
	plan_free(&p);
	check_plan();
}

static void neighbours_in_different_files_stay_apart(void **state)
{
	struct plan p;

	put(0, 0, 5);
	put(1, 5, 5);
	p = make_plan();
	assert_int_equal(p.nr_runs, 2);
	plan_free(&p);
}

static void an_extent_larger_than_a_window_is_one_of_its_own(void **state)
{
	put(0, 0, PLAN_HEAD_PAGES + 1);
	put(0, 1 << 20, 3 * PLAN_WINDOW_PAGES);
	put(0, 1 << 30, 1);
	put(1, 0, UINT32_MAX);
	assert_int_equal(check_plan(), 4);
}

static void runs_never_outgrow_their_count(void **state)
{
	/* Two neighbours whose sum does not fit in 32 bits. */
	put(0, 0, UINT32_MAX);
	put(0, UINT32_MAX, UINT32_MAX);
	put(0, 2ULL * UINT32_MAX, 5);
	check_plan();
}

static void windows_are_full_to_the_page(void **state)
{
	put(0, 0, PLAN_HEAD_PAGES / 2);
	put(0, 10 << 20, PLAN_HEAD_PAGES / 2);
	put(0, 20 << 20, PLAN_WINDOW_PAGES - 1);
	put(0, 30 << 20, 1);
	put(0, 40 << 20, 1);
	assert_int_equal(check_plan(), 3);
}

static void extents_of_any_place_are_sorted_by_it(void **state)
{
	const uint64_t indexes[] = { 0, 1, 255, 256, 65536, 1ULL << 32, 1ULL << 40, ~0ULL };
	const uint32_t numbers[] = { 0, 1, 255, 256, 1U << 24, ~0U };
	struct extent e[ROOM] = { 0 }, same[ROOM];
	size_t n, i, j;

	srand(7);
	for (n = 1; n < ROOM; n = n * 2 + 1) {
		for (i = 0; i < n; i++) {
			e[i].index = indexes[rand() % ARRAY_SIZE(indexes)] + rand() % 300;
			e[i].file = numbers[rand() % ARRAY_SIZE(numbers)];
			e[i].nr_pages = i + 1;
		}
		memcpy(same, e, n * sizeof(*e));
		qsort(same, n, sizeof(*same), by_place);
		sort_extents(e, n);
		for (i = 0; i < n; i++)
			assert_int_equal(by_place(&e[i], &same[i]), 0);
		/* Those with the same place stay in their order. */
		for (i = 1; i < n; i++)
			assert_true(by_place(&e[i - 1], &e[i]) ||
				    e[i - 1].nr_pages < e[i].nr_pages);
		for (i = j = 0; i < n; i++)
			j += e[i].nr_pages;
		assert_int_equal(j, n * (n + 1) / 2);
	}
}

static void indexes_beyond_32_bits_sort_as_numbers(void **state)
{
	struct plan p;

	put(0, 1ULL << 41, 1);
	put(0, (1ULL << 32) + 1, 1);
	put(0, 2, 1);
	put(0, (1ULL << 41) - 1, 1);
	p = make_plan();
	assert_int_equal(p.nr_runs, 3);
	assert_int_equal(p.runs[0].index, 2);
	assert_int_equal(p.runs[1].index, (1ULL << 32) + 1);
	assert_int_equal(p.runs[2].index, (1ULL << 41) - 1);
	assert_int_equal(p.runs[2].nr_pages, 2);
	plan_free(&p);
}

/* Disjoint extents in random order, of random lengths, in a few files. */
static void every_page_of_a_random_list_comes_exactly_once(void **state)
{
	struct extent swap;
	uint64_t index[3];
	uint32_t file;
	size_t i, k;
	int round;

	for (round = 0; round < 30; round++) {
		nr_extents = 0;
		memset(index, 0, sizeof(index));
		for (i = 0; i < 1500; i++) {
			uint32_t nr = 1 + unit_random() % (round % 3 ? 4 : 4000);

			file = unit_random() % 3;
			/* A third of them touches the one before. */
			index[file] += unit_random() % 3 ? 1 + unit_random() % 100 : 0;
			put(file, index[file], nr);
			index[file] += nr;
		}
		for (i = nr_extents; i-- > 1;) {
			k = unit_random() % (i + 1);
			swap = extents[i];
			extents[i] = extents[k];
			extents[k] = swap;
		}
		assert_true(check_plan() >= 1);
	}
}

static void a_shuffled_whole_file_is_one_window_and_one_run(void **state)
{
	struct extent swap;
	struct plan p;
	size_t i, k;

	nr_extents = 0;
	for (i = 0; i < 1500; i++)
		put(0, i * 3, 3);
	for (i = nr_extents; i-- > 1;) {
		k = unit_random() % (i + 1);
		swap = extents[i];
		extents[i] = extents[k];
		extents[k] = swap;
	}
	p = make_plan();
	assert_int_equal(p.nr_runs, 1);
	assert_int_equal(p.runs[0].nr_pages, 4500);
	plan_free(&p);
}

static void runs_are_near_without_a_large_gap_and_within_the_limit(void **state)
{
	struct plan p;

	put(0, 100, 2);
	put(0, 134, 1); /* 32 pages between them */
	put(0, 168, 1); /* 33 */
	put(0, 170, 30);
	put(1, 201, 1);
	p = make_plan();
	assert_int_equal(p.nr_runs, 5);
	assert_int_equal(plan_near(&p, 0, 4096), 2);
	assert_int_equal(plan_near(&p, 2, 4096), 4);
	assert_int_equal(plan_near(&p, 2, 32), 4);
	assert_int_equal(plan_near(&p, 2, 31), 3);
	assert_int_equal(plan_near(&p, 3, 1), 4); /* it alone, however long */
	assert_int_equal(plan_near(&p, 4, 4096), 5);
	plan_free(&p);
}

static void a_window_that_begins_before_the_end_of_another_is_not_near_it(void **state)
{
	struct plan p;
	uint32_t i;

	for (i = 0; i < PLAN_HEAD_PAGES; i++)
		put(0, 10000 + 2 * i, 1);
	put(0, 9999, 1);
	p = make_plan();
	assert_int_equal(p.nr_runs, PLAN_HEAD_PAGES + 1);
	assert_int_equal(p.runs[PLAN_HEAD_PAGES].index, 9999);
	assert_int_equal(plan_near(&p, 0, 1 << 20), PLAN_HEAD_PAGES);
	plan_free(&p);
}

/* Plan beside a reader, check what is left against WANT, and return how many pages are read. */
static uint64_t check_left(const struct extent *want, size_t n)
{
	struct plan p = make_plan_for(true);
	uint64_t read = pages_of(p.runs, p.nr_runs), listed = pages_of(extents, nr_extents);
	uint64_t left = 0;
	uint32_t i;

	assert_int_equal(p.nr_left, n);
	if (n)
		assert_memory_equal(p.left, want, n * sizeof(*want));
	for (i = 0; i < ARRAY_SIZE(files); i++)
		left += plan_left_pages(&p, i);
	assert_int_equal(left, pages_of(want, n));
	assert_int_equal(read + left, listed);
	plan_free(&p);
	return read;
}

static void what_is_long_and_in_order_is_left_beside_a_reader_only(void **state)
{
	static const struct extent want[] = { { 5, PLAN_LONG_PAGES, 0 } };
	struct plan p;

	put(0, 5, PLAN_LONG_PAGES);
	put(0, 1 << 20, PLAN_LONG_PAGES - 1);
	assert_int_equal(check_left(want, 1), PLAN_LONG_PAGES - 1);
	p = make_plan();
	assert_int_equal(p.nr_left, 0);
	assert_int_equal(p.nr_runs, 2);
	plan_free(&p);
}

static void a_stream_goes_on_behind_extents_of_other_files(void **state)
{
	static const struct extent want[] = { { 0, PLAN_LONG_PAGES, 0 },
					      { 9, PLAN_LONG_PAGES + 1, 2 } };
	const uint32_t half = PLAN_LONG_PAGES / 2;

	put(2, 9, half);
	put(0, 0, half);
	put(1, 7, 1);
	put(2, 9 + half, half + 1);
	put(0, half, half);
	put(1, 8, 1);
	assert_int_equal(check_left(want, 2), 2);
}

static void what_is_out_of_order_is_read(void **state)
{
	const uint32_t half = PLAN_LONG_PAGES / 2;

	/* Next to each other in the file, but not in the list; and a jump over one page. */
	put(0, half, half);
	put(0, 0, half);
	put(1, 0, half);
	put(1, half + 1, half);
	assert_int_equal(check_left(NULL, 0), 4ULL * half);
}

static void only_what_may_come_through_page_faults_is_left(void **state)
{
	static const struct extent want[] = { { 0, PLAN_LONG_PAGES, 0 } };
	uint32_t i;

	files[0].pattern = PATTERN_MMAP;
	files[1].pattern = PATTERN_SEQ;
	files[2].pattern = PATTERN_RANDOM;
	for (i = 0; i < ARRAY_SIZE(files); i++)
		put(i, 0, PLAN_LONG_PAGES);
	assert_int_equal(check_left(want, 1), 2 * PLAN_LONG_PAGES);
}

/* Extents of a file with so many pages; is it the one to be waited for? */
static bool is_shuffled(uint32_t file, uint64_t nr_pages)
{
	struct plan p;
	bool shuffled;
	size_t i;

	files[file].nr_pages = nr_pages;
	files[file].listed_pages = 0;
	for (i = 0; i < nr_extents; i++)
		files[file].listed_pages += extents[i].file == file ? extents[i].nr_pages : 0;
	p = make_plan();
	assert_true(p.shuffled == file || p.shuffled == PLAN_NO_FILE);
	shuffled = p.shuffled == file;
	plan_free(&p);
	return shuffled;
}

static void what_is_large_mostly_listed_and_out_of_order_is_waited_for(void **state)
{
	const uint64_t enough = PLAN_SHUFFLED_BYTES / page_size();
	uint32_t i, run = enough / 16;

	for (i = 0; i < 16; i++)
		put(1, (i * 7 % 16) * run, run);
	assert_true(is_shuffled(1, enough));
	assert_true(is_shuffled(1, 2 * enough));
	assert_false(is_shuffled(1, 2 * enough + 2));
	files[1].state = LIST_STALE;
	assert_false(is_shuffled(1, enough));
	files[1].state = LIST_READY;
	nr_extents--;
	assert_false(is_shuffled(1, enough));
	nr_extents = 0;
	for (i = 0; i < 16; i++)
		put(1, i * run, run);
	assert_false(is_shuffled(1, enough));
}

static void a_stream_never_outgrows_its_count(void **state)
{
	static const struct extent want[] = { { 0, UINT32_MAX, 0 },
					      { UINT32_MAX, PLAN_LONG_PAGES, 0 } };

	put(0, 0, UINT32_MAX);
	put(0, UINT32_MAX, PLAN_LONG_PAGES);
	assert_int_equal(check_left(want, 2), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(an_empty_list_has_no_window, empty_list),
		cmocka_unit_test_setup(the_head_window_comes_first_and_is_small, empty_list),
		cmocka_unit_test_setup(a_window_is_in_file_order_and_merged, empty_list),
		cmocka_unit_test_setup(neighbours_in_different_files_stay_apart, empty_list),
		cmocka_unit_test_setup(an_extent_larger_than_a_window_is_one_of_its_own,
				       empty_list),
		cmocka_unit_test_setup(runs_never_outgrow_their_count, empty_list),
		cmocka_unit_test_setup(windows_are_full_to_the_page, empty_list),
		cmocka_unit_test_setup(extents_of_any_place_are_sorted_by_it, empty_list),
		cmocka_unit_test_setup(indexes_beyond_32_bits_sort_as_numbers, empty_list),
		cmocka_unit_test_setup(a_shuffled_whole_file_is_one_window_and_one_run, empty_list),
		cmocka_unit_test_setup(runs_are_near_without_a_large_gap_and_within_the_limit,
				       empty_list),
		cmocka_unit_test_setup(
			a_window_that_begins_before_the_end_of_another_is_not_near_it, empty_list),
		cmocka_unit_test_setup(every_page_of_a_random_list_comes_exactly_once, empty_list),
		cmocka_unit_test_setup(what_is_long_and_in_order_is_left_beside_a_reader_only,
				       empty_list),
		cmocka_unit_test_setup(a_stream_goes_on_behind_extents_of_other_files, empty_list),
		cmocka_unit_test_setup(what_is_out_of_order_is_read, empty_list),
		cmocka_unit_test_setup(only_what_may_come_through_page_faults_is_left, empty_list),
		cmocka_unit_test_setup(a_stream_never_outgrows_its_count, empty_list),
		cmocka_unit_test_setup(what_is_large_mostly_listed_and_out_of_order_is_waited_for,
				       empty_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
