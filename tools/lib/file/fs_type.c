// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/util.h"
#include "file/fs_type.h"

char *fs_type(dev_t dev)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL, *rest, *type = NULL;
	unsigned int major_nr, minor_nr;
	size_t room = 0;

	while (f && !type && getline(&line, &room, f) > 0) {
		rest = strstr(line, " - ");
		if (rest && sscanf(line, "%*s %*s %u:%u", &major_nr, &minor_nr) == 2 &&
		    makedev(major_nr, minor_nr) == dev && sscanf(rest, " - %ms", &type) != 1)
			type = NULL;
	}
	free(line);
	if (f)
		fclose(f);
	return type;
}
