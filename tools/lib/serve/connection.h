/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One program that is served. A thread of its own talks to it, and takes its descriptors: what
 * hangs in a hostile file system's fstat(2) or close(2) is this thread, and no other program waits.
 * A second one (hint/own.h) drains its queue.
 */
#ifndef PAGE2CACHE_CONNECTION_H
#define PAGE2CACHE_CONNECTION_H

#include <sys/socket.h>

#include "force/pace.h"
#include "serve/lookups.h"

struct connection {
	uint64_t number; /* from 1, never used again */
	int sock;
	struct ucred peer;
	struct pace *pace;	   /* of all of them together */
	const uint32_t *nr_served; /* how many of them there are */
	uint32_t *in_flight;	   /* pieces of all of them */
	struct counted *counted;   /* of all of them, too; NULL: accesses are not counted here */
	volatile bool stop;	   /* the program is gone, or the server ends: read nothing more */
	volatile bool server_ends; /* and wait for nothing */
	struct own *own;	   /* drains its queue */
	struct lookups *lookups;   /* takes hints as well; NULL: the draining thread alone does */
	struct counted_program *program; /* counts its accesses */
	/* How much may be cached, and when that was looked at. Of the draining thread. */
	uint64_t room;
	uint64_t looked_ns;
};

/* Serve the program until it hangs up. */
void connection_serve(struct connection *c);

/* Tell a program that has just connected why it is not served, without waiting for it. */
void connection_refuse(int sock, int err);

#endif
