/* SPDX-License-Identifier: GPL-2.0-only */
/* The socket at which a server is found: made here, or handed over by a service manager. */
#ifndef PAGE2CACHE_LISTENING_H
#define PAGE2CACHE_LISTENING_H

#include <sys/stat.h>

#include "base/util.h"

struct listening {
	const char *path;
	int sock;
	bool made; /* by us, who also remove it */
	struct stat st;
};

/* Listen at PATH, without blocking in accept(2). Says what fails. */
enum status listening_open(struct listening *l, const char *path);
void listening_close(struct listening *l);

#endif
