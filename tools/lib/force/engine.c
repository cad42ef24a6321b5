// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>

#include "file/fs_type.h"
#include "force/engine.h"

const struct engine *const engines[NR_ENGINES] = { &engine_helper, &engine_kfunc, &engine_user };

const struct engine *engine_find(const char *name)
{
	size_t i;

	for (i = 0; i < NR_ENGINES; i++) {
		if (!strcmp(engines[i]->name, name))
			return engines[i];
	}
	return NULL;
}

/*
 * Names a file of the list that is on FUSE (to be freed, NULL: none is). The server of such a file
 * is a process that may never answer, so the kernel forces none. virtiofs has no such server.
 */
static char *on_fuse(const struct list *l)
{
	char *why = NULL, *type = NULL;
	dev_t dev = 0;
	size_t i;

	for (i = 0; i < l->nr_files && !why; i++) {
		const struct target *t = &l->files[i].target;

		if (l->files[i].state != LIST_READY)
			continue;
		/* Most lists have files of one file system only: ask for its type once. */
		if (t->id.dev != dev) {
			free(type);
			dev = t->id.dev;
			type = fs_type(dev);
		}
		if (type && !strncmp(type, "fuse", strlen("fuse")))
			why = xasprintf("%s: on a file system of type %s, which is served by a "
					"process: engine user forces it",
					t->path, type);
	}
	free(type);
	return why;
}

char *engine_unusable(const struct engine *e, const struct list *l)
{
	char *why = e->refused ? e->refused() : NULL;

	if (why)
		return why;
	return e->way ? on_fuse(l) : NULL;
}
