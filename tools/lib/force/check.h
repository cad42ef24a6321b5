/* SPDX-License-Identifier: GPL-2.0-only */
/* pcforce --check: what this kernel allows, and why not. */
#ifndef PAGE2CACHE_CHECK_H
#define PAGE2CACHE_CHECK_H

#include "base/output.h"

enum engine {
	ENGINE_HELPER,
	ENGINE_KFUNC,
	ENGINE_USER,
	NR_ENGINES,
	ENGINE_AUTO,
};

extern const char *const engine_names[NR_ENGINES];

/* Can it be used here? If not, *why (to be freed) says what is missing and what brings it. */
bool engine_available(enum engine e, char **why);

extern const struct table_layout check_table;

/* All engines, all hooks. */
enum status check_print(struct output *out);

#endif
