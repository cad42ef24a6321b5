// SPDX-License-Identifier: GPL-2.0-only
/*
 * The lists that pcforce shares with the kernel, while another process writes over them: what is
 * written stays in its place, what is read back is a possible place, size or count.
 */
#include "unit.h"

#include <pthread.h>
#include <sys/mman.h>

#include "force/kernel_lists.h"

#define FILES	  3
#define RUNS	  1000
#define PAGES	  (RUNS * 4) /* of a file */
#define SCRIBBLES 200000
#define FILLS	  2000
#define TRIES	  (1U << 28) /* to see an answer that is possible, and one that is not */

static struct {
	struct list list;
	struct force force;
	struct kernel_lists lists;
	char *map; /* the memory, which nothing may be accessed before or behind */
	size_t bytes;
	pthread_t scribbler;
	bool heads_only;
	bool stop;
	uint64_t written;
} run;

static int prepare(struct force *f)
{
	kernel_lists_count(&run.lists, f);
	return kernel_lists_lay_out(&run.lists, f->list->nr_files);
}

static const struct engine engine = { .name = "test", .prepare = prepare };

static size_t whole_pages(size_t bytes)
{
	return (bytes + page_size() - 1) / page_size() * page_size();
}

/* Memory between two pages that cannot be accessed, up to the second of them. */
static void map_lists(void)
{
	size_t size = kernel_lists_bytes(&run.lists), guard = page_size();

	run.bytes = whole_pages(size) + 2 * guard;
	run.map = mmap(NULL, run.bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
		       0);
	assert_ptr_not_equal(run.map, MAP_FAILED);
	assert_int_equal(mprotect(run.map + guard, whole_pages(size), PROT_READ | PROT_WRITE), 0);
	run.lists.extents = (void *)(run.map + guard + whole_pages(size) - size);
}

static int make_lists(void **state)
{
	const struct force_options opt = { .engine = &engine };
	struct list *l = &run.list;
	size_t i;

	memset(&run, 0, sizeof(run));
	l->nr_files = FILES;
	l->files = xcalloc(FILES, sizeof(*l->files));
	l->nr_extents = FILES * RUNS;
	l->extents = xcalloc(l->nr_extents, sizeof(*l->extents));
	for (i = 0; i < l->nr_extents; i++)
		l->extents[i] = (struct extent){ i / FILES * 4, 1 + i / FILES % 3, i % FILES };
	for (i = 0; i < l->nr_extents; i++)
		l->files[i % FILES].listed_pages += l->extents[i].nr_pages;
	for (i = 0; i < FILES; i++)
		l->files[i].end = PAGES;
	assert_int_equal(force_init(&run.force, l, &opt), 0);
	return 0;
}

static int drop_lists(void **state)
{
	if (run.map)
		munmap(run.map, run.bytes);
	kernel_lists_free(&run.lists);
	force_free(&run.force);
	free(run.list.files);
	return 0;
}

/* Nothing that is possible, nothing that is not, and what lies next to either. */
static uint64_t any_word(unsigned int *seed)
{
	static const uint64_t words[] = {
		0,	    1,		7,	    PAGES,	    PAGES + 1,	  UINT32_MAX,
		1ULL << 32, 1ULL << 63, UINT64_MAX, UINT64_MAX - 1, (uint64_t)-12
	};
	unsigned int which = rand_r(seed) % (ARRAY_SIZE(words) + 1);

	return which < ARRAY_SIZE(words) ? words[which]
					 : (uint64_t)rand_r(seed) << (rand_r(seed) % 40);
}

static void *scribble(void *ctx)
{
	size_t words = kernel_lists_bytes(&run.lists) / sizeof(uint64_t), at;
	uint64_t *to = (void *)run.lists.extents;
	unsigned int seed = 1;

	while (!__atomic_load_n(&run.stop, __ATOMIC_RELAXED)) {
		at = rand_r(&seed);
		if (run.heads_only || at % 2)
			at = run.lists.first[at % FILES] * 2 +
			     rand_r(&seed) % (PAGE2CACHE_HEAD * 2);
		else
			at %= words;
		__atomic_store_n(&to[at], any_word(&seed), __ATOMIC_RELAXED);
		__atomic_add_fetch(&run.written, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void scribble_from_now_on(bool heads_only)
{
	run.heads_only = heads_only;
	assert_int_equal(pthread_create(&run.scribbler, NULL, scribble, NULL), 0);
}

static void scribble_no_more(void)
{
	__atomic_store_n(&run.stop, true, __ATOMIC_RELAXED);
	pthread_join(run.scribbler, NULL);
}

static bool has_scribbled(void)
{
	return __atomic_load_n(&run.written, __ATOMIC_RELAXED) >= SCRIBBLES;
}

static void check_extents(void)
{
	const struct plan *p = &run.force.plan;
	uint64_t at[FILES] = { 0 };
	struct page2cache_extent e;
	size_t i;

	for (i = 0; i < p->nr_runs; i++) {
		e = kernel_lists_extent(&run.lists, p->runs[i].file, at[p->runs[i].file]++, PAGES);
		assert_int_equal(e.index, p->runs[i].index);
		assert_int_equal(e.nr_pages, p->runs[i].nr_pages);
	}
}

static void lists_are_written_where_they_belong(void **state)
{
	unsigned int i;

	map_lists();
	scribble_from_now_on(true);
	for (i = 0; i < FILLS || !has_scribbled(); i++) {
		kernel_lists_fill(&run.lists, &run.force, 1 << 20);
		check_extents();
	}
	scribble_no_more();
	kernel_lists_fill(&run.lists, &run.force, 1 << 20);
	for (i = 0; i < FILES; i++)
		assert_int_equal(kernel_lists_head(&run.lists, i)->nr_extents, run.lists.nr[i]);
}

static void what_is_read_back_is_possible(void **state)
{
	unsigned int i, answers = 0, refused = 0, file;
	struct page2cache_head a;
	struct page2cache_extent e;

	map_lists();
	scribble_from_now_on(false);
	for (i = 0; i < TRIES && (!has_scribbled() || !answers || !refused); i++) {
		file = i % FILES;
		e = kernel_lists_extent(&run.lists, file, i % run.lists.nr[file], PAGES);
		assert_in_range(e.index, 0, PAGES);
		assert_in_range(e.nr_pages, 0, PAGES - e.index);
		if (!kernel_lists_answer(&run.lists, file, PAGES, &a)) {
			refused++;
			continue;
		}
		answers++;
		assert_in_range(a.resident, 0, PAGES);
		assert_in_range(a.read, 0, PAGES - a.resident);
		assert_in_range(a.failed, 0, PAGES - a.resident - a.read);
		assert_in_range(a.past_eof + a.skipped, 0, PAGES - a.resident - a.read - a.failed);
		assert_in_range(-a.error, 0, 4095);
	}
	scribble_no_more();
	assert_true(answers && refused);
}

static void max_pages_are_divided_in_the_order_of_the_files(void **state)
{
	uint64_t pages = run.list.files[0].listed_pages;

	map_lists();
	kernel_lists_fill(&run.lists, &run.force, pages + 5);
	assert_int_equal(kernel_lists_head(&run.lists, 0)->max_pages, pages);
	assert_int_equal(kernel_lists_head(&run.lists, 1)->max_pages, 5);
	assert_int_equal(run.lists.nr[2], 0);
}

static void what_no_list_needs_is_divided_among_them(void **state)
{
	uint64_t pages = run.list.files[0].listed_pages;

	map_lists();
	kernel_lists_fill(&run.lists, &run.force,
			  run.list.files[1].listed_pages + run.list.files[2].listed_pages + pages +
				  30);
	assert_int_equal(kernel_lists_head(&run.lists, 0)->max_pages, pages + 10);
}

/* As large as a map can be. Only what is written takes memory. */
static void a_list_may_have_more_than_2_to_the_31st_extents(void **state)
{
	const uint64_t half = 1ULL << 31;
	struct page2cache_extent *e, got;
	struct page2cache_head *head, a;

	run.lists.nr[0] = half - PAGE2CACHE_HEAD;
	run.lists.nr[1] = half - 2 * PAGE2CACHE_HEAD - 2;
	run.lists.nr[2] = 1;
	assert_int_equal(kernel_lists_lay_out(&run.lists, FILES), 0);
	assert_int_equal(run.lists.first[1], half);
	assert_int_equal(run.lists.first[2], UINT32_MAX - 1 - PAGE2CACHE_HEAD);
	assert_int_equal(run.lists.nr_extents, UINT32_MAX);
	assert_int_equal(kernel_lists_bytes(&run.lists), UINT32_MAX * 16ULL);
	map_lists();

	head = kernel_lists_head(&run.lists, 2);
	assert_ptr_equal(head, run.lists.extents + (UINT32_MAX - 1 - PAGE2CACHE_HEAD));
	head->state = PAGE2CACHE_DONE;
	assert_int_equal(kernel_lists_state(&run.lists, 2), PAGE2CACHE_DONE);
	/* The last extent of the first list, and the last of all. */
	e = run.lists.extents + half - 1;
	*e = (struct page2cache_extent){ 1ULL << 40, 1ULL << 33 };
	got = kernel_lists_extent(&run.lists, 0, run.lists.nr[0] - 1, (1ULL << 40) + (1ULL << 32));
	assert_int_equal(got.index, 1ULL << 40);
	assert_int_equal(got.nr_pages, 1ULL << 32);
	run.lists.extents[UINT32_MAX - 1] = (struct page2cache_extent){ half, half + 1 };
	got = kernel_lists_extent(&run.lists, 2, 0, UINT64_MAX);
	assert_int_equal(got.index, half);
	assert_int_equal(got.nr_pages, half + 1);

	*kernel_lists_head(&run.lists, 1) = (struct page2cache_head){
		.reached = 1ULL << 32, .resident = half, .read = (1ULL << 32) + 5, .skipped = half
	};
	assert_true(kernel_lists_answer(&run.lists, 1, (2ULL << 32) + 5, &a));
	assert_int_equal(a.read, (1ULL << 32) + 5);
	assert_int_equal(a.reached, 1ULL << 32);
	assert_false(kernel_lists_answer(&run.lists, 1, (2ULL << 32) + 4, &a));
}

static void a_map_has_no_more_than_2_to_the_32nd(void **state)
{
	run.lists.nr[0] = UINT32_MAX - FILES * PAGE2CACHE_HEAD;
	run.lists.nr[1] = run.lists.nr[2] = 0;
	assert_int_equal(kernel_lists_lay_out(&run.lists, FILES), 0);
	run.lists.nr[2] = 1;
	assert_int_equal(kernel_lists_lay_out(&run.lists, FILES), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_lists, drop_lists)
		TEST(lists_are_written_where_they_belong),
		TEST(what_is_read_back_is_possible),
		TEST(max_pages_are_divided_in_the_order_of_the_files),
		TEST(what_no_list_needs_is_divided_among_them),
		TEST(a_list_may_have_more_than_2_to_the_31st_extents),
		TEST(a_map_has_no_more_than_2_to_the_32nd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
