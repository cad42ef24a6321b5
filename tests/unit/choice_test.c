// SPDX-License-Identifier: GPL-2.0-only
/* Force or leave: from the plan's rule to what outcomes have taught, and back. */
#include "unit.h"

#include "force/force.h"
#include "force/refine.h"

static struct choice choice;

static int no_evidence(void **state)
{
	choice_init(&choice);
	return 0;
}

static struct choice_case any_case(void)
{
	return (struct choice_case){
		.rule = unit_random() % 2,
		.kind = unit_random() % NR_PATTERNS,
		.random = unit_random() % 2,
		.nr_pages = unit_random() % 100000,
		.window = unit_random() % 4096,
		.device = unit_random() % 64,
		.wrong = unit_random() % (CHOICE_WRONG + 1),
	};
}

static const struct choice_outcome was_used = { true, 10, 9, 0, 0 };
static const struct choice_outcome was_unused = { true, 10, 1, 9, 0 };
static const struct choice_outcome lies_there = { true, 10, 1, 5, 0 };
static const struct choice_outcome was_not_read = { true, 0, 0, 0, 3 };
static const struct choice_outcome was_missed = { false, 10, 0, 0, 1 };
static const struct choice_outcome was_ignored = { false, 10, 0, 0, 0 };

/* An extent is chosen, and comes out so. Returns whether it was forced. */
static bool one_more(struct choice_case *x, const struct choice_outcome *if_forced,
		     const struct choice_outcome *if_left)
{
	bool forced = choice_forces(&choice, x);
	enum choice_verdict verdict = choice_judge(x, forced ? if_forced : if_left);

	choice_learn(&choice, x, verdict);
	x->wrong = choice_after(x, verdict);
	return forced;
}

static void it_begins_as_the_rule(void **state)
{
	unsigned int i;

	for (i = 0; i < 10000; i++) {
		struct choice_case x = any_case();

		assert_int_equal(choice_forces(&choice, &x), x.rule);
	}
}

static void a_rule_that_is_right_trains_nothing(void **state)
{
	struct choice before = choice;
	unsigned int i;

	for (i = 0; i < 10000; i++) {
		struct choice_case x = any_case();

		choice_learn(&choice, &x, x.rule ? CHOICE_FORCE : CHOICE_LEAVE);
		choice_learn(&choice, &x, CHOICE_NOTHING);
	}
	assert_memory_equal(&choice, &before, sizeof(choice));
}

static void what_is_judged_and_what_is_not(void **state)
{
	const struct choice_case forced_by_rule = { .rule = true, .window = 32 };
	const struct choice_case left_by_rule = { .window = 32 };
	const struct choice_case without_readahead = { .window = 0 };
	struct choice_outcome read = { false, 32768, 0, 0, 1024 };

	assert_int_equal(choice_judge(&forced_by_rule, &was_used), CHOICE_FORCE);
	assert_int_equal(choice_judge(&forced_by_rule, &was_unused), CHOICE_LEAVE);
	assert_int_equal(choice_judge(&forced_by_rule, &lies_there), CHOICE_NOTHING);
	assert_int_equal(choice_judge(&forced_by_rule, &was_not_read), CHOICE_NOTHING);
	assert_int_equal(choice_judge(&forced_by_rule, &was_missed), CHOICE_FORCE);
	assert_int_equal(choice_judge(&forced_by_rule, &was_ignored), CHOICE_NOTHING);
	/* What the rule leaves is forced where each of readahead's windows begins with a miss. */
	assert_int_equal(choice_judge(&left_by_rule, &read), CHOICE_LEAVE);
	read.missed++;
	assert_int_equal(choice_judge(&left_by_rule, &read), CHOICE_FORCE);
	assert_int_equal(choice_judge(&without_readahead, &read), CHOICE_LEAVE);
	read.missed = read.pages + 1;
	assert_int_equal(choice_judge(&without_readahead, &read), CHOICE_FORCE);
	assert_int_equal(choice_judge(&left_by_rule, &was_ignored), CHOICE_NOTHING);
}

static void five_outcomes_in_a_row_change_it_and_one_brings_it_back(void **state)
{
	struct choice_case x = { .rule = true, .kind = PATTERN_SEQ, .nr_pages = 64, .window = 32 };
	unsigned int i;

	for (i = 0; i < 5; i++)
		assert_true(one_more(&x, &was_unused, &was_ignored));
	/* It stays so while nobody wants the pages. */
	for (i = 0; i < 1000; i++)
		assert_false(one_more(&x, &was_unused, &was_ignored));
	assert_false(one_more(&x, &was_used, &was_missed));
	for (i = 0; i < 1000; i++)
		assert_true(one_more(&x, &was_used, &was_missed));
}

static void a_stream_that_readahead_does_not_keep_up_with_is_forced(void **state)
{
	const struct choice_outcome each_missed = { false, 40000, 0, 0, 40000 };
	struct choice_case x = { .kind = PATTERN_MMAP, .nr_pages = 40000, .window = 32 };
	unsigned int i;

	for (i = 0; i < 5; i++)
		assert_false(one_more(&x, &was_used, &each_missed));
	for (i = 0; i < 1000; i++)
		assert_true(one_more(&x, &was_used, &each_missed));
	assert_true(one_more(&x, &was_unused, &each_missed));
	assert_false(one_more(&x, &was_unused, &each_missed));
}

/* Every second outcome speaks against the rule: that is no reason to give it up. */
static void an_outcome_now_and_then_changes_nothing(void **state)
{
	struct choice_case x = { .rule = true, .nr_pages = 1, .window = 32 };
	unsigned int i;

	for (i = 0; i < 1000; i++)
		assert_true(one_more(&x, i % 2 ? &was_used : &was_unused, &was_missed));
}

/* Ever so many unused extents of the same features are no evidence about one that is used. */
static void others_do_not_change_an_extent_that_is_used(void **state)
{
	struct choice_case used[50], unused[500], *x;
	unsigned int round, left = 0;

	for (x = used; x < used + ARRAY_SIZE(used); x++)
		*x = (struct choice_case){ .rule = true, .nr_pages = 1 + (x - used) % 9 };
	for (x = unused; x < unused + ARRAY_SIZE(unused); x++)
		*x = (struct choice_case){ .rule = true, .nr_pages = 1 + (x - unused) % 9 };
	for (round = 0; round < 50; round++) {
		for (x = used; x < used + ARRAY_SIZE(used); x++)
			assert_true(one_more(x, &was_used, &was_missed));
		for (x = unused; x < unused + ARRAY_SIZE(unused); x++)
			left += !one_more(x, &was_unused, &was_ignored);
	}
	/* The others are left soon, and remain so. */
	assert_in_range(left, 45 * ARRAY_SIZE(unused), 49 * ARRAY_SIZE(unused));
}

/* One after the other, each new: `wrong` is that of the one before. Wanted 200 at a time. */
static void a_stream_follows_its_phases(void **state)
{
	struct choice_case x = {
		.rule = true, .kind = PATTERN_RANDOM, .nr_pages = 1, .window = 32
	};
	unsigned int i, wrong = 0;

	for (i = 0; i < 4000; i++) {
		bool wanted = i / 200 % 2;

		wrong += one_more(&x, wanted ? &was_used : &was_unused,
				  wanted ? &was_missed : &was_ignored) != wanted;
	}
	/* To what is not wanted a change takes three outcomes, back one; the first ones take more. */
	assert_in_range(wrong, 40, 60);
}

/* --- a plan that is refined, of a file of two runs and one that is left */

#define RUN  100
#define LONG PLAN_LONG_PAGES

static uint64_t window(const struct force *f, size_t file)
{
	return 32;
}

/* What happens to the pages of the run at 0, of that at 1000, and of what is left. */
static struct extent_seen at_0, at_1000, of_left;

static void seen(void *ctx, const struct extent *e, struct extent_seen *to)
{
	*to = e->file ? of_left : e->index ? at_1000 : at_0;
}

struct refining {
	const struct engine engine;
	struct list_file files[2];
	struct list list;
	struct force force;
	struct force_counts counts[2];
};

static void put(struct list *l, uint64_t index, uint32_t nr, uint32_t file)
{
	l->extents[l->nr_extents++] = (struct extent){ index, nr, file };
}

static void begin(struct refining *r)
{
	struct list *l = &r->list;
	size_t i;

	*l = (struct list){ .files = r->files, .nr_files = 2 };
	l->extents = xcalloc(3, sizeof(*l->extents));
	put(l, 0, RUN, 0);
	put(l, 1000, RUN, 0);
	put(l, 0, LONG, 1);
	r->files[0].pattern = PATTERN_SEQ;
	r->files[1].pattern = PATTERN_MMAP;
	unit_file("some", 4 * RUN * page_size());
	unit_file("long", LONG * page_size());
	for (i = 0; i < 2; i++)
		r->files[i].target.fd = open(i ? "long" : "some", O_RDONLY | O_CLOEXEC);
	r->force.list = l;
	r->force.counts = r->counts;
	r->force.opt = (struct force_options){ .engine = &r->engine, .seen = seen };
	r->force.refine = refine_new(l);
	plan_make(&r->force.plan, l, true);
	refine_begin(r->force.refine, &r->force);
}

static void end(struct refining *r)
{
	plan_free(&r->force.plan);
	refine_free(r->force.refine);
	close(r->files[0].target.fd);
	close(r->files[1].target.fd);
}

/* A run, in which all that is forced arrives, and then the next firing. */
static void fire(struct refining *r, uint64_t used_at_0, uint64_t used_at_1000, uint64_t missed)
{
	at_0 = (struct extent_seen){ .forced = RUN };
	at_1000 = at_0;
	of_left = (struct extent_seen){ .forced = LONG };
	refine_follow_left(r->force.refine, &r->force);
	refine_follow_forced(r->force.refine, &r->force);
	/* What was not used is gone. */
	at_0 = (struct extent_seen){ used_at_0, used_at_0, 0 };
	at_1000 = (struct extent_seen){ used_at_1000, used_at_1000, 0 };
	of_left = (struct extent_seen){ missed, missed, missed };
	refine_again(r->force.refine, &r->force);
}

static uint64_t changed(struct refining *r, size_t file)
{
	memset(r->counts, 0, sizeof(r->counts));
	refine_count(r->force.refine, &r->force);
	return r->counts[file].changed;
}

static void a_plan_changes_by_what_becomes_of_it(void **state)
{
	struct refining r = { .engine = { .window = window } };
	const struct plan *p = &r.force.plan;
	unsigned int i;

	begin(&r);
	assert_int_equal(p->nr_runs, 2);
	assert_int_equal(p->nr_left, 1);
	for (i = 0; i < 100 && !changed(&r, 0); i++)
		fire(&r, RUN, 0, 1);
	/*
	 * Nobody used the second run: it is left. The first one, of the same features and used, takes
	 * back each time what the second one has taught, but not of extents with `wrong` outcomes.
	 */
	assert_in_range(i, 5, 40);
	assert_int_equal(changed(&r, 0), 1);
	assert_int_equal(changed(&r, 1), 0);
	assert_int_equal(p->nr_runs, 1);
	assert_int_equal(p->runs[0].index, 0);
	assert_int_equal(p->nr_left, 2);
	assert_int_equal(p->left[0].index, 1000);
	/* Each page of the other file is missed: it is forced, behind the runs. */
	for (i = 0; i < 100 && !changed(&r, 1); i++)
		fire(&r, RUN, 0, LONG);
	assert_in_range(i, 5, 40);
	assert_int_equal(p->runs[p->nr_runs - 1].file, 1);
	assert_int_equal(p->runs[p->nr_runs - 1].nr_pages, LONG);
	/* Whatever is learnt of others, the run that is used is always one of those forced. */
	for (i = 0; i < 100; i++) {
		fire(&r, RUN, 0, i % 2 ? LONG : 1);
		assert_int_equal(p->runs[0].index, 0);
		assert_int_equal(p->nr_runs + p->nr_left, 3);
	}
	end(&r);
}

/* An extent is judged once for each run, however often its files are opened before the next one. */
static void an_outcome_counts_once(void **state)
{
	struct refining r = { .engine = { .window = window } };
	unsigned int i;

	begin(&r);
	fire(&r, RUN, 0, 1);
	for (i = 0; i < 100; i++)
		refine_again(r.force.refine, &r.force);
	assert_int_equal(changed(&r, 0), 0);
	end(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(it_begins_as_the_rule, no_evidence),
		cmocka_unit_test_setup(a_rule_that_is_right_trains_nothing, no_evidence),
		cmocka_unit_test(what_is_judged_and_what_is_not),
		cmocka_unit_test_setup(five_outcomes_in_a_row_change_it_and_one_brings_it_back,
				       no_evidence),
		cmocka_unit_test_setup(a_stream_that_readahead_does_not_keep_up_with_is_forced,
				       no_evidence),
		cmocka_unit_test_setup(an_outcome_now_and_then_changes_nothing, no_evidence),
		cmocka_unit_test_setup(others_do_not_change_an_extent_that_is_used, no_evidence),
		cmocka_unit_test_setup(a_stream_follows_its_phases, no_evidence),
		cmocka_unit_test(a_plan_changes_by_what_becomes_of_it),
		cmocka_unit_test(an_outcome_counts_once),
	};

	return cmocka_run_group_tests_name("force or leave", tests, unit_enter, unit_leave);
}
