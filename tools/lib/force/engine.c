// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

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

char *engine_unusable(const struct engine *e, const struct list *l)
{
	char *why = e->refused ? e->refused() : NULL;

	if (why)
		return why;
	return e->refuses ? e->refuses(l) : NULL;
}
