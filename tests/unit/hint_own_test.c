// SPDX-License-Identifier: GPL-2.0-only
/* The thread of a server: what it has in flight, and what of its files it says is cached. */
#include "unit.h"

#include "cached.h"
#include "own.h"

#define NR_WORDS 1024

static uint64_t page; /* bytes of one */
static struct ring *ring;
static struct ring_producer producer;
static struct result *results;
static struct own *own;
static bool admits;
static unsigned int most;
static uint32_t in_flight;
static uint64_t cached;

/*
 * --- instead of the C library's: nothing is read. A piece has arrived when it, or a later one, has been
 * waited for.
 */

static unsigned int nr_read, most_seen;
static uint64_t nr_arrived;  /* of one file */
static uint64_t awaited_fds; /* a bit each */
static bool slow;	     /* nothing arrives before the thread is to end */

/* Every other page is hinted: the number of the one at OFFSET. */
static uint64_t number_of(off64_t offset)
{
	return offset / (2 * page);
}

ssize_t readahead(int fd, off64_t offset, size_t bytes)
{
	if (most_seen < number_of(offset) - nr_arrived)
		most_seen = number_of(offset) - nr_arrived;
	__atomic_add_fetch(&nr_read, 1, __ATOMIC_SEQ_CST);
	return 0;
}

ssize_t pread(int fd, void *data, size_t bytes, off_t offset)
{
	while (slow && __atomic_load_n(&own->asked, __ATOMIC_SEQ_CST) != OWN_END)
		usleep(100);
	if (nr_arrived <= number_of(offset))
		nr_arrived = number_of(offset) + 1;
	awaited_fds |= 1ULL << fd;
	return 0;
}

/* --- a server */

static bool admit(void *ctx, uint64_t bytes)
{
	cached = own_cached(own);
	return admits;
}

static unsigned int flight(void *ctx)
{
	return most;
}

static const struct own_limits limits = {
	.admit = admit,
	.flight = flight,
	.in_flight = &in_flight,
};

static int begin(void **state)
{
	page = sysconf(_SC_PAGESIZE);
	ring = aligned_alloc(128, (ring_size(NR_WORDS) + 127) / 128 * 128);
	results = calloc(PAGEHINT_MAX_FILES, sizeof(*results));
	assert_non_null(ring);
	assert_non_null(results);
	memset(ring, 0, ring_size(NR_WORDS));
	ring_producer_init(&producer, ring, NR_WORDS, true);
	nr_read = in_flight = most_seen = nr_arrived = awaited_fds = 0;
	slow = false;
	most = OWN_FLIGHT;
	admits = true;
	own = own_start(ring, NR_WORDS, results, &limits);
	assert_non_null(own);
	return 0;
}

static int end(void **state)
{
	free(results);
	free(ring);
	return 0;
}

static int name_file(const char *name)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC), id = own_open(own, fd, true);

	close(fd);
	return id;
}

/* Hint N single pages of a file, none beside another. */
static void hint(int id, unsigned int n)
{
	struct pagehint_range range = { .length = 1 };

	for (; n; n--) {
		assert_true(ring_put(&producer, id, &range, 1));
		range.offset += 2 * page;
	}
}

static void wait_until(const unsigned int *count, unsigned int n)
{
	while (__atomic_load_n(count, __ATOMIC_SEQ_CST) < n)
		usleep(100);
}

static void no_more_than_may_be_are_in_flight(void **state)
{
	int id;

	unit_file("pages", 1000 * page);
	id = name_file("pages");
	most = 8;
	hint(id, 50);
	wait_until(&nr_read, 50);
	/* Giving the file back waits for the latest of them. */
	assert_int_equal(own_close(own, id), 0);
	assert_int_equal(nr_read, 50);
	assert_in_range(most_seen, 0, 8);
	assert_int_equal(nr_arrived, 50);
	assert_int_equal(in_flight, 0);
	own_stop(own, true);
}

static void what_has_long_arrived_is_not_in_flight(void **state)
{
	hint(name_file("pages"), 20);
	wait_until(&nr_read, 20);
	/* The thread's first rest after them. */
	while (__atomic_load_n(&in_flight, __ATOMIC_SEQ_CST))
		usleep(100);
	own_stop(own, false);
	assert_int_equal(nr_arrived, 20);
}

static void a_thread_ends_when_its_pieces_have_arrived(void **state)
{
	slow = true;
	hint(name_file("pages"), 20);
	wait_until(&nr_read, 20);
	own_stop(own, true);
	assert_int_equal(nr_arrived, 20);
	assert_int_equal(in_flight, 0);
}

static void or_at_once(void **state)
{
	slow = true;
	hint(name_file("pages"), 20);
	wait_until(&nr_read, 20);
	own_stop(own, false);
	/* But for a half that the thread waits for at that moment. */
	assert_in_range(nr_arrived, 0, 10);
	assert_int_equal(nr_arrived + in_flight, 20);
}

static void each_file_is_waited_for(void **state)
{
	int first, second;

	slow = true;
	unit_file("others", 1000 * page);
	first = name_file("pages");
	second = name_file("others");
	hint(first, 10);
	hint(second, 20);
	wait_until(&nr_read, 30);
	own_stop(own, true);
	assert_int_equal(__builtin_popcountll(awaited_fds), 2);
	assert_int_equal(in_flight, 0);
}

static void write_pages(const char *name, uint64_t first, uint64_t n)
{
	int fd = open(name, O_WRONLY | O_CLOEXEC);
	char *data = calloc(n, page);

	assert_true(fd >= 0 && data);
	assert_int_equal(pwrite(fd, data, n * page, first * page), n * page);
	free(data);
	close(fd);
}

/* Of two files, in one of them far from each other. */
static void what_is_cached_of_all_files_is_told(void **state)
{
	const uint64_t far = (20ULL << 30) / page;
	bool told;
	int fd;

	unit_file("huge", (40ULL << 30));
	unit_file("other", 100 * page);
	write_pages("huge", 0, 3);
	write_pages("huge", far, 4);
	write_pages("other", 50, 5);
	fd = open("other", O_RDONLY | O_CLOEXEC);
	told = cached_is_told(fd);
	close(fd);
	if (!told) {
		own_stop(own, false);
		skip();
	}
	name_file("huge");
	admits = false;
	hint(name_file("other"), 1);
	while (!ring_is_empty(&own->consumer))
		usleep(100);
	own_stop(own, true);
	assert_int_equal(cached, 12 * page);
	assert_int_equal(nr_read, 0);
}

#define OWN_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		OWN_TEST(no_more_than_may_be_are_in_flight),
		OWN_TEST(what_has_long_arrived_is_not_in_flight),
		OWN_TEST(a_thread_ends_when_its_pieces_have_arrived),
		OWN_TEST(or_at_once),
		OWN_TEST(each_file_is_waited_for),
		OWN_TEST(what_is_cached_of_all_files_is_told),
	};

	return cmocka_run_group_tests_name("a server's thread", tests, unit_enter, unit_leave);
}
