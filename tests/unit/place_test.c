// SPDX-License-Identifier: GPL-2.0-only
/* Where a list goes: whole or not at all, through links of one's own, and nothing left behind. */
#include "unit.h"

#include <dlfcn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "list/list_place.h"

static struct list_place place;
static char *why;
static bool cannot_name;

/* In place of the C library's: a file system without nameless files, or a process that may not name them. */
int linkat(int from, const char *path, int to, const char *name, int flags)
{
	static int (*real)(int, const char *, int, const char *, int);

	if (!real)
		real = dlsym(RTLD_NEXT, "linkat");
	if (!cannot_name)
		return real(from, path, to, name, flags);
	errno = EPERM;
	return -1;
}

static int start(void **state)
{
	cannot_name = *state != NULL;
	why = NULL;
	return 0;
}

static int end(void **state)
{
	list_place_close(&place);
	free(why);
	return 0;
}

static int emit_text(void *ctx, FILE *f)
{
	fputs(ctx, f);
	return 0;
}

static int emit_failing(void *ctx, FILE *f)
{
	fputs(ctx, f);
	return -ENOSPC;
}

static int opened(const char *path)
{
	list_place_close(&place);
	free(why);
	return list_place_open(&place, path, true, &why);
}

static void assert_text(const char *path, const char *want)
{
	char got[64] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_true(read(fd, got, sizeof(got) - 1) >= 0);
	close(fd);
	assert_string_equal(got, want);
}

/* The files of the folder, but for `.` and `..`. */
static int files(const char *folder)
{
	DIR *d = opendir(folder);
	int n = -2;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void test_replaces(void **state)
{
	int before = files(".");

	assert_int_equal(opened("list"), 0);
	assert_int_equal(place.nameless, !cannot_name);
	assert_int_equal(files("."), before);
	assert_int_equal(list_place_write(&place, emit_text, "one"), 0);
	assert_text("list", "one");
	assert_int_equal(opened("list"), 0);
	assert_text("list", "one");
	assert_int_equal(list_place_write(&place, emit_failing, "two"), -ENOSPC);
	assert_text("list", "one");
	assert_int_equal(list_place_write(&place, emit_text, "two"), 0);
	assert_text("list", "two");
	assert_int_equal(files("."), before + 1);
	unlink("list");
}

static void test_mode(void **state)
{
	mode_t mask = umask(027);
	struct stat st;

	assert_int_equal(opened("list"), 0);
	assert_int_equal(list_place_write(&place, emit_text, "x"), 0);
	umask(mask);
	assert_int_equal(stat("list", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	unlink("list");
}

/* The longest name that a folder takes leaves no room for the one of the time before. */
static void test_long_name(void **state)
{
	char name[256];

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	assert_int_equal(opened(name), 0);
	assert_int_equal(list_place_write(&place, emit_text, "x"), 0);
	assert_text(name, "x");
	unlink(name);
}

static void test_links(void **state)
{
	struct stat st;

	assert_int_equal(mkdir("in", 0755), 0);
	assert_int_equal(symlink("in/second", "first"), 0);
	assert_int_equal(symlink("../last", "in/second"), 0);
	assert_int_equal(opened("first"), 0);
	assert_int_equal(list_place_write(&place, emit_text, "x"), 0);
	assert_text("last", "x");
	assert_int_equal(lstat("first", &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(files("in"), 1);
	assert_int_equal(symlink("loop", "loop"), 0);
	assert_int_equal(opened("loop"), -ELOOP);
	unlink("first");
	unlink("last");
	unlink("loop");
	unlink("in/second");
	rmdir("in");
}

static void test_strangers_link(void **state)
{
	if (geteuid())
		skip();
	assert_int_equal(symlink("secret", "laid"), 0);
	assert_int_equal(lchown("laid", 65534, 65534), 0);
	assert_int_equal(opened("laid"), -EPERM);
	assert_non_null(strstr(why, "link of user 65534"));
	/* Nor to what is no file: a device would be written to. */
	unlink("laid");
	assert_int_equal(symlink("/dev/null", "laid"), 0);
	assert_int_equal(lchown("laid", 65534, 65534), 0);
	assert_int_equal(opened("laid"), -EPERM);
	unlink("laid");
}

/* The folder is the one that was there at the start, whatever its path leads to by the end. */
static void test_folder_moves(void **state)
{
	assert_int_equal(mkdir("folder", 0755), 0);
	assert_int_equal(opened("folder/list"), 0);
	assert_int_equal(rename("folder", "moved"), 0);
	assert_int_equal(mkdir("folder", 0755), 0);
	assert_int_equal(list_place_write(&place, emit_text, "x"), 0);
	assert_text("moved/list", "x");
	assert_int_equal(files("folder"), 0);
	unlink("moved/list");
	rmdir("moved");
	rmdir("folder");
}

static void test_refused(void **state)
{
	struct sockaddr_un at = { AF_UNIX, "socket" };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	close(fd);
	assert_int_equal(opened("socket"), -ENXIO);
	assert_int_equal(list_place_open(&place, "socket", false, &why), -EINVAL);
	unlink("socket");
	assert_int_equal(opened(""), -ENOENT);
	assert_int_equal(opened("."), -EISDIR);
	assert_int_equal(opened("/"), -EISDIR);
	assert_int_equal(opened("missing/list"), -ENOENT);
	assert_int_equal(opened("missing/"), -ENOENT);
	assert_int_equal(opened("/dev/null/list"), -ENOTDIR);
	assert_non_null(why);
}

static void test_device(void **state)
{
	struct stat st;

	assert_int_equal(opened("/dev/null"), 0);
	assert_int_equal(list_place_write(&place, emit_text, "x"), 0);
	assert_int_equal(stat("/dev/null", &st), 0);
	assert_true(S_ISCHR(st.st_mode));
	assert_int_equal(opened("/dev/full"), 0);
	assert_int_equal(list_place_write(&place, emit_text, "x"), -ENOSPC);
}

/* A FIFO, as a device would be, that has come to the name since: it stays, and no list is left. */
static void test_taken_since(void **state)
{
	struct stat st;
	int before;

	assert_int_equal(opened("list"), 0);
	assert_int_equal(mkfifo("list", 0600), 0);
	before = files(".");
	assert_int_equal(list_place_write(&place, emit_text, "x"), -EEXIST);
	assert_int_equal(stat("list", &st), 0);
	assert_true(S_ISFIFO(st.st_mode));
	assert_int_equal(files("."), before);
	unlink("list");
}

/* An open file, by the link that /proc has to it: appended to, not replaced. */
static void test_open_file(void **state)
{
	char path[64];
	int fd;

	unit_text("open", "before ");
	fd = open("open", O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	snprintf(path, sizeof(path), "/dev/fd/%d", fd);
	assert_int_equal(opened(path), 0);
	assert_int_equal(list_place_write(&place, emit_text, "after"), 0);
	close(fd);
	assert_text("open", "before after");
	unlink("open");
}

#define IN_BOTH_WAYS(test)                                            \
	{ #test, test, start, end, NULL },                            \
	{                                                             \
#test ", files with names", test, start, end, "named" \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_BOTH_WAYS(test_replaces),
		IN_BOTH_WAYS(test_mode),
		IN_BOTH_WAYS(test_long_name),
		IN_BOTH_WAYS(test_links),
		IN_BOTH_WAYS(test_folder_moves),
		cmocka_unit_test_setup_teardown(test_strangers_link, start, end),
		cmocka_unit_test_setup_teardown(test_refused, start, end),
		cmocka_unit_test_setup_teardown(test_device, start, end),
		IN_BOTH_WAYS(test_taken_since),
		cmocka_unit_test_setup_teardown(test_open_file, start, end),
	};

	return cmocka_run_group_tests(tests, unit_enter, unit_leave);
}
