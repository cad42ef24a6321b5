// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hook/kallsyms.h"

/*
 * filemap_get_pages() is static; a compiler may split it (.constprop, .cold)
 * but has not inlined it, as it has two callers.
 */
static const struct {
	const char *name;
	enum p2c_where where;
} functions[] = {
	{ "filemap_get_pages", WHERE_READ },
	{ "filemap_fault", WHERE_FAULT },
	{ "page_cache_ra_unbounded", WHERE_READAHEAD },
	{ "page_cache_ra_order", WHERE_READAHEAD },
	{ "page_cache_sync_ra", WHERE_READAHEAD },
	{ "page_cache_async_ra", WHERE_READAHEAD },
	{ "read_pages", WHERE_READAHEAD },
};

static int function_of(const char *name)
{
	size_t i, len;

	for (i = 0; i < ARRAY_SIZE(functions); i++) {
		len = strlen(functions[i].name);
		if (!strncmp(name, functions[i].name, len) && (!name[len] || name[len] == '.'))
			return i;
	}
	return -1;
}

unsigned int kallsyms_ranges(struct p2c_text_range *ranges)
{
	static char buffer[1 << 16];
	FILE *f = fopen("/proc/kallsyms", "re");
	unsigned int n = 0, i;
	uint64_t addr;
	char *line = NULL, *end;
	size_t room = 0;
	bool lookup = false;
	int which;

	if (!f)
		return 0;
	/* /proc suggests a buffer of 1 KiB, and glibc takes another one only as given. */
	setvbuf(f, buffer, _IOFBF, sizeof(buffer));
	while (getline(&line, &room, f) > 0) {
		addr = strtoull(line, &end, 16);
		if (!addr || end[0] != ' ' || !end[1] || end[2] != ' ')
			continue;
		/* The table is not sorted across sections: any later start can be an end. */
		for (i = 0; i < n; i++) {
			if (addr > ranges[i].start && addr < ranges[i].end)
				ranges[i].end = addr;
		}
		end[3 + strcspn(end + 3, "\t\n")] = 0;
		which = function_of(end + 3);
		if (which < 0 || n == MAX_RANGES || (end[1] | 0x20) != 't')
			continue;
		ranges[n].start = addr;
		ranges[n].end = addr + (64 << 10);
		ranges[n].where = functions[which].where;
		lookup |= ranges[n].where == WHERE_READ;
		n++;
	}
	free(line);
	fclose(f);
	return lookup ? n : 0;
}
