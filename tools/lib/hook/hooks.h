/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hook plans. A plan is a table: each row a logical event, its candidates best
 * first, of which exactly one is attached. What a kernel has is looked up in
 * its BTF or tried, never told from its version.
 */
#ifndef PAGE2CACHE_HOOKS_H
#define PAGE2CACHE_HOOKS_H

#include <bpf/libbpf.h>
#include <json-c/json.h>

#include "base/util.h"

#define MAX_CANDIDATES 4
#define MAX_PROGRAMS   2 /* of one candidate: an entry and a return, say */

struct candidate {
	const char *programs[MAX_PROGRAMS]; /* in the BPF object; its sections name the hooks */
	bool named;			    /* counts only files that are named: bpf/named.bpf.h */
	char *hook;			    /* as users read it: tp_btf/NAME */
	char *reason;			    /* why it is of no use here; NULL if it is */
};

/* Events for which the kernel did not run a program. */
struct missed_events {
	uint64_t nr;
	bool unknown; /* there may be more: this kernel does not count all of them */
};

/* Did the programs see every event? If not, counts are lower bounds. */
enum exactness {
	EXACT,
	NOT_EXACT,
	EXACTNESS_UNKNOWN
};

struct hook {
	const char *event;
	bool optional; /* without it a count is null, nothing is wrong */
	struct candidate candidates[MAX_CANDIDATES];
	const struct candidate *chosen;
	struct bpf_link *links[MAX_PROGRAMS];
	struct missed_events missed; /* by programs that are detached */
};

/*
 * Choose candidates for the programs of an object that is not loaded yet. NAMED: the user side
 * names all files that count, and keeps their inodes in memory. Where
 * the variable PAGE2CACHE_HOOKS asks for a kind (tp, fentry, kprobe or classic), that is
 * chosen for each event that this kernel has such a hook for.
 * STATUS_UNSUPPORTED: *why says for which event nothing serves, or that none of
 * the events is served by the kind asked for; STATUS_BAD_INPUT: no such kind.
 */
enum status hooks_plan(struct hook *hooks, size_t n, const struct bpf_object *obj, bool named,
		       char **why);
/* Load the chosen programs only: to be called between open and load. */
void hooks_select(const struct hook *hooks, size_t n, struct bpf_object *obj);
/* Returns 0, or -errno with *why set and nothing left attached. */
int hooks_attach(struct hook *hooks, size_t n, struct bpf_object *obj, char **why);
/* Prints a message if events were missed. */
void hooks_detach(struct hook *hooks, size_t n);
/* Of all programs from their attaching up to now, or up to their detaching. */
enum exactness hooks_exactness(const struct hook *hooks, size_t n);
/* "exact": true or false, null if it is not known. */
void json_exactness(struct json_object *o, enum exactness e);
/* The exactness of two sources together. */
enum exactness exactness_of_both(enum exactness a, enum exactness b);

/* Try those candidates, too, that the plan had no need for (--check). */
void hooks_try_all(struct hook *hooks, size_t n, const struct bpf_object *obj);

/* { event: hook or null, ... } */
struct json_object *hooks_json(const struct hook *hooks, size_t n);

/* Take libbpf's messages off the screen; -v shows its warnings. */
void hooks_quiet_libbpf(void);

/* Why loading failed, in words; err is negative. */
char *hooks_load_error(int err);

#endif
