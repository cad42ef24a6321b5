// SPDX-License-Identifier: GPL-2.0-only
/* Pages of files as sets with an order, against a plain model that goes page by page. */
#include "unit.h"
#include "list/page_runs.h"

enum {
	FILES = 3,
	PAGES = 120,
	LONGEST = 300
};

/* The pages of a list in their order, some of them several times. */
struct model {
	size_t nr;
	struct {
		uint32_t file;
		uint64_t page;
	} at[LONGEST * PAGES];
};

static bool has(const struct model *m, size_t nr, uint32_t file, uint64_t page)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		if (m->at[i].file == file && m->at[i].page == page)
			return true;
	}
	return false;
}

static void model_add(struct model *m, uint32_t file, uint64_t page)
{
	m->at[m->nr].file = file;
	m->at[m->nr++].page = page;
}

static void model_settle(struct model *m)
{
	size_t i, n = m->nr;

	m->nr = 0;
	for (i = 0; i < n; i++) {
		if (!has(m, m->nr, m->at[i].file, m->at[i].page))
			model_add(m, m->at[i].file, m->at[i].page);
	}
}

static void model_keep(struct model *m, const struct model *of, bool in)
{
	size_t i, n = m->nr;

	m->nr = 0;
	for (i = 0; i < n; i++) {
		if (has(of, of->nr, m->at[i].file, m->at[i].page) == in)
			model_add(m, m->at[i].file, m->at[i].page);
	}
}

/* Runs of up to MOST pages, page by page in M as well. */
static void make_random(struct page_runs *r, struct model *m, size_t most)
{
	size_t lines = unit_random() % 40, i;

	memset(r, 0, sizeof(*r));
	m->nr = 0;
	for (i = 0; i < lines; i++) {
		uint32_t file = unit_random() % FILES;
		uint64_t first = unit_random() % PAGES, page;
		uint64_t last = first + unit_random() % most;

		last = last < PAGES ? last : PAGES - 1;
		page_runs_add(r, file, first, last);
		for (page = first; page <= last; page++)
			model_add(m, file, page);
	}
}

/* The same pages in the same order, in as few runs as can be. */
static void same(const struct page_runs *r, const struct model *m)
{
	size_t i, n = 0;
	uint64_t page;

	for (i = 0; i < r->nr; i++) {
		const struct page_run *run = &r->runs[i], *before = run - 1;

		assert_true(run->first <= run->last);
		for (page = run->first; page <= run->last; page++, n++) {
			assert_true(n < m->nr);
			assert_int_equal(run->file, m->at[n].file);
			assert_int_equal(page, m->at[n].page);
		}
		assert_false(i && before->file == run->file && before->last + 1 == run->first);
	}
	assert_int_equal(n, m->nr);
}

static struct page_runs a, b;
static struct model model_a, model_b;

static void of_pages_that_come_twice_the_first_keeps_its_place(void **state)
{
	int round;

	for (round = 0; round < 3000; round++) {
		make_random(&a, &model_a, round % 2 ? 3 : PAGES);
		same(&a, &model_a);
		page_runs_settle(&a);
		model_settle(&model_a);
		same(&a, &model_a);
		/* Nothing is left to be done. */
		page_runs_settle(&a);
		same(&a, &model_a);
		page_runs_free(&a);
	}
}

static void pages_are_kept_that_are_in_another_list_or_not(void **state)
{
	int round;

	for (round = 0; round < 3000; round++) {
		make_random(&a, &model_a, round % 2 ? 3 : PAGES);
		make_random(&b, &model_b, round % 3 ? 5 : PAGES);
		page_runs_keep(&a, &b, round % 4 < 2);
		model_keep(&model_a, &model_b, round % 4 < 2);
		same(&a, &model_a);
		page_runs_free(&a);
		page_runs_free(&b);
	}
}

static void the_first_pages_are_kept(void **state)
{
	size_t max;
	int round;

	for (round = 0; round < 1000; round++) {
		make_random(&a, &model_a, round % 2 ? 3 : PAGES);
		max = unit_random() % 200;
		page_runs_trim(&a, max);
		model_a.nr = max < model_a.nr ? max : model_a.nr;
		same(&a, &model_a);
		page_runs_free(&a);
	}
}

static void runs_are(const struct page_run *want, size_t n)
{
	size_t i;

	assert_int_equal(a.nr, n);
	for (i = 0; i < n; i++) {
		assert_int_equal(a.runs[i].file, want[i].file);
		assert_int_equal(a.runs[i].first, want[i].first);
		assert_int_equal(a.runs[i].last, want[i].last);
	}
	page_runs_free(&a);
}

#define RUNS(...)                                                       \
	do {                                                            \
		static const struct page_run want_[] = { __VA_ARGS__ }; \
		runs_are(want_, ARRAY_SIZE(want_));                     \
	} while (0)

static void runs_reach_to_the_end_of_64_bits(void **state)
{
	page_runs_add(&a, 1, 10, UINT64_MAX);
	page_runs_add(&a, 1, 0, UINT64_MAX - 1);
	page_runs_add(&a, 1, UINT64_MAX, UINT64_MAX);
	page_runs_add(&a, 0, UINT64_MAX, UINT64_MAX);
	page_runs_add(&a, 2, 0, 0);
	page_runs_settle(&a);
	RUNS({ 10, UINT64_MAX, 1 }, { 0, 9, 1 }, { UINT64_MAX, UINT64_MAX, 0 }, { 0, 0, 2 });

	page_runs_add(&a, 1, 0, UINT64_MAX - 1);
	page_runs_add(&a, 1, UINT64_MAX, UINT64_MAX);
	page_runs_add(&b, 1, 5, 6);
	page_runs_add(&b, 1, UINT64_MAX, UINT64_MAX);
	page_runs_keep(&a, &b, false);
	RUNS({ 0, 4, 1 }, { 7, UINT64_MAX - 1, 1 });

	page_runs_add(&a, 1, 3, UINT64_MAX);
	page_runs_keep(&a, &b, true);
	page_runs_free(&b);
	RUNS({ 5, 6, 1 }, { UINT64_MAX, UINT64_MAX, 1 });

	page_runs_add(&a, 1, 0, UINT64_MAX);
	page_runs_add(&a, 2, 0, 5);
	page_runs_trim(&a, UINT64_MAX);
	RUNS({ 0, UINT64_MAX - 1, 1 });
}

static void of_nothing_there_is_nothing(void **state)
{
	page_runs_settle(&a);
	page_runs_keep(&a, &b, true);
	page_runs_keep(&a, &b, false);
	page_runs_trim(&a, 7);
	assert_int_equal(a.nr, 0);
	page_runs_add(&a, 0, 1, 2);
	page_runs_trim(&a, 0);
	assert_int_equal(a.nr, 0);
	page_runs_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_pages_that_come_twice_the_first_keeps_its_place),
		cmocka_unit_test(pages_are_kept_that_are_in_another_list_or_not),
		cmocka_unit_test(the_first_pages_are_kept),
		cmocka_unit_test(runs_reach_to_the_end_of_64_bits),
		cmocka_unit_test(of_nothing_there_is_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
