// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "force/engine_kernel.h"
#include "force/module_list.h"
#include "shared.h"
#include "pcforce.skel.h"
#include "force/force_bpf.h"

/* Bits for 8 TiB of 4 KiB pages; the three bitmaps then take 256 MiB each. */
#define MAX_WORDS (1ULL << 25)

/* The first ones are for the kernel's engines, the first three not for following pages. */
enum {
	FORCE,
	HOLD,
	OPEN,
	INSERT,
	NR_ENGINE_HOOKS,
};
struct hook force_hooks[] = { HOOK_FORCE, HOOK_HOLD, HOOK_OPEN, HOOK_INSERT, COUNTERS_HOOKS };
const size_t nr_force_hooks = ARRAY_SIZE(force_hooks);

/* Where each file's bits begin. Returns the words needed, 0 if they are too many. */
static uint64_t lay_out(struct force_bpf *t)
{
	uint64_t words = 0;
	size_t i;

	t->first_word = xcalloc(t->list->nr_files, sizeof(*t->first_word));
	for (i = 0; i < t->list->nr_files; i++) {
		t->first_word[i] = words;
		if (t->list->files[i].state == LIST_READY)
			words += t->list->files[i].end / 64 + 1;
		if (words > MAX_WORDS)
			return 0;
	}
	return words;
}

static void size_bitmaps(struct force_bpf *t, uint32_t nr_slots)
{
	struct bpf_map *maps[] = { t->skel->maps.forced, t->skel->maps.used,
				   t->skel->maps.removed };
	size_t i;

	bpf_map__set_max_entries(t->skel->maps.force_files, nr_slots);
	bpf_map__set_max_entries(t->skel->maps.held, nr_slots);
	for (i = 0; i < ARRAY_SIZE(maps); i++)
		bpf_map__set_max_entries(maps[i], t->words ? t->words : 1);
}

static uint64_t *map_bitmap(struct force_bpf *t, struct bpf_map *map)
{
	void *at = mmap(NULL, t->words * sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED,
			bpf_map__fd(map), 0);

	return at == MAP_FAILED ? NULL : at;
}

static void unmap_bitmap(struct force_bpf *t, uint64_t *at)
{
	if (at)
		munmap(at, t->words * sizeof(uint64_t));
}

static struct p2c_force_file fresh(const struct force_bpf *t, size_t file)
{
	struct p2c_force_file f = { .first_word = t->first_word[file] };

	f.bits = t->words ? t->list->files[file].end : 0;
	if (t->helper) {
		f.first_extent = t->helper->first[file];
		f.nr_extents = t->helper->nr[file];
	}
	return f;
}

static int track_files(struct force_bpf *t)
{
	int fd = bpf_map__fd(t->skel->maps.force_files);
	size_t i;
	int err;

	for (i = 0; i < t->list->nr_files; i++) {
		struct list_file *lf = &t->list->files[i];
		struct p2c_force_file f = fresh(t, i);

		if (lf->state != LIST_READY)
			continue;
		err = counters_add_file(&t->counters, &lf->target);
		err = err ? err : bpf_map_update_elem(fd, &lf->target.slot, &f, BPF_ANY);
		if (err)
			return err;
	}
	return 0;
}

static int resolve(struct force_bpf *t, char **why)
{
	struct target **ready = xcalloc(t->list->nr_files, sizeof(*ready));
	size_t i, n = 0;
	int err;

	for (i = 0; i < t->list->nr_files; i++) {
		if (t->list->files[i].state == LIST_READY)
			ready[n++] = &t->list->files[i].target;
	}
	err = targets_resolve(t->skel->obj, ready, n, why);
	free(ready);
	return err;
}

static void drop_hooks(size_t from, size_t to)
{
	for (; from < to; from++)
		force_hooks[from].chosen = NULL;
}

void force_bpf_drop_engine(void)
{
	drop_hooks(0, NR_ENGINE_HOOKS);
}

/* What this run has no need of. */
static void drop_unneeded(const struct force_bpf_options *opt)
{
	bool kfunc = opt->helper && opt->helper->kfunc;

	if (!opt->helper)
		force_bpf_drop_engine();
	if (!opt->follow)
		drop_hooks(INSERT, nr_force_hooks);
	if (kfunc)
		drop_hooks(FORCE, FORCE + 1);
	else
		drop_hooks(HOLD, OPEN + 1);
	if (!opt->fire_on_opens)
		drop_hooks(OPEN, OPEN + 1);
}

static enum status load(struct force_bpf *t, const struct force_bpf_options *opt, char **why)
{
	enum status status;
	int err;

	t->skel = pcforce_bpf__open_opts(types_open_opts());
	if (!t->skel) {
		*why = hooks_load_error(-errno);
		return STATUS_UNSUPPORTED;
	}
	status = hooks_plan(force_hooks, nr_force_hooks, t->skel->obj, why);
	if (status)
		return status;
	drop_unneeded(opt);
	err = counters_configure(&t->counters, &t->skel->rodata->cfg, opt->watch, force_hooks,
				 nr_force_hooks);
	if (err) {
		*why = hooks_load_error(err);
		return STATUS_FAILED;
	}
	t->skel->rodata->fire_on_hits = opt->fire_on_hits;
	t->skel->rodata->fire_on_opens = opt->fire_on_opens;
	t->skel->rodata->helper = opt->helper && !opt->helper->kfunc;
	t->skel->rodata->kfunc = opt->helper && opt->helper->kfunc;
	t->words = lay_out(t);
	size_bitmaps(t, t->counters.config->max_slots);
	hooks_select(force_hooks, nr_force_hooks, t->skel->obj);
	if (!t->skel->rodata->kfunc)
		kfunc_leave_out(t->skel);
	err = counters_size(&t->counters, t->skel->obj);
	if (!err && t->helper)
		err = helper_size(t->helper, t->skel, t->list);
	err = err ? err : pcforce_bpf__load(t->skel);
	if (err) {
		*why = hooks_load_error(err);
		return STATUS_UNSUPPORTED;
	}
	counters_bind(&t->counters, &t->skel->bss->watch);
	return STATUS_DONE;
}

enum status force_bpf_open(struct force_bpf *t, const struct list *l,
			   const struct force_bpf_options *opt, char **why)
{
	enum status status;
	int err;

	memset(t, 0, sizeof(*t));
	t->list = l;
	t->helper = opt->helper;
	t->follows = opt->follow;
	status = load(t, opt, why);
	if (status)
		return status;
	err = resolve(t, why);
	if (err)
		return err == -EOPNOTSUPP ? STATUS_BAD_INPUT : STATUS_UNSUPPORTED;
	if (opt->watch->cgroup_dir && counters_cgroup(&t->counters, opt->watch->cgroup_dir, why))
		return STATUS_BAD_INPUT;
	if (t->words) {
		t->forced = map_bitmap(t, t->skel->maps.forced);
		t->used = map_bitmap(t, t->skel->maps.used);
		t->removed = map_bitmap(t, t->skel->maps.removed);
	}
	err = t->helper ? helper_fill(t->helper, t, opt->max_bytes) : 0;
	err = err ? err : track_files(t);
	if (!err) {
		t->ring = ring_buffer__new(bpf_map__fd(t->skel->maps.ring), opt->on_event, opt->ctx,
					   NULL);
		err = t->ring ? 0 : -errno;
	}
	if (err) {
		*why = xasprintf("watching the files: %s", strerror(-err));
		return STATUS_FAILED;
	}
	if (hooks_attach(force_hooks, nr_force_hooks, t->skel->obj, why))
		return STATUS_UNSUPPORTED;
	return STATUS_DONE;
}

void force_bpf_detach(struct force_bpf *t)
{
	hooks_detach(force_hooks, nr_force_hooks);
}

void force_bpf_close(struct force_bpf *t)
{
	force_bpf_detach(t);
	unmap_bitmap(t, t->forced);
	unmap_bitmap(t, t->used);
	unmap_bitmap(t, t->removed);
	ring_buffer__free(t->ring);
	pcforce_bpf__destroy(t->skel);
	counters_free(&t->counters);
	free(t->first_word);
	memset(t, 0, sizeof(*t));
}

void force_bpf_renew(struct force_bpf *t)
{
	if (t->helper)
		helper_arm(t->helper);
}

bool force_bpf_armed(const struct force_bpf *t)
{
	return t->skel && __atomic_load_n(&t->skel->bss->armed, __ATOMIC_SEQ_CST);
}

void force_bpf_arm(struct force_bpf *t)
{
	force_bpf_renew(t);
	if (t->skel)
		__atomic_store_n(&t->skel->bss->armed, 1, __ATOMIC_SEQ_CST);
}

void force_bpf_forcing(struct force_bpf *t, bool on)
{
	if (t->skel)
		__atomic_store_n(&t->skel->bss->forcing, on, __ATOMIC_SEQ_CST);
}

void force_bpf_await_first(struct force_bpf *t)
{
	if (!t->skel)
		return;
	__atomic_store_n(&t->skel->bss->await_tid, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&t->skel->bss->await_first, 1, __ATOMIC_SEQ_CST);
}

void force_bpf_mark(struct force_bpf *t, uint32_t file, uint64_t index, uint64_t nr)
{
	uint64_t *words;

	if (!t->forced)
		return;
	words = t->forced + t->first_word[file];
	for (; nr; nr--, index++)
		__atomic_fetch_or(&words[index / 64], 1ULL << (index % 64), __ATOMIC_RELAXED);
}

bool force_bpf_counts_pid(const struct force_bpf *t, pid_t pid)
{
	uint32_t tid = pid, one;

	if (pid == getpid())
		return false;
	/* In a PID namespace of ours the numbers are not those that BPF sees. */
	if (!t->skel || !t->counters.config->filter_tree || t->counters.config->pidns_ino)
		return true;
	return !bpf_map_lookup_elem(bpf_map__fd(t->skel->maps.counted_tasks), &tid, &one);
}

void force_bpf_read(struct force_bpf *t, uint32_t file, const struct bitmap *absent,
		    struct force_usage *out)
{
	const struct list_file *lf = &t->list->files[file];
	struct p2c_file_counts c;
	struct p2c_force_file f;
	uint64_t i;

	memset(out, 0, sizeof(*out));
	if (!t->used || lf->state != LIST_READY ||
	    bpf_map_lookup_elem(bpf_map__fd(t->skel->maps.force_files), &lf->target.slot, &f) ||
	    counters_read(&t->counters, lf->target.slot, &c))
		return;
	out->known = true;
	out->late_known = counters_late_known(&t->counters);
	for (i = 0; i < lf->end / 64 + 1; i++)
		out->used +=
			__builtin_popcountll(t->used[t->first_word[file] + i] & absent->words[i]);
	out->lookups = f.lookups;
	out->late = f.late;
	out->unused_removed = f.unused_removed;
	out->polluted = f.polluted;
	out->misses = c.count[COUNT_READ_MISSES] + c.count[COUNT_MMAP_MISSES];
	out->accesses = out->misses + c.count[COUNT_READ_HITS] + c.count[COUNT_MMAP_HITS] +
			c.count[COUNT_AROUND];
}

void force_bpf_reset(struct force_bpf *t)
{
	struct p2c_file_counts *none;
	size_t i;

	if (!t->used)
		return;
	memset(t->forced, 0, t->words * sizeof(uint64_t));
	memset(t->used, 0, t->words * sizeof(uint64_t));
	memset(t->removed, 0, t->words * sizeof(uint64_t));
	none = xcalloc(t->counters.nr_cpus, sizeof(*none));
	for (i = 0; i < t->list->nr_files; i++) {
		struct list_file *lf = &t->list->files[i];
		struct p2c_force_file f = fresh(t, i);

		if (lf->state != LIST_READY)
			continue;
		bpf_map_update_elem(bpf_map__fd(t->skel->maps.force_files), &lf->target.slot, &f,
				    BPF_ANY);
		bpf_map_update_elem(bpf_map__fd(t->skel->maps.counts), &lf->target.slot, none,
				    BPF_ANY);
	}
	free(none);
}
