// SPDX-License-Identifier: GPL-2.0-only
/* Tables: which columns, in which order, with which heading, and what a cell cannot do. */
#include "unit.h"

#include <locale.h>

#include "base/table.h"

struct row {
	uint64_t pages;
	double ratio;
	const char *file;
};

#define AT(field) offsetof(struct row, field)
static const struct column columns[] = {
	{ "PAGES", false, 0, column_u64, AT(pages) },
	{ "RES%", false, 0, column_percent, AT(ratio) },
	{ "FILE", true, 0, column_text, AT(file) },
};
static const struct column other_columns[] = {
	{ "TIME", true, 8, column_text, AT(file) },
	{ "PAGES", false, 10, column_u64, AT(pages) },
};
#undef AT

static const struct table_layout plain = { columns, ARRAY_SIZE(columns), 0 };
static const struct table_layout streamed = { other_columns, ARRAY_SIZE(other_columns), 2 };
static const struct table_layout *const both[] = { &streamed, &plain };

static const struct row rows[] = {
	{ 7, 0.5, "a" },
	{ 1234567, -1, "b c" },
	{ 0, 1, "" },
};

static void expect(const struct table_layout *layout, const struct table_options *opt,
		   const struct row *all, size_t n, const char *want)
{
	char *text = NULL;
	size_t len, i;
	FILE *f = open_memstream(&text, &len);
	struct table *t;

	assert_non_null(f);
	t = table_new(layout, opt, f);
	for (i = 0; i < n; i++)
		table_row(t, &all[i]);
	table_end(t);
	assert_int_equal(fclose(f), 0);
	assert_string_equal(text, want);
	free(text);
}

static void numbers_are_right_aligned_texts_left_and_nothing_is_a_dash(void **state)
{
	const struct table_options opt = { 0 };

	expect(&plain, &opt, rows, 3,
	       "  PAGES    RES% FILE\n"
	       "      7  50.00% a\n"
	       "1234567       - b c\n"
	       "      0 100.00% -\n");
	expect(&plain, &opt, rows, 0, "");
}

static void columns_are_those_that_were_named_in_that_order(void **state)
{
	const struct table_options opt = { .columns = "file,Pages,FILE" };
	const struct table_options none = { .columns = "TIME" };

	expect(&plain, &opt, rows, 2,
	       "FILE   PAGES FILE\n"
	       "a          7 a\n"
	       "b c  1234567 b c\n");
	expect(&plain, &none, rows, 2, "");
}

static void without_headings_only_rows_are_printed(void **state)
{
	const struct table_options opt = { .no_headings = true };

	expect(&plain, &opt, rows, 1, "    7 50.00% a\n");
	expect(&streamed, &opt, rows, 3,
	       "a                 7\nb c         1234567\n-                 0\n");
}

static void a_raw_row_has_a_blank_between_cells_and_none_within(void **state)
{
	static const struct row odd[] = { { 1, 0, " \t\n\\" }, { 2, 0, "gr\xc3\xbc\xff" } };
	const struct table_options opt = { .raw = true };

	expect(&plain, &opt, rows, 3,
	       "PAGES RES% FILE\n"
	       "7 50.00% a\n"
	       "1234567 - b\\x20c\n"
	       "0 100.00% -\n");
	expect(&plain, &opt, odd, 2,
	       "PAGES RES% FILE\n"
	       "1 0.00% \\x20\\x09\\x0a\\x5c\n"
	       "2 0.00% gr\\xc3\\xbc\\xff\n");
}

static void the_heading_of_rows_that_come_singly_comes_again_but_not_in_raw(void **state)
{
	const struct table_options opt = { 0 }, raw = { .raw = true };

	expect(&streamed, &opt, rows, 3,
	       "TIME          PAGES\n"
	       "a                 7\n"
	       "b c         1234567\n"
	       "TIME          PAGES\n"
	       "-                 0\n");
	expect(&streamed, &raw, rows, 3, "TIME PAGES\na 7\nb\\x20c 1234567\n- 0\n");
}

static void rows_that_are_flushed_singly_are_as_wide(void **state)
{
	const struct table_options opt = { 0 };
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	struct table *t = table_new(&streamed, &opt, f);

	table_row(t, &rows[0]);
	table_flush(t);
	table_flush(t);
	table_row(t, &rows[1]);
	table_end(t);
	fclose(f);
	assert_string_equal(text,
			    "TIME          PAGES\na                 7\nb c         1234567\n");
	free(text);
}

static void names_are_themselves_and_control_characters_never_are(void **state)
{
	static const struct row names[] = {
		{ 1, 0,
		  "gr\xc3\xbc\xc3\x9f"
		  "e" },
		{ 2, 0, "x\n9 evil\x1b[31m\x7f" },
		{ 3, 0,
		  "\xc2\x9b"
		  "31m\xed\xa0\x80" },
	};
	const struct table_options opt = { .columns = "FILE", .no_headings = true };

	assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
	expect(&plain, &opt, names, 3,
	       "gr\xc3\xbc\xc3\x9f"
	       "e\n"
	       "x%0A9 evil%1B[31m%7F\n"
	       "%C2%9B"
	       "31m%ED%A0%80\n");
	setlocale(LC_CTYPE, "C");
}

static void names_of_columns_are_checked_against_all_tables(void **state)
{
	static const char *const good[] = { "PAGES", "res%,file", "time,FILE,pages", "TIME" };
	static const struct {
		const char *names, *wrong;
	} bad[] = {
		{ "PAGE", "PAGE" },   { "PAGESS", "PAGESS" },
		{ "", "" },	      { "PAGES,", "" },
		{ ",PAGES", "" },     { "FILE,x,TIME", "x" },
		{ "FILE ", "FILE " }, { "FILE;TIME", "FILE;TIME" },
	};
	char *wrong, *want;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(good); i++)
		assert_null(table_columns_wrong(good[i], both, ARRAY_SIZE(both)));
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		wrong = table_columns_wrong(bad[i].names, both, ARRAY_SIZE(both));
		want = xasprintf("no column is named '%s'; the names are TIME,PAGES,RES%%,FILE",
				 bad[i].wrong);
		assert_non_null(wrong);
		assert_string_equal(wrong, want);
		free(wrong);
		free(want);
	}
}

static void what_is_counted_is_a_lower_bound_where_events_were_missed(void **state)
{
	static const struct column counted[] = {
		{ "PAGES", false, 0, column_u64, offsetof(struct row, pages), true },
		{ "RES%", false, 0, column_percent, offsetof(struct row, ratio) },
	};
	static const struct table_layout layout = { counted, ARRAY_SIZE(counted), 0 };
	const struct table_options opt = { .raw = true };
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	struct table *t;

	assert_non_null(f);
	t = table_new(&layout, &opt, f);
	table_row(t, &rows[0]);
	table_lower_bounds(t, true);
	table_row(t, &rows[1]);
	table_lower_bounds(t, false);
	table_row(t, &rows[0]);
	table_end(t);
	assert_int_equal(fclose(f), 0);
	assert_string_equal(text, "PAGES RES%\n7 50.00%\n>=1234567 -\n7 50.00%\n");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_right_aligned_texts_left_and_nothing_is_a_dash),
		cmocka_unit_test(columns_are_those_that_were_named_in_that_order),
		cmocka_unit_test(without_headings_only_rows_are_printed),
		cmocka_unit_test(a_raw_row_has_a_blank_between_cells_and_none_within),
		cmocka_unit_test(the_heading_of_rows_that_come_singly_comes_again_but_not_in_raw),
		cmocka_unit_test(rows_that_are_flushed_singly_are_as_wide),
		cmocka_unit_test(names_are_themselves_and_control_characters_never_are),
		cmocka_unit_test(names_of_columns_are_checked_against_all_tables),
		cmocka_unit_test(what_is_counted_is_a_lower_bound_where_events_were_missed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
