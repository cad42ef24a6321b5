// SPDX-License-Identifier: GPL-2.0-only
/* Which files of several lists are the same, what is known of them then, and what they are called. */
#include "unit.h"
#include "list/list_files.h"

static struct list_files files;
static struct page_runs runs[2];
static char *why;

static int drop(void **state)
{
	list_files_free(&files);
	page_runs_free(&runs[0]);
	page_runs_free(&runs[1]);
	free(why);
	why = NULL;
	unlink("text");
	return 0;
}

static int add(const char *text, int i)
{
	unit_text("text", text);
	return list_files_read(&files, "text", &runs[i], &why);
}

#define NEITHER (-1)

/* Read lists with these headers and the page 7 each. Returns how many files they are. */
static int read_two(const char *a, const char *b)
{
	char *text;
	int i, err = 0;

	drop(NULL);
	for (i = 0; i < 2 && !err; i++) {
		assert_true(asprintf(&text, "# file=%s\n7\n", i ? b : a) > 0);
		files.unify = true;
		err = add(text, i);
		free(text);
	}
	if (err)
		return NEITHER;
	return runs[0].runs[0].file == runs[1].runs[0].file ? 1 : 2;
}

#define UUID  " uuid=00112233-4455-6677-8899-aabbccddeeff"
#define UUID2 " uuid=00112233-4455-6677-8899-aabbccddee00"

static void the_same_identity_is_the_same_file_whatever_its_name(void **state)
{
	assert_int_equal(read_two("/a fsid=5 ino=7", "/b fsid=5 ino=7"), 1);
	assert_string_equal(files.sections[0].file, "/a");
	assert_int_equal(read_two("/a fsid=5 ino=7 gen=3", "/b fsid=5 ino=7 gen=3"), 1);
	assert_int_equal(read_two("/a fsid=5 ino=7 gen=0", "/b fsid=5 ino=7 gen=3"), 1);
	assert_int_equal(read_two("/a fsid=5 ino=7" UUID, "/b fsid=5 ino=7" UUID), 1);
	/* Where one of them has no UUID, the fsid counts. */
	assert_int_equal(read_two("/a fsid=5 ino=7" UUID, "/b fsid=5 ino=7"), 1);
}

static void another_identity_is_another_file(void **state)
{
	assert_int_equal(read_two("/a fsid=5 ino=7", "/b fsid=5 ino=8"), 2);
	assert_int_equal(read_two("/a fsid=5 ino=7", "/b fsid=6 ino=7"), 2);
	assert_int_equal(read_two("/a fsid=5 ino=7 gen=3", "/b fsid=5 ino=7 gen=4"), 2);
	assert_int_equal(read_two("/a fsid=5 ino=7" UUID, "/b fsid=5 ino=7" UUID2), 2);
}

/* A subvolume, or a device with another number; FUSE; a header without inode or file system. */
static void where_the_identity_does_not_tell_the_name_does(void **state)
{
	static const char *const open[][2] = { { " fsid=5 ino=7" UUID, " fsid=6 ino=7" UUID },
					       { " fsid=0 ino=7", " fsid=0 ino=7" },
					       { " ino=7", " ino=7" },
					       { " fsid=5", " fsid=6" },
					       { "", " fsid=5 ino=7" UUID } };
	char a[100], b[100], c[100];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(open); i++) {
		snprintf(a, sizeof(a), "/a%s", open[i][0]);
		snprintf(b, sizeof(b), "/a%s", open[i][1]);
		snprintf(c, sizeof(c), "/c%s", open[i][1]);
		assert_int_equal(read_two(a, b), 1);
		assert_int_equal(read_two(a, c), 2);
	}
}

static void a_name_of_two_files_is_refused(void **state)
{
	assert_int_equal(read_two("/a fsid=5 ino=7", "/a fsid=5 ino=8"), NEITHER);
	assert_non_null(strstr(why, "/a: is two files in these lists; --newest"));
	assert_int_equal(read_two("/a ino=7 fsid=5" UUID, "/a ino=7 fsid=5" UUID2), NEITHER);
}

static int read_newest(const char *a, const char *b)
{
	drop(NULL);
	files.unify = files.newest = true;
	return add(a, 0) || add(b, 1) ? NEITHER : 0;
}

static const char *name_of(int i)
{
	return files.sections[runs[i].runs[0].file].file;
}

static void of_two_files_with_a_name_the_newest_stays(void **state)
{
	assert_int_equal(read_newest("# file=/a fsid=5 ino=7 mtime_ns=10\n7\n",
				     "# file=/a fsid=5 ino=8 mtime_ns=11\n7\n"),
			 0);
	assert_null(name_of(0));
	assert_string_equal(name_of(1), "/a");
	assert_int_equal(files.sections[runs[1].runs[0].file].id.ino, 8);
	assert_int_equal(read_newest("# file=/a fsid=5 ino=7 mtime_ns=10\n7\n",
				     "# file=/a fsid=5 ino=8 mtime_ns=-11\n7\n"),
			 0);
	assert_string_equal(name_of(0), "/a");
	assert_null(name_of(1));
	/* Once more the older one: it is not taken for the newer. */
	page_runs_free(&runs[1]);
	assert_int_equal(add("# file=/a fsid=5 ino=8 mtime_ns=-11\n7\n", 1), 0);
	assert_null(name_of(1));
	assert_int_equal(read_newest("# file=/a fsid=5 ino=7 mtime_ns=10\n7\n",
				     "# file=/a fsid=5 ino=8 mtime_ns=10\n7\n"),
			 NEITHER);
	assert_non_null(strstr(why, "neither is newer"));
	assert_int_equal(read_newest("# file=/a fsid=5 ino=7 mtime_ns=10\n7\n",
				     "# file=/a fsid=5 ino=8\n7\n"),
			 NEITHER);
}

static void list_is(const char *want)
{
	size_t size;
	char *text;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	list_files_write(&files, &runs[0], f);
	fclose(f);
	assert_string_equal(text, want);
	free(text);
}

static void the_first_header_stays_and_gets_what_it_has_not(void **state)
{
	assert_int_equal(read_two("/a ino=7 fsid=5 size=9 misses=1 pattern=seq",
				  "/a ino=7 fsid=5 gen=4 size=10 mtime_ns=3 misses=2" UUID),
			 1);
	list_is("# page2cache offsets 1\n# file=/a fsid=0000000000000005 ino=7 gen=4 size=9 "
		"mtime_ns=3 misses=1 uuid=00112233-4455-6677-8899-aabbccddeeff pattern=seq\n7\n");
}

static void what_a_list_leaves_out_stays_out(void **state)
{
	assert_int_equal(add("# incomplete: as it was\n# file=/a pattern=mmap\n9\n# file=/b\n3\n"
			     "# file=/a misses=5\n1-2\n9-10\n# file=/c\n",
			     0),
			 0);
	/* Its order is random now, or was before. A file without pages is gone. */
	list_is("# page2cache offsets 2\n# incomplete: events of the recording were lost, so pages "
		"may be missing\n# file=/a @1 misses=5 pattern=random\n# file=/b @2\n9 @1\n3 @2\n"
		"1+2 @1\n10 @1\n");
}

static void rebased(const char *from, const char *to, ssize_t n, const char *want)
{
	drop(NULL);
	assert_int_equal(add("# file=/srv/app/x ino=5 gen=6 fsid=7 size=8 mtime_ns=9" UUID
			     "\n1\n# file=/srv/application ino=4\n2\n# file=rel/y ino=3\n3\n",
			     0),
			 0);
	assert_int_equal(list_files_rebase(&files, from, to, &why), n);
	if (want)
		list_is(want);
}

#define REBASED(x, y, z) \
	"# page2cache offsets 1\n# file=" x "\n1\n# file=" y "\n2\n# file=" z "\n3\n"

static void files_get_other_names_and_lose_their_identity(void **state)
{
	rebased("/srv/app", "/mnt/r", 1,
		REBASED("/mnt/r/x size=8 mtime_ns=9", "/srv/application ino=4", "rel/y ino=3"));
	rebased("/srv/app//", "/mnt/r/", 1,
		REBASED("/mnt/r/x size=8 mtime_ns=9", "/srv/application ino=4", "rel/y ino=3"));
	rebased("/srv/app/x", "/z", 1,
		REBASED("/z size=8 mtime_ns=9", "/srv/application ino=4", "rel/y ino=3"));
	rebased("/", "/mnt", 2,
		REBASED("/mnt/srv/app/x size=8 mtime_ns=9", "/mnt/srv/application", "rel/y ino=3"));
	rebased("/srv", "/", 2, REBASED("/app/x size=8 mtime_ns=9", "/application", "rel/y ino=3"));
	rebased("/", "/", 2,
		REBASED("/srv/app/x size=8 mtime_ns=9", "/srv/application", "rel/y ino=3"));
	rebased("/srv", ".", 2, REBASED("app/x size=8 mtime_ns=9", "application", "rel/y ino=3"));
	rebased("/srv", "r", 2,
		REBASED("r/app/x size=8 mtime_ns=9", "r/application", "rel/y ino=3"));
	rebased(".", "/srv", 1, NULL);
	assert_string_equal(files.sections[2].file, "/srv/rel/y");
	assert_int_equal(files.sections[2].has, 0);
	assert_int_equal(files.sections[0].id.ino, 5);
	rebased("rel", "/", 1, NULL);
	assert_string_equal(files.sections[2].file, "/y");
	rebased("/srv/ap", "/x", 0, NULL);
	rebased("/srv/app/x/", "/srv/application", -EINVAL, NULL);
	assert_non_null(strstr(why, "/srv/application: two files"));
}

#define FILES(name) cmocka_unit_test_teardown(name, drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FILES(the_same_identity_is_the_same_file_whatever_its_name),
		FILES(another_identity_is_another_file),
		FILES(where_the_identity_does_not_tell_the_name_does),
		FILES(a_name_of_two_files_is_refused),
		FILES(of_two_files_with_a_name_the_newest_stays),
		FILES(the_first_header_stays_and_gets_what_it_has_not),
		FILES(what_a_list_leaves_out_stays_out),
		FILES(files_get_other_names_and_lose_their_identity),
	};

	return cmocka_run_group_tests(tests, unit_enter, unit_leave);
}
