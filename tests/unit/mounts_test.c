// SPDX-License-Identifier: GPL-2.0-only
/* From the page cache's name of a file back to a path, in a mount namespace of its own. */
#include "unit.h"

#include <limits.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "file/mountinfo.h"
#include "file/mounts.h"

/* Each blank takes four bytes in mountinfo: six such folders are a line beyond PATH_MAX. */
#define BLANKS	200
#define FOLDERS 6

static int namespace_made;

static int enter(void **state)
{
	namespace_made = !unshare(CLONE_NEWNS) &&
			 !mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	return unit_enter(state);
}

/* The name that the kernel's side gives of a file: its components, leaf first, NUL after each. */
static void name_of(const char *file, const char *in_fs, struct p2c_file_name *name)
{
	char copy[PATH_MAX], *slash;
	struct stat st;

	assert_int_equal(lstat(file, &st), 0);
	memset(name, 0, sizeof(*name));
	name->key.dev = major(st.st_dev) << 20 | minor(st.st_dev);
	name->key.ino = st.st_ino;
	snprintf(copy, sizeof(copy), "%s", in_fs);
	while ((slash = strrchr(copy, '/'))) {
		strcpy(name->names + name->bytes, slash + 1);
		name->bytes += strlen(slash + 1) + 1;
		*slash = 0;
	}
}

static char *path_of(const struct p2c_file_name *name)
{
	struct mounts *m = mounts_read();
	char *path = mounts_path(m, name);

	mounts_free(m);
	return path;
}

static void expect_path(const struct p2c_file_name *name, const char *want)
{
	char *path = path_of(name);

	if (want) {
		assert_non_null(path);
		assert_string_equal(path, want);
	} else {
		assert_null(path);
	}
	free(path);
}

/* A tmpfs on DIR, which is made. */
static void mount_tmpfs(const char *dir)
{
	assert_int_equal(mkdir(dir, 0755), 0);
	assert_int_equal(mount("unit", dir, "tmpfs", 0, NULL), 0);
}

static void a_file_is_found_below_its_mount_point_and_as_long_as_it_is_that_file(void **state)
{
	char want[PATH_MAX + 64];
	struct p2c_file_name name;

	if (!namespace_made)
		skip();
	mount_tmpfs("fs");
	assert_int_equal(mkdir("fs/a", 0755), 0);
	unit_file("fs/a/b", 1);
	name_of("fs/a/b", "/a/b", &name);
	snprintf(want, sizeof(want), "%s/fs/a/b", unit_dir);
	expect_path(&name, want);
	/* A bind mount of a folder in it shows that folder's files, and no others. */
	assert_int_equal(mkdir("bind", 0755), 0);
	assert_int_equal(mount("fs/a", "bind", NULL, MS_BIND, NULL), 0);
	snprintf(want, sizeof(want), "%s/bind/b", unit_dir);
	expect_path(&name, want);
	unit_file("fs/c", 1);
	name_of("fs/c", "/c", &name);
	snprintf(want, sizeof(want), "%s/fs/c", unit_dir);
	expect_path(&name, want);
	/* Another inode by that name, no file by that name, no mount of that device. */
	name.key.ino++;
	expect_path(&name, NULL);
	name.key.ino--;
	assert_int_equal(unlink("fs/c"), 0);
	expect_path(&name, NULL);
	name_of("fs/a/b", "/a/b", &name);
	assert_int_equal(umount2("bind", 0), 0);
	assert_int_equal(umount2("fs", 0), 0);
	expect_path(&name, NULL);
	assert_int_equal(rmdir("bind") | rmdir("fs"), 0);
}

static void a_mount_point_whose_line_is_longer_than_a_path_can_be_is_seen(void **state)
{
	char dir[PATH_MAX], want[2 * PATH_MAX + 64];
	struct p2c_file_name name;
	size_t len = 0;
	int i;

	if (!namespace_made)
		skip();
	for (i = 0; i < FOLDERS; i++) {
		len += snprintf(dir + len, sizeof(dir) - len, "%s%*s\n\\", i ? "/" : "", BLANKS,
				"");
		if (i < FOLDERS - 1)
			assert_int_equal(mkdir(dir, 0755), 0);
	}
	mount_tmpfs(dir);
	snprintf(want, sizeof(want), "%s/file", dir);
	unit_file(want, 1);
	name_of(want, "/file", &name);
	snprintf(want, sizeof(want), "%s/%s/file", unit_dir, dir);
	expect_path(&name, want);
	assert_int_equal(umount2(dir, 0), 0);
	for (i = 0; i < FOLDERS; i++) {
		assert_int_equal(rmdir(dir), 0);
		*(strrchr(dir, '/') ?: dir) = 0;
	}
}

/* Of a bind mount without a source, whose root and place have blanks. */
static void the_fields_of_a_mount_are_read_as_they_are(void **state)
{
	char want[PATH_MAX + 64];
	struct mountinfo m;
	struct stat st;
	bool seen = false;

	if (!namespace_made)
		skip();
	assert_int_equal(mkdir("fs", 0755), 0);
	assert_int_equal(mount("", "fs", "tmpfs", 0, "size=1m"), 0);
	assert_int_equal(mkdir("fs/a b", 0755) | mkdir("to here", 0755), 0);
	assert_int_equal(mount("fs/a b", "to here", NULL, MS_BIND, NULL), 0);
	assert_int_equal(stat("fs", &st), 0);
	snprintf(want, sizeof(want), "%s/to here", unit_dir);
	mountinfo_open(&m);
	while (mountinfo_next(&m)) {
		if (strcmp(m.point, want))
			continue;
		seen = true;
		assert_string_equal(m.root, "/a b");
		assert_string_equal(m.type, "tmpfs");
		assert_non_null(strstr(m.options, "size=1024k"));
		assert_int_equal(m.dev, major(st.st_dev) << 20 | minor(st.st_dev));
	}
	mountinfo_close(&m);
	assert_true(seen);
	assert_int_equal(umount2("to here", 0) | umount2("fs", 0), 0);
	assert_int_equal(rmdir("to here") | rmdir("fs"), 0);
}

static void a_name_that_could_not_be_read_whole_has_no_path(void **state)
{
	struct p2c_file_name name = { 0 };

	expect_path(&name, NULL);
	name.bytes = NAME_BYTES;
	expect_path(&name, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_file_is_found_below_its_mount_point_and_as_long_as_it_is_that_file),
		cmocka_unit_test(a_mount_point_whose_line_is_longer_than_a_path_can_be_is_seen),
		cmocka_unit_test(the_fields_of_a_mount_are_read_as_they_are),
		cmocka_unit_test(a_name_that_could_not_be_read_whole_has_no_path),
	};

	return cmocka_run_group_tests(tests, enter, unit_leave);
}
