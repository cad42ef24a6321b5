// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>

#include "force/receipt.h"
#include "base/table.h"

double receipt_accuracy(const struct force_usage *t, uint64_t read)
{
	if (!t->known || !read)
		return -1;
	return t->used < read ? (double)t->used / read : 1;
}

double receipt_coverage(const struct force_usage *t, bool recorded_known, uint64_t recorded)
{
	/* What was not accessed at all did not miss, and that says nothing. */
	if (!t->known || !t->accesses || !recorded_known || !recorded)
		return -1;
	/* More misses than were recorded: nothing of them is covered. */
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
	struct force_counts c;
	struct force_usage t;
	double accuracy, coverage, lateness, pollution;
};

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
	struct line l = { .accuracy = -1, .coverage = -1, .lateness = -1, .pollution = -1 };

	if (!f->list->nr_files)
		return l;
	l.file = &f->list->files[i];
	l.c = f->counts[i];
	if (!r->firing->bpf->follows)
		return l;
	force_bpf_read(r->firing->bpf, i, &l.t);
	fill_ratios(&l, l.file->misses_known, l.file->misses);
	return l;
}

static void print_json(const struct receipt *r, const struct line *l)
{
	const struct firing *f = r->firing;
	struct json_object *o = json_new("receipt");

	json_text(o, "file", l->file ? l->file->target.path : NULL);
	json_text(o, "engine", f->force->opt.engine->name);
	json_text(o, "trigger", trigger_names[f->trigger]);
	json_u64(o, "requested", l->c.requested);
	json_u64(o, "resident", l->c.resident);
	json_u64(o, "read", l->c.read);
	json_u64(o, "failed", l->c.failed);
	json_u64(o, "past_eof", l->c.past_eof);
	json_u64(o, "skipped", l->c.skipped);
	json_u64(o, "submitted", l->c.submitted);
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
	json_text(o, "reason", l->file ? l->file->why : NULL);
	output_record(r->out, o);
}

static void print_row(struct libscols_table *t, const struct receipt *r, const struct line *l,
		      const char *file)
{
	const struct firing *f = r->firing;
	char *cells[] = {
		cell_u64(l->c.requested),
		cell_u64(l->c.resident),
		cell_u64(l->c.read),
		cell_u64(l->c.failed),
		cell_u64(l->c.past_eof),
		cell_u64(l->c.skipped),
		f->done_ns ? xasprintf("%.1f", (f->done_ns - f->fired_ns) / 1e6) : xstrdup("-"),
		f->first_ns ? xasprintf("%.1f", (f->first_ns - f->fired_ns) / 1e6) : xstrdup("-"),
		cell_known(l->t.known, l->t.used),
		cell_percent(l->accuracy),
		cell_percent(l->coverage),
		cell_percent(l->lateness),
		cell_percent(l->pollution),
		cell_text(file),
	};

	table_row(t, cells, ARRAY_SIZE(cells));
}

/* Did each requested page become resident? */
static bool is_fine(const struct line *l)
{
	return l->c.requested == l->c.resident + l->c.read && !(l->file && l->file->why);
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

/* All files' lines in one; what is not known of one of them is not known of all. */
static struct line total_of(const struct receipt *r)
{
	const struct list *list = r->firing->force->list;
	struct line sum = { .t = { .known = true, .late_known = true } }, l;
	bool recorded_known = true;
	uint64_t recorded = 0;
	size_t i;

	for (i = 0; i < list->nr_files; i++) {
		l = line_of(r, i);
		sum.c.requested += l.c.requested;
		sum.c.resident += l.c.resident;
		sum.c.read += l.c.read;
		sum.c.failed += l.c.failed;
		sum.c.past_eof += l.c.past_eof;
		sum.c.skipped += l.c.skipped;
		sum.c.submitted += l.c.submitted;
		if (l.file->state != LIST_READY)
			continue;
		add_usage(&sum.t, &l.t);
		recorded_known &= l.file->misses_known;
		recorded += l.file->misses;
	}
	fill_ratios(&sum, recorded_known, recorded);
	return sum;
}

static enum status print_table(const struct receipt *r, struct libscols_table *t)
{
	const struct list *list = r->firing->force->list;
	size_t i, n = list->nr_files ? list->nr_files : 1;
	bool brief = r->brief && n > 1;
	enum status status = STATUS_DONE;
	struct line l;

	for (i = 0; i < n; i++) {
		l = line_of(r, i);
		if (!is_fine(&l))
			status = STATUS_PARTIAL;
		if (!brief || !is_fine(&l))
			print_row(t, r, &l, l.file ? l.file->target.path : "-");
	}
	if (brief) {
		char *name = xasprintf("(all %zu files)", n);

		l = total_of(r);
		print_row(t, r, &l, name);
		free(name);
	}
	return status;
}

static enum status print_records(const struct receipt *r)
{
	const struct list *list = r->firing->force->list;
	size_t i, n = list->nr_files ? list->nr_files : 1;
	enum status status = STATUS_DONE;
	struct line l;

	for (i = 0; i < n; i++) {
		l = line_of(r, i);
		if (!is_fine(&l))
			status = STATUS_PARTIAL;
		print_json(r, &l);
	}
	return status;
}

enum status receipt_print(const struct receipt *r)
{
	static const char *const columns[] = { "REQUESTED", "RESIDENT", "READ", "FAILED",
					       "PAST_EOF",  "SKIPPED",	"MS",	"FIRST_MS",
					       "USED",	    "ACC%",	"COV%", "LATE%",
					       "POLL%",	    "FILE" };
	struct libscols_table *t;
	enum status status;

	if (r->out->json)
		return print_records(r);
	t = table_new(columns, ARRAY_SIZE(columns), r->out->f);
	status = print_table(r, t);
	table_print(t);
	output_flush(r->out);
	return status;
}
