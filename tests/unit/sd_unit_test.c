// SPDX-License-Identifier: GPL-2.0-only
/* Names of systemd's units, and which folders of cgroups are theirs. */
#include "unit.h"

#include <sys/stat.h>

#include "base/sd_unit.h"

static void expect_name(const char *text, const char *want)
{
	struct sd_unit u;
	char *why = sd_unit_parse(&u, text), *got;

	assert_null(why);
	got = sd_unit_text(&u);
	assert_string_equal(got, want);
	free(got);
}

static void a_name_without_a_type_is_a_service(void **state)
{
	expect_name("db", "db.service");
	expect_name("db.service", "db.service");
	expect_name("my.app", "my.app.service");
	expect_name("postgresql@15-main", "postgresql@15-main.service");
	expect_name("docker-0a1b.scope", "docker-0a1b.scope");
	expect_name("app.slice", "app.slice");
	expect_name("dev-disk\\x2dby.swap", "dev-disk\\x2dby.swap");
	expect_name("user@1000/app", "user@1000.service/app.service");
}

static void expect_error(const char *text, const char *want)
{
	struct sd_unit u;
	char *why = sd_unit_parse(&u, text);

	assert_non_null(why);
	assert_non_null(strstr(why, want));
	free(why);
}

static void what_names_no_unit_is_refused(void **state)
{
	char name[300];

	expect_error("", "not a unit's name");
	expect_error("my app", "systemd-escape makes one");
	expect_error("/system.slice/db.service", "not a unit's name");
	expect_error("db.service/", "not a unit's name");
	expect_error("getty@.service", "name an instance");
	expect_error("getty@", "name an instance");
	expect_error("a/b/c/d/e", "more than 4 names");
	memset(name, 'a', sizeof(name));
	name[sizeof(name) - 1] = 0;
	expect_error(name, "longer than");
	name[248] = 0;
	expect_error(name, "longer than");
	name[247] = 0;
	assert_null(sd_unit_parse(&(struct sd_unit){ 0 }, name));
}

static void expect_has(const char *text, const char *path, bool want)
{
	struct sd_unit u;

	assert_null(sd_unit_parse(&u, text));
	assert_int_equal(sd_unit_has(&u, path), want);
}

static void a_process_is_in_the_unit_whose_cgroup_has_only_slices_above(void **state)
{
	expect_has("db", "/system.slice/db.service", true);
	expect_has("db", "/db.service", true);
	expect_has("db", "/a.slice/a-b.slice/db.service/worker/1", true);
	expect_has("db", "/system.slice/db.service2", false);
	expect_has("db", "/system.slice/other.service", false);
	expect_has("db", "/system.slice", false);
	expect_has("db", "/", false);
	expect_has("db", "/user.slice/user@1.service/app.slice/db.service", false);
	expect_has("user@1/db", "/user.slice/user@1.service/app.slice/db.service", true);
	expect_has("user@2/db", "/user.slice/user@1.service/app.slice/db.service", false);
	expect_has("user@1/db", "/system.slice/db.service", false);
	expect_has("a.slice", "/a.slice/db.service", true);
	expect_has("a-b.slice", "/a.slice/a-b.slice", true);
}

static void a_folder_may_have_a_line_in_front_of_its_name(void **state)
{
	expect_has("memory", "/system.slice/_memory.service", true);
	expect_has("_odd", "/system.slice/__odd.service", true);
	expect_has("odd", "/system.slice/__odd.service", false);
}

static void folder(const char *path)
{
	assert_int_equal(mkdir(path, 0755), 0);
}

static void expect_found(const char *text, const char *want)
{
	struct sd_unit u;
	char *got;

	assert_null(sd_unit_parse(&u, text));
	got = sd_unit_find(&u, ".");
	if (want)
		assert_string_equal(got, want);
	else
		assert_null(got);
	free(got);
}

static void folders_are_found_by_the_same_rule(void **state)
{
	static const char *const folders[] = {
		"a.slice",
		"a.slice/container.scope",
		"a.slice/container.scope/db.service",
		"b.slice",
		"b.slice/b-c.slice",
		"b.slice/b-c.slice/db.service",
		"b.slice/user@1.service",
		"b.slice/user@1.service/web.service",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(folders); i++)
		folder(folders[i]);
	unit_file("web.service", 0);
	expect_found("db", "./b.slice/b-c.slice/db.service");
	expect_found("web", NULL);
	expect_found("user@1/web", "./b.slice/user@1.service/web.service");
	expect_found("container.scope", "./a.slice/container.scope");
	for (i = ARRAY_SIZE(folders); i--;)
		assert_int_equal(rmdir(folders[i]), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_without_a_type_is_a_service),
		cmocka_unit_test(what_names_no_unit_is_refused),
		cmocka_unit_test(a_process_is_in_the_unit_whose_cgroup_has_only_slices_above),
		cmocka_unit_test(a_folder_may_have_a_line_in_front_of_its_name),
		cmocka_unit_test(folders_are_found_by_the_same_rule),
	};

	return cmocka_run_group_tests(tests, unit_enter, unit_leave);
}
