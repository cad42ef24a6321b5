/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What becomes of the files that programs have named, counted by bpf/hints.bpf.c: hits, misses, late
 * hits and used pages, of each program the accesses of its own process. Where this process may load
 * BPF, and only while a program has named a file, programs are attached.
 *
 * The counts are in memory that the BPF programs write. When some change, counted_fd() becomes
 * readable after a moment, and counted_take() shows them in the programs' results. Nothing runs
 * while no counted access is made.
 */
#ifndef PAGE2CACHE_COUNTED_H
#define PAGE2CACHE_COUNTED_H

#include <sys/socket.h>

#include "base/util.h"
#include "hint/result.h"

struct counted;
/* One connection's part of it. */
struct counted_program;

/* Load the BPF programs. Returns NULL, *why says why accesses cannot be counted here. */
struct counted *counted_open(char **why);
/* A descriptor, readable when counted_take() is to be called. */
int counted_fd(const struct counted *c);
void counted_take(struct counted *c);
void counted_close(struct counted *c);

/* PEER is served by our thread WORKER, which reads in what it hints. */
struct counted_program *counted_begin(struct counted *c, const struct ucred *peer, pid_t worker);
/*
 * Count its accesses to the file of FD from now on, and show them in R, until counted_forget().
 * ALL: late hits and used pages, too. Where that cannot be, R is left alone.
 */
void counted_file(struct counted_program *p, int id, int fd, bool all, struct result *r);
void counted_forget(struct counted_program *p, int id);
/* Forget all its files. */
void counted_end(struct counted_program *p);

#endif
