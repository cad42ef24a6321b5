/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A program's connection to a server that drains its queue: pcforce --serve. */
#ifndef PAGEHINT_PEER_H
#define PAGEHINT_PEER_H

#include <sys/types.h>

#include "protocol.h"

struct peer {
	int sock;
	/* The socket's own: a program may have closed it, and given its number to something else. */
	dev_t dev;
	ino_t ino;
	void *queue;
	const struct result *results;
};

/*
 * Connect to the server at PATH, and map what it shares. Returns 0 or -errno: -ECONNREFUSED if
 * there is none, -EACCES if it is another user's or does not serve this one.
 */
int peer_connect(struct peer *p, const char *path);

/* Pass the file of FD on. Returns its id or -errno. */
int peer_open(const struct peer *p, int fd);
int peer_close(const struct peer *p, int id);

/* Hang up. MAPPED: the queue and results are unmapped; a child of fork(2) has none. */
void peer_end(struct peer *p, bool mapped);

#endif
