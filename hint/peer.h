/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A program's connection to a server that drains its queue: pcforce --serve. */
#ifndef PAGEHINT_PEER_H
#define PAGEHINT_PEER_H

#include <sys/types.h>

#include "protocol.h"

struct peer {
	int sock;
	/* Device and inode of the socket: a program may have closed it and reused its number. */
	dev_t dev;
	ino_t ino;
	void *queue;
	const struct result *results;
};

/*
 * Connect to the server at PATH, and map the memory that it shares. Returns 0 or -errno:
 * -ECONNREFUSED if there is no server, -EACCES if the server is another user's or does not serve
 * this user.
 */
int peer_connect(struct peer *p, const char *path);

/* Pass FD to the server. Returns the id of its file or -errno. */
int peer_open(const struct peer *p, int fd);
int peer_close(const struct peer *p, int id);

/* Hang up. MAPPED: the queue and results are unmapped; a child of fork(2) has none. */
void peer_end(struct peer *p, bool mapped);

#endif
