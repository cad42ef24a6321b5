/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hook plans. A plan is a table: each row a logical event, its candidates best
 * first, of which exactly one is attached. What a kernel has is looked up in
 * its BTF, never told from its version.
 */
#ifndef PAGE2CACHE_HOOKS_H
#define PAGE2CACHE_HOOKS_H

#include <bpf/libbpf.h>
#include <json-c/json.h>

#include "util.h"

#define MAX_CANDIDATES 4

struct candidate {
	const char *hook;    /* as users read it: tp_btf/NAME */
	const char *program; /* in the BPF object */
};

struct hook {
	const char *event;
	bool optional; /* without it a count is null, nothing is wrong */
	struct candidate candidates[MAX_CANDIDATES];
	const struct candidate *chosen;
	struct bpf_link *link;
};

/* Choose candidates. Returns 0, or -EOPNOTSUPP with *why set: the event, and what would bring it. */
int hooks_plan(struct hook *hooks, size_t n, char **why);
/* Load the chosen programs only: to be called between open and load. */
void hooks_select(const struct hook *hooks, size_t n, struct bpf_object *obj);
/* Returns 0, or -errno with *why set and nothing left attached. */
int hooks_attach(struct hook *hooks, size_t n, struct bpf_object *obj, char **why);
void hooks_detach(struct hook *hooks, size_t n);

/* { event: hook or null, ... } */
struct json_object *hooks_json(const struct hook *hooks, size_t n);

/* Take libbpf's messages off the screen; -v shows its warnings. */
void hooks_quiet_libbpf(void);

/* Why loading failed, in words; err is negative. */
char *hooks_load_error(int err);

#endif
