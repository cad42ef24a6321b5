// SPDX-License-Identifier: GPL-2.0-only
/* The thread that drains the queue looks for hints only where a processor is to spare for that. */
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "unit.h"

#include "own.h"
#include "processors.h"

static bool spare(const char *groups)
{
	unit_text("groups", groups);
	return processors_spare("groups", "fs");
}

static int may_run_on(int nr, cpu_set_t *before)
{
	cpu_set_t set;
	int i;

	assert_int_equal(sched_getaffinity(0, sizeof(*before), before), 0);
	CPU_ZERO(&set);
	for (i = 0; i < CPU_SETSIZE && CPU_COUNT(&set) < nr; i++) {
		if (CPU_ISSET(i, before))
			CPU_SET(i, &set);
	}
	assert_int_equal(sched_setaffinity(0, sizeof(set), &set), 0);
	return CPU_COUNT(&set);
}

static bool has_two(void)
{
	cpu_set_t before;
	int nr = may_run_on(2, &before);

	assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
	return nr == 2;
}

static void one_processor_is_none_to_spare(void **state)
{
	cpu_set_t before;
	bool one;

	may_run_on(1, &before);
	one = spare("");
	assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
	assert_false(one);
	assert_int_equal(spare(""), has_two());
}

static void a_quota_below_two_is_none_to_spare(void **state)
{
	static const struct {
		const char *quota;
		bool spare;
	} v2[] = { { "max 100000\n", true },	{ "199999 100000\n", false },
		   { "200000 100000\n", true }, { "50000 100000\n", false },
		   { "40000 20000\n", true },	{ "", true } };
	size_t i;

	if (!has_two())
		skip();
	mkdir("fs", 0700);
	mkdir("fs/a", 0700);
	mkdir("fs/a/b", 0700);
	for (i = 0; i < ARRAY_SIZE(v2); i++) {
		unit_text("fs/a/b/cpu.max", v2[i].quota);
		assert_int_equal(spare("0::/a/b\n"), v2[i].spare);
		assert_int_equal(spare("1:name=systemd:/x\n0::/a/b\n"), v2[i].spare);
		assert_true(spare("0::/a\n"));
		assert_true(spare("0::/\n"));
		assert_true(spare("3:cpu,cpuacct:/a/b\n"));
	}
	unit_text("fs/a/b/cpu.max", "max 100000\n");
	unit_text("fs/a/cpu.max", "150000 100000\n");
	assert_false(spare("0::/a/b\n"));
	assert_false(spare("0::/a/b/gone\n"));
	assert_true(spare("0::/ab\n"));
	/* A container's own folder is the root of what it sees. */
	unit_text("fs/cpu.max", "100000 100000\n");
	assert_false(spare("0::/of/the/host\n"));
	assert_false(spare("0::/\n"));
	assert_int_equal(unlink("fs/cpu.max"), 0);
}

static void a_quota_of_version_1(void **state)
{
	static const struct {
		const char *quota;
		bool spare;
	} v1[] = {
		{ "-1\n", true }, { "199999\n", false }, { "200000\n", true }, { "0\n", false }
	};
	size_t i;

	if (!has_two())
		skip();
	mkdir("fs", 0700);
	mkdir("fs/cpu", 0700);
	mkdir("fs/cpu/a", 0700);
	unit_text("fs/cpu/a/cpu.cfs_period_us", "100000\n");
	for (i = 0; i < ARRAY_SIZE(v1); i++) {
		unit_text("fs/cpu/a/cpu.cfs_quota_us", v1[i].quota);
		assert_int_equal(spare("4:cpu,cpuacct:/a\n"), v1[i].spare);
		assert_int_equal(spare("4:cpuacct,cpu:/a/b\n0::/\n"), v1[i].spare);
		assert_true(spare("4:cpuset:/a\n"));
		assert_true(spare("4:cpu:/\n"));
	}
}

static void what_cannot_be_read_is_no_limit(void **state)
{
	if (!has_two())
		skip();
	assert_true(processors_spare("there is none", "fs"));
	assert_true(spare("0::/\n"));
	assert_true(spare("nonsense\n::\n0::\n0:cpu\n\n"));
	assert_true(spare("0::/no/such/group\n"));
}

/* --- the thread: a look for hints asks for the time again and again */

static uint64_t looks, fake_ns;

/* Instead of the C library's: time goes on by 100 ns a look, which no machine is too slow for. */
int clock_gettime(clockid_t clock, struct timespec *t)
{
	uint64_t now = __atomic_add_fetch(&fake_ns, 100, __ATOMIC_RELAXED);

	__atomic_add_fetch(&looks, 1, __ATOMIC_RELAXED);
	*t = (struct timespec){ now / 1000000000, now % 1000000000 };
	return 0;
}

static const uint64_t nr_words = 1024;
static struct ring *ring;
static struct result results[PAGEHINT_MAX_FILES];

static void put(struct ring_producer *p)
{
	const struct pagehint_range range = { 0, 1 };

	assert_true(ring_put(p, 0, &range, 1));
	while (__atomic_load_n(&ring->head, __ATOMIC_ACQUIRE) != p->tail)
		usleep(1);
}

static void await_rest(void)
{
	while (!__atomic_load_n(&ring->wake_at, __ATOMIC_SEQ_CST))
		usleep(10);
}

/*
 * So often the thread asks for the time from one rest to the next, in which it is given 50 hints, each
 * when the one before is taken.
 */
static uint64_t looks_for_hints(void)
{
	struct ring_producer p;
	struct own *own;
	uint64_t begin;
	unsigned int i;

	memset(ring, 0, ring_size(nr_words));
	ring_producer_init(&p, ring, nr_words, false);
	own = own_start(ring, nr_words, results, NULL);
	assert_non_null(own);
	await_rest();
	begin = __atomic_load_n(&looks, __ATOMIC_RELAXED);
	for (i = 0; i < 50; i++)
		put(&p);
	await_rest();
	begin = __atomic_load_n(&looks, __ATOMIC_RELAXED) - begin;
	own_stop(own, false);
	return begin;
}

/* What a thread asks that only naps: twice a hint, and once a nap. A look takes 300 at least. */
static const uint64_t few = 50 * 2 + 50 * 25;

static void a_thread_looks_for_hints_where_it_may(void **state)
{
	cpu_set_t before;
	uint64_t on_one, most = 0;
	unsigned int i;

	ring = aligned_alloc(128, (ring_size(nr_words) + 127) / 128 * 128);
	assert_non_null(ring);
	may_run_on(1, &before);
	on_one = looks_for_hints();
	assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
	assert_in_range(on_one, 50, few);
	/* A thread that has rested meanwhile naps at once: then once more. */
	for (i = 0;
	     i < 100 && most <= few && processors_spare(PROCESSORS_GROUPS, PROCESSORS_FOLDERS); i++)
		most = looks_for_hints();
	assert_true(most > few || i < 100);
	free(ring);
}

static int leave(void **state)
{
	return system("rm -rf fs") || unit_leave(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_processor_is_none_to_spare),
		cmocka_unit_test(a_quota_below_two_is_none_to_spare),
		cmocka_unit_test(a_quota_of_version_1),
		cmocka_unit_test(what_cannot_be_read_is_no_limit),
		cmocka_unit_test(a_thread_looks_for_hints_where_it_may),
	};

	return cmocka_run_group_tests_name("the thread of hints", tests, unit_enter, leave);
}
