// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "force/hint.h"
#include "hook/filter.h"

/* How a list's files differ from what was recorded. */
struct changes {
	size_t unready, written; /* files */
	uint64_t pages;		 /* of the unready ones */
	const struct list_file *first;
};

static void say_change(const struct list_file *f)
{
	if (f->why)
		say("%s", f->why);
	else
		say("warning: %s: it was written to since the list was recorded", f->target.path);
}

/* In one line: a list that is used for long nearly always has changed files. -v names all. */
static void say_changes(const struct hint *h, const struct changes *c)
{
	if (c->unready + c->written == 1) {
		say_change(c->first);
		return;
	}
	if (c->unready)
		say("%zu of the list's %zu files cannot be forced (%" PRIu64 " pages)%s; the first "
		    "(-v names all): %s",
		    c->unready, h->list.nr_files, c->pages,
		    c->written ? ", and others were written to since it was recorded" : "",
		    c->first->why);
	else if (c->written)
		say("warning: %zu of the list's %zu files were written to since it was recorded "
		    "(-v names them)",
		    c->written, h->list.nr_files);
}

static struct changes find_changes(const struct list *l)
{
	struct changes c = { 0 };
	size_t i;

	for (i = 0; i < l->nr_files; i++) {
		const struct list_file *f = &l->files[i];

		if (!f->why && !f->written)
			continue;
		if (verbose)
			say_change(f);
		/* One that cannot be forced comes before one that is only newer. */
		if (!c.first || (f->why && !c.unready))
			c.first = f;
		if (!f->why) {
			c.written++;
			continue;
		}
		c.unready++;
		c.pages += f->listed_pages;
	}
	return c;
}

static enum status load_whole_files(struct hint *h)
{
	enum status status;
	char *why = NULL;

	status = names_collect(&h->names, h->opt.files, h->opt.nr_files, h->opt.files0);
	if (!status && list_whole_files(&h->list, &h->names, &why))
		status = fail_with(why, STATUS_BAD_INPUT);
	names_free(&h->names);
	return status;
}

static enum status load_list(struct hint *h)
{
	struct list_options lo = {
		.only_file = h->opt.nr_files ? h->opt.files[0] : NULL,
		.stale_ok = h->opt.stale_ok,
		.strict = h->opt.strict,
		.progress = &h->progress,
	};
	struct changes changes;
	char *why = NULL;
	int err;

	if (!h->opt.list)
		return load_whole_files(h);
	if (h->opt.root) {
		err = target_root_open(&h->root, h->opt.root, &why);
		if (err)
			return fail_with(why, err == -EOPNOTSUPP ? STATUS_UNSUPPORTED
								 : STATUS_BAD_INPUT);
		lo.root = &h->root;
	}
	if (list_load(&h->list, h->opt.list, &lo, &why)) {
		if (!h->opt.renewed)
			return fail_with(why, STATUS_BAD_INPUT);
		say_verbose("%s: nothing is forced", why);
		free(why);
		list_free(&h->list);
		return STATUS_DONE;
	}
	changes = find_changes(&h->list);
	if (!verbose)
		say_changes(h, &changes);
	/* A list that is renewed is recorded anew, whatever has become of its files. */
	if (!h->opt.renewed && changes.unready && changes.unready == h->list.nr_files)
		return STATUS_BAD_INPUT;
	return STATUS_DONE;
}

static enum status choose_engine(struct hint *h)
{
	char *why = NULL;
	size_t i;

	/* Looking at the cache takes no engine, and what starts at once no miss to start it. */
	if (h->opt.dry_run || (!h->opt.engine && !h->opt.watch))
		h->opt.engine = &engine_user;
	if (h->opt.engine)
		why = engine_unusable(h->opt.engine, &h->list);
	if (why) {
		say("engine %s: %s", h->opt.engine->name, why);
		free(why);
		return STATUS_UNSUPPORTED;
	}
	for (i = 0; !h->opt.engine; i++) {
		why = engine_unusable(engines[i], &h->list);
		if (why)
			say_verbose("engine %s: %s", engines[i]->name, why);
		else
			h->opt.engine = engines[i];
		free(why);
	}
	say_verbose("engine: %s", h->opt.engine->name);
	return STATUS_DONE;
}

static void mark(void *ctx, uint32_t file, uint64_t index, uint64_t nr, bool forced)
{
	force_bpf_mark(ctx, file, index, nr, forced);
}

static void seen(void *ctx, const struct extent *e, struct extent_seen *to)
{
	force_bpf_seen(ctx, e, to);
}

static void on_again(void *ctx)
{
	const struct receipt *r = ctx;

	receipt_print(r);
	force_bpf_reset(r->firing->bpf);
}

/* Does the reader read while we do? One that is held has been promised all pages. */
static bool beside_reader(const struct hint_options *o)
{
	return !o->always && !o->hold_ms && (o->beside_command || o->trigger != TRIGGER_NOW);
}

static enum status prepare(struct hint *h)
{
	struct force_options fo = {
		.engine = h->opt.engine,
		.jobs = h->opt.jobs,
		.max_bytes = h->opt.max_bytes,
		.rate = h->opt.rate,
		.idle = h->opt.idle,
		/* The kernel charges whoever has it force: COMMAND is in our cgroup. */
		.other_pays = h->opt.engine->at_miss && !h->opt.beside_command &&
			      h->opt.trigger != TRIGGER_NOW,
		.dry_run = h->opt.dry_run,
		.beside_reader = beside_reader(&h->opt),
		.mark = h->opt.watch ? mark : NULL,
		.seen = h->opt.watch && beside_reader(&h->opt) && h->opt.engine->window ? seen
											: NULL,
		.ctx = &h->bpf,
	};
	int err = force_init(&h->force, &h->list, &fo);

	if (err)
		return fail_with(xasprintf("cannot prepare forcing: %s", strerror(-err)),
				 STATUS_FAILED);
	h->firing = (struct firing){
		.trigger = h->opt.trigger,
		.once = h->opt.once || !h->opt.watch,
		.hold_ns = h->opt.hold_ms * 1000000,
		.force = &h->force,
		.bpf = &h->bpf,
		.on_again = on_again,
		.ctx = &h->receipt,
	};
	h->receipt = (struct receipt){
		.firing = &h->firing,
		.out = h->out,
		.brief = (h->opt.beside_command || h->opt.renewed || h->names.any_found) &&
			 !verbose,
		.tolerate = h->opt.tolerate,
	};
	return STATUS_DONE;
}

static enum status watch(struct hint *h)
{
	struct counters_options w = { .nr_files = h->list.nr_files };
	struct force_bpf_options to = {
		.watch = &w,
		.fire_on_hits = h->firing.trigger == TRIGGER_ACCESS,
		.fire_on_opens = h->firing.trigger == TRIGGER_OPEN && h->opt.engine->at_open,
		.follow = h->opt.watch,
		.on_event = firing_event,
		.ctx = &h->firing,
	};
	char *why = NULL;
	enum status status = filter_check(h->opt.filter);

	if (status)
		return status;
	filter_set(&w, h->opt.filter, h->opt.beside_command);
	status = force_bpf_open(&h->bpf, &h->force, &to, &why);
	return status ? fail_with(why, status) : STATUS_DONE;
}

enum status hint_prepare(struct hint *h)
{
	enum status status = load_list(h);

	if (status)
		return status;
	/* There is nothing to wait for with an empty list. */
	if (!h->list.nr_extents && !h->opt.beside_command) {
		h->opt.trigger = TRIGGER_NOW;
		h->opt.watch = false;
	}
	status = choose_engine(h);
	status = status ? status : prepare(h);
	if (!status && (h->opt.watch || !h->opt.engine->plain))
		status = watch(h);
	return status;
}

enum status hint_arm(struct hint *h)
{
	struct json_object *meta;
	char *why = NULL;

	if (firing_start(&h->firing, &why))
		return fail_with(why, STATUS_UNSUPPORTED);
	if (!h->out->json)
		return STATUS_DONE;
	/* Who waits for this record finds the trigger armed. */
	meta = json_meta("pcforce", hooks_json(force_hooks, nr_force_hooks));
	json_text(meta, "engine", h->opt.engine->name);
	output_record(h->out, meta);
	return STATUS_DONE;
}

bool hint_stop(struct hint *h, unsigned int ms)
{
	if (h->firing.force) {
		h->receipt.cut = firing_under_way(&h->firing);
		if (!firing_stop(&h->firing, ms))
			return false;
	}
	force_bpf_detach(&h->bpf);
	return true;
}

enum status hint_conclude(struct hint *h)
{
	enum status receipts;

	if (h->opt.beside_command)
		output_after_command(h->out);
	receipts = receipt_print(&h->receipt);
	if (receipt_was_cut(&h->receipt))
		say("the end of the run stopped forcing: pages that were not read are skipped");
	if (!h->firing.fired_ns && h->force.plan.nr_runs && h->firing.trigger != TRIGGER_NOW)
		say("the trigger did not fire: none of the list's files %s%s%s",
		    h->firing.trigger == TRIGGER_OPEN	? "was opened"
		    : h->firing.trigger == TRIGGER_MISS ? "had a miss"
							: "was accessed",
		    has_filter(h->opt.filter) ? " by a process that counts" : "",
		    force_bpf_exactness(&h->bpf) == NOT_EXACT ? ", or the event was missed" : "");
	return receipts ? receipts : h->names.incomplete ? STATUS_FAILED : STATUS_DONE;
}

void hint_free(struct hint *h)
{
	force_bpf_close(&h->bpf);
	force_free(&h->force);
	list_free(&h->list);
}
