// SPDX-License-Identifier: GPL-2.0-only
/* Engine `user`: the pages that are marked as forced in the end are those counted as read. */
#include "unit.h"

#include "force/force.h"

#define PAGES  4096
#define LISTED 1024 /* every fourth */

static struct {
	struct force force;
	struct list list;
	int64_t marked;
	unsigned int calls;
	unsigned int stop_at;	  /* the call that stops the run, 0: none */
	unsigned int truncate_at; /* the call before whose submission the file shrinks, 0: none */
	unsigned int read_at;	  /* the call before which somebody else reads the file, 0: none */
	unsigned int drop_at;	  /* the call before which all of it leaves the cache, 0: none */
	uint64_t rate;
} run;

static void read_all(void)
{
	char *data = malloc(PAGES * page_size());
	int fd = open("data", O_RDONLY | O_CLOEXEC);

	assert_int_equal(read(fd, data, PAGES * page_size()), PAGES * page_size());
	close(fd);
	free(data);
}

static void drop_all(void)
{
	int fd = open("data", O_RDONLY | O_CLOEXEC);

	assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	close(fd);
}

static void mark(void *ctx, uint32_t file, uint64_t index, uint64_t nr, bool forced)
{
	run.marked += forced ? (int64_t)nr : -(int64_t)nr;
	if (!forced)
		return;
	run.calls++;
	if (run.calls == run.stop_at)
		run.force.stop = true;
	if (run.calls == run.truncate_at)
		assert_int_equal(truncate("data", PAGES / 2 * page_size()), 0);
	if (run.calls == run.read_at)
		read_all();
	if (run.calls == run.drop_at)
		drop_all();
}

static int make_list(void **state)
{
	const struct list_options opt = { .only_file = "data" };
	FILE *f = fopen("list", "w");
	char *why = NULL;
	unsigned int i;

	for (i = 0; i < LISTED; i++)
		fprintf(f, "%u\n", i * 4);
	fclose(f);
	memset(&run, 0, sizeof(run));
	unlink("data");
	unit_file("data", PAGES * page_size());
	return list_load(&run.list, "list", &opt, &why);
}

static int drop_list(void **state)
{
	force_free(&run.force);
	list_free(&run.list);
	return 0;
}

static const struct force_counts *force(void)
{
	const struct force_options opt = {
		.engine = &engine_user, .jobs = 1, .rate = run.rate, .mark = mark
	};

	assert_int_equal(force_init(&run.force, &run.list, &opt), 0);
	force_run(&run.force);
	assert_int_equal(run.force.counts->requested, LISTED);
	return run.force.counts;
}

static void all_that_is_read_is_marked(void **state)
{
	assert_int_equal(force()->read, LISTED);
	assert_int_equal(run.marked, LISTED);
}

static void what_a_stop_keeps_from_being_read_is_not(void **state)
{
	const struct force_counts *c;

	run.stop_at = 100;
	c = force();
	assert_in_range(c->read, 1, 99);
	assert_int_equal(c->read + c->skipped, LISTED);
	assert_int_equal(run.marked, c->read);
}

static void what_lies_behind_the_end_by_then_is_not(void **state)
{
	const struct force_counts *c;

	run.truncate_at = 1;
	c = force();
	assert_int_equal(c->read, LISTED / 2);
	assert_int_equal(c->past_eof, LISTED / 2);
	assert_int_equal(run.marked, c->read);
}

/* The page that is being submitted is counted as ours all the same. */
static void with_a_rate_what_others_read_is_theirs(void **state)
{
	const struct force_counts *c;

	run.rate = 1 << 30;
	run.read_at = 100;
	c = force();
	assert_int_equal(c->read, 100);
	assert_int_equal(c->resident, LISTED - 100);
	assert_int_equal(c->submitted, 100);
	assert_int_equal(run.marked, c->read);
}

static void what_has_to_be_read_twice_keeps_the_rate(void **state)
{
	uint64_t start = now_ns(), bytes = (LISTED + LISTED - 1) * page_size();

	run.rate = 64 << 20;
	run.drop_at = LISTED;
	assert_int_equal(force()->read, LISTED);
	assert_true(now_ns() - start >= bytes * 1000000000 / run.rate);
}

#define FORCE(name) cmocka_unit_test_setup_teardown(name, make_list, drop_list)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FORCE(all_that_is_read_is_marked),
		FORCE(what_a_stop_keeps_from_being_read_is_not),
		FORCE(what_lies_behind_the_end_by_then_is_not),
		FORCE(with_a_rate_what_others_read_is_theirs),
		FORCE(what_has_to_be_read_twice_keeps_the_rate),
	};

	return cmocka_run_group_tests(tests, unit_enter, unit_leave);
}
