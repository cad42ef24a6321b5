// SPDX-License-Identifier: GPL-2.0-only
/* What a program and its server send each other, and results that are read while they are written. */
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include "unit.h"

#include "protocol.h"

static int ends[2];

static int connect_ends(void **state)
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends);
}

static int close_ends(void **state)
{
	close(ends[0]);
	close(ends[1]);
	return 0;
}

/* The lowest number that is free: another one if a descriptor was left open. */
static int next_fd(void)
{
	int fd = dup(0), number = fd;

	close(fd);
	return number;
}

static void hellos_are_compared(void **state)
{
	struct hello h = hello_own();

	assert_int_equal(hello_check(&h), 0);
	h.layout++;
	assert_int_equal(hello_check(&h), -EPROTONOSUPPORT);
	h = hello_own();
	h.protocol--;
	assert_int_equal(hello_check(&h), -EPROTONOSUPPORT);
	h.magic ^= 1;
	assert_int_equal(hello_check(&h), -EPROTO);
}

/* Without descriptors, and with as many as there is room for. */
static void messages_arrive_whole(void **state)
{
	struct ask sent = { ASK_FILE, 7 }, got = { 0 };
	int fds[2] = { 0, 0 }, came[2];
	size_t i, n, nr;

	for (n = 0; n <= 2; n++) {
		assert_int_equal(protocol_send(ends[0], &sent, sizeof(sent), fds, n), 0);
		assert_int_equal(protocol_receive(ends[1], &got, sizeof(got), came, 2, &nr), 0);
		assert_memory_equal(&got, &sent, sizeof(got));
		assert_int_equal(nr, n);
		for (i = 0; i < nr; i++) {
			assert_int_equal(fcntl(came[i], F_GETFD), FD_CLOEXEC);
			close(came[i]);
		}
	}
}

static void other_messages_are_none(void **state)
{
	const int fds[2] = { 0, 0 };
	int free_fd = next_fd(), came[2];
	char message[64] = { 0 };
	struct ask got = { 0 };
	size_t len, n, nr;

	for (len = 1; len < sizeof(message); len++) {
		for (n = 0; n <= 2; n++) {
			assert_int_equal(protocol_send(ends[0], message, len, fds, n), 0);
			nr = 9;
			assert_int_equal(protocol_receive(ends[1], &got, sizeof(got), came, 1, &nr),
					 len == sizeof(got) && n < 2 ? 0 : -EBADMSG);
			assert_int_equal(nr, len == sizeof(got) && n == 1);
			if (nr)
				close(came[0]);
			assert_int_equal(next_fd(), free_fd);
		}
	}
	assert_int_equal(protocol_send(ends[0], message, sizeof(got), fds, 1), 0);
	assert_int_equal(protocol_receive(ends[1], &got, sizeof(got), NULL, 0, &nr), -EBADMSG);
	assert_int_equal(next_fd(), free_fd);
}

static void an_end_is_told(void **state)
{
	struct ask got = { 0 };
	size_t nr;

	shutdown(ends[0], SHUT_WR);
	assert_int_equal(protocol_receive(ends[1], &got, sizeof(got), NULL, 0, &nr), -ECONNRESET);
	shutdown(ends[0], SHUT_RD);
	assert_int_equal(protocol_send(ends[1], &got, sizeof(got), NULL, 0), -EPIPE);
}

/* --- results */

static struct result result;
static bool over;

static void *write_results(void *ctx)
{
	uint64_t i;

	/* All four have the same value whenever nobody writes. */
	for (i = 1; !__atomic_load_n(&over, __ATOMIC_RELAXED); i++)
		result_set_counts(&result, &(struct pagehint_stat){
						   .hits = i, .misses = i, .late = i, .used = i });
	return NULL;
}

/* Another thread's part: forced only grows. */
static void *write_forced(void *ctx)
{
	uint64_t i;

	for (i = 1; !__atomic_load_n(&over, __ATOMIC_RELAXED); i++)
		result_set_forced(&result, i);
	return NULL;
}

static void results_are_of_one_time(void **state)
{
	struct pagehint_stat st;
	unsigned int i, read = 0;
	pthread_t counter, thread;
	uint64_t forced = 0;

	memset(&result, 0, sizeof(result));
	over = false;
	assert_int_equal(pthread_create(&counter, NULL, write_results, NULL), 0);
	assert_int_equal(pthread_create(&thread, NULL, write_forced, NULL), 0);
	for (i = 0; i < 200000 || !read; i++) {
		if (!result_read(&result, &st))
			continue;
		read++;
		assert_true(st.hits == st.misses && st.misses == st.late && st.late == st.used);
		assert_true(st.forced >= forced);
		forced = st.forced;
	}
	__atomic_store_n(&over, true, __ATOMIC_RELAXED);
	pthread_join(counter, NULL);
	pthread_join(thread, NULL);
}

static void a_writer_that_stops_in_the_middle_is_not_waited_for(void **state)
{
	struct pagehint_stat st;

	memset(&result, 0, sizeof(result));
	result_reset(&result, true);
	assert_true(result_read(&result, &st));
	assert_true(st.forced == 0 && st.hits == PAGEHINT_UNKNOWN);
	result_begin(&result);
	assert_false(result_read(&result, &st));
	result_end(&result);
	assert_true(result_read(&result, &st));
	result_reset(&result, false);
	assert_true(result_read(&result, &st));
	assert_true(st.forced == PAGEHINT_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hellos_are_compared),
		cmocka_unit_test_setup_teardown(messages_arrive_whole, connect_ends, close_ends),
		cmocka_unit_test_setup_teardown(other_messages_are_none, connect_ends, close_ends),
		cmocka_unit_test_setup_teardown(an_end_is_told, connect_ends, close_ends),
		cmocka_unit_test(results_are_of_one_time),
		cmocka_unit_test(a_writer_that_stops_in_the_middle_is_not_waited_for),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("programs and their server", tests, NULL, NULL);
}
