/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Engine `kfunc` of pcforce --serve: a BPF program takes a program's hints where that program looks
 * pages up (bpf/takehints.bpf.c), and the module reads them. What the BPF program leaves in the
 * queue, and what a program hints that looks nothing up, the server's thread takes.
 */
#ifndef PAGE2CACHE_LOOKUPS_H
#define PAGE2CACHE_LOOKUPS_H

#include <sys/types.h>

#include "hint/ring.h"

struct lookups;

/* Load and attach the BPF program, for all connections. Returns why not (to be freed), or NULL. */
char *lookups_open(void);
void lookups_close(void);

/*
 * A place for process PID, whose queue is the memory file QUEUE. NULL: its hints are not taken at
 * its lookups, as the engine is another one, or those of another connection of the process are.
 */
struct lookups *lookups_join(pid_t pid, int queue);
void lookups_leave(struct lookups *l);

/*
 * Find the queue in the program's memory, unless that has been done: the program has mapped it when
 * it names its first file. Nothing is taken at its lookups before.
 */
void lookups_begin(struct lookups *l);
bool lookups_begun(const struct lookups *l);

/* So many bytes may be read, and so many requests be in flight, until this is called again. */
void lookups_allow(struct lookups *l, uint64_t bytes, unsigned int requests);

/* How many ranges have been taken so far. */
uint64_t lookups_taken(const struct lookups *l);

/*
 * The module holds the program's file ID, which is open as FD, by a description of its own; or lets
 * the file go.
 */
void lookups_hold(struct lookups *l, int id, int fd);
void lookups_let_go(struct lookups *l, int id);

/* As in struct own_limits. What has not been taken at a lookup since the last call is for the caller. */
size_t lookups_take(struct lookups *l, struct ring_consumer *c, struct ring_hint *hints, size_t max,
		    bool at_once);

#endif
