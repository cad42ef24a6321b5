// SPDX-License-Identifier: GPL-2.0-only
/* What recorded files are called in a list, and which of them are left out. */
#include "unit.h"

#include <sys/stat.h>

#include "report/list_naming.h"

static int enter(void **state)
{
	quiet = true;
	if (unit_enter(state) || mkdir("dir", 0755) || mkdir("dirt", 0755))
		return -1;
	return 0;
}

/* Nothing of it is there, so names are taken as they are. */
static bool listed(const char *under, const char *exclude, const char *path)
{
	const char *patterns[] = { exclude };
	struct list_naming n = { .under = under, .exclude = patterns, .nr_exclude = !!exclude };
	struct offsets_section s = { 0 };
	bool set;
	char *why;

	assert_int_equal(list_naming_begin(&n, &why), 0);
	set = list_naming_set(&n, &s, path);
	assert_int_equal(set, s.file != NULL);
	free(s.file);
	free(n.real_under);
	return set;
}

static void a_pattern_is_of_a_path_its_end_or_a_directory(void **state)
{
	assert_false(listed(NULL, "*.log", "/var/lib/x/a.log"));
	assert_false(listed(NULL, "a.log", "/var/lib/x/a.log"));
	assert_false(listed(NULL, "x", "/var/lib/x/a.log"));
	assert_false(listed(NULL, "x/a*", "/var/lib/x/a.log"));
	assert_false(listed(NULL, "/var/lib", "/var/lib/x/a.log"));
	assert_false(listed(NULL, "/var/*/a.log", "/var/lib/x/a.log"));
	assert_true(listed(NULL, "/lib", "/var/lib/x/a.log"));
	assert_true(listed(NULL, "log", "/var/lib/x/a.log"));
	assert_true(listed(NULL, "/var/li", "/var/lib/x/a.log"));
	assert_true(listed(NULL, NULL, "/var/lib/x/a.log"));
}

static void below_a_directory_is_not_beside_it(void **state)
{
	char *path;

	path = xasprintf("%s/dirt/file", unit_dir);
	assert_false(listed("dir", NULL, path));
	assert_true(listed("dirt", NULL, path));
	assert_true(listed(".", NULL, path));
	assert_true(listed("/", NULL, path));
	free(path);
}

static void relative_names_begin_behind_the_directory(void **state)
{
	struct list_naming n = { .relative = "dir" };
	struct offsets_section s = { 0 };
	const struct identity id = { .uuid = { { 1 } }, .size = 7 };
	char *why, *path = xasprintf("%s/dir/sub/file", unit_dir);

	assert_int_equal(list_naming_begin(&n, &why), 0);
	assert_true(list_naming_set(&n, &s, path));
	assert_string_equal(s.file, "sub/file");
	assert_int_equal(s.has & (OFFSETS_FSID | OFFSETS_INO | OFFSETS_GEN), 0);
	assert_true(s.has & OFFSETS_SIZE && s.has & OFFSETS_PAGE_SIZE);
	s.id = list_naming_identity(&n, &id);
	assert_false(uuid_is_known(&s.id.uuid));
	assert_int_equal(s.id.size, 7);
	free(s.file);
	assert_false(list_naming_set(&n, &s, "/etc/hostname"));
	assert_int_equal(n.outside, 1);
	list_naming_end(&n);
	free(path);
}

static void a_directory_that_is_not_there_is_said(void **state)
{
	struct list_naming n = { .under = "missing" };
	char *why;

	assert_int_equal(list_naming_begin(&n, &why), -ENOENT);
	assert_non_null(strstr(why, "missing"));
	free(why);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pattern_is_of_a_path_its_end_or_a_directory),
		cmocka_unit_test(below_a_directory_is_not_beside_it),
		cmocka_unit_test(relative_names_begin_behind_the_directory),
		cmocka_unit_test(a_directory_that_is_not_there_is_said),
	};

	return cmocka_run_group_tests(tests, enter, unit_leave);
}
