// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "report/report.h"
#include "file/residency.h"
#include "base/table.h"

/* Files that the table for people shows when none was named. */
#define BUSIEST 20
/* The heading of the interval lines comes again after this many. */
#define HEADING_LINES 20

void report_init(struct report *r, struct counters *w, const struct target *targets, size_t n,
		 bool auto_files)
{
	memset(r, 0, sizeof(*r));
	r->counters = w;
	r->targets = targets;
	r->nr_targets = n;
	r->auto_files = auto_files;
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
}

void report_interval(struct report *r, struct output *out, uint64_t ts_us)
{
	struct p2c_file_counts all = { 0 }, one;
	struct account now, since;
	struct json_object *o;
	uint32_t slot, n = r->counters->watch->nr_slots;
	char clock[16];
	time_t t = time(NULL);
	struct tm tm;

	for (slot = 0; slot < n && slot < r->counters->max_slots; slot++) {
		if (!counters_read(r->counters, slot, &one))
			file_counts_add(&all, &one);
	}
	account_derive(&all, counters_late_known(r->counters), &r->before, &now);
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
	if (r->lines++ % HEADING_LINES == 0)
		fprintf(out->f, "%-8s %10s %10s %9s %9s %8s %9s %9s %9s %9s\n", "TIME", "ACCESSES",
			"HITS", "MISSES", "LATE", "HIT%", "READMISS", "MMAPMISS", "INSERTED",
			"REMOVED");
	localtime_r(&t, &tm);
	strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	fprintf(out->f, "%-8s %10" PRIu64 " %10" PRIu64 " %9" PRIu64, clock, since.accesses,
		since.hits, since.misses);
	if (since.late_known)
		fprintf(out->f, " %9" PRIu64, since.late);
	else
		fprintf(out->f, " %9s", "-");
	if (since.accesses)
		fprintf(out->f, " %7.2f%%", account_hit_ratio(&since) * 100);
	else
		fprintf(out->f, " %8s", "-");
	fprintf(out->f, " %9" PRIu64 " %9" PRIu64 " %9" PRIu64 " %9" PRIu64 "\n", since.read_misses,
		since.mmap_misses, since.inserted_pages, since.removed_pages);
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

	r->files = xrealloc(r->files, r->nr_files + 1, sizeof(*r->files));
	f = &r->files[r->nr_files++];
	memset(f, 0, sizeof(*f));
	f->known = *known;
	counters_read(r->counters, known->slot, &c);
	account_derive(&c, counters_late_known(r->counters), NULL, &f->a);
	/* Found for something that was inserted, not accessed: of no interest. */
	if (r->auto_files && !f->a.accesses) {
		r->nr_files--;
		return;
	}
	bpf_map_lookup_elem(bpf_object__find_map_fd_by_name(r->counters->obj, "latency"),
			    &known->slot, &l);
	account_percentiles(&l, &f->lat);
}

void report_read(struct report *r)
{
	size_t i;

	known_files_read(&r->known, r->counters, r->targets, r->nr_targets, r->auto_files);
	for (i = 0; i < r->known.nr; i++)
		add_file(r, &r->known.files[i]);
	if (r->auto_files)
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
	static const char *const columns[] = { "ACCESSES", "HITS",   "MISSES",	 "LATE",
					       "HIT%",	   "READS",  "MISS",	 "MMAPS",
					       "MISS",	   "AROUND", "INSERTED", "REMOVED",
					       "P50us",	   "P99us",  "MAXus",	 "FILE" };
	size_t i, n = r->nr_files;
	struct libscols_table *t;

	if (r->auto_files && n > BUSIEST)
		n = BUSIEST;
	t = table_new(columns, ARRAY_SIZE(columns), out->f);
	for (i = 0; i < n; i++) {
		const struct report_file *f = &r->files[i];
		const struct account *a = &f->a;
		bool lat = f->lat.samples;
		char *cells[] = { cell_u64(a->accesses),
				  cell_u64(a->hits),
				  cell_u64(a->misses),
				  cell_known(a->late_known, a->late),
				  cell_percent(account_hit_ratio(a)),
				  cell_u64(a->read_accesses),
				  cell_u64(a->read_misses),
				  cell_u64(a->mmap_accesses),
				  cell_u64(a->mmap_misses),
				  cell_u64(a->mmap_fault_around),
				  cell_u64(a->inserted_pages),
				  cell_u64(a->removed_pages),
				  cell_us(lat, f->lat.p50),
				  cell_us(lat, f->lat.p99),
				  cell_us(lat, f->lat.max),
				  known_file_cell(&f->known) };

		table_row(t, cells, ARRAY_SIZE(cells));
	}
	table_print(t);
	if (n < r->nr_files)
		fprintf(out->f, "%zu more files with fewer misses (-j lists all)\n",
			r->nr_files - n);
	output_flush(out);
}

void report_files(struct report *r, struct output *out)
{
	uint64_t lost = 0;
	size_t i;

	for (i = 0; i < r->nr_files; i++) {
		lost += r->files[i].a.lost_events;
		if (out->json)
			record_file(out, &r->files[i]);
	}
	if (!out->json)
		print_table(r, out);
	if (lost)
		say("%" PRIu64 " events of the list were lost: pages are missing in it, "
		    "the counts are exact",
		    lost);
	known_files_free(&r->known);
	free(r->files);
	r->files = NULL;
	r->nr_files = 0;
}

/* A list is read in another directory than it was written in. */
static char *absolute(const char *path)
{
	char *real = realpath(path, NULL);

	return real ? real : xstrdup(path);
}

size_t report_sections(const struct report *r, struct offsets_section **sections, uint32_t *n)
{
	struct target t;
	size_t i, unnamed = 0;
	char *why;

	*n = r->counters->max_slots;
	*sections = xcalloc(*n, sizeof(**sections));
	for (i = 0; i < r->nr_files; i++) {
		const struct report_file *f = &r->files[i];
		struct offsets_section *s = &(*sections)[f->known.slot];

		if ((r->auto_files && !f->a.misses) || s->file)
			continue;
		if (!f->known.path || target_open(&t, f->known.path, &why) != TARGET_OK) {
			unnamed++;
			continue;
		}
		s->file = absolute(f->known.path);
		s->id = t.id;
		s->page_size = page_size();
		s->misses = f->a.misses;
		target_close(&t);
	}
	return unnamed;
}

void report_sections_free(struct offsets_section *sections, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		free(sections[i].file);
	free(sections);
}

/* --resident */

struct resident {
	uint64_t pages;
	uint32_t slot;
	struct list_writer *rec;
};

static int add_resident(void *ctx, uint64_t index, uint64_t nr, bool cached)
{
	struct resident *r = ctx;
	struct p2c_page_record run = { .slot = r->slot };

	if (!cached)
		return 0;
	r->pages += nr;
	for (; r->rec && nr; nr -= run.nr_pages) {
		run.index = index;
		run.nr_pages = nr > 1U << 31 ? 1U << 31 : nr;
		list_writer_add(r->rec, &run);
		index += run.nr_pages;
	}
	return 0;
}

static void resident_line(struct output *out, struct libscols_table *t, const char *path,
			  uint64_t pages, uint64_t resident)
{
	double ratio = pages ? (double)resident / pages : -1;
	struct json_object *o;

	if (out->json) {
		o = json_new("resident");
		json_text(o, "file", path);
		json_u64(o, "pages", pages);
		json_u64(o, "resident", resident);
		json_ratio(o, "resident_ratio", ratio);
		output_record(out, o);
	} else {
		char *cells[] = { cell_u64(pages), cell_u64(resident), cell_percent(ratio),
				  cell_text(path) };

		table_row(t, cells, ARRAY_SIZE(cells));
	}
}

enum status report_resident(const struct target *targets, size_t n, struct output *out,
			    struct list_writer *rec)
{
	static const char *const columns[] = { "PAGES", "RESIDENT", "RES%", "FILE" };
	struct offsets_section *sections = xcalloc(n, sizeof(*sections));
	struct libscols_table *t = NULL;
	enum status status = STATUS_DONE;
	size_t i;
	int err;

	if (out->json)
		output_record(out, json_meta("cachemiss", json_object_new_object()));
	else
		t = table_new(columns, ARRAY_SIZE(columns), out->f);
	for (i = 0; i < n; i++) {
		struct resident r = { .slot = i, .rec = rec };
		uint64_t pages = (targets[i].id.size + page_size() - 1) / page_size();

		sections[i].file = absolute(targets[i].path);
		sections[i].id = targets[i].id;
		sections[i].page_size = page_size();
		err = residency_runs(targets[i].fd, 0, pages, add_resident, &r);
		if (err) {
			say("%s: which pages are cached: %s", targets[i].path, strerror(-err));
			status = STATUS_FAILED;
			continue;
		}
		sections[i].misses = r.pages;
		resident_line(out, t, targets[i].path, pages, r.pages);
	}
	if (t)
		table_print(t);
	if (rec && !status) {
		err = list_writer_write(rec, sections, n);
		if (err) {
			say("%s: %s: nothing was written", rec->path, strerror(-err));
			status = STATUS_FAILED;
		}
	}
	report_sections_free(sections, n);
	return status;
}
