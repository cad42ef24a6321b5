/* SPDX-License-Identifier: GPL-2.0-only */
/* Sequences of pages or blocks: planned ones, and noted ones. */
#ifndef PAGES_H
#define PAGES_H

#include "access.h"

struct pages {
	uint64_t *page, nr, cap;
};

static void pages_add(struct pages *p, uint64_t page)
{
	if (p->nr == p->cap) {
		p->cap = p->cap ? p->cap * 2 : 1024;
		p->page = realloc(p->page, p->cap * sizeof(*p->page));
		if (!p->page)
			die("out of memory");
	}
	p->page[p->nr++] = page;
}

static void pages_print(const struct pages *p, FILE *out)
{
	for (uint64_t i = 0; i < p->nr; i++)
		fprintf(out, "%ju\n", (uintmax_t)p->page[i]);
}

static void plan_from_file(struct pages *p, uint64_t nr)
{
	FILE *in = fopen(opt.pattern + 1, "r");
	uintmax_t block;

	if (!in)
		die("%s: %s", opt.pattern + 1, strerror(errno));
	while (fscanf(in, "%ju", &block) == 1) {
		if (block >= nr)
			die("%s: block %ju is past the end", opt.pattern + 1, block);
		pages_add(p, block);
	}
	fclose(in);
}

/* The first `count` of the blocks from `first`, in the order of the pattern. */
static void plan(struct pages *p, uint64_t first, uint64_t nr, uint64_t count)
{
	const char *pattern = opt.pattern;
	uint64_t i, at = 0, lap = 0;

	if (*pattern == '@') {
		plan_from_file(p, nr);
		return;
	}
	for (i = 0; i < nr; i++) {
		if (!strcmp(pattern, "sequential") || !strcmp(pattern, "random")) {
			at = i;
		} else if (!strcmp(pattern, "reverse")) {
			at = nr - 1 - i;
		} else if (!strcmp(pattern, "strided")) {
			at = i ? at + opt.stride : 0;
			if (at >= nr)
				at = ++lap;
		} else if (!strcmp(pattern, "repeat")) {
			at = rnd() % nr;
		} else {
			die("%s: unknown pattern", pattern);
		}
		pages_add(p, first + at);
	}
	for (i = nr; !strcmp(pattern, "random") && i > 1; i--) {
		uint64_t j = rnd() % i, t = p->page[i - 1];

		p->page[i - 1] = p->page[j];
		p->page[j] = t;
	}
	p->nr = count < nr ? count : nr;
}

static void create_file(void)
{
	static uint64_t block[8192];
	uint64_t done, i;
	int out = open(opt.file, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);

	if (out < 0)
		die("%s: %s", opt.file, strerror(errno));
	for (done = 0; done < opt.create;) {
		uint64_t len = opt.create - done < sizeof(block) ? opt.create - done
								 : sizeof(block);
		ssize_t n;

		for (i = 0; i < 8192; i++)
			block[i] = rnd();
		n = write(out, block, len);
		if (n <= 0)
			die("%s: %s", opt.file, strerror(errno));
		done += n;
	}
	if (fsync(out) || close(out))
		die("%s: %s", opt.file, strerror(errno));
}

#endif
