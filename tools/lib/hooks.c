// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/btf.h>

#include "hooks.h"

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

/* A BTF tracepoint exists if the kernel has the type of its handlers. */
static bool has_tracepoint(const struct btf *btf, const char *name)
{
	char type[128];

	snprintf(type, sizeof(type), "btf_trace_%s", name);
	return btf__find_by_name_kind(btf, type, BTF_KIND_TYPEDEF) > 0;
}

static bool available(const struct btf *btf, const struct candidate *c)
{
	static const char tp[] = "tp_btf/";

	return !strncmp(c->hook, tp, sizeof(tp) - 1) &&
	       has_tracepoint(btf, c->hook + sizeof(tp) - 1);
}

int hooks_plan(struct hook *hooks, size_t n, char **why)
{
	struct btf *btf = btf__load_vmlinux_btf();
	size_t i, k;
	int err = 0;

	if (!btf) {
		*why = xstrdup("this kernel shows no BTF (/sys/kernel/btf/vmlinux): it needs one "
			       "built with CONFIG_DEBUG_INFO_BTF");
		return -EOPNOTSUPP;
	}
	for (i = 0; i < n && !err; i++) {
		struct hook *h = &hooks[i];

		for (k = 0; k < MAX_CANDIDATES && h->candidates[k].hook && !h->chosen; k++) {
			if (available(btf, &h->candidates[k]))
				h->chosen = &h->candidates[k];
		}
		say_verbose("%s: %s", h->event, h->chosen ? h->chosen->hook : "no hook");
		if (!h->chosen && !h->optional) {
			*why = xasprintf("this kernel has no hook for the event '%s': it needs %s "
					 "(Linux 6.18 has it)",
					 h->event, h->candidates[0].hook);
			err = -EOPNOTSUPP;
		}
	}
	btf__free(btf);
	return err;
}

void hooks_select(const struct hook *hooks, size_t n, struct bpf_object *obj)
{
	struct bpf_program *prog;
	bool chosen;
	size_t i;

	bpf_object__for_each_program(prog, obj) {
		chosen = false;
		for (i = 0; i < n; i++) {
			if (hooks[i].chosen &&
			    !strcmp(hooks[i].chosen->program, bpf_program__name(prog)))
				chosen = true;
		}
		bpf_program__set_autoload(prog, chosen);
	}
}

int hooks_attach(struct hook *hooks, size_t n, struct bpf_object *obj, char **why)
{
	struct bpf_program *prog;
	size_t i;
	int err;

	for (i = 0; i < n; i++) {
		if (!hooks[i].chosen)
			continue;
		prog = bpf_object__find_program_by_name(obj, hooks[i].chosen->program);
		hooks[i].link = prog ? bpf_program__attach(prog) : NULL;
		if (hooks[i].link)
			continue;
		err = prog ? -errno : -ENOENT;
		*why = xasprintf("%s cannot be attached for the event '%s': %s",
				 hooks[i].chosen->hook, hooks[i].event, strerror(-err));
		hooks_detach(hooks, n);
		return err;
	}
	return 0;
}

void hooks_detach(struct hook *hooks, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		bpf_link__destroy(hooks[i].link);
		hooks[i].link = NULL;
	}
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

char *hooks_load_error(int err)
{
	if ((err == -EPERM || err == -EACCES) && geteuid())
		return xstrdup(
			"BPF is not permitted: run as root, or with CAP_BPF and CAP_PERFMON");
	if (err == -EPERM || err == -EACCES)
		return xstrdup("this kernel refuses the BPF programs, though for root "
			       "(lockdown in confidentiality mode? a container without CAP_BPF "
			       "and CAP_PERFMON?)");
	return xasprintf("the kernel does not load the BPF programs: %s (-v shows more)",
			 strerror(-err));
}
