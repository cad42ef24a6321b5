// SPDX-License-Identifier: GPL-2.0-only
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "report/decisions.h"

/* Files that the summary for people shows when none was named. */
#define BUSIEST 20
#define BAR	40
/* Fewer decisions than this make no pattern. */
#define FEW 3
/* Pages that one fault maps (fault_around_bytes), and those of the smallest first window. */
#define AROUND_PAGES 16
#define FIRST_WINDOW 4

const char *const ra_kind_names[NR_RA_KINDS] = { "sync", "async", "order", "unbounded", "force" };

/* A row of the table. */
struct decision {
	uint64_t ts_us, pid, index, req_pages, start, size, async_size, order, pages_read;
	const char *comm, *kind;
	const struct known_file *file;
};

static char *seconds_cell(const struct column *c, const void *row)
{
	uint64_t us = ((const struct decision *)row)->ts_us;

	return xasprintf("%" PRIu64 ".%06" PRIu64, us / 1000000, us % 1000000);
}

static char *pid_cell(const struct column *c, const void *row)
{
	uint64_t pid = ((const struct decision *)row)->pid;

	return cell_known(pid, pid);
}

static char *file_cell(const struct column *c, const void *row)
{
	return known_file_cell(((const struct decision *)row)->file);
}

/* A row a line: */
/* clang-format off */
#define AT(field) offsetof(struct decision, field)
static const struct column columns[] = {
	{ "SECONDS", false, 11, seconds_cell },
	{ "PID",     false,  7, pid_cell },
	{ "COMM",    true,  15, column_text, AT(comm) },
	{ "KIND",    true,   9, column_text, AT(kind) },
	{ "INDEX",   false,  9, column_u64,  AT(index) },
	{ "REQ",     false,  5, column_u64,  AT(req_pages) },
	{ "START",   false,  9, column_u64,  AT(start) },
	{ "SIZE",    false,  5, column_u64,  AT(size) },
	{ "ASYNC",   false,  5, column_u64,  AT(async_size) },
	{ "O",       false,  2, column_u64,  AT(order) },
	{ "READ",    false,  5, column_u64,  AT(pages_read) },
	{ "FILE",    true,   0, file_cell },
};
#undef AT
/* clang-format on */

const struct table_layout decision_table = { columns, ARRAY_SIZE(columns), 40 };

void decisions_init(struct decisions *d, struct counters *w, struct output *out,
		    const struct target *targets, size_t n, bool auto_files)
{
	size_t i;

	memset(d, 0, sizeof(*d));
	d->counters = w;
	d->out = out;
	d->targets = targets;
	d->nr_targets = n;
	d->auto_files = auto_files;
	d->names = xcalloc(w->max_slots, sizeof(*d->names));
	for (i = 0; i < n; i++) {
		d->names[targets[i].slot].path = xstrdup(targets[i].path);
		d->names[targets[i].slot].slot = targets[i].slot;
		d->names[targets[i].slot].key = targets[i].key;
	}
}

/* A file found at its first access gets its name once, when it is first needed. */
static const struct known_file *name_of(struct decisions *d, uint32_t slot)
{
	struct known_file *f = &d->names[slot < d->counters->max_slots ? slot : SLOT_OTHERS];

	if (f->path || f->key.ino || slot == SLOT_OTHERS || !d->auto_files)
		return f;
	if (!d->mounts)
		d->mounts = mounts_read();
	known_file_read(f, d->counters, d->mounts, slot);
	return f;
}

static void print_record(struct decisions *d, const struct p2c_ra_record *r, uint64_t ts_us)
{
	struct json_object *o = json_new("event");

	json_u64(o, "ts_us", ts_us);
	json_u64_if(o, "pid", r->pid, r->pid);
	json_u64_if(o, "tid", r->tid, r->tid);
	json_name(o, "comm", r->comm);
	json_name(o, "file", name_of(d, r->slot)->path);
	json_text(o, "kind", ra_kind_names[r->kind]);
	json_u64(o, "index", r->index);
	json_u64(o, "req_pages", r->req_pages);
	json_u64(o, "start", r->start);
	json_u64(o, "size", r->size);
	json_u64(o, "async_size", r->async_size);
	json_u64(o, "order", r->order);
	json_u64_if(o, "ra_pages", r->ra_pages != RA_UNKNOWN, r->ra_pages);
	json_u64(o, "pages_read", r->pages_read);
	output_record(d->out, o);
}

void decisions_print(struct decisions *d, const struct p2c_ra_record *r)
{
	uint64_t ts_us = r->ts_ns > d->start_ns ? (r->ts_ns - d->start_ns) / 1000 : 0;
	struct decision row;

	if (r->kind >= NR_RA_KINDS)
		return;
	if (d->out->json) {
		print_record(d, r, ts_us);
		return;
	}
	row = (struct decision){
		.ts_us = ts_us,
		.pid = r->pid,
		.kind = ra_kind_names[r->kind],
		.index = r->index,
		.req_pages = r->req_pages,
		.start = r->start,
		.size = r->size,
		.async_size = r->async_size,
		.order = r->order,
		.pages_read = r->pages_read,
		.comm = r->comm,
		.file = name_of(d, r->slot),
	};
	if (!d->table)
		d->table = table_new(&decision_table, &d->out->tables, d->out->f);
	table_row(d->table, &row);
	d->printed = d->table;
}

void decisions_flush(struct decisions *d)
{
	table_flush(d->table);
}

/* The summary. */

struct summary {
	const struct known_file *file;
	struct p2c_ra_counts c;
	struct account accesses; /* the misses of reads are not counted here */
	struct percentiles first_use;
};

static uint64_t decided(const struct p2c_ra_counts *c)
{
	uint64_t sum = 0;
	int kind;

	for (kind = 0; kind < NR_RA_KINDS; kind++)
		sum += c->decisions[kind];
	return sum;
}

static uint64_t unused(const struct p2c_ra_counts *c)
{
	return c->pages_read > c->pages_used ? c->pages_read - c->pages_used : 0;
}

/* Do most windows of faults begin at their page? For those, Linux 7.3 ignores MADV_RANDOM. */
static bool are_forward(const struct p2c_ra_counts *c)
{
	return c->forward * 2 > c->decisions[RA_ORDER];
}

/* In words, what the decisions look like together; what became of the pages is add_use()'s. */
static char *shape(const struct p2c_ra_counts *c)
{
	const __u64 *n = c->decisions;
	unsigned long long all = decided(c), started = n[RA_SYNC] - c->plain;

	if (n[RA_FORCE] * 2 > all)
		return xasprintf("asked for by a program (readahead, fadvise, madvise), in parts "
				 "of at most %llu page%s",
				 (unsigned long long)c->largest, c->largest == 1 ? "" : "s");
	if (n[RA_SYNC] && c->off * 2 > all)
		return xstrdup(
			"each miss reads its page alone: readahead is off (read_ahead_kb 0)");
	if (all && !c->largest)
		return xasprintf("%llu decision%s, and what they could have read was cached", all,
				 all == 1 ? "" : "s");
	if (all < FEW)
		return xasprintf("%llu decision%s, too few to see a pattern", all,
				 all == 1 ? "" : "s");
	if (n[RA_ORDER] * 2 > all)
		return xasprintf("faults that miss read up to %llu pages %s",
				 (unsigned long long)c->largest,
				 are_forward(c) ? "from theirs on: of an executable mapping"
						: "around them");
	if (n[RA_ASYNC] && n[RA_ASYNC] >= started && started + n[RA_ASYNC] > c->plain)
		return xasprintf("windows grow to %llu pages and stay: sequential",
				 (unsigned long long)c->largest);
	if (c->plain * 2 > all)
		return xstrdup("each miss reads what was asked for, no more: random, or said to "
			       "be (POSIX_FADV_RANDOM)");
	return xasprintf("starts over at %llu of %llu decisions: random, or many places at once",
			 started + n[RA_ORDER], all);
}

static uint64_t windows(const struct p2c_ra_counts *c)
{
	uint64_t sum = 0;
	int i;

	for (i = 0; i < RA_HIST; i++)
		sum += c->windows[i];
	return sum;
}

/*
 * Where most of it was for nothing: what would read less, by how much of a window is used.
 * Who uses more of it than one access takes would read page by page without readahead,
 * slower than with a window of that size.
 */
static char *advice(const struct p2c_ra_counts *c)
{
	bool faults = c->decisions[RA_ORDER] * 2 > decided(c);
	uint64_t n = windows(c), used = n ? (c->pages_used + n - 1) / n : 0, pages = 1;

	if (c->decisions[RA_FORCE] * 2 > decided(c))
		return xstrdup(" yet");
	if (used <= (faults ? AROUND_PAGES : FIRST_WINDOW))
		return xasprintf(" (%sa smaller read_ahead_kb reads less)",
				 !faults	  ? "POSIX_FADV_RANDOM or "
				 : are_forward(c) ? ""
						  : "MADV_RANDOM or ");
	while (pages < used)
		pages *= 2;
	return xasprintf(" (of a window some %" PRIu64 " pages are used: read_ahead_kb %" PRIu64
			 " or less reads less)",
			 used, pages * page_size() / 1024);
}

/* What became of the pages; takes TEXT, the sentence so far. */
static char *add_use(char *text, const struct p2c_ra_counts *c)
{
	unsigned int percent = 100.0 * unused(c) / c->pages_read + 0.5;
	char *hint = percent < 50 ? xstrdup("") : advice(c), *longer;

	if (!unused(c))
		longer = xasprintf("%s; all that was read ahead was used", text);
	else if (!percent)
		longer = xasprintf("%s; %" PRIu64 " of the %" PRIu64
				   " pages that were read ahead were never used",
				   text, unused(c), (uint64_t)c->pages_read);
	else
		longer = xasprintf("%s; %u %% of what was read ahead was never used%s", text,
				   percent, hint);
	free(hint);
	free(text);
	return longer;
}

char *ra_meaning(const struct p2c_ra_counts *c, const struct account *a)
{
	char *text;

	if (!decided(c) && !a->accesses)
		return xstrdup("not accessed");
	if (!decided(c) && a->mmap_misses)
		return xasprintf("no readahead: %llu faults read their page alone (MADV_RANDOM, or "
				 "too many misses in a row)",
				 (unsigned long long)a->mmap_misses);
	if (!decided(c))
		return xstrdup("no readahead: what was accessed was in the page cache");
	text = shape(c);
	return !c->pages_read || c->lost_pages || a->pages_unknown ? text : add_use(text, c);
}

static void summary_record(struct output *out, const struct summary *s)
{
	struct json_object *o = json_new("file"), *hist = json_object_new_object();
	const struct p2c_ra_counts *c = &s->c;
	bool known = !c->lost_pages, timed = s->first_use.samples;
	char *meaning = ra_meaning(c, &s->accesses), key[16];
	int i;

	for (i = 0; i < RA_HIST; i++) {
		snprintf(key, sizeof(key), "%llu", 1ULL << i);
		if (c->windows[i])
			json_u64(hist, key, c->windows[i]);
	}
	json_file_name(o, s->file);
	for (i = 0; i < NR_RA_KINDS; i++)
		json_u64(o, ra_kind_names[i], c->decisions[i]);
	json_u64(o, "plain", c->plain);
	json_u64(o, "off", c->off);
	json_u64(o, "pages_read", c->pages_read);
	json_u64_if(o, "pages_used", known, c->pages_used);
	known &= !s->accesses.pages_unknown;
	json_u64_if(o, "pages_unused_removed", known, c->pages_unused_removed);
	json_u64_if(o, "pages_unused_resident", known, unused(c) - c->pages_unused_removed);
	json_u64(o, "window_pages_max", c->largest);
	json_object_object_add(o, "window_pages_hist", hist);
	json_us(o, "first_use_us_p50", timed, s->first_use.p50);
	json_us(o, "first_use_us_p90", timed, s->first_use.p90);
	json_us(o, "first_use_us_p99", timed, s->first_use.p99);
	json_us(o, "first_use_us_max", timed, s->first_use.max);
	json_text(o, "meaning", meaning);
	json_u64(o, "lost_events", c->lost_events);
	json_exactness(o, s->accesses.exact);
	output_record(out, o);
	free(meaning);
}

static void print_windows(FILE *f, const struct p2c_ra_counts *c)
{
	uint64_t most = 0;
	int i;

	for (i = 0; i < RA_HIST; i++)
		most = c->windows[i] > most ? c->windows[i] : most;
	for (i = 0; i < RA_HIST; i++) {
		if (!c->windows[i])
			continue;
		fprintf(f, "%12llu to %-7llu %8llu |%-*.*s|\n", 1ULL << i, (2ULL << i) - 1,
			(unsigned long long)c->windows[i], BAR,
			(int)((c->windows[i] * BAR + most - 1) / most),
			"****************************************");
	}
}

static double percent(uint64_t part, uint64_t all)
{
	return all ? 100.0 * part / all : 0;
}

static void summary_print(FILE *f, const struct summary *s)
{
	const struct p2c_ra_counts *c = &s->c;
	char *name = known_file_cell(s->file), *shown = percent_escape(name, ESCAPE_CONTROLS);
	char *meaning = ra_meaning(c, &s->accesses);
	const char *at_least = s->accesses.exact == NOT_EXACT ? ">=" : "";
	int i;

	fprintf(f, "%s\n  decisions  ", shown);
	for (i = 0; i < NR_RA_KINDS; i++)
		fprintf(f, "%s%s%llu %s", i ? ", " : "", at_least,
			(unsigned long long)c->decisions[i], ra_kind_names[i]);
	fprintf(f, "\n");
	if (c->largest)
		fprintf(f, "  window, pages         windows\n");
	print_windows(f, c);
	fprintf(f, "  read ahead %s%llu pages", at_least, (unsigned long long)c->pages_read);
	if (c->pages_read && !c->lost_pages && s->accesses.pages_unknown)
		fprintf(f, ": used >=%llu", (unsigned long long)c->pages_used);
	else if (c->pages_read && !c->lost_pages)
		fprintf(f,
			": used %llu (%.1f %%), evicted unused %llu (%.1f %%), unused so far %llu "
			"(%.1f %%)",
			(unsigned long long)c->pages_used, percent(c->pages_used, c->pages_read),
			(unsigned long long)c->pages_unused_removed,
			percent(c->pages_unused_removed, c->pages_read),
			(unsigned long long)(unused(c) - c->pages_unused_removed),
			percent(unused(c) - c->pages_unused_removed, c->pages_read));
	fprintf(f, "\n");
	if (s->first_use.samples)
		fprintf(f,
			"  first use  after %.0f us (median), %.0f us (99 %%), %.0f us (at most)\n",
			s->first_use.p50, s->first_use.p99, s->first_use.max);
	fprintf(f, "  meaning    %s\n", meaning);
	free(meaning);
	free(shown);
	free(name);
}

static int by_pages(const void *a, const void *b)
{
	const struct summary *x = a, *y = b;

	if (x->c.pages_read != y->c.pages_read)
		return x->c.pages_read < y->c.pages_read ? 1 : -1;
	return x->file->slot < y->file->slot ? -1 : x->file->slot > y->file->slot;
}

void decisions_summary(struct decisions *d)
{
	int counts = bpf_object__find_map_fd_by_name(d->counters->obj, "ra_counts");
	int latency = bpf_object__find_map_fd_by_name(d->counters->obj, "latency");
	uint64_t lost_events = 0, lost_pages = 0;
	struct summary *all, *s;
	struct p2c_file_counts counted;
	struct p2c_file_latency l;
	struct known_files files;
	bool any_found = false;
	size_t i, n = 0;

	known_files_read(&files, d->counters, d->targets, d->nr_targets, d->auto_files);
	all = xcalloc(files.nr, sizeof(*all));
	for (i = 0; i < files.nr; i++) {
		s = &all[n];
		s->file = &files.files[i];
		any_found |= known_file_found(s->file);
		if (bpf_map_lookup_elem(counts, &s->file->slot, &s->c) ||
		    (known_file_found(s->file) && !decided(&s->c)))
			continue;
		if (!counters_read(d->counters, s->file->slot, &counted))
			account_derive(&counted, false, NULL, &s->accesses);
		/* Lookups that were not seen change no figure here but that of the used pages. */
		s->accesses.exact = s->accesses.pages_unknown ? NOT_EXACT : d->counters->exact;
		if (!bpf_map_lookup_elem(latency, &s->file->slot, &l))
			account_percentiles(&l, s->c.pages_used, &s->first_use);
		lost_events += s->c.lost_events;
		lost_pages += s->c.lost_pages;
		n++;
	}
	if (any_found)
		qsort(all, n, sizeof(*all), by_pages);
	decisions_flush(d);
	if (d->printed)
		fprintf(d->out->f, "\n");
	for (i = 0; i < n; i++) {
		if (d->out->json)
			summary_record(d->out, &all[i]);
		else if (!any_found || i < BUSIEST)
			summary_print(d->out->f, &all[i]);
	}
	if (!d->out->json && !n)
		fprintf(d->out->f, "Nothing was read ahead.\n");
	if (!d->out->json && any_found && n > BUSIEST)
		fprintf(d->out->f, "%zu more files for which less was read (-j lists all)\n",
			n - BUSIEST);
	output_flush(d->out);
	if (lost_events)
		say("%" PRIu64
		    " decisions are not shown (ring buffer full); the summary counts them",
		    lost_events);
	if (lost_pages)
		say("page tracking table full: whether pages were used is not known of %" PRIu64
		    " groups of 64",
		    lost_pages);
	free(all);
	known_files_free(&files);
}

void decisions_free(struct decisions *d)
{
	uint32_t i;

	table_end(d->table);
	d->table = NULL;
	for (i = 0; d->names && i < d->counters->max_slots; i++)
		known_file_free(&d->names[i]);
	free(d->names);
	d->names = NULL;
	if (d->mounts)
		mounts_free(d->mounts);
	d->mounts = NULL;
}
