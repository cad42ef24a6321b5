// SPDX-License-Identifier: GPL-2.0-only
/* Which files a run is about: named ones, lists of names, directories, in a mount namespace of its own. */
#include "unit.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "file/names.h"

static struct names names;
static bool namespace_made;

static int enter(void **state)
{
	quiet = true;
	namespace_made = !unshare(CLONE_NEWNS) &&
			 !mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	return unit_enter(state) || chmod(".", 0755);
}

static int make_tree(void **state)
{
	assert_int_equal(mkdir("tree", 0755), 0);
	assert_int_equal(mkdir("tree/b", 0755), 0);
	unit_file("tree/b/one\nline", 1);
	unit_file("tree/c", 1);
	unit_file("tree/a", 0);
	return 0;
}

static int drop_tree(void **state)
{
	names_free(&names);
	umount2("tree/b/mount", MNT_DETACH);
	return system("rm -rf tree list link");
}

static enum status collect(const char *first, const char *second, const char *files0)
{
	const char *const files[] = { first, second };

	return names_collect(&names, files, !!first + !!second, files0);
}

/* All names, in order, each ended by a comma. */
static void are(const char *want)
{
	char got[1024] = "";
	size_t i;

	for (i = 0; i < names.nr; i++) {
		strcat(got, names.all[i].path);
		strcat(got, ",");
	}
	assert_string_equal(got, want);
}

#define TREE "tree/a,tree/b/one\nline,tree/c,"

static void a_directory_stands_for_the_regular_files_below_it(void **state)
{
	assert_int_equal(symlink("../c", "tree/b/link"), 0);
	assert_int_equal(symlink("b", "tree/d"), 0);
	assert_int_equal(mkfifo("tree/fifo", 0600), 0);
	assert_int_equal(collect("tree", NULL, NULL), STATUS_DONE);
	are(TREE);
	assert_true(names.any_found && names.all[0].found && !names.incomplete);
}

static void a_link_that_is_named_is_followed(void **state)
{
	assert_int_equal(symlink("tree", "link"), 0);
	assert_int_equal(collect("link", NULL, NULL), STATUS_DONE);
	are("link/a,link/b/one\nline,link/c,");
}

static void a_file_counts_once(void **state)
{
	assert_int_equal(link("tree/c", "tree/b/again"), 0);
	assert_int_equal(collect("tree", "tree/b", NULL), STATUS_DONE);
	are("tree/a,tree/b/again,tree/b/one\nline,");
	names_free(&names);
	/* One that is named keeps its name, and is no file that was found. */
	assert_int_equal(collect("tree", "tree/c", NULL), STATUS_DONE);
	are("tree/a,tree/b/one\nline,tree/c,");
	assert_false(names.all[2].found);
}

static void an_empty_directory_has_no_files(void **state)
{
	assert_int_equal(unlink("tree/b/one\nline"), 0);
	assert_int_equal(collect("tree/b", NULL, NULL), STATUS_DONE);
	are("");
	assert_false(names.incomplete);
}

static void other_file_systems_are_left_out(void **state)
{
	if (!namespace_made)
		skip();
	assert_int_equal(mkdir("tree/b/mount", 0755), 0);
	assert_int_equal(mount("none", "tree/b/mount", "tmpfs", 0, NULL), 0);
	unit_file("tree/b/mount/other", 1);
	assert_int_equal(collect("tree", NULL, NULL), STATUS_DONE);
	are(TREE);
	names_free(&names);
	assert_int_equal(collect("tree/b/mount", NULL, NULL), STATUS_BAD_INPUT);
}

static void a_directory_that_is_mounted_below_itself_ends(void **state)
{
	if (!namespace_made)
		skip();
	assert_int_equal(mkdir("tree/b/mount", 0755), 0);
	assert_int_equal(mount("tree", "tree/b/mount", NULL, MS_BIND | MS_REC, NULL), 0);
	assert_int_equal(collect("tree", NULL, NULL), STATUS_DONE);
	are(TREE);
	assert_false(names.incomplete);
}

static void what_cannot_be_opened_is_left_out_and_remembered(void **state)
{
	enum status status;

	assert_int_equal(chmod("tree/b", 0), 0);
	if (!geteuid())
		assert_int_equal(seteuid(65534), 0);
	status = collect("tree", NULL, NULL);
	if (!getuid())
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(chmod("tree/b", 0755), 0);
	assert_int_equal(status, STATUS_DONE);
	are("tree/a,tree/c,");
	assert_true(names.incomplete);
}

static void a_name_that_leads_nowhere_ends_the_run(void **state)
{
	assert_int_equal(collect("tree", "missing", NULL), STATUS_BAD_INPUT);
}

static void write_list(const char *text, size_t size)
{
	FILE *f = fopen("list", "we");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, size, f), size);
	assert_int_equal(fclose(f), 0);
}

static void a_list_of_names_is_taken_as_far_as_it_leads(void **state)
{
	static const char text[] = "tree/c\0missing\0tree/b\0tree/a";

	write_list(text, sizeof(text) - 1);
	assert_int_equal(collect(NULL, NULL, "list"), STATUS_DONE);
	are("tree/c,tree/b/one\nline,tree/a,");
	assert_true(names.incomplete && names.all[0].found);
	names_free(&names);
	write_list("", 0);
	assert_int_equal(collect(NULL, NULL, "list"), STATUS_DONE);
	are("");
	assert_false(names.incomplete);
}

static void a_list_of_names_that_cannot_be_read_ends_the_run(void **state)
{
	write_list("tree/c\0\0tree/a", 14);
	assert_int_equal(collect(NULL, NULL, "list"), STATUS_BAD_INPUT);
	names_free(&names);
	assert_int_equal(collect(NULL, NULL, "missing"), STATUS_BAD_INPUT);
	names_free(&names);
	assert_int_equal(collect(NULL, NULL, "tree"), STATUS_BAD_INPUT);
}

static void a_file_that_is_deleted_meanwhile_was_not_there(void **state)
{
	struct target t;

	assert_int_equal(collect("tree", NULL, NULL), STATUS_DONE);
	assert_int_equal(unlink("tree/a"), 0);
	assert_false(names_open(&names, &names.all[0], &t));
	assert_false(names.incomplete);
	assert_true(names_open(&names, &names.all[2], &t));
	assert_true(t.found);
	target_close(&t);
	assert_int_equal(mkfifo("tree/a", 0600), 0);
	assert_false(names_open(&names, &names.all[0], &t));
	assert_true(names.incomplete);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_tree, drop_tree)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_directory_stands_for_the_regular_files_below_it),
		TEST(a_link_that_is_named_is_followed),
		TEST(a_file_counts_once),
		TEST(an_empty_directory_has_no_files),
		TEST(other_file_systems_are_left_out),
		TEST(a_directory_that_is_mounted_below_itself_ends),
		TEST(what_cannot_be_opened_is_left_out_and_remembered),
		TEST(a_name_that_leads_nowhere_ends_the_run),
		TEST(a_list_of_names_is_taken_as_far_as_it_leads),
		TEST(a_list_of_names_that_cannot_be_read_ends_the_run),
		TEST(a_file_that_is_deleted_meanwhile_was_not_there),
	};

	return cmocka_run_group_tests(tests, enter, unit_leave);
}
