// SPDX-License-Identifier: GPL-2.0-only
#include <inttypes.h>
#include <stdlib.h>

#include "force/receipt.h"

double receipt_accuracy(const struct force_usage *t, uint64_t read)
{
	/* A kernel engine that was stopped may have read pages that it has not counted. */
	if (!t->known || !read || t->used > read)
		return -1;
	return (double)t->used / read;
}

double receipt_coverage(const struct force_usage *t, bool recorded_known, uint64_t recorded)
{
	/* A file that was not accessed had no misses, which says nothing about coverage. */
	if (!t->known || !t->accesses || !recorded_known || !recorded)
		return -1;
	/* More misses than were recorded: the coverage is 0, not negative. */
	return t->misses < recorded ? (double)(recorded - t->misses) / recorded : 0;
}

double receipt_lateness(const struct force_usage *t)
{
	if (!t->late_known || !t->lookups)
		return -1;
	return t->late < t->lookups ? (double)t->late / t->lookups : 1;
}

double receipt_pollution(const struct force_usage *t)
{
	if (!t->known || !t->misses)
		return -1;
	return t->polluted < t->misses ? (double)t->polluted / t->misses : 1;
}

/* A file's line: a list without any file has one as well, all zero. */
struct line {
	const struct list_file *file;
	size_t nr_files; /* that it is the sum of; 0: it is of one */
	struct force_counts c;
	struct force_usage t;
	double accuracy, coverage, lateness, pollution;
	double ms, first_ms; /* below 0: not known */
	bool raw;	     /* no words in cells of numbers */
};

static char *ms_cell(const struct column *c, const void *row)
{
	double ms = *(const double *)column_at(c, row);

	return ms < 0 ? xstrdup("-") : xasprintf("%.1f", ms);
}

static char *resident_cell(const struct column *c, const void *row)
{
	const struct line *l = row;

	return cell_known(!l->c.blind, l->c.resident);
}

static char *used_cell(const struct column *c, const void *row)
{
	const struct line *l = row;

	return cell_known(l->t.known, l->t.used);
}

/* With --raw the cell is a bare number, for scripts. */
static char *skipped_cell(const struct column *c, const void *row)
{
	const struct line *l = row;

	if (!l->c.left || l->raw)
		return cell_u64(l->c.skipped);
	if (l->c.left == l->c.skipped)
		return xasprintf("%" PRIu64 " left", l->c.left);
	return xasprintf("%" PRIu64 " (%" PRIu64 " left)", l->c.skipped, l->c.left);
}

static char *file_cell(const struct column *c, const void *row)
{
	const struct line *l = row;

	if (l->nr_files)
		return xasprintf("(all %zu files)", l->nr_files);
	return xstrdup(l->file ? l->file->target.path : "-");
}

/* A row a line: */
/* clang-format off */
#define AT(field) offsetof(struct line, field)
static const struct column columns[] = {
	{ "REQUESTED", false, 0, column_u64,     AT(c.requested) },
	{ "RESIDENT",  false, 0, resident_cell },
	{ "READ",      false, 0, column_u64,     AT(c.read) },
	{ "FAILED",    false, 0, column_u64,     AT(c.failed) },
	{ "PAST_EOF",  false, 0, column_u64,     AT(c.past_eof) },
	{ "SKIPPED",   false, 0, skipped_cell },
	{ "MS",        false, 0, ms_cell,        AT(ms) },
	{ "FIRST_MS",  false, 0, ms_cell,        AT(first_ms) },
	{ "USED",      false, 0, used_cell, 0, true },
	{ "ACC%",      false, 0, column_percent, AT(accuracy) },
	{ "COV%",      false, 0, column_percent, AT(coverage) },
	{ "LATE%",     false, 0, column_percent, AT(lateness) },
	{ "POLL%",     false, 0, column_percent, AT(pollution) },
	{ "FILE",      true,  0, file_cell },
};
#undef AT
/* clang-format on */

const struct table_layout receipt_table = { columns, ARRAY_SIZE(columns), 0 };

static void fill_ratios(struct line *l, bool recorded_known, uint64_t recorded)
{
	l->accuracy = receipt_accuracy(&l->t, l->c.read);
	l->coverage = receipt_coverage(&l->t, recorded_known, recorded);
	l->lateness = receipt_lateness(&l->t);
	l->pollution = receipt_pollution(&l->t);
}

static struct line line_of(const struct receipt *r, size_t i)
{
	const struct force *f = r->firing->force;
	uint64_t fired = r->firing->fired_ns;
	struct line l = { .accuracy = -1, .coverage = -1, .lateness = -1, .pollution = -1 };

	l.raw = r->out->tables.raw;
	l.ms = r->firing->done_ns ? (r->firing->done_ns - fired) / 1e6 : -1;
	l.first_ms = r->firing->first_ns ? (r->firing->first_ns - fired) / 1e6 : -1;

	if (!f->list->nr_files)
		return l;
	l.file = &f->list->files[i];
	l.c = f->counts[i];
	/* The forcing thread was left behind: show the counts as far as it has come. */
	if (r->firing->running)
		force_skip_rest(&l.c);
	if (!r->firing->bpf->follows)
		return l;
	force_bpf_read(r->firing->bpf, i, &l.t);
	fill_ratios(&l, l.file->misses_known, l.file->misses);
	return l;
}

/* Did the end of the run leave pages of a file unread? */
static bool was_cut(const struct receipt *r, const struct force_counts *c)
{
	return r->cut && c->skipped > c->left;
}

bool receipt_was_cut(const struct receipt *r)
{
	const struct force *f = r->firing->force;
	size_t i;

	for (i = 0; i < f->list->nr_files; i++) {
		if (!f->list->files[i].why && was_cut(r, &f->counts[i]))
			return true;
	}
	return false;
}

/* Why pages of the file were not read, NULL: that is the list's or the options' doing. */
static const char *reason_of(const struct receipt *r, const struct line *l)
{
	if (l->file && l->file->why)
		return l->file->why;
	return was_cut(r, &l->c) ? "the end of the run stopped forcing" : NULL;
}

static void print_json(const struct receipt *r, const struct line *l, enum exactness exact)
{
	const struct firing *f = r->firing;
	struct json_object *o = json_new("receipt");

	json_name(o, "file", l->file ? l->file->target.path : NULL);
	json_text(o, "engine", f->force->opt.engine->name);
	json_text(o, "trigger", trigger_names[f->trigger]);
	json_u64(o, "requested", l->c.requested);
	json_u64_if(o, "resident", !l->c.blind, l->c.resident);
	json_u64(o, "read", l->c.read);
	json_u64(o, "failed", l->c.failed);
	json_u64(o, "past_eof", l->c.past_eof);
	json_u64(o, "skipped", l->c.skipped);
	json_u64(o, "left", l->c.left);
	json_u64(o, "submitted", l->c.submitted);
	json_u64_if(o, "changed", f->force->refine, l->c.changed);
	json_u64_if(o, "elapsed_us", f->done_ns, (f->done_ns - f->fired_ns) / 1000);
	json_u64_if(o, "first_us", f->first_ns, (f->first_ns - f->fired_ns) / 1000);
	json_u64(o, "bytes", l->c.read * page_size());
	json_u64_if(o, "used", l->t.known, l->t.used);
	json_u64_if(o, "late", l->t.late_known, l->t.late);
	json_u64_if(o, "unused_removed", l->t.known, l->t.unused_removed);
	json_ratio(o, "accuracy", l->accuracy);
	json_ratio(o, "coverage", l->coverage);
	json_ratio(o, "lateness", l->lateness);
	json_ratio(o, "pollution", l->pollution);
	json_exactness(o, exact);
	json_text(o, "reason", reason_of(r, l));
	output_record(r->out, o);
}

/* Did each requested page become resident, but for those that are the kernel's to read? */
static bool is_fine(const struct line *l)
{
	return l->c.requested == l->c.resident + l->c.read + l->c.left &&
	       !(l->file && l->file->why);
}

static void add_usage(struct force_usage *to, const struct force_usage *u)
{
	to->known &= u->known;
	to->late_known &= u->late_known;
	to->used += u->used;
	to->lookups += u->lookups;
	to->late += u->late;
	to->unused_removed += u->unused_removed;
	to->polluted += u->polluted;
	to->accesses += u->accesses;
	to->misses += u->misses;
}

/* A line for all files: what is not known of one of them is not known of all. */
struct total {
	struct line line;
	bool recorded_known;
	uint64_t recorded;
};

static struct total no_files(const struct receipt *r, size_t nr_files)
{
	bool follows = r->firing->bpf->follows;
	struct total sum = { .line = line_of(r, 0), .recorded_known = true };

	sum.line.file = NULL;
	sum.line.nr_files = nr_files;
	sum.line.c = (struct force_counts){ 0 };
	sum.line.t = (struct force_usage){ .known = follows, .late_known = follows };
	return sum;
}

static void add_line(struct total *sum, const struct line *l)
{
	struct force_counts *c = &sum->line.c;

	c->requested += l->c.requested;
	c->resident += l->c.resident;
	c->blind |= l->c.blind;
	c->read += l->c.read;
	c->failed += l->c.failed;
	c->past_eof += l->c.past_eof;
	c->skipped += l->c.skipped;
	c->left += l->c.left;
	c->changed += l->c.changed;
	if (!l->file || l->file->state != LIST_READY)
		return;
	add_usage(&sum->line.t, &l->t);
	sum->recorded_known &= l->file->misses_known;
	sum->recorded += l->file->misses;
}

/* Are the pages that did not become resident no more than may be missing? */
static bool is_tolerated(const struct receipt *r, const struct force_counts *c)
{
	uint64_t missing = c->requested - c->resident - c->read - c->left;

	return r->tolerate > 0 && missing * 100.0 <= r->tolerate * c->requested;
}

static struct table *begin_table(const struct receipt *r, enum exactness exact)
{
	struct table *t = table_new(&receipt_table, &r->out->tables, r->out->f);

	if (exact == NOT_EXACT)
		table_lower_bounds(t, true);
	return t;
}

/* Brief: rows of files tell why the status is not 0. */
static void print_table(const struct receipt *r, const struct line *lines, struct total *sum,
			bool tolerated, enum exactness exact)
{
	struct table *t = begin_table(r, exact);
	size_t i, n = sum->line.nr_files;

	for (i = 0; i < n; i++) {
		if (!r->brief || n == 1 || (!tolerated && !is_fine(&lines[i])))
			table_row(t, &lines[i]);
	}
	fill_ratios(&sum->line, sum->recorded_known, sum->recorded);
	if (n > 1)
		table_row(t, &sum->line);
	table_end(t);
}

enum status receipt_print(const struct receipt *r)
{
	const struct list *list = r->firing->force->list;
	size_t i, n = list->nr_files ? list->nr_files : 1;
	enum exactness exact = force_bpf_exactness(r->firing->bpf);
	struct line *lines = xcalloc(n, sizeof(*lines));
	struct total sum = no_files(r, n);
	bool fine = true, tolerated;

	for (i = 0; i < n; i++) {
		lines[i] = line_of(r, i);
		add_line(&sum, &lines[i]);
		fine &= is_fine(&lines[i]);
	}
	tolerated = is_tolerated(r, &sum.line.c);
	for (i = 0; r->out->json && i < n; i++)
		print_json(r, &lines[i], exact);
	if (!r->out->json)
		print_table(r, lines, &sum, tolerated, exact);
	if (sum.line.c.changed)
		say("%" PRIu64
		    " extents are forced or left otherwise than at first, by what became of "
		    "their pages (see pcforce(8), LEFT TO READAHEAD)",
		    sum.line.c.changed);
	output_flush(r->out);
	free(lines);
	return fine || tolerated ? STATUS_DONE : STATUS_PARTIAL;
}
