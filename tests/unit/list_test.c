// SPDX-License-Identifier: GPL-2.0-only
/* A list in memory: whose pages, which of them, in what order, and what is refused. */
#include "unit.h"

#include <sys/stat.h>

#include "list/list.h"
#include "list/list_text.h"

#define DATA_PAGES 10

static struct list list;
static char *why;

/* `data` has ten pages, the last of them not whole; `other` five. */
static int make_files(void **state)
{
	why = NULL;
	memset(&list, 0, sizeof(list));
	unit_file("data", DATA_PAGES * page_size() - 100);
	unit_file("other", 5 * page_size());
	return 0;
}

static int drop_files(void **state)
{
	list_free(&list);
	free(why);
	unlink("data");
	unlink("other");
	unlink("link");
	unlink("text");
	return 0;
}

static int load_text(const char *text, const char *only, bool stale_ok, bool strict)
{
	struct list_options opt = { .only_file = only, .stale_ok = stale_ok, .strict = strict };

	list_free(&list);
	free(why);
	why = NULL;
	unit_text("text", text);
	return list_load(&list, "text", &opt, &why);
}

/* The header line of a file as it is now, with KEY=VALUE instead of what it has there. */
static char *header(const char *file, const char *key, const char *value)
{
	struct offsets_section s = { .file = (char *)file,
				     .has = OFFSETS_ALL_FIELDS,
				     .page_size = page_size(),
				     .misses = 4 };
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	char *text, *at, *end, *out;
	size_t size;
	FILE *f;

	assert_true(fd >= 0);
	assert_int_equal(identity_of(fd, &s.id), 0);
	close(fd);
	f = open_memstream(&text, &size);
	offsets_write_section(f, &s, 0);
	fclose(f);
	if (!key)
		return text;
	at = strstr(text, key);
	assert_non_null(at);
	at += strlen(key);
	end = at + strcspn(at, " \n");
	assert_true(asprintf(&out, "%.*s%s%s", (int)(at - text), text, value, end) > 0);
	free(text);
	return out;
}

/* Load a header and `0` after it. */
static int load_header(char *line, const char *only, bool stale_ok, bool strict)
{
	char *text;
	int err;

	assert_true(asprintf(&text, "%s0\n", line) > 0);
	err = load_text(text, only, stale_ok, strict);
	free(text);
	free(line);
	return err;
}

static void extents_are(const struct extent *want, size_t n)
{
	size_t i;

	assert_int_equal(list.nr_extents, n);
	for (i = 0; i < n; i++) {
		assert_int_equal(list.extents[i].file, want[i].file);
		assert_int_equal(list.extents[i].index, want[i].index);
		assert_int_equal(list.extents[i].nr_pages, want[i].nr_pages);
	}
}

#define EXTENTS(...)                                                  \
	do {                                                          \
		static const struct extent want_[] = { __VA_ARGS__ }; \
		extents_are(want_, ARRAY_SIZE(want_));                \
	} while (0)

static void an_extent_takes_16_bytes(void **state)
{
	assert_int_equal(sizeof(struct extent), 16);
}

static void extents_are_clipped_at_the_end_of_the_file(void **state)
{
	assert_int_equal(load_text("8+5\n9\n10\n9223372036854775808\n", "data", false, false), 0);
	EXTENTS({ 8, 2, 0 });
	assert_int_equal(list.files[0].nr_pages, DATA_PAGES);
	assert_int_equal(list.files[0].listed_pages, 2);
	assert_int_equal(list.files[0].past_eof, 3 + 1 + 1);
}

static void the_count_of_pages_past_the_end_does_not_wrap(void **state)
{
	assert_int_equal(load_text("0+18446744073709551615\n1+18446744073709551615\n"
				   "20+18446744073709551595\n",
				   "data", false, false),
			 0);
	EXTENTS({ 0, DATA_PAGES, 0 });
	assert_int_equal(list.files[0].listed_pages, DATA_PAGES);
	assert_true(list.files[0].past_eof >= 1ULL << 62);
	/* Whatever is added to it later on. */
	assert_true(list.files[0].past_eof + list.files[0].listed_pages < 1ULL << 63);
}

static void of_overlapping_extents_the_first_keeps_its_place(void **state)
{
	assert_int_equal(load_text("5+3\n0+10\n5\n", "data", false, false), 0);
	EXTENTS({ 5, 3, 0 }, { 0, 5, 0 }, { 8, 2, 0 });
	assert_int_equal(list.files[0].listed_pages, 10);
	assert_int_equal(load_text("3-4\n3-4\n4-5\n2-3\n", "data", false, false), 0);
	EXTENTS({ 3, 3, 0 }, { 2, 1, 0 });
	assert_int_equal(list.files[0].listed_pages, 4);
}

static void only_consecutive_lines_are_merged(void **state)
{
	assert_int_equal(load_text("0\n1\n2+2\n", "data", false, false), 0);
	EXTENTS({ 0, 4, 0 });
	assert_int_equal(load_text("0\n5\n1\n6\n", "data", false, false), 0);
	EXTENTS({ 0, 1, 0 }, { 5, 1, 0 }, { 1, 1, 0 }, { 6, 1, 0 });
	assert_int_equal(load_text("2\n1\n0\n", "data", false, false), 0);
	EXTENTS({ 2, 1, 0 }, { 1, 1, 0 }, { 0, 1, 0 });
	assert_int_equal(load_text("# file=data\n3\n# file=other\n4\n# file=data\n4\n", NULL, false,
				   false),
			 0);
	EXTENTS({ 3, 1, 0 }, { 4, 1, 1 }, { 4, 1, 0 });
}

/* Against a model that keeps each page where it first came. */
static void random_lists_hold_each_page_once_where_it_first_came(void **state)
{
	enum {
		PAGES = 1000,
		LINES = 300
	};
	static uint32_t order[PAGES];
	char *text, seen[PAGES];
	uint64_t first, nr, page;
	size_t size, n, i, k, past;
	int round;
	FILE *f;

	assert_int_equal(truncate("data", PAGES * page_size()), 0);
	for (round = 0; round < 50; round++) {
		f = open_memstream(&text, &size);
		memset(seen, 0, sizeof(seen));
		n = past = 0;
		for (i = 0; i < LINES; i++) {
			first = unit_random() % (PAGES + 20);
			nr = 1 + unit_random() % (round % 2 ? 3 : 300);
			fprintf(f, "%llu+%llu\n", (unsigned long long)first,
				(unsigned long long)nr);
			for (page = first; page < first + nr; page++) {
				if (page >= PAGES) {
					past++;
				} else if (!seen[page]) {
					seen[page] = 1;
					order[n++] = page;
				}
			}
		}
		fclose(f);
		assert_int_equal(load_text(text, "data", false, false), 0);
		assert_int_equal(list.files[0].listed_pages, n);
		assert_int_equal(list.files[0].past_eof, past);
		for (i = k = 0; i < list.nr_extents; i++) {
			for (page = 0; page < list.extents[i].nr_pages; page++, k++) {
				assert_true(k < n);
				assert_int_equal(list.extents[i].index + page, order[k]);
			}
			/* What could be merged is. */
			if (i)
				assert_int_not_equal(list.extents[i].index,
						     list.extents[i - 1].index +
							     list.extents[i - 1].nr_pages);
		}
		assert_int_equal(k, n);
		free(text);
	}
}

static void a_section_can_come_back(void **state)
{
	assert_int_equal(load_text("# file=data misses=7\n0\n# file=other misses=2\n0-1\n"
				   "# file=data misses=7\n0-1\n# file=other misses=2\n1-9\n",
				   NULL, false, false),
			 0);
	assert_int_equal(list.nr_files, 2);
	EXTENTS({ 0, 1, 0 }, { 0, 2, 1 }, { 1, 1, 0 }, { 2, 3, 1 });
	assert_string_equal(list.files[0].target.path, "data");
	assert_string_equal(list.files[1].target.path, "other");
	assert_int_equal(list.files[0].misses, 7);
	assert_true(list.files[0].misses_known);
	assert_int_equal(list.files[1].past_eof, 5);
}

static void extents_with_numbers_are_of_their_files(void **state)
{
	assert_int_equal(load_text("# page2cache offsets 2\n# file=data @1 misses=7\n"
				   "# file=other @2\n0 @1\n0-1 @2\n0-1 @1\n1-9 @2\n",
				   NULL, false, false),
			 0);
	assert_int_equal(list.nr_files, 2);
	EXTENTS({ 0, 1, 0 }, { 0, 2, 1 }, { 1, 1, 0 }, { 2, 3, 1 });
	assert_int_equal(list.files[0].misses, 7);
	/* Of one file only. */
	assert_int_equal(load_text("# page2cache offsets 2\n# file=data @1\n# file=other @2\n"
				   "0 @1\n1 @2\n2 @1\n3\n",
				   "other", false, false),
			 0);
	assert_int_equal(list.nr_files, 1);
	EXTENTS({ 1, 1, 0 }, { 3, 1, 0 });
	/* Two lists, one behind the other. */
	assert_int_equal(load_text("# page2cache offsets 2\n# file=data @1\n3 @1\n"
				   "# page2cache offsets 2\n# file=other @1\n4 @1\n",
				   NULL, false, false),
			 0);
	EXTENTS({ 3, 1, 0 }, { 4, 1, 1 });
	/* Whose pages come without a section behind the first list is not known. */
	assert_int_equal(load_text("# file=data\n3\n# page2cache offsets 1\n4\n", NULL, false,
				   false),
			 -EINVAL);
	assert_non_null(strstr(why, "text:4: no file"));
}

static void an_empty_list_is_no_error(void **state)
{
	assert_int_equal(load_text("", NULL, false, false), 0);
	assert_int_equal(list.nr_files + list.nr_extents, 0);
	assert_int_equal(load_text("# page2cache offsets 1\n# file=data\n", NULL, false, false), 0);
	assert_int_equal(list.nr_files, 1);
	assert_int_equal(list.nr_extents, 0);
	assert_int_equal(list.files[0].state, LIST_READY);
	assert_int_equal(load_text("\n", "data", false, false), 0);
	assert_int_equal(list.nr_extents, 0);
}

static void all_pages_of_an_empty_file_are_past_its_end(void **state)
{
	assert_int_equal(truncate("data", 0), 0);
	assert_int_equal(load_text("0\n5+5\n", "data", false, false), 0);
	assert_int_equal(list.nr_extents, 0);
	assert_int_equal(list.files[0].past_eof, 6);
	assert_int_equal(list.files[0].listed_pages, 0);
}

static void an_unchanged_file_is_ready(void **state)
{
	assert_int_equal(load_header(header("data", NULL, NULL), NULL, false, true), 0);
	assert_int_equal(list.files[0].state, LIST_READY);
	assert_null(list.files[0].why);
	EXTENTS({ 0, 1, 0 });
	assert_true(list.files[0].misses_known);
	assert_int_equal(list.files[0].misses, 4);
}

static void stale_unless(const char *key, const char *value, const char *about)
{
	assert_int_equal(load_header(header("data", key, value), NULL, false, false), 0);
	assert_int_equal(list.files[0].state, LIST_STALE);
	assert_non_null(strstr(list.files[0].why, "data"));
	assert_non_null(strstr(list.files[0].why, about));
	assert_int_equal(list.nr_extents, 0);
	/* What was asked for is still counted. */
	assert_int_equal(list.files[0].listed_pages, 1);
	assert_int_equal(load_header(header("data", key, value), NULL, true, false), 0);
	assert_int_equal(list.files[0].state, LIST_READY);
	EXTENTS({ 0, 1, 0 });
}

/* A header of some file system, against what a file's is now. */
static bool is_of_fs(uint8_t recorded_uuid, uint64_t recorded_fsid, const struct identity *now)
{
	struct offsets_section s = { .id = { .uuid.bytes = { [15] = recorded_uuid },
					     .fsid = recorded_fsid },
				     .has = recorded_fsid ? OFFSETS_FSID : 0 };

	return header_is_of_fs(&s, now);
}

static void a_file_system_is_its_uuid_and_else_its_fsid(void **state)
{
	const struct identity xfs = { .uuid.bytes = { [15] = 7 }, .fsid = 1 };
	const struct identity btrfs = { .uuid.bytes = { [15] = 7 }, .fsid = 1, .subvolumes = true };
	const struct identity squashfs = { .fsid = 1 };

	assert_true(is_of_fs(7, 1, &xfs));
	/* Its device has another number. */
	assert_true(is_of_fs(7, 2, &xfs));
	assert_true(is_of_fs(7, 0, &xfs));
	assert_false(is_of_fs(8, 1, &xfs));
	/* A list of before. */
	assert_true(is_of_fs(0, 1, &xfs));
	assert_false(is_of_fs(0, 2, &xfs));
	assert_true(is_of_fs(0, 0, &xfs));
	/* Another subvolume of the same file system. */
	assert_true(is_of_fs(7, 1, &btrfs));
	assert_false(is_of_fs(7, 2, &btrfs));
	assert_false(is_of_fs(8, 1, &btrfs));
	/* One without a UUID. */
	assert_true(is_of_fs(7, 1, &squashfs));
	assert_false(is_of_fs(7, 2, &squashfs));
}

static void another_file_system_or_inode_is_stale_unless_allowed(void **state)
{
	struct identity id;
	int fd = open("data", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(identity_of(fd, &id), 0);
	close(fd);
	if (uuid_is_known(&id.uuid))
		stale_unless("uuid=", "11112222-3333-4444-5555-666677778888",
			     "another file system");
	else
		stale_unless("fsid=", "1", "another file system");
	stale_unless("ino=", "1", "replaced");
}

static void another_generation_is_stale_where_both_are_known(void **state)
{
	struct identity id;
	int fd = open("data", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(identity_of(fd, &id), 0);
	close(fd);
	/* 0: the file system had none when the list was written. */
	assert_int_equal(load_header(header("data", "gen=", "0"), NULL, false, false), 0);
	assert_int_equal(list.files[0].state, LIST_READY);
	if (!id.gen) {
		print_message("this file system has no generations: the rest is skipped\n");
		skip();
	}
	stale_unless("gen=", id.gen == 12345 ? "12346" : "12345", "replaced");
}

static void a_file_that_shrank_is_stale_and_one_that_grew_is_not(void **state)
{
	char *line = header("data", NULL, NULL);

	stale_unless("size=", "99999999", "shrunk");
	assert_int_equal(truncate("data", 20 * page_size()), 0);
	assert_int_equal(load_header(line, NULL, false, false), 0);
	assert_int_equal(list.files[0].state, LIST_READY);
}

static void a_newer_mtime_is_stale_only_if_strict(void **state)
{
	assert_int_equal(load_header(header("data", "mtime_ns=", "5"), NULL, false, false), 0);
	assert_int_equal(list.files[0].state, LIST_READY);
	assert_int_equal(load_header(header("data", "mtime_ns=", "5"), NULL, false, true), 0);
	assert_int_equal(list.files[0].state, LIST_STALE);
	assert_non_null(strstr(list.files[0].why, "written"));
	assert_int_equal(load_header(header("data", "mtime_ns=", "5"), NULL, true, true), 0);
	assert_int_equal(list.files[0].state, LIST_READY);
	/* An older one: restored from a backup, with the same pages. */
	assert_int_equal(load_header(header("data", "mtime_ns=", "9000000000000000000"), NULL,
				     false, true),
			 0);
	assert_int_equal(list.files[0].state, LIST_READY);
}

static void one_stale_or_missing_file_leaves_the_others(void **state)
{
	assert_int_equal(load_text("# file=data ino=1\n0-2\n# file=missing\n5+5\n# file=other\n3\n",
				   NULL, false, false),
			 0);
	assert_int_equal(list.nr_files, 3);
	assert_int_equal(list.files[0].state, LIST_STALE);
	assert_int_equal(list.files[1].state, LIST_GONE);
	assert_int_equal(list.files[2].state, LIST_READY);
	assert_int_equal(list.files[0].listed_pages, 3);
	assert_int_equal(list.files[1].listed_pages, 5);
	assert_string_equal(list.files[1].target.path, "missing");
	assert_non_null(strstr(list.files[1].why, "missing"));
	EXTENTS({ 3, 1, 2 });
}

static void what_is_no_regular_file_is_gone_and_never_blocks(void **state)
{
	assert_int_equal(mkfifo("link", 0600), 0);
	alarm(60); /* opening a FIFO for reading would wait for its writer */
	assert_int_equal(load_text("# file=link\n0\n# file=/dev/null\n0\n# file=.\n0\n"
				   "# file=/proc/self/status\n0\n# file=data\n1\n",
				   NULL, true, false),
			 0);
	alarm(0);
	assert_int_equal(list.nr_files, 5);
	assert_int_equal(list.files[0].state, LIST_GONE);
	assert_int_equal(list.files[1].state, LIST_GONE);
	assert_int_equal(list.files[2].state, LIST_GONE);
	assert_int_equal(list.files[3].state, LIST_GONE);
	EXTENTS({ 1, 1, 4 });
}

static void f_picks_its_section_by_name(void **state)
{
	static const char text[] = "# file=data\n0\n# file=other\n1\n# file=data\n2\n";

	assert_int_equal(load_text(text, "data", false, false), 0);
	assert_int_equal(list.nr_files, 1);
	EXTENTS({ 0, 1, 0 }, { 2, 1, 0 });
	assert_int_equal(load_text(text, "other", false, false), 0);
	EXTENTS({ 1, 1, 0 });
}

static void f_finds_a_renamed_file_by_its_identity(void **state)
{
	char *line = header("data", NULL, NULL);

	assert_int_equal(rename("data", "link"), 0);
	assert_int_equal(load_header(line, "link", false, false), 0);
	assert_int_equal(list.files[0].state, LIST_READY);
	EXTENTS({ 0, 1, 0 });
}

static void f_refuses_a_list_of_another_file(void **state)
{
	assert_int_equal(load_header(header("data", NULL, NULL), "other", false, false), -EINVAL);
	assert_non_null(strstr(why, "text"));
	assert_non_null(strstr(why, "other"));
	/* Unless it is told that one serves for the other. */
	assert_int_equal(load_header(header("data", NULL, NULL), "other", true, false), 0);
	EXTENTS({ 0, 1, 0 });
}

static void f_checks_its_section_like_any_other(void **state)
{
	assert_int_equal(load_header(header("data", "size=", "99999999"), "data", false, false), 0);
	assert_int_equal(list.files[0].state, LIST_STALE);
	assert_int_equal(list.nr_extents, 0);
}

static void f_must_be_a_file_that_can_be_cached(void **state)
{
	assert_int_equal(load_text("0\n", "missing", false, false), -EINVAL);
	assert_non_null(strstr(why, "missing"));
	assert_int_equal(load_text("0\n", ".", false, false), -EINVAL);
	assert_non_null(strstr(why, "directory"));
}

static void extents_without_a_file_are_refused(void **state)
{
	assert_int_equal(load_text("# a comment\n5\n# file=data\n6\n", NULL, false, false),
			 -EINVAL);
	assert_non_null(strstr(why, "text:2: "));
	assert_non_null(strstr(why, "-f FILE"));
}

static void bad_lines_are_named_by_list_and_number(void **state)
{
	assert_int_equal(load_text("0\n1\n\n# c\n7+\n", "data", false, false), -EINVAL);
	assert_ptr_equal(strstr(why, "text:5: "), why);
	assert_int_equal(load_text("# file=data page_size=512\n", NULL, false, false), -EINVAL);
	assert_ptr_equal(strstr(why, "text:1: "), why);
	assert_non_null(strstr(why, "page size"));
}

static void a_list_that_cannot_be_read_is_bad_input(void **state)
{
	struct list_options opt = { 0 };

	assert_int_equal(list_load(&list, "nothing-there", &opt, &why), -EINVAL);
	assert_non_null(strstr(why, "nothing-there"));
	free(why);
	why = NULL;
	assert_int_equal(list_load(&list, ".", &opt, &why), -EINVAL);
	assert_non_null(why);
}

static int load_stdin(const char *text)
{
	struct list_options opt = { "data", false, false };
	int saved = dup(0), in, err;

	unit_text("text", text);
	in = open("text", O_RDONLY | O_CLOEXEC);
	assert_true(saved >= 0 && in >= 0 && dup2(in, 0) == 0);
	list_free(&list);
	err = list_load(&list, "-", &opt, &why);
	assert_true(dup2(saved, 0) == 0);
	close(in);
	close(saved);
	return err;
}

static void a_dash_is_standard_input(void **state)
{
	assert_int_equal(load_stdin("4+2\nx\n"), -EINVAL);
	assert_ptr_equal(strstr(why, "standard input:2: "), why);
	assert_int_equal(list.nr_extents, 0);
	assert_int_equal(load_stdin("4+2\n"), 0);
	EXTENTS({ 4, 2, 0 });
}

static void a_stale_link_leaves_the_file_under_its_other_name(void **state)
{
	char *fine = header("data", NULL, NULL), *stale, *text;

	assert_int_equal(link("data", "link"), 0);
	stale = header("link", " ino=", "1");
	assert_true(asprintf(&text, "%s3\n%s4\n", fine, stale) > 0);
	assert_int_equal(load_text(text, NULL, false, false), 0);
	assert_int_equal(list.nr_files, 2);
	assert_int_equal(list.files[0].state, LIST_READY);
	assert_int_equal(list.files[1].state, LIST_STALE);
	EXTENTS({ 3, 1, 0 });
	free(text);
	/* The other way round: the stale name comes first. */
	assert_true(asprintf(&text, "%s4\n%s3\n", stale, fine) > 0);
	assert_int_equal(load_text(text, NULL, false, false), 0);
	assert_int_equal(list.files[0].state, LIST_STALE);
	assert_int_equal(list.files[1].state, LIST_READY);
	EXTENTS({ 3, 1, 1 });
	free(text);
	free(fine);
	free(stale);
}

static void a_file_under_two_names_is_one(void **state)
{
	char *fine = header("data", NULL, NULL), *other = header("other", NULL, NULL), *too, *text;

	assert_int_equal(link("data", "link"), 0);
	too = header("link", NULL, NULL);
	assert_true(asprintf(&text, "%s3\n%s1\n%s4\n%s5\n", fine, other, too, other) > 0);
	assert_int_equal(load_text(text, NULL, false, false), 0);
	assert_int_equal(list.nr_files, 2);
	EXTENTS({ 3, 1, 0 }, { 1, 1, 1 }, { 4, 1, 0 });
	free(text);
	free(fine);
	free(other);
	free(too);
}

static void sections_come_back_among_thousands_of_files(void **state)
{
	const size_t files = 4000, sections = 20000;
	size_t size, i;
	char *text, path[32];
	FILE *f = open_memstream(&text, &size);

	for (i = 0; i < sections; i++)
		fprintf(f, "# file=gone.%zu\n%zu\n", i % files, i);
	fclose(f);
	assert_int_equal(load_text(text, NULL, false, false), 0);
	assert_int_equal(list.nr_files, files);
	for (i = 0; i < files; i++) {
		snprintf(path, sizeof(path), "gone.%zu", i);
		assert_string_equal(list.files[i].target.path, path);
		assert_int_equal(list.files[i].listed_pages, sections / files);
	}
	free(text);
}

static void whole_files_are_all_of_their_pages_once(void **state)
{
	struct name data = { .path = "data" }, other = { .path = "other" };
	struct name missing = { .path = "missing" }, found = { .path = "list_test", .found = true };
	struct name all[] = { data, found, other, data };
	struct names names = { .all = all, .nr = ARRAY_SIZE(all) };

	/* One that was found and has been deleted by now is not of the list. */
	assert_int_equal(list_whole_files(&list, &names, &why), 0);
	assert_int_equal(list.nr_files, 2);
	EXTENTS({ 0, DATA_PAGES, 0 }, { 0, 5, 1 });
	assert_false(names.incomplete);
	list_free(&list);
	all[2] = missing;
	assert_int_equal(list_whole_files(&list, &names, &why), -EINVAL);
	assert_non_null(strstr(why, "missing"));
}

/* More pages than one word or one piece of anything holds. */
static void long_extents_of_a_large_file_keep_their_length(void **state)
{
	const uint64_t pages = (1 << 21) + 5;

	assert_int_equal(truncate("data", pages * page_size()), 0);
	assert_int_equal(load_text("1000000\n1+2097156\n0-99999999\n", "data", false, false), 0);
	assert_int_equal(list.nr_extents, 4);
	assert_int_equal(list.extents[1].index, 1);
	assert_int_equal(list.extents[1].nr_pages, 999999);
	assert_int_equal(list.extents[2].index, 1000001);
	assert_int_equal(list.extents[2].nr_pages, pages - 1000001);
	assert_int_equal(list.extents[3].index, 0);
	assert_int_equal(list.files[0].listed_pages, pages);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_files, drop_files)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_extent_takes_16_bytes),
		TEST(extents_are_clipped_at_the_end_of_the_file),
		TEST(the_count_of_pages_past_the_end_does_not_wrap),
		TEST(of_overlapping_extents_the_first_keeps_its_place),
		TEST(only_consecutive_lines_are_merged),
		TEST(random_lists_hold_each_page_once_where_it_first_came),
		TEST(a_section_can_come_back),
		TEST(extents_with_numbers_are_of_their_files),
		TEST(an_empty_list_is_no_error),
		TEST(all_pages_of_an_empty_file_are_past_its_end),
		TEST(an_unchanged_file_is_ready),
		TEST(a_file_system_is_its_uuid_and_else_its_fsid),
		TEST(another_file_system_or_inode_is_stale_unless_allowed),
		TEST(another_generation_is_stale_where_both_are_known),
		TEST(a_file_that_shrank_is_stale_and_one_that_grew_is_not),
		TEST(a_newer_mtime_is_stale_only_if_strict),
		TEST(one_stale_or_missing_file_leaves_the_others),
		TEST(what_is_no_regular_file_is_gone_and_never_blocks),
		TEST(f_picks_its_section_by_name),
		TEST(f_finds_a_renamed_file_by_its_identity),
		TEST(f_refuses_a_list_of_another_file),
		TEST(f_checks_its_section_like_any_other),
		TEST(f_must_be_a_file_that_can_be_cached),
		TEST(extents_without_a_file_are_refused),
		TEST(bad_lines_are_named_by_list_and_number),
		TEST(a_list_that_cannot_be_read_is_bad_input),
		TEST(a_dash_is_standard_input),
		TEST(a_stale_link_leaves_the_file_under_its_other_name),
		TEST(a_file_under_two_names_is_one),
		TEST(sections_come_back_among_thousands_of_files),
		TEST(whole_files_are_all_of_their_pages_once),
		TEST(long_extents_of_a_large_file_keep_their_length),
	};

	return cmocka_run_group_tests(tests, unit_enter, unit_leave);
}
