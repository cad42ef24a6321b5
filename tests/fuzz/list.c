// SPDX-License-Identifier: GPL-2.0-only
/*
 * libFuzzer target of the loader of lists. The input is a recipe: sections of files that
 * exist under several names, have changed or are gone, with right and wrong headers, and
 * extents. A list is made of it and loaded, and has to hold just the pages that a plain
 * model of the format says, in that order; so has the plan that is made of the list.
 *
 * build/unit/load_test runs the same without libFuzzer, for a moment.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "list/plan.h"
#include "check.h"

/* Files, and the names that a list may have for them; beyond 32768 pages the bits are mapped. */
enum {
	TEN,
	FIVE,
	EMPTY,
	LARGE,
	NR_FILES,
	NO_FILE = NR_FILES,
};
static const uint64_t pages_of[NR_FILES] = { 10, 5, 0, 33000 };
static const struct {
	const char *name, *escaped;
	int file;
} names[] = {
	{ "ten", "ten", TEN },		 { "hard", "hard", TEN },
	{ "five", "five", FIVE },	 { "symbolic", "./symbolic", FIVE },
	{ "a b%", "a%20b%25", FIVE },	 { "empty", "empty", EMPTY },
	{ "large", "large", LARGE },	 { "gone", "gone", NO_FILE },
	{ "folder", "folder", NO_FILE }, { "fifo", "fifo", NO_FILE },
	{ "ten/x", "ten/x", NO_FILE },
};

static char folder[4096];
static struct identity ids[NR_FILES];

static void leave(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (unlink(names[i].name))
			rmdir(names[i].name);
	}
	if (!chdir("/"))
		rmdir(folder);
}

/* Once: the folder of files. */
static void enter(void)
{
	const char *base = getenv("PAGE2CACHE_TEST_DIR");
	int i, fd;

	if (*folder)
		return;
	quiet = true;
	snprintf(folder, sizeof(folder), "%s/page2cache-fuzz.XXXXXX",
		 base && *base ? base : "/var/tmp");
	CHECK(mkdtemp(folder) && !chdir(folder));
	atexit(leave);
	for (i = 0; i < (int)ARRAY_SIZE(names); i++) {
		if (names[i].file == NO_FILE || (i && names[i].file == names[i - 1].file))
			continue;
		fd = open(names[i].name, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
		/* The last page is not a whole one. */
		CHECK(fd >= 0 && (!pages_of[names[i].file] ||
				  !ftruncate(fd, pages_of[names[i].file] * page_size() - 100)));
		CHECK(!identity_of(fd, &ids[names[i].file]));
		close(fd);
	}
	CHECK(!link("ten", "hard") && !link("five", "a b%") && !symlink("five", "symbolic"));
	CHECK(!mkdir("folder", 0755) && !mkfifo("fifo", 0644));
}

/* The input; zeros behind its end. */
struct input {
	const uint8_t *at, *end;
};

static unsigned int take(struct input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

static uint64_t take_number(struct input *in)
{
	static const uint64_t odd[] = { 0,
					63,
					64,
					4095,
					32767,
					32768,
					UINT32_MAX - 1,
					UINT32_MAX,
					1ULL << 32,
					1ULL << 42,
					1ULL << 62,
					INT64_MAX,
					1ULL << 63,
					UINT64_MAX - 1,
					UINT64_MAX };
	unsigned int kind = take(in);

	return kind < 192 ? kind % 16 : odd[kind % ARRAY_SIZE(odd)];
}

#define NO_NAME (-1)
#define NUMBERS 7

/* What the format says of a list, page by page. */
struct model {
	bool open;    /* what becomes of it cannot be told: a line of any bytes */
	bool refused; /* a line is malformed */
	bool stale_ok, strict;
	int name;		    /* of the section, NO_NAME: none yet */
	bool numbered;		    /* the latest version line was that of version 2 */
	int of_number[NUMBERS + 1]; /* the name that each number stands for */
	struct {
		bool seen, ready;
		uint64_t misses;
		bool misses_known;
	} names[ARRAY_SIZE(names)];
	uint64_t past_eof[NR_FILES];
	bool listed[NR_FILES][33000];
	size_t nr;
	struct {
		int file;
		uint64_t page;
	} order[10 + 5 + 33000];
};

static void model_version(struct model *m, bool numbered)
{
	int i;

	m->numbered = numbered;
	m->name = NO_NAME;
	for (i = 0; i <= NUMBERS; i++)
		m->of_number[i] = NO_NAME;
}

/* NAME: the one whose extent it is. */
static void model_extent(struct model *m, int name, uint64_t index, uint64_t nr)
{
	const uint64_t max = 1ULL << 62;
	uint64_t page, past, *sum;
	int file;

	if (name == NO_NAME) {
		m->refused = true;
		return;
	}
	file = names[name].file;
	if (!m->names[name].ready)
		return;
	for (page = index; page < pages_of[file] && page - index < nr; page++) {
		if (m->listed[file][page])
			continue;
		m->listed[file][page] = true;
		m->order[m->nr].file = file;
		m->order[m->nr++].page = page;
	}
	past = nr - (page - index);
	sum = &m->past_eof[file];
	*sum = past > max - *sum ? max : *sum + past;
}

/* A header's fields, each left out, right, wrong or at its limit; what of them is stale. */
static bool add_fields(struct input *in, FILE *f, const struct identity *id, struct model *m,
		       uint64_t *misses, bool *misses_known)
{
	bool stale = false, wrong;
	unsigned int key, how;

	for (key = 0; key < 9; key++) {
		how = take(in) % 8;
		/* Mostly left out, or right. */
		if (how < 4)
			continue;
		wrong = how == 7;
		switch (key) {
		case 0:
			fprintf(f, " fsid=%" PRIx64, id->fsid ^ wrong);
			stale |= wrong;
			break;
		case 1:
			fprintf(f, " ino=%" PRIu64, id->ino + wrong);
			stale |= wrong;
			break;
		case 2:
			fprintf(f, " gen=%" PRIu32, id->gen ^ (wrong ? 2 : 0));
			stale |= wrong && id->gen && id->gen != 2;
			break;
		case 3:
			fprintf(f, " size=%" PRIu64, how == 6 ? 0 : id->size + wrong);
			stale |= wrong;
			break;
		case 4:
			fprintf(f, " mtime_ns=%" PRId64,
				how == 6 ? INT64_MAX : id->mtime_ns - wrong);
			stale |= wrong && m->strict;
			break;
		case 5:
			/* Rarely: it ends the list. */
			wrong &= take(in) % 8 == 0;
			fprintf(f, " page_size=%" PRIu64, page_size() << wrong);
			m->refused |= wrong;
			break;
		case 6:
			*misses = take_number(in);
			*misses_known = true;
			fprintf(f, " misses=%" PRIu64, *misses);
			break;
		case 7:
			fprintf(f, " later=%u", how);
			break;
		default:
			fputs("\t ", f);
		}
	}
	return stale;
}

/* @N behind a path or an extent: mostly one that is IN_USE or not. Returns N, -1: none. */
static int add_number(struct input *in, FILE *f, const struct model *m, bool in_use)
{
	int n = 1 + take(in) % NUMBERS;

	/* Rarely: it ends the list. */
	if (take(in) % 32 && (!m->numbered || (m->of_number[n] != NO_NAME) != in_use))
		return -1;
	fprintf(f, " @%d", n);
	return n;
}

static void add_section(struct input *in, FILE *f, struct model *m)
{
	static const struct identity none;
	int name = take(in) % ARRAY_SIZE(names), file = names[name].file;
	bool stale, known = false;
	uint64_t misses = 0;
	int n;

	fprintf(f, "# file=%s", names[name].escaped);
	n = add_number(in, f, m, false);
	/* Version 1 skips it, as a field that it does not know. */
	if (n > 0 && m->numbered) {
		m->refused |= m->of_number[n] != NO_NAME;
		m->of_number[n] = name;
	}
	stale = add_fields(in, f, file == NO_FILE ? &none : &ids[file], m, &misses, &known);
	fputc('\n', f);
	m->name = name;
	if (known) {
		m->names[name].misses = misses;
		m->names[name].misses_known = true;
	}
	/* Of a name that comes again the first header counts. */
	if (!m->names[name].seen)
		m->names[name].ready = file != NO_FILE && (m->stale_ok || !stale);
	m->names[name].seen = true;
}

static void add_version(struct input *in, FILE *f, struct model *m)
{
	bool numbered = take(in) % 2;

	fprintf(f, "# page2cache offsets %d\n", numbered ? 2 : 1);
	model_version(m, numbered);
	/* Rarely none: extents before the next section would end the list. */
	if (take(in) % 8)
		add_section(in, f, m);
}

static void add_extent(struct input *in, FILE *f, struct model *m)
{
	uint64_t index = take_number(in), nr = take_number(in);
	int name = m->name, n;

	switch (take(in) % 3) {
	case 0:
		fprintf(f, "%" PRIu64, index);
		nr = 1;
		break;
	case 1:
		fprintf(f, "%" PRIu64 "+%" PRIu64, index, nr);
		break;
	default:
		/* The other number is the last page. */
		fprintf(f, "%" PRIu64 "-%" PRIu64, index, nr);
		nr = nr < index ? 0 : nr - index + 1;
	}
	if (!nr || nr - 1 > UINT64_MAX - index)
		m->refused = true;
	n = add_number(in, f, m, true);
	fputc('\n', f);
	if (n > 0) {
		name = m->of_number[n];
		m->refused |= !m->numbered;
	}
	if (!m->refused)
		model_extent(m, name, index, nr);
}

static void add_bytes(struct input *in, FILE *f, struct model *m)
{
	unsigned int n = take(in) % 32;

	m->open = true;
	while (n--)
		fputc(take(in), f);
	fputc('\n', f);
}

/* A list by the recipe, as a file; returns its descriptor. */
static int make_list(struct input *in, struct model *m)
{
	int fd = memfd_create("list", MFD_CLOEXEC);
	FILE *f = fdopen(dup(fd), "w");
	int lines;

	CHECK(f);
	for (lines = 0; in->at < in->end && lines < 500; lines++) {
		switch (take(in) % 16) {
		case 0 ... 4:
			add_section(in, f, m);
			break;
		case 5:
			add_version(in, f, m);
			break;
		case 6:
			fputs("\r\n #\n", f);
			break;
		case 7:
			/* Of all recipes a few. */
			if (take(in) % 8 == 0)
				add_bytes(in, f, m);
			break;
		default:
			add_extent(in, f, m);
		}
	}
	CHECK(!fclose(f));
	return fd;
}

static int file_of(const struct list_file *lf)
{
	int i;

	for (i = 0; i < NR_FILES; i++) {
		if (ids[i].ino == lf->target.id.ino)
			return i;
	}
	CHECK(!"a file of the folder");
	return -1;
}

/* Of any list: extents of ready files, disjoint, within the files. */
static void check_list(const struct list *l)
{
	static bool listed[NR_FILES][33000];
	uint64_t pages[NR_FILES] = { 0 }, page;
	size_t i;

	memset(listed, 0, sizeof(listed));
	for (i = 0; i < l->nr_extents; i++) {
		const struct extent *e = &l->extents[i];
		int file;

		CHECK(e->file < l->nr_files && l->files[e->file].state == LIST_READY);
		CHECK(e->nr_pages && e->index + e->nr_pages <= l->files[e->file].nr_pages);
		file = file_of(&l->files[e->file]);
		for (page = e->index; page < e->index + e->nr_pages; page++) {
			CHECK(!listed[file][page]);
			listed[file][page] = true;
		}
		pages[file] += e->nr_pages;
	}
	for (i = 0; i < l->nr_files; i++) {
		const struct list_file *lf = &l->files[i];

		CHECK(lf->target.path && !lf->why == (lf->state == LIST_READY));
		CHECK(lf->past_eof <= 1ULL << 62);
		if (lf->state == LIST_READY)
			CHECK(lf->listed_pages == pages[file_of(lf)]);
	}
}

static void check_against_model(const struct list *l, const struct model *m)
{
	uint64_t page;
	size_t i, at = 0;
	int n;

	for (i = 0; i < l->nr_extents; i++) {
		const struct extent *e = &l->extents[i];

		for (page = e->index; page < e->index + e->nr_pages; page++, at++) {
			CHECK(at < m->nr && m->order[at].page == page);
			CHECK(m->order[at].file == file_of(&l->files[e->file]));
		}
	}
	CHECK(at == m->nr);
	for (i = 0; i < l->nr_files; i++) {
		const struct list_file *lf = &l->files[i];

		if (lf->state == LIST_READY)
			CHECK(lf->past_eof == m->past_eof[file_of(lf)]);
		for (n = 0; n < (int)ARRAY_SIZE(names); n++) {
			/* A file under one name only has that name's misses. */
			if (!strcmp(lf->target.path, names[n].name) && lf->state != LIST_READY) {
				CHECK(m->names[n].seen && !m->names[n].ready);
				CHECK(lf->misses_known == m->names[n].misses_known);
				CHECK(lf->misses == m->names[n].misses);
			}
		}
	}
}

/* Pages of some extents, none of them planned before. Returns how many they are. */
static uint64_t plan_pages(bool planned[NR_FILES][33000], const struct list *l,
			   const struct extent *e, size_t n)
{
	uint64_t pages = 0, page;
	size_t i;

	for (i = 0; i < n; i++) {
		int file = file_of(&l->files[e[i].file]);

		for (page = e[i].index; page < e[i].index + e[i].nr_pages; page++, pages++) {
			CHECK(!planned[file][page]);
			planned[file][page] = true;
		}
	}
	return pages;
}

/* The plan has the same pages, in an order of its own, or leaves them to the kernel. */
static void check_plan(struct list *l, bool beside_reader)
{
	static bool planned[NR_FILES][33000];
	uint64_t listed = 0, pages;
	struct plan plan;
	size_t i;

	memset(planned, 0, sizeof(planned));
	for (i = 0; i < l->nr_extents; i++)
		listed += l->extents[i].nr_pages;
	plan_make(&plan, l, beside_reader);
	CHECK(beside_reader || !plan.nr_left);
	pages = plan_pages(planned, l, plan.runs, plan.nr_runs);
	pages += plan_pages(planned, l, plan.left, plan.nr_left);
	CHECK(pages == listed);
	plan_free(&plan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const only[] = { NULL,   NULL,	NULL,	NULL,
					    "hard", "symbolic", "gone", "fifo" };
	static struct model m;
	struct input in = { data, data + size };
	struct list_options opt = { 0 };
	char path[64], *why = NULL;
	struct list list;
	int fd, err;

	enter();
	memset(&m, 0, offsetof(struct model, order));
	model_version(&m, false);
	opt.only_file = only[take(&in) % ARRAY_SIZE(only)];
	opt.stale_ok = m.stale_ok = take(&in) % 4 == 3;
	opt.strict = m.strict = take(&in) % 2;
	fd = make_list(&in, &m);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	err = list_load(&list, path, &opt, &why);
	CHECK(!err == !why);
	if (!opt.only_file && !m.open)
		CHECK(!err == !m.refused);
	if (!err) {
		check_list(&list);
		if (!opt.only_file && !m.open)
			check_against_model(&list, &m);
		check_plan(&list, size % 2);
	}
	list_free(&list);
	free(why);
	close(fd);
	return 0;
}
