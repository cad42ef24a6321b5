/* SPDX-License-Identifier: GPL-2.0-only */
/* pcforce --serve: has the pages read in that programs of this user hint through libpagehint. */
#ifndef PAGE2CACHE_SERVE_H
#define PAGE2CACHE_SERVE_H

#include "base/util.h"

struct serve_options {
	const char *path;     /* of the socket */
	bool at_lookups;      /* engine kfunc */
	uint64_t rate;	      /* bytes a second of all programs together, 0: no limit */
	uint64_t duration_us; /* 0: until a signal comes */
};

/* Serve until a signal or the end of the time. What fails has been said. */
enum status serve(const struct serve_options *opt);

#endif
