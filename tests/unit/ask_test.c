// SPDX-License-Identifier: GPL-2.0-only
/* Questions about paths: who waits for a CPU has all the time it needs. */
#include "unit.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/ask.h"

/* Have a process of its own let PID go on after so many seconds. */
static pid_t go_on_later(pid_t pid, unsigned int seconds)
{
	pid_t helper = fork();

	if (!helper) {
		sleep(seconds);
		kill(pid, SIGCONT);
		_exit(0);
	}
	return helper;
}

static void the_answer_is_that_of_the_call(void **state)
{
	struct asker a = { 0 };
	struct stat st, want;

	assert_int_equal(ask_lstat(&a, "/", &st, ASK_REMOTE), 0);
	assert_int_equal(lstat("/", &want), 0);
	assert_int_equal(st.st_ino, want.st_ino);
	assert_int_equal(ask_open(&a, "/nonexistent", ASK_REMOTE), -ENOENT);
	assert_int_equal(ask_file_system(&a, "/", ASK_REMOTE), 0);
	ask_end(&a);
}

static void a_process_that_has_no_cpu_is_waited_for(void **state)
{
	struct asker a = { 0 };
	struct stat st;
	pid_t helper;

	assert_int_equal(ask_lstat(&a, "/", &st, ASK_REMOTE), 0);
	assert_int_equal(kill(a.pid, SIGSTOP), 0);
	helper = go_on_later(a.pid, ASK_REMOTE + 1);
	assert_int_equal(ask_lstat(&a, "/", &st, ASK_REMOTE), 0);
	assert_int_equal(waitpid(helper, NULL, 0), helper);
	ask_end(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_answer_is_that_of_the_call),
		cmocka_unit_test(a_process_that_has_no_cpu_is_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
