// SPDX-License-Identifier: GPL-2.0-only
/* COMMAND: how it is found and executed, what is said if it cannot be, what it inherits. */
#include "unit.h"

#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/command.h"

static struct command c;
static char *why;

/* What the C library is asked to search: a folder that is none, the tests' own, the system's. */
static int set_path(void **state)
{
	setenv("PATH", "/nonexistent:a:b:/bin", 1);
	assert_int_equal(mkdir("a", 0755) | mkdir("b", 0755), 0);
	why = NULL;
	return 0;
}

static int drop(void **state)
{
	command_free(&c);
	free(why);
	unlink("a/tool");
	unlink("b/tool");
	rmdir("a");
	rmdir("b");
	unlink("script");
	return 0;
}

static void script(const char *name, const char *text, mode_t mode)
{
	unit_text(name, text);
	assert_int_equal(chmod(name, mode), 0);
}

/* Let it go. Returns what command_go() says, and what COMMAND exits with if that was 0. */
static int run(char **argv, int *status)
{
	struct pollfd ended;
	int err;

	command_init(&c, argv);
	assert_int_equal(command_fork(&c), 0);
	/* It waits for as long as it is not let go. */
	ended = (struct pollfd){ .fd = c.pidfd, .events = POLLIN };
	assert_int_equal(poll(&ended, 1, 20), 0);
	err = command_go(&c);
	if (err) {
		why = command_error(&c, err);
		return err;
	}
	assert_int_equal(poll(&ended, 1, 60000), 1);
	command_poll(&c);
	assert_true(c.ended);
	*status = command_exit_status(&c);
	return 0;
}

static void expect_status(char *name, int want)
{
	char *argv[] = { name, "one", "two words", NULL };
	int status = -1;

	assert_int_equal(run(argv, &status), 0);
	assert_int_equal(status, want);
}

static void expect_refused(char *name, int err, const char *words)
{
	char *argv[] = { name, NULL };
	int status;

	assert_int_equal(run(argv, &status), err);
	assert_string_equal(why, words);
}

static void it_is_searched_in_path_and_what_cannot_be_executed_is_passed_over(void **state)
{
	script("a/tool", "#!/bin/sh\nexit 4\n", 0644);
	script("b/tool", "#!/bin/sh\nexit 5\n", 0755);
	expect_status("tool", 5);
}

static void the_first_of_several_in_path_is_taken(void **state)
{
	script("a/tool", "#!/bin/sh\nexit 4\n", 0755);
	script("b/tool", "#!/bin/sh\nexit 5\n", 0755);
	expect_status("tool", 4);
}

static void a_name_with_a_slash_is_not_searched(void **state)
{
	script("b/tool", "#!/bin/sh\nexit 5\n", 0755);
	expect_refused("./tool", -ENOENT, "./tool: command not found");
}

static void a_script_that_names_no_interpreter_is_the_shells(void **state)
{
	script("script", "[ \"$1 $2 $#\" = 'one two words 2' ] && exit 6\n", 0755);
	expect_status("./script", 6);
}

static void arguments_arrive_as_they_are(void **state)
{
	script("a/tool", "#!/bin/sh\n[ \"$1 $2 $#\" = 'one two words 2' ] && exit 7\n", 0755);
	expect_status("tool", 7);
}

static void what_is_nowhere_is_not_found(void **state)
{
	expect_refused("tool", -ENOENT, "tool: command not found in PATH");
}

static void no_name_is_not_found(void **state)
{
	expect_refused("", -ENOENT, ": command not found in PATH");
}

static void a_file_that_is_not_executable_is_told_apart(void **state)
{
	script("a/tool", "#!/bin/sh\n", 0644);
	expect_refused("tool", -EACCES, "tool: cannot be executed: Permission denied");
}

static void a_folder_cannot_be_executed(void **state)
{
	expect_refused("./a", -EACCES, "./a: cannot be executed: Permission denied");
}

static void a_missing_interpreter_is_told_apart(void **state)
{
	script("script", "#!/nonexistent/sh\n", 0755);
	expect_refused("./script", -ENOENT,
		       "./script: cannot be executed: the interpreter that it names is missing");
}

static void one_that_waits_can_be_sent_away(void **state)
{
	char *argv[] = { "/bin/sh", "-c", "exit 1", NULL };

	command_init(&c, argv);
	assert_int_equal(command_fork(&c), 0);
	command_stop(&c, SIGTERM);
	assert_true(c.ended);
	assert_int_equal(waitpid(c.pid, NULL, WNOHANG), -1);
}

static void one_that_never_was_takes_no_descriptor_along(void **state)
{
	struct command none = { 0 };

	command_free(&none);
	assert_true(fcntl(0, F_GETFD) >= 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_path, drop)
		TEST(it_is_searched_in_path_and_what_cannot_be_executed_is_passed_over),
		TEST(the_first_of_several_in_path_is_taken),
		TEST(a_name_with_a_slash_is_not_searched),
		TEST(a_script_that_names_no_interpreter_is_the_shells),
		TEST(arguments_arrive_as_they_are),
		TEST(what_is_nowhere_is_not_found),
		TEST(no_name_is_not_found),
		TEST(a_file_that_is_not_executable_is_told_apart),
		TEST(a_folder_cannot_be_executed),
		TEST(a_missing_interpreter_is_told_apart),
		TEST(one_that_waits_can_be_sent_away),
		TEST(one_that_never_was_takes_no_descriptor_along),
	};

	command_inherit();
	return cmocka_run_group_tests(tests, unit_enter, unit_leave);
}
