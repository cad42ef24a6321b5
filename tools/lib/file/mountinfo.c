// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>

#include "file/mountinfo.h"

void mountinfo_open(struct mountinfo *m)
{
	*m = (struct mountinfo){ .file = fopen("/proc/self/mountinfo", "re") };
}

void mountinfo_close(struct mountinfo *m)
{
	if (m->file)
		fclose(m->file);
	free(m->line);
}

/* Decode S in place: mountinfo has blanks, tabs, newlines and backslashes as \ooo. */
static char *decode(char *s)
{
	unsigned int byte;
	char *from, *to = s;

	for (from = s; *from; from++) {
		if (*from == '\\' && sscanf(from + 1, "%3o", &byte) == 1) {
			*to++ = byte;
			from += 3;
		} else {
			*to++ = *from;
		}
	}
	*to = 0;
	return s;
}

/* ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [TAG]... - TYPE SOURCE OPTIONS: proc_pid_mountinfo(5). */
static bool parse(struct mountinfo *m)
{
	char *rest = m->line, *dev, *root, *point, *word;
	unsigned int major, minor;

	strsep(&rest, " ");
	strsep(&rest, " ");
	dev = strsep(&rest, " ");
	root = strsep(&rest, " ");
	point = strsep(&rest, " ");
	do {
		word = strsep(&rest, " ");
	} while (word && strcmp(word, "-"));
	m->type = strsep(&rest, " ");
	strsep(&rest, " ");
	m->options = strsep(&rest, "\n");
	if (!m->options || sscanf(dev, "%u:%u", &major, &minor) != 2)
		return false;
	m->dev = major << 20 | minor;
	m->root = decode(root);
	m->point = decode(point);
	return true;
}

bool mountinfo_next(struct mountinfo *m)
{
	while (m->file && getline(&m->line, &m->room, m->file) > 0) {
		if (parse(m))
			return true;
	}
	return false;
}
