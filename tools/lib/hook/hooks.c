// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>

#include "hook/attach.h"
#include "hook/hooks.h"
#include "hook/lockdown.h"
#include "hook/preempt.h"

static int quiet_print(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	if (!verbose || level != LIBBPF_WARN)
		return 0;
	return vfprintf(stderr, fmt, ap);
}

void hooks_quiet_libbpf(void)
{
	libbpf_set_print(quiet_print);
}

/* Sets of kinds. */
#define KIND(k)	 (1U << (k))
#define ANY_KIND (~0U)

/* The section of a candidate's program, NULL if it has no such program. */
static const char *section_of(const struct bpf_object *obj, const struct candidate *c, size_t k)
{
	struct bpf_program *prog =
		c->programs[k] ? bpf_object__find_program_by_name(obj, c->programs[k]) : NULL;

	return prog ? bpf_program__section_name(prog) : NULL;
}

static void name_hooks(struct hook *hooks, size_t n, const struct bpf_object *obj)
{
	const char *first, *second;
	struct candidate *c;
	size_t i, k;

	for (i = 0; i < n; i++) {
		hooks[i].chosen = NULL;
		for (k = 0; k < MAX_CANDIDATES && hooks[i].candidates[k].programs[0]; k++) {
			c = &hooks[i].candidates[k];
			first = section_of(obj, c, 0);
			second = section_of(obj, c, 1);
			free(c->hook);
			free(c->reason);
			c->reason = NULL;
			c->hook =
				xasprintf("%s%s%s", first, second ? " " : "", second ? second : "");
		}
	}
}

/* Sets c->reason if one of its hooks is of no use. */
static bool usable(const struct bpf_object *obj, struct candidate *c, bool named)
{
	size_t k;

	if (c->named && !named && !c->reason)
		c->reason = xstrdup("it tells only named files apart (-f), and none while a btrfs "
				    "is mounted");
	for (k = 0; k < MAX_PROGRAMS && c->programs[k] && !c->reason; k++)
		c->reason = hook_refused(section_of(obj, c, k));
	return !c->reason;
}

static bool of_kinds(const struct candidate *c, unsigned int kinds)
{
	return kinds & KIND(hook_kind(c->hook));
}

/* The first candidate of these kinds that is usable. */
static void choose(struct hook *h, const struct bpf_object *obj, bool named, unsigned int kinds)
{
	struct candidate *c;
	size_t k;

	for (k = 0; k < MAX_CANDIDATES && h->candidates[k].programs[0] && !h->chosen; k++) {
		c = &h->candidates[k];
		if (!of_kinds(c, kinds))
			continue;
		if (usable(obj, c, named))
			h->chosen = c;
		else
			say_verbose("%s: not %s: %s", h->event, c->hook, c->reason);
	}
}

/* What PAGE2CACHE_HOOKS asks for; 0: no such kind. */
static unsigned int kinds_asked(void)
{
	const char *name = getenv("PAGE2CACHE_HOOKS");
	int kind;

	if (!name || !*name)
		return ANY_KIND;
	for (kind = 0; kind < NR_HOOK_KINDS; kind++) {
		if (!strcmp(name, hook_kind_names[kind]))
			return KIND(kind);
	}
	return 0;
}

static char *no_hook(const struct hook *h)
{
	char *text = xasprintf("this kernel has no hook for the event '%s'", h->event), *longer;
	size_t k;

	for (k = 0; k < MAX_CANDIDATES && h->candidates[k].programs[0]; k++) {
		longer = xasprintf("%s%s %s: %s", text, k ? ";" : ":", h->candidates[k].hook,
				   h->candidates[k].reason);
		free(text);
		text = longer;
	}
	return text;
}

/* No event at all is served by the kind that was asked for: why, of the first that could be. */
static char *no_hook_of_kind(const struct hook *hooks, size_t n, unsigned int kinds)
{
	const char *name = getenv("PAGE2CACHE_HOOKS");
	const struct candidate *c;
	size_t i, k;

	for (i = 0; i < n; i++) {
		for (k = 0; k < MAX_CANDIDATES && hooks[i].candidates[k].programs[0]; k++) {
			c = &hooks[i].candidates[k];
			if (of_kinds(c, kinds) && c->reason)
				return xasprintf("this kernel serves no event with %s hooks, which "
						 "PAGE2CACHE_HOOKS asks for: %s: %s",
						 name, c->hook, c->reason);
		}
	}
	return xasprintf("no event has a %s hook", name);
}

/* Has each kind a candidate? The kinds that serve other events say nothing of what was asked for. */
static bool has_choice(const struct hook *h)
{
	return h->candidates[NR_HOOK_KINDS - 1].programs[0];
}

/*
 * The kinds that serve before the order of the candidates counts. On a preemptible kernel only
 * programs that run with preemption off see every event: exactness comes before cost.
 */
static unsigned int kinds_preferred(void)
{
	return kernel_preempts() ? KIND(HOOK_KPROBE) | KIND(HOOK_CLASSIC) : ANY_KIND;
}

enum status hooks_plan(struct hook *hooks, size_t n, const struct bpf_object *obj, bool named,
		       char **why)
{
	unsigned int kinds = kinds_asked(), first = kinds == ANY_KIND ? kinds_preferred() : kinds;
	bool served = kinds == ANY_KIND;
	size_t i;

	name_hooks(hooks, n, obj);
	if (!kinds) {
		*why = xasprintf("PAGE2CACHE_HOOKS=%s: not one of tp, fentry, kprobe, classic",
				 getenv("PAGE2CACHE_HOOKS"));
		return STATUS_BAD_INPUT;
	}
	if (!kernel_btf(why))
		return STATUS_UNSUPPORTED;
	*why = NULL;
	for (i = 0; i < n; i++) {
		choose(&hooks[i], obj, named, first);
		served |= hooks[i].chosen && has_choice(&hooks[i]);
		if (!hooks[i].chosen)
			choose(&hooks[i], obj, named, ANY_KIND);
		say_verbose("%s: %s", hooks[i].event,
			    hooks[i].chosen ? hooks[i].chosen->hook : "no hook");
		if (!hooks[i].chosen && !hooks[i].optional && !*why)
			*why = no_hook(&hooks[i]);
	}
	if (!served && !*why)
		*why = no_hook_of_kind(hooks, n, kinds);
	return *why ? STATUS_UNSUPPORTED : STATUS_DONE;
}

void hooks_try_all(struct hook *hooks, size_t n, const struct bpf_object *obj)
{
	size_t i, k;

	for (i = 0; i < n; i++) {
		for (k = 0; k < MAX_CANDIDATES && hooks[i].candidates[k].programs[0]; k++)
			usable(obj, &hooks[i].candidates[k], true);
	}
}

static bool is_chosen(const struct hook *h, const char *program)
{
	size_t k;

	for (k = 0; k < MAX_PROGRAMS && h->chosen && h->chosen->programs[k]; k++) {
		if (!strcmp(h->chosen->programs[k], program))
			return true;
	}
	return false;
}

void hooks_select(const struct hook *hooks, size_t n, struct bpf_object *obj)
{
	struct bpf_program *prog;
	bool chosen;
	size_t i;

	bpf_object__for_each_program(prog, obj) {
		/* An iterator is no hook: counters_size() decides whether it is loaded. */
		if (hook_kind(bpf_program__section_name(prog)) < 0)
			continue;
		chosen = false;
		for (i = 0; i < n && !chosen; i++)
			chosen = is_chosen(&hooks[i], bpf_program__name(prog));
		bpf_program__set_autoload(prog, chosen);
	}
}

static int attach(struct hook *h, struct bpf_object *obj)
{
	struct bpf_program *prog;
	size_t k;

	for (k = 0; k < MAX_PROGRAMS && h->chosen->programs[k]; k++) {
		prog = bpf_object__find_program_by_name(obj, h->chosen->programs[k]);
		h->links[k] = prog ? bpf_program__attach(prog) : NULL;
		if (!h->links[k])
			return prog ? -errno : -ENOENT;
	}
	return 0;
}

int hooks_attach(struct hook *hooks, size_t n, struct bpf_object *obj, char **why)
{
	size_t i;
	int err;

	for (i = 0; i < n; i++) {
		err = hooks[i].chosen ? attach(&hooks[i], obj) : 0;
		if (!err)
			continue;
		*why = xasprintf("%s cannot be attached for the event '%s': %s",
				 hooks[i].chosen->hook, hooks[i].event, strerror(-err));
		hooks_detach(hooks, n);
		return err;
	}
	return 0;
}

/* The part of struct bpf_link_info that is of kprobes: <linux/bpf.h> of Linux 6.7 and later. */
struct kprobe_link_info {
	__u32 type, id, prog_id, pad;
	__u32 perf_type, perf_pad;
	__u64 func_name;
	__u32 name_len, offset;
	__u64 addr;
	__u64 missed; /* as a kprobe was running on the CPU, or too many calls waited to return */
};

/*
 * How often the kernel did not run the program behind a link, because the CPU was in the middle
 * of it or of another program. Of kprobes and classic tracepoints that is counted since Linux 6.7.
 */
static void add_missed(struct missed_events *to, const struct bpf_link *link, enum hook_kind kind)
{
	struct kprobe_link_info info = { 0 };
	struct bpf_prog_info prog_info = { 0 };
	__u32 size = sizeof(info);
	int prog;

	if (bpf_obj_get_info_by_fd(bpf_link__fd(link), &info, &size)) {
		to->unknown = true;
		return;
	}
	if (kind == HOOK_KPROBE || kind == HOOK_CLASSIC)
		to->unknown |= size < sizeof(info);
	if (kind == HOOK_KPROBE)
		to->nr += info.missed;
	prog = bpf_prog_get_fd_by_id(info.prog_id);
	size = sizeof(prog_info);
	if (prog < 0 || bpf_obj_get_info_by_fd(prog, &prog_info, &size))
		to->unknown = true;
	to->nr += prog_info.recursion_misses;
	if (prog >= 0)
		close(prog);
}

static void add_missed_of(struct missed_events *to, const struct hook *h)
{
	size_t k;

	for (k = 0; k < MAX_PROGRAMS; k++) {
		if (h->links[k])
			add_missed(to, h->links[k], hook_kind(h->chosen->hook));
	}
}

enum exactness hooks_exactness(const struct hook *hooks, size_t n)
{
	struct missed_events all = { 0 };
	size_t i;

	for (i = 0; i < n; i++) {
		all.nr += hooks[i].missed.nr;
		all.unknown |= hooks[i].missed.unknown;
		add_missed_of(&all, &hooks[i]);
	}
	return all.nr ? NOT_EXACT : all.unknown ? EXACTNESS_UNKNOWN : EXACT;
}

void hooks_detach(struct hook *hooks, size_t n)
{
	uint64_t before = 0, missed = 0;
	size_t i, k;

	for (i = 0; i < n; i++) {
		before += hooks[i].missed.nr;
		add_missed_of(&hooks[i].missed, &hooks[i]);
		missed += hooks[i].missed.nr;
		for (k = 0; k < MAX_PROGRAMS; k++) {
			bpf_link__destroy(hooks[i].links[k]);
			hooks[i].links[k] = NULL;
		}
	}
	if (missed > before)
		say("%" PRIu64
		    " events were missed (BPF recursion protection); counts are lower bounds",
		    missed - before);
}

enum exactness exactness_of_both(enum exactness a, enum exactness b)
{
	if (a == NOT_EXACT || b == NOT_EXACT)
		return NOT_EXACT;
	return a == EXACT ? b : a;
}

void json_exactness(struct json_object *o, enum exactness e)
{
	json_object_object_add(o, "exact",
			       e == EXACTNESS_UNKNOWN ? NULL : json_object_new_boolean(e == EXACT));
}

struct json_object *hooks_json(const struct hook *hooks, size_t n)
{
	struct json_object *o = json_object_new_object();
	size_t i;

	for (i = 0; i < n; i++)
		json_object_object_add(
			o, hooks[i].event,
			hooks[i].chosen ? json_object_new_string(hooks[i].chosen->hook) : NULL);
	return o;
}

/* Adds what else is known about an error that the kernel returns for many reasons. */
static const char *load_hint(int err)
{
	if (err == -E2BIG)
		return "a program is too long for its verifier, or a map too large; ";
	if (err == -EINVAL && access(LOCKDOWN_FILE, R_OK))
		return "lockdown in confidentiality mode? " LOCKDOWN_FILE " would tell; ";
	return "";
}

char *hooks_load_error(int err)
{
	bool denied = err == -EPERM || err == -EACCES;

	if (denied && geteuid())
		return xstrdup(
			"BPF is not permitted: run as root, or with CAP_BPF and CAP_PERFMON");
	/* Programs that read the kernel's memory are invalid then. */
	if (lockdown_is("confidentiality"))
		return xstrdup("this kernel refuses the BPF programs: lockdown in confidentiality "
			       "mode forbids them to read its memory (integrity mode does not)");
	if (denied)
		return xstrdup("this kernel refuses the BPF programs, though for root (a container "
			       "without CAP_BPF and CAP_PERFMON? lockdown?)");
	return xasprintf("the kernel does not load the BPF programs: %s (%s-v shows more)",
			 strerror(-err), load_hint(err));
}
