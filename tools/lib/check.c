// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/btf.h>

#include "check.h"
#include "record.h"
#include "pcforce.skel.h"
#include "table.h"
#include "tracker.h"

const char *const engine_names[NR_ENGINES] = { "helper", "kfunc", "user" };

/* Does the kernel's BTF, or a module's, know the function? */
static bool kernel_has(const char *function)
{
	struct btf *btf = btf__load_vmlinux_btf();
	bool has = btf && btf__find_by_name_kind(btf, function, BTF_KIND_FUNC) > 0;

	btf__free(btf);
	return has;
}

bool engine_available(enum engine e, char **why)
{
	switch (e) {
	case ENGINE_HELPER:
		/* This version of the program does not drive it even where it is there. */
		*why = xstrdup(
			kernel_has("bpf_force_page2cache")
				? "this version of pcforce does not use the kernel's helper"
				: "this kernel has no helper bpf_force_page2cache(): a kernel "
				  "patch brings it");
		return false;
	case ENGINE_KFUNC:
		*why = xstrdup("no kernel module with the forcing kfunc is loaded");
		return false;
	default:
		return true;
	}
}

/* Do the trigger's BPF programs load here? */
static bool trigger_loads(char **why)
{
	struct pcforce_bpf *skel;
	int err;

	if (hooks_plan(tracker_hooks, tracker_nr_hooks, why))
		return false;
	skel = pcforce_bpf__open();
	if (!skel) {
		*why = hooks_load_error(-errno);
		return false;
	}
	hooks_select(tracker_hooks, tracker_nr_hooks, skel->obj);
	err = pcforce_bpf__load(skel);
	if (!err)
		err = hooks_attach(tracker_hooks, tracker_nr_hooks, skel->obj, why) ? -EOPNOTSUPP
										    : 0;
	else
		*why = hooks_load_error(err);
	hooks_detach(tracker_hooks, tracker_nr_hooks);
	pcforce_bpf__destroy(skel);
	return !err;
}

static void line(struct output *out, struct libscols_table *t, const char *kind, const char *name,
		 const char *hook, bool available, const char *reason)
{
	if (out->json) {
		struct json_object *o = record_new("check");

		record_text(o, kind, name);
		if (!strcmp(kind, "event"))
			record_text(o, "hook", hook);
		json_object_object_add(o, "available", json_object_new_boolean(available));
		record_text(o, "reason", reason);
		output_record(out, o);
	} else {
		char *cells[] = { cell_text(kind), cell_text(name), cell_text(hook ? hook : "-"),
				  cell_text(available ? "yes" : "no"),
				  cell_text(reason ? reason : "") };

		table_row(t, cells, ARRAY_SIZE(cells));
	}
}

enum status check_print(struct output *out)
{
	static const char *const columns[] = { "WHAT", "NAME", "HOOK", "USABLE", "REASON" };
	struct libscols_table *t = NULL;
	char *why = NULL, *engine_why;
	bool loads;
	size_t i;

	loads = trigger_loads(&why);
	if (out->json)
		output_record(out, record_meta("pcforce", tracker_hooks, tracker_nr_hooks));
	else
		t = table_new(columns, ARRAY_SIZE(columns), out->f);
	for (i = 0; i < NR_ENGINES; i++) {
		engine_why = NULL;
		if (engine_available(i, &engine_why) && i == ENGINE_USER && !loads)
			engine_why = xasprintf("only with --now: %s", why);
		line(out, t, "engine", engine_names[i], NULL, i == ENGINE_USER, engine_why);
		free(engine_why);
	}
	for (i = 0; i < tracker_nr_hooks; i++) {
		const struct hook *h = &tracker_hooks[i];

		line(out, t, "event", h->event, h->chosen ? h->chosen->hook : NULL,
		     loads && h->chosen,
		     loads && h->chosen ? NULL
		     : h->chosen	? why
					: "this kernel has none of its hooks");
	}
	if (t) {
		table_print(t);
		output_flush(out);
	}
	free(why);
	return STATUS_DONE;
}
