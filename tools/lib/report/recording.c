// SPDX-License-Identifier: GPL-2.0-only
#include "report/recording.h"
#include "shared.h"
#include "cachemiss.skel.h"

static struct recording *recording_of(struct trace_run *w)
{
	return (struct recording *)w;
}

bool recording_open(struct trace_run *w)
{
	struct recording *r = recording_of(w);

	r->skel = cachemiss_bpf__open_opts(types_open_opts());
	if (!r->skel)
		return false;
	w->skeleton = r->skel->skeleton;
	w->obj = r->skel->obj;
	w->config = &r->skel->rodata->cfg;
	return true;
}

void recording_configure(struct trace_run *w)
{
	struct recording *r = recording_of(w);

	r->skel->rodata->record_pages = r->list;
	r->skel->rodata->record_hits = r->hits;
	bpf_program__set_autoload(r->skel->progs.add_up, w->interval_us != 0);
	if (!r->list)
		bpf_map__set_max_entries(r->skel->maps.ring, 4096);
	if (!r->list || r->max_chunks)
		bpf_map__set_max_entries(r->skel->maps.chunks, r->list ? r->max_chunks : 1);
}

void recording_bind(struct trace_run *w)
{
	counters_bind(&w->counters, &recording_of(w)->skel->bss->watch);
}

void recording_begin(struct trace_run *w)
{
	struct recording *r = recording_of(w);

	report_init(&r->report, &w->counters, w->targets, w->nr_targets, w->options.auto_files);
	r->report.hits = r->hits;
}

int recording_event(void *w, void *data, size_t size)
{
	list_writer_add(&recording_of(w)->writer, data);
	return 0;
}

size_t recording_sections(struct recording *r, struct offsets_section **sections, uint32_t *n)
{
	size_t unnamed = report_sections(&r->report, &r->naming, sections, n);

	r->writer.incomplete = report_incomplete(&r->report);
	list_writer_find_random(&r->writer, *sections, *n);
	return unnamed;
}

void recording_free(struct recording *r)
{
	report_free(&r->report);
	cachemiss_bpf__destroy(r->skel);
	r->skel = NULL;
}
