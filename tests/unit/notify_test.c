// SPDX-License-Identifier: GPL-2.0-only
/* READY=1 for whoever has set NOTIFY_SOCKET. */
#include "unit.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "base/notify.h"

/* A socket of that name, as a manager has it, and the variable set to it. */
static int listen_at(const char *name)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	socklen_t len = offsetof(struct sockaddr_un, sun_path) + strlen(name);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	strcpy(a.sun_path, name);
	if (*name == '@')
		a.sun_path[0] = 0;
	assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
	assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
	return fd;
}

static void expect_ready(int fd)
{
	char text[64] = "";

	assert_int_equal(recv(fd, text, sizeof(text), 0), strlen("READY=1"));
	assert_string_equal(text, "READY=1");
	assert_int_equal(recv(fd, text, sizeof(text), 0), -1);
	close(fd);
}

static void one_datagram_goes_to_a_path(void **state)
{
	char path[sizeof(unit_dir) + 8];
	int fd;

	snprintf(path, sizeof(path), "%s/socket", unit_dir);
	fd = listen_at(path);
	notify_ready();
	expect_ready(fd);
}

static void or_to_an_abstract_name(void **state)
{
	char name[64];
	int fd;

	snprintf(name, sizeof(name), "@page2cache-test-%d", getpid());
	fd = listen_at(name);
	notify_ready();
	expect_ready(fd);
}

static void without_the_variable_or_a_listener_nothing_happens(void **state)
{
	char name[200];

	quiet = true;
	unsetenv("NOTIFY_SOCKET");
	notify_ready();
	setenv("NOTIFY_SOCKET", "", 1);
	notify_ready();
	setenv("NOTIFY_SOCKET", "/nowhere/at/all", 1);
	notify_ready();
	memset(name, 'a', sizeof(name));
	name[0] = '/';
	name[sizeof(name) - 1] = 0;
	setenv("NOTIFY_SOCKET", name, 1);
	notify_ready();
}

/* A manager that does not read is not waited for. */
static void a_full_queue_holds_nobody_up(void **state)
{
	char path[sizeof(unit_dir) + 8];
	int fd, i;

	snprintf(path, sizeof(path), "%s/full", unit_dir);
	fd = listen_at(path);
	alarm(60);
	for (i = 0; i < 2000; i++)
		notify_ready();
	alarm(0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_datagram_goes_to_a_path),
		cmocka_unit_test(or_to_an_abstract_name),
		cmocka_unit_test(without_the_variable_or_a_listener_nothing_happens),
		cmocka_unit_test(a_full_queue_holds_nobody_up),
	};

	return cmocka_run_group_tests(tests, unit_enter, unit_leave);
}
