// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <sys/ioctl.h>

#include "report/picture.h"

void picture_init(struct picture *p, unsigned int width, uint64_t pages)
{
	*p = (struct picture){ pages ? width : 0, pages, xcalloc(width, sizeof(*p->cached)) };
}

/* The first page of a character. */
static uint64_t start_of(const struct picture *p, unsigned int i)
{
	return i * p->pages / p->width;
}

/* The page behind its last one: where there are more characters than pages, several share one. */
static uint64_t end_of(const struct picture *p, unsigned int i)
{
	uint64_t start = start_of(p, i), next = start_of(p, i + 1);

	return next > start ? next : start + 1;
}

void picture_add(struct picture *p, uint64_t index, uint64_t nr)
{
	uint64_t from, to;
	unsigned int i = p->width ? index * p->width / p->pages : 0;

	while (i && end_of(p, i - 1) > index)
		i--;
	for (; i < p->width && start_of(p, i) < index + nr; i++) {
		from = start_of(p, i) > index ? start_of(p, i) : index;
		to = end_of(p, i) < index + nr ? end_of(p, i) : index + nr;
		if (to > from)
			p->cached[i] += to - from;
	}
}

char *picture_text(const struct picture *p)
{
	char *text = xcalloc(p->width + 1, 1);
	unsigned int i;

	for (i = 0; i < p->width; i++) {
		uint64_t pages = end_of(p, i) - start_of(p, i);

		text[i] = p->cached[i] == pages	      ? '#'
			  : p->cached[i] * 2 >= pages ? '+'
			  : p->cached[i]	      ? '-'
						      : '.';
	}
	return text;
}

void picture_free(struct picture *p)
{
	free(p->cached);
	*p = (struct picture){ 0 };
}

unsigned int terminal_width(FILE *f)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;
	uint64_t width = 0;

	if (!ioctl(fileno(f), TIOCGWINSZ, &size) && size.ws_col)
		return size.ws_col;
	if (columns && !parse_u64(columns, &width) && width && width <= 4096)
		return width;
	return 80;
}
