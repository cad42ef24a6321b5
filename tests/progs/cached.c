// SPDX-License-Identifier: GPL-2.0-only
/*
 * cached [-c] FILE: the pages of FILE that are in the page cache, one a line; -c:
 * only how many. Asking neither looks a page up as a reader does nor faults. A
 * page that is cached and not (yet) valid has a '!' behind it.
 *
 * cached -w N FILE: wait until at least N pages are, and all of them valid.
 */
#include "oracle.h"

static uint64_t uptodate(struct oracle *o)
{
	uint64_t page, nr = 0;

	for (page = 0; page < o->pages; page++)
		nr += oracle_uptodate(o, page);
	return nr;
}

int main(int argc, char **argv)
{
	uint64_t page, end = now_us() + 30000000;
	const char *mode = argc > 2 ? argv[1] : "";
	struct oracle o;
	int fd;

	if (argc < 2 || argc > 4 || (argc == 4) != !strcmp(mode, "-w"))
		die("usage: cached [-c | -w N] FILE");
	fd = open(argv[argc - 1], O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die("%s: %s", argv[argc - 1], strerror(errno));
	oracle_open(&o, fd);
	if (!strcmp(mode, "-c")) {
		printf("%ju\n", (uintmax_t)oracle_resident(&o));
		return 0;
	}
	if (!strcmp(mode, "-w")) {
		uint64_t n = strtoull(argv[2], NULL, 10);

		while (oracle_resident(&o) < n || uptodate(&o) < oracle_resident(&o)) {
			if (now_us() > end)
				die("%ju pages after 30 s", (uintmax_t)oracle_resident(&o));
			nap_us(2000);
		}
		return 0;
	}
	for (page = 0; page < o.pages; page++) {
		if (oracle_cached(&o, page))
			printf("%ju%s\n", (uintmax_t)page, oracle_uptodate(&o, page) ? "" : "!");
	}
	return 0;
}
