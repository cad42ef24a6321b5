/* SPDX-License-Identifier: GPL-2.0-only */
/* pcforce --check: what this kernel allows, and why not. */
#ifndef PAGE2CACHE_CHECK_H
#define PAGE2CACHE_CHECK_H

#include "base/output.h"

extern const struct table_layout check_table;

/* All engines, all hooks. */
enum status check_print(struct output *out);

#endif
