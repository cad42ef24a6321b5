// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "force/check.h"
#include "force/force_bpf.h"
#include "shared.h"
#include "pcforce.skel.h"
#include "ratrace.skel.h"

/*
 * Do the programs load and attach here, but for those that LEAVE_OUT un-chooses? Tries
 * every hook there is. Returns STATUS_DONE if they do, else STATUS_UNSUPPORTED or
 * STATUS_BAD_INPUT, with *why.
 */
static enum status attaches(struct bpf_object *obj, struct hook *hooks, size_t n,
			    void (*leave_out)(void), char **why)
{
	enum status status = hooks_plan(hooks, n, obj, true, why);
	int err;

	if (!status) {
		if (leave_out)
			leave_out();
		hooks_select(hooks, n, obj);
		err = bpf_object__load(obj);
		if (err)
			*why = hooks_load_error(err);
		else
			err = hooks_attach(hooks, n, obj, why);
		status = err ? STATUS_UNSUPPORTED : STATUS_DONE;
	}
	hooks_detach(hooks, n);
	hooks_try_all(hooks, n, obj);
	return status;
}

/* The events of the trigger, and those by which forced pages are followed. */
static enum status trigger_attaches(char **why)
{
	struct pcforce_bpf *skel = force_bpf_skeleton(NULL);
	enum status status = STATUS_UNSUPPORTED;

	/* An engine's own programs are tried by the engine. */
	if (skel)
		status = attaches(skel->obj, force_hooks, nr_force_hooks, force_bpf_drop_engine,
				  why);
	else
		*why = hooks_load_error(-errno);
	pcforce_bpf__destroy(skel);
	return status;
}

/* The events that cachemiss and ratrace need beyond these. */
static struct hook other_hooks[] = { READAHEAD_HOOKS };

static enum status others_attach(char **why)
{
	struct ratrace_bpf *skel = ratrace_bpf__open();
	enum status status = STATUS_UNSUPPORTED;

	if (skel)
		status = attaches(skel->obj, other_hooks, ARRAY_SIZE(other_hooks), NULL, why);
	else
		*why = hooks_load_error(-errno);
	ratrace_bpf__destroy(skel);
	return status;
}

struct check_line {
	const char *what, *name, *hook, *usable, *reason;
};

#define AT(field) offsetof(struct check_line, field)
static const struct column columns[] = {
	{ "WHAT", true, 0, column_text, AT(what) },
	{ "NAME", true, 0, column_text, AT(name) },
	{ "HOOK", true, 0, column_text, AT(hook) },
	{ "USABLE", true, 0, column_text, AT(usable) },
	{ "REASON", true, 0, column_text, AT(reason) },
};
#undef AT

const struct table_layout check_table = { columns, ARRAY_SIZE(columns), 0 };

static void engine_line(struct output *out, struct table *t, const char *engine, bool available,
			const char *reason)
{
	struct json_object *o;

	if (!out->json) {
		struct check_line line = { "engine", engine, "-", available ? "yes" : "no",
					   reason };

		table_row(t, &line);
		return;
	}
	o = json_new("check");
	json_text(o, "engine", engine);
	json_object_object_add(o, "available", json_object_new_boolean(available));
	json_text(o, "reason", reason);
	output_record(out, o);
}

static const char *candidate_reason(const struct hook *h, const struct candidate *c)
{
	if (c->reason || c == h->chosen)
		return c->reason;
	return h->chosen ? "not needed: there is a better one" : "only some engines need it";
}

/* The hook that serves the event, or would if this run needed the event. NULL: no hook does. */
static const struct candidate *serves(const struct hook *h)
{
	size_t k;

	if (h->chosen)
		return h->chosen;
	for (k = 0; k < MAX_CANDIDATES && h->candidates[k].programs[0]; k++)
		if (!h->candidates[k].reason)
			return &h->candidates[k];
	return NULL;
}

/* A record an event, with all of its hooks. */
static void event_record(struct output *out, const struct hook *h, const char *why)
{
	struct json_object *o = json_new("check"), *all = json_object_new_array(), *one;
	const struct candidate *c;
	size_t k;

	for (k = 0; k < MAX_CANDIDATES && h->candidates[k].programs[0]; k++) {
		c = &h->candidates[k];
		one = json_object_new_object();
		json_text(one, "hook", c->hook);
		json_object_object_add(one, "available", json_object_new_boolean(!c->reason));
		json_text(one, "reason", candidate_reason(h, c));
		json_object_array_add(all, one);
	}
	json_text(o, "event", h->event);
	json_text(o, "hook", serves(h) ? serves(h)->hook : NULL);
	json_object_object_add(o, "available", json_object_new_boolean(!why));
	json_text(o, "reason", why);
	json_object_object_add(o, "candidates", all);
	output_record(out, o);
}

/* A line for each of its hooks, the one in use first. */
static void event_lines(struct table *t, const struct hook *h)
{
	const struct candidate *c;
	struct check_line line;
	size_t i, k;

	for (i = 0; i < 2; i++) {
		for (k = 0; k < MAX_CANDIDATES && h->candidates[k].programs[0]; k++) {
			c = &h->candidates[k];
			if ((c == h->chosen) == (i > 0))
				continue;
			line = (struct check_line){ "event", h->event, c->hook,
						    c->reason ? "no" : "yes",
						    candidate_reason(h, c) };
			table_row(t, &line);
		}
	}
}

static void events_print(struct output *out, struct table *t, const struct hook *hooks, size_t n,
			 bool loads, const char *why)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (!out->json)
			event_lines(t, &hooks[i]);
		else if (serves(&hooks[i]))
			event_record(out, &hooks[i], loads ? NULL : why);
		else
			event_record(out, &hooks[i], "this kernel has none of its hooks");
	}
}

enum status check_print(struct output *out)
{
	struct table *t = NULL;
	char *why = NULL, *others_why = NULL, *engine_why;
	enum status trigger, others;
	bool available;
	size_t i;

	trigger = trigger_attaches(&why);
	if (trigger == STATUS_BAD_INPUT) {
		say("%s", why);
		free(why);
		return trigger;
	}
	others = others_attach(&others_why);
	if (out->json)
		output_record(out, json_meta("pcforce", hooks_json(force_hooks, nr_force_hooks)));
	else
		t = table_new(&check_table, &out->tables, out->f);
	for (i = 0; i < NR_ENGINES; i++) {
		engine_why = engines[i]->refused ? engines[i]->refused() : NULL;
		available = !engine_why;
		if (available && engines[i]->plain && trigger)
			engine_why =
				xasprintf("only with --now, or with COMMAND and -t now: %s", why);
		engine_line(out, t, engines[i]->name, available, engine_why);
		free(engine_why);
	}
	events_print(out, t, force_hooks, nr_force_hooks, !trigger, why);
	events_print(out, t, other_hooks, ARRAY_SIZE(other_hooks), !others, others_why);
	table_end(t);
	output_flush(out);
	free(why);
	free(others_why);
	return STATUS_DONE;
}
