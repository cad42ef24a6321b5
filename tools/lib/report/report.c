// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "report/report.h"
#include "file/remote.h"

/* The rows of the tables. */

struct interval {
	char time[16];
	struct account a;
};

static char *time_cell(const struct column *c, const void *row)
{
	return xstrdup(((const struct interval *)row)->time);
}

static char *late_cell(const struct column *c, const void *row)
{
	const struct account *a = column_at(c, row);

	return cell_known(a->late_known, a->late);
}

static char *hit_ratio_cell(const struct column *c, const void *row)
{
	return cell_percent(account_hit_ratio(column_at(c, row)));
}

static char *latency_cell(const struct column *c, const void *row)
{
	const struct report_file *f = row;

	return f->lat.samples ? xasprintf("%.0f", *(const double *)column_at(c, row))
			      : xstrdup("-");
}

static char *file_cell(const struct column *c, const void *row)
{
	return known_file_cell(&((const struct report_file *)row)->known);
}

/* A row a line: */
/* clang-format off */
#define AT(field) offsetof(struct interval, field)
static const struct column interval_columns[] = {
	{ "TIME",     true,   8, time_cell },
	{ "ACCESSES", false, 10, column_u64,     AT(a.accesses), true },
	{ "HITS",     false, 10, column_u64,     AT(a.hits), true },
	{ "MISSES",   false,  9, column_u64,     AT(a.misses), true },
	{ "LATE",     false,  9, late_cell,      AT(a), true },
	{ "HIT%",     false,  8, hit_ratio_cell, AT(a) },
	{ "READMISS", false,  9, column_u64,     AT(a.read_misses), true },
	{ "MMAPMISS", false,  9, column_u64,     AT(a.mmap_misses), true },
	{ "INSERTED", false,  9, column_u64,     AT(a.inserted_pages), true },
	{ "REMOVED",  false,  9, column_u64,     AT(a.removed_pages), true },
};
#undef AT

#define AT(field) offsetof(struct report_file, field)
static const struct column file_columns[] = {
	{ "ACCESSES", false, 0, column_u64,     AT(a.accesses), true },
	{ "HITS",     false, 0, column_u64,     AT(a.hits), true },
	{ "MISSES",   false, 0, column_u64,     AT(a.misses), true },
	{ "LATE",     false, 0, late_cell,      AT(a), true },
	{ "HIT%",     false, 0, hit_ratio_cell, AT(a) },
	{ "READS",    false, 0, column_u64,     AT(a.read_accesses), true },
	{ "READMISS", false, 0, column_u64,     AT(a.read_misses), true },
	{ "MMAPS",    false, 0, column_u64,     AT(a.mmap_accesses), true },
	{ "MMAPMISS", false, 0, column_u64,     AT(a.mmap_misses), true },
	{ "AROUND",   false, 0, column_u64,     AT(a.mmap_fault_around), true },
	{ "INSERTED", false, 0, column_u64,     AT(a.inserted_pages), true },
	{ "REMOVED",  false, 0, column_u64,     AT(a.removed_pages), true },
	{ "P50us",    false, 0, latency_cell,   AT(lat.p50) },
	{ "P99us",    false, 0, latency_cell,   AT(lat.p99) },
	{ "MAXus",    false, 0, latency_cell,   AT(lat.max) },
	{ "FILE",     true,  0, file_cell },
};
#undef AT
/* clang-format on */

const struct table_layout interval_table = { interval_columns, ARRAY_SIZE(interval_columns), 20 };
const struct table_layout file_table = { file_columns, ARRAY_SIZE(file_columns), 0 };

/* Files that the table for people shows when not all of them were named. */
#define BUSIEST 20

void report_init(struct report *r, struct counters *w, const struct target *targets, size_t n,
		 bool auto_files)
{
	memset(r, 0, sizeof(*r));
	r->counters = w;
	r->targets = targets;
	r->nr_targets = n;
	r->auto_files = auto_files;
}

void report_free(struct report *r)
{
	table_end(r->intervals);
	r->intervals = NULL;
	known_files_free(&r->known);
	free(r->files);
	r->files = NULL;
	r->nr_files = 0;
}

static void record_account(struct json_object *o, const struct account *a)
{
	json_u64(o, "accesses", a->accesses);
	json_u64(o, "hits", a->hits);
	json_u64(o, "misses", a->misses);
	json_u64_if(o, "late", a->late_known, a->late);
	json_ratio(o, "hit_ratio", account_hit_ratio(a));
	json_u64(o, "read_accesses", a->read_accesses);
	json_u64(o, "read_hits", a->read_hits);
	json_u64(o, "read_misses", a->read_misses);
	json_u64_if(o, "read_late", a->late_known, a->read_late);
	json_u64(o, "mmap_accesses", a->mmap_accesses);
	json_u64(o, "mmap_misses", a->mmap_misses);
	json_u64(o, "mmap_fault_around", a->mmap_fault_around);
	json_u64(o, "inserted_pages", a->inserted_pages);
	json_u64(o, "removed_pages", a->removed_pages);
	json_exactness(o, a->exact);
}

void report_interval(struct report *r, struct output *out, uint64_t ts_us)
{
	struct p2c_file_counts all = { 0 };
	struct account now, since;
	struct json_object *o;
	struct interval row;
	time_t t = time(NULL);
	struct tm tm;
	int err;

	err = counters_total(r->counters, &all);
	if (err) {
		say("cannot read the counts of an interval: %s", strerror(-err));
		return;
	}
	account_derive(&all, counters_late_known(r->counters), &r->before, &now);
	now.exact = exactness_of_both(now.exact, r->counters->exact);
	account_since(&r->before, &now, &since);
	r->before = now;
	if (out->json) {
		o = json_new("interval");
		json_u64(o, "ts_us", ts_us);
		record_account(o, &since);
		json_u64(o, "lost_events", since.lost_events);
		output_record(out, o);
		return;
	}
	localtime_r(&t, &tm);
	strftime(row.time, sizeof(row.time), "%H:%M:%S", &tm);
	row.a = since;
	if (!r->intervals)
		r->intervals = table_new(&interval_table, &out->tables, out->f);
	table_lower_bounds(r->intervals, since.exact == NOT_EXACT);
	table_row(r->intervals, &row);
	table_flush(r->intervals);
	output_flush(out);
}

static int by_misses(const void *a, const void *b)
{
	const struct report_file *x = a, *y = b;

	if (x->a.misses != y->a.misses)
		return x->a.misses < y->a.misses ? 1 : -1;
	if (x->a.accesses != y->a.accesses)
		return x->a.accesses < y->a.accesses ? 1 : -1;
	return x->known.slot < y->known.slot ? -1 : x->known.slot > y->known.slot;
}

static void add_file(struct report *r, const struct known_file *known)
{
	struct p2c_file_latency l = { 0 };
	struct p2c_file_counts c = { 0 };
	struct report_file *f;

	f = &r->files[r->nr_files++];
	memset(f, 0, sizeof(*f));
	f->known = *known;
	counters_read(r->counters, known->slot, &c);
	account_derive(&c, counters_late_known(r->counters), NULL, &f->a);
	f->a.exact = exactness_of_both(f->a.exact, r->counters->exact);
	/* Files found only by a directory walk, or because pages were inserted, are not shown. */
	if (known_file_found(known) && !f->a.accesses) {
		r->nr_files--;
		return;
	}
	bpf_map_lookup_elem(bpf_object__find_map_fd_by_name(r->counters->obj, "latency"),
			    &known->slot, &l);
	account_percentiles(&l, c.count[COUNT_MEASURED], &f->lat);
}

void report_read(struct report *r)
{
	size_t i;

	known_files_read(&r->known, r->counters, r->targets, r->nr_targets, r->auto_files);
	r->files = xcalloc(r->known.nr, sizeof(*r->files));
	for (i = 0; i < r->known.nr; i++) {
		r->any_found |= known_file_found(&r->known.files[i]);
		add_file(r, &r->known.files[i]);
	}
	if (r->any_found)
		qsort(r->files, r->nr_files, sizeof(*r->files), by_misses);
}

static void record_file(struct output *out, const struct report_file *f)
{
	struct json_object *o = json_new("file");
	bool lat = f->lat.samples;

	json_file_name(o, &f->known);
	record_account(o, &f->a);
	json_us(o, "miss_us_p50", lat, f->lat.p50);
	json_us(o, "miss_us_p90", lat, f->lat.p90);
	json_us(o, "miss_us_p99", lat, f->lat.p99);
	json_us(o, "miss_us_max", lat, f->lat.max);
	json_u64(o, "lost_events", f->a.lost_events);
	output_record(out, o);
}

static void print_table(const struct report *r, struct output *out)
{
	size_t i, n = r->nr_files;
	struct table *t;

	if (r->any_found && n > BUSIEST)
		n = BUSIEST;
	t = table_new(&file_table, &out->tables, out->f);
	for (i = 0; i < n; i++) {
		table_lower_bounds(t, r->files[i].a.exact == NOT_EXACT);
		table_row(t, &r->files[i]);
	}
	table_end(t);
	if (n < r->nr_files && !out->tables.raw)
		fprintf(out->f, "%zu more files with fewer misses (-j lists all)\n",
			r->nr_files - n);
	output_flush(out);
}

static uint64_t lost_events(const struct report *r)
{
	uint64_t lost = 0;
	size_t i;

	for (i = 0; i < r->nr_files; i++)
		lost += r->files[i].a.lost_events;
	return lost;
}

bool report_incomplete(const struct report *r)
{
	size_t i, unknown = 0;

	for (i = 0; i < r->nr_files; i++)
		unknown += r->files[i].a.pages_unknown;
	if (unknown)
		say("pages of %zu file%s may be missing from the list: tracepoints do not tell where "
		    "large requests of io_uring or of the kernel itself begin",
		    unknown, unknown == 1 ? "" : "s");
	return unknown || r->counters->exact == NOT_EXACT || lost_events(r);
}

void report_files(struct report *r, struct output *out)
{
	uint64_t lost = lost_events(r);
	size_t i;

	for (i = 0; out->json && i < r->nr_files; i++)
		record_file(out, &r->files[i]);
	if (!out->json)
		print_table(r, out);
	if (lost)
		say("%" PRIu64 " page events were lost: the list is incomplete; the counts are "
		    "not affected",
		    lost);
}

/*
 * Is an opened file the one whose pages were recorded? Its name may have been given to another
 * meanwhile, by rename(2) as package managers and editors replace files.
 */
static bool is_recorded(const struct known_file *f, const struct identity *now)
{
	const struct p2c_file_key *key = &f->key;
	const struct identity *then;

	/*
	 * Of a file found at its first access only the page cache's numbers are known. Its path has
	 * been looked for on the right device.
	 */
	if (!f->target)
		return now->ino == key->ino && (!now->gen || now->gen == key->gen);
	then = &f->target->id;
	return now->dev == then->dev && now->ino == then->ino && now->gen == then->gen;
}

/*
 * Say why pages are not in the list. A list that is renewed at each start always lacks some: say so
 * with -v only.
 */
static void tell(const struct report *r, char *why)
{
	if (r->hits)
		say_verbose("%s", why);
	else
		say("%s", why);
	free(why);
}

/* Open a file that was recorded by the name that it has; says why if that is not possible. */
static bool open_recorded(const struct report *r, const struct known_file *f, struct remote *remote,
			  struct target *t)
{
	const char *path = f->path;
	char *why;

	if (!remote_answers(remote, path)) {
		tell(r, xasprintf("%s: does not answer (a hung mount?): the pages of this file "
				  "are not in the list",
				  path));
		return false;
	}
	if (target_open(t, path, &why) != TARGET_OK) {
		tell(r, xasprintf("%s: the pages of this file are not in the list", why));
		free(why);
		return false;
	}
	if (is_recorded(f, &t->id))
		return true;
	tell(r, xasprintf("%s: was replaced by another file during the recording: the pages of "
			  "the former are not in the list",
			  path));
	target_close(t);
	return false;
}

/* Files that the table has no room for are not in the list, and neither is what they missed. */
static void say_beyond(const struct report *r, uint64_t misses)
{
	size_t beyond = r->known.nr_beyond;
	/* The map that counts these files is full as well: the number is a lower bound. */
	bool more = r->known.nr + beyond >= COUNTERS_TOLD_FILES;

	if (beyond)
		say("%" PRIu64 " misses are not in the list: %s%zu files were accessed beyond the "
		    "%u that have counters of their own",
		    misses, more ? "at least " : "", beyond, r->counters->max_slots - 1);
	else
		say("%" PRIu64 " misses are not in the list: the kernel had no memory for "
		    "counters of their files",
		    misses);
}

static bool mostly_mapped(const struct report *r, const struct account *a)
{
	return r->hits ? a->mmap_accesses > a->read_accesses : a->mmap_misses > a->read_misses;
}

size_t report_sections(const struct report *r, struct list_naming *naming,
		       struct offsets_section **sections, uint32_t *n)
{
	struct remote remote;
	struct target t;
	size_t i, unnamed = 0;

	remote_read(&remote);
	*n = r->counters->max_slots;
	*sections = xcalloc(*n, sizeof(**sections));
	for (i = 0; i < r->nr_files; i++) {
		const struct report_file *f = &r->files[i];
		struct offsets_section *s = &(*sections)[f->known.slot];

		if ((known_file_found(&f->known) && !r->hits && !f->a.misses) || s->file)
			continue;
		if (f->known.slot == SLOT_OTHERS) {
			say_beyond(r, f->a.misses);
			continue;
		}
		if (!f->known.path) {
			unnamed++;
			continue;
		}
		/* Find hanging mounts first: resolving a name on one would block. */
		if (!open_recorded(r, &f->known, &remote, &t))
			continue;
		if (!list_naming_set(naming, s, f->known.path)) {
			target_close(&t);
			continue;
		}
		s->id = list_naming_identity(naming, &t.id);
		s->page_size = page_size();
		s->misses = f->a.misses;
		/*
		 * Misses of a start whose list was forced measure nothing, so they are not
		 * recorded.
		 */
		if (r->hits)
			s->has &= ~OFFSETS_MISSES;
		s->pattern = mostly_mapped(r, &f->a) ? PATTERN_MMAP : PATTERN_SEQ;
		target_close(&t);
	}
	remote_free(&remote);
	return unnamed;
}

void report_sections_free(struct offsets_section *sections, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		free(sections[i].file);
	free(sections);
}
