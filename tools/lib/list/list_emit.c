// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "list/list_emit.h"

#define NO_SECTION UINT32_MAX

void list_emit_init(struct list_emit *e, FILE *f, const struct offsets_section *sections,
		    uint32_t nr_sections)
{
	*e = (struct list_emit){
		.f = f,
		.sections = sections,
		.nr_sections = nr_sections,
		.numbers = xcalloc(nr_sections, sizeof(*e->numbers)),
		.used = xcalloc(nr_sections, sizeof(*e->used)),
		.last = NO_SECTION,
	};
}

void list_emit_use(struct list_emit *e, uint32_t section)
{
	if (!e->sections[section].file || section == e->last)
		return;
	e->last = section;
	if (e->numbers[section]) {
		e->comes_back = true;
		return;
	}
	e->used[e->nr_used++] = section;
	e->numbers[section] = e->nr_used;
}

/* pcforce --learn looks at the kernel's release. */
static void write_learned(FILE *f)
{
	time_t now = time(NULL);
	struct utsname kernel;
	char text[32];
	struct tm tm;

	uname(&kernel);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	fprintf(f, "# learned version=%s kernel=%s time=%s\n", VERSION, kernel.release, text);
}

void list_emit_begin(struct list_emit *e, bool learned, bool incomplete)
{
	uint32_t i;

	offsets_write_version(e->f, e->comes_back ? OFFSETS_NUMBERED : OFFSETS_PLAIN);
	if (learned)
		write_learned(e->f);
	if (incomplete)
		offsets_write_incomplete(e->f);
	for (i = 0; e->comes_back && i < e->nr_used; i++)
		offsets_write_section(e->f, &e->sections[e->used[i]], i + 1);
	for (i = 0; !e->nr_used && i < e->nr_sections; i++) {
		if (e->sections[i].file)
			offsets_write_section(e->f, &e->sections[i], 0);
	}
	e->last = NO_SECTION;
}

void list_emit_run(struct list_emit *e, uint32_t section, uint64_t index, uint64_t nr_pages)
{
	if (!e->sections[section].file)
		return;
	if (!e->comes_back && section != e->last)
		offsets_write_section(e->f, &e->sections[section], 0);
	e->last = section;
	offsets_write_extent(e->f, index, nr_pages, e->comes_back ? e->numbers[section] : 0);
}

void list_emit_free(struct list_emit *e)
{
	free(e->numbers);
	free(e->used);
	memset(e, 0, sizeof(*e));
}
