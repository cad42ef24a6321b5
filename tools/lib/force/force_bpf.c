// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "file/bitmap.h"
#include "force/force_bpf.h"
#include "hook/cgroup.h"
#include "hook/filter.h"
#include "shared.h"
#include "pcforce.skel.h"

/* Bits for 8 TiB of 4 KiB pages; the bitmaps, three or four, then take 256 MiB each. */
#define MAX_WORDS (1ULL << 25)
#define UNTRACKED UINT64_MAX

/* Hooks [0, NR_ENGINE_HOOKS) are the engines'; each engine names those that it needs. */
enum {
	FORCE,
	OPEN,
	INSERT,
	NR_ENGINE_HOOKS,
};
struct hook force_hooks[] = { HOOK_FORCE, HOOK_OPEN, HOOK_INSERT, COUNTERS_HOOKS };
const size_t nr_force_hooks = ARRAY_SIZE(force_hooks);

static uint64_t words_of(const struct list_file *lf)
{
	return lf->end / 64 + 1;
}

static int by_end(const void *a, const void *b, void *files)
{
	const struct list_file *x = (struct list_file *)files + *(const size_t *)a;
	const struct list_file *y = (struct list_file *)files + *(const size_t *)b;

	return x->end < y->end ? -1 : x->end > y->end;
}

/*
 * Where each file's bits begin, in the order of their number: those of one sparse file can be
 * as many as those of all others together, which are still followed. Returns the words needed.
 */
static uint64_t lay_out(struct force_bpf *b)
{
	const struct list *l = b->force->list;
	size_t *order = xcalloc(l->nr_files, sizeof(*order)), i;
	uint64_t words = 0;

	b->first_word = xcalloc(l->nr_files, sizeof(*b->first_word));
	for (i = 0; i < l->nr_files; i++)
		order[i] = i;
	qsort_r(order, l->nr_files, sizeof(*order), by_end, l->files);
	for (i = 0; i < l->nr_files; i++) {
		const struct list_file *lf = &l->files[order[i]];

		b->first_word[order[i]] = UNTRACKED;
		if (lf->state != LIST_READY || words + words_of(lf) > MAX_WORDS)
			continue;
		b->first_word[order[i]] = words;
		words += words_of(lf);
	}
	free(order);
	return words;
}

/* Is what becomes of its pages followed? */
static bool is_tracked(const struct force_bpf *b, size_t file)
{
	return b->forced && b->used && b->removed && b->first_word[file] != UNTRACKED;
}

static void size_bitmaps(struct force_bpf *b, uint32_t nr_slots)
{
	struct bpf_map *maps[] = { b->skel->maps.forced, b->skel->maps.used,
				   b->skel->maps.removed };
	size_t i;

	bpf_map__set_max_entries(b->skel->maps.force_files, nr_slots);
	bpf_map__set_max_entries(b->skel->maps.held, nr_slots);
	for (i = 0; i < ARRAY_SIZE(maps); i++)
		bpf_map__set_max_entries(maps[i], b->words ? b->words : 1);
	if (b->force->refine)
		bpf_map__set_max_entries(b->skel->maps.missed, b->words ? b->words : 1);
}

static uint64_t *map_bitmap(struct force_bpf *b, struct bpf_map *map)
{
	void *at = mmap(NULL, b->words * sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED,
			bpf_map__fd(map), 0);

	return at == MAP_FAILED ? NULL : at;
}

static void unmap_bitmap(struct force_bpf *b, uint64_t *at)
{
	if (at)
		munmap(at, b->words * sizeof(uint64_t));
}

static struct p2c_force_file fresh(const struct force_bpf *b, size_t file)
{
	const struct engine *engine = b->force->opt.engine;
	struct p2c_force_file ff = { 0 };

	if (is_tracked(b, file)) {
		ff.first_word = b->first_word[file];
		ff.bits = b->force->list->files[file].end;
	}
	if (engine->describe)
		engine->describe(b->force, file, &ff);
	return ff;
}

static int track_files(struct force_bpf *b)
{
	int fd = bpf_map__fd(b->skel->maps.force_files);
	size_t i;
	int err;

	for (i = 0; i < b->force->list->nr_files; i++) {
		struct list_file *lf = &b->force->list->files[i];
		struct p2c_force_file f = fresh(b, i);

		if (lf->state != LIST_READY)
			continue;
		err = counters_add_file(&b->counters, &lf->target);
		err = err ? err : bpf_map_update_elem(fd, &lf->target.slot, &f, BPF_ANY);
		if (err)
			return err;
	}
	return 0;
}

static int resolve(struct force_bpf *b, char **why)
{
	struct target **ready = xcalloc(b->force->list->nr_files, sizeof(*ready));
	size_t i, n = 0;
	int err;

	for (i = 0; i < b->force->list->nr_files; i++) {
		if (b->force->list->files[i].state == LIST_READY)
			ready[n++] = &b->force->list->files[i].target;
	}
	err = targets_resolve(b->skel->obj, ready, n, why);
	free(ready);
	return err;
}

void force_bpf_drop_engine(void)
{
	size_t i;

	for (i = 0; i < NR_ENGINE_HOOKS; i++)
		force_hooks[i].chosen = NULL;
}

static bool engine_names(const struct engine *e, const char *event)
{
	const char *const *name;

	for (name = e->events; name && *name; name++) {
		if (!strcmp(*name, event))
			return true;
	}
	return false;
}

/* Hooks this run does not need are un-chosen. */
static void drop_unneeded(const struct force_bpf *b, const struct force_bpf_options *opt)
{
	const struct engine *engine = b->force->opt.engine;
	size_t i;

	for (i = 0; i < nr_force_hooks; i++) {
		if ((i < NR_ENGINE_HOOKS && !engine_names(engine, force_hooks[i].event)) ||
		    (i == OPEN && !opt->fire_on_opens) ||
		    (i >= INSERT && !opt->follow && !(i == INSERT && engine->sees_inserts)))
			force_hooks[i].chosen = NULL;
	}
}

/* Without what only an engine needs. PROGRAM: it loads this one alone; NULL: all. */
static struct pcforce_bpf *leave_out(struct pcforce_bpf *skel, const char *program)
{
	struct bpf_program *prog;

	if (!skel)
		return NULL;
	/* Its type is the module's own. */
	bpf_map__set_autocreate(skel->maps.held, false);
	bpf_object__for_each_program(prog, skel->obj) {
		if (program)
			bpf_program__set_autoload(prog, !strcmp(bpf_program__name(prog), program));
	}
	return skel;
}

struct pcforce_bpf *force_bpf_skeleton(const char *program)
{
	return leave_out(pcforce_bpf__open(), program);
}

static enum status load(struct force_bpf *b, const struct force_bpf_options *opt, char **why)
{
	const struct engine *engine = b->force->opt.engine;
	enum status status;
	int err;

	b->skel = leave_out(pcforce_bpf__open_opts(types_open_opts()), NULL);
	if (!b->skel) {
		*why = hooks_load_error(-errno);
		return STATUS_UNSUPPORTED;
	}
	/* While pcforce waits, it keeps no file of its list in memory. */
	status = hooks_plan(force_hooks, nr_force_hooks, b->skel->obj, false, why);
	if (status)
		return status;
	drop_unneeded(b, opt);
	err = counters_configure(&b->counters, &b->skel->rodata->cfg, opt->watch, force_hooks,
				 nr_force_hooks);
	if (err) {
		*why = hooks_load_error(err);
		return STATUS_FAILED;
	}
	b->skel->rodata->fire_on_hits = opt->fire_on_hits;
	b->skel->rodata->fire_on_opens = opt->fire_on_opens;
	b->skel->rodata->note_misses = b->force->refine;
	b->words = lay_out(b);
	size_bitmaps(b, b->counters.config->max_slots);
	hooks_select(force_hooks, nr_force_hooks, b->skel->obj);
	err = counters_size(&b->counters, b->skel->obj);
	if (!err && engine->configure)
		err = engine->configure(b->force, b->skel);
	err = err ? err : pcforce_bpf__load(b->skel);
	if (err) {
		*why = hooks_load_error(err);
		return STATUS_UNSUPPORTED;
	}
	counters_bind(&b->counters, &b->skel->bss->watch);
	/* The tool itself will put some there, which no program may be attached to see. */
	b->skel->bss->pages_came = true;
	err = counters_locate(&b->counters);
	if (err)
		*why = filter_locate_error(opt->watch, err, &status);
	return status;
}

enum status force_bpf_open(struct force_bpf *b, struct force *f,
			   const struct force_bpf_options *opt, char **why)
{
	enum status status;
	int err;

	memset(b, 0, sizeof(*b));
	b->force = f;
	b->follows = opt->follow;
	status = load(b, opt, why);
	if (status)
		return status;
	err = resolve(b, why);
	if (err)
		return err == -EOPNOTSUPP ? STATUS_BAD_INPUT : STATUS_UNSUPPORTED;
	status = counters_cgroup(&b->counters, opt->watch, why);
	if (status)
		return status;
	if (b->words) {
		b->forced = map_bitmap(b, b->skel->maps.forced);
		b->used = map_bitmap(b, b->skel->maps.used);
		b->removed = map_bitmap(b, b->skel->maps.removed);
		if (f->refine)
			b->missed = map_bitmap(b, b->skel->maps.missed);
	}
	err = f->opt.engine->loaded ? f->opt.engine->loaded(f) : 0;
	err = err ? err : track_files(b);
	if (!err) {
		b->ring = ring_buffer__new(bpf_map__fd(b->skel->maps.ring), opt->on_event, opt->ctx,
					   NULL);
		err = b->ring ? 0 : -errno;
	}
	if (err) {
		*why = xasprintf("cannot watch the files: %s", strerror(-err));
		return STATUS_FAILED;
	}
	if (hooks_attach(force_hooks, nr_force_hooks, b->skel->obj, why))
		return STATUS_UNSUPPORTED;
	status = filter_find_running(&b->counters, opt->watch, why);
	if (!status)
		counters_on(&b->counters, true);
	return status;
}

void force_bpf_detach(struct force_bpf *b)
{
	if (b->counters.watch)
		counters_on(&b->counters, false);
	hooks_detach(force_hooks, nr_force_hooks);
}

void force_bpf_close(struct force_bpf *b)
{
	force_bpf_detach(b);
	unmap_bitmap(b, b->forced);
	unmap_bitmap(b, b->used);
	unmap_bitmap(b, b->removed);
	unmap_bitmap(b, b->missed);
	ring_buffer__free(b->ring);
	pcforce_bpf__destroy(b->skel);
	counters_free(&b->counters);
	free(b->first_word);
	memset(b, 0, sizeof(*b));
}

void force_bpf_renew(struct force_bpf *b)
{
	if (b->skel && b->force->opt.engine->arm)
		b->force->opt.engine->arm(b->force);
}

bool force_bpf_armed(const struct force_bpf *b)
{
	return b->skel && __atomic_load_n(&b->skel->bss->armed, __ATOMIC_SEQ_CST);
}

void force_bpf_arm(struct force_bpf *b)
{
	force_bpf_renew(b);
	if (b->skel)
		__atomic_store_n(&b->skel->bss->armed, 1, __ATOMIC_SEQ_CST);
}

void force_bpf_forcing(struct force_bpf *b, bool on)
{
	if (b->skel)
		__atomic_store_n(&b->skel->bss->forcing, on, __ATOMIC_SEQ_CST);
}

bool force_bpf_is_forcing(const struct force_bpf *b)
{
	return b->skel && __atomic_load_n(&b->skel->bss->forcing, __ATOMIC_SEQ_CST);
}

void force_bpf_await_first(struct force_bpf *b)
{
	if (!b->skel)
		return;
	__atomic_store_n(&b->skel->bss->await_tid, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&b->skel->bss->await_first, 1, __ATOMIC_SEQ_CST);
}

void force_bpf_mark(struct force_bpf *b, uint32_t file, uint64_t index, uint64_t nr, bool forced)
{
	struct bitmap bits;

	if (!is_tracked(b, file))
		return;
	bits.words = b->forced + b->first_word[file];
	bits.bits = b->force->list->files[file].end;
	bitmap_fill(&bits, index, nr, forced);
}

int force_bpf_tasks_fd(const struct force_bpf *b)
{
	return b->skel ? bpf_map__fd(b->skel->maps.counted_tasks) : -1;
}

/* A process of that number may be another one by now: then that one has not ended. */
static bool counted_at_its_end(const struct force_bpf *b, pid_t pid)
{
	uint32_t one;

	return counters_pid_ends(pid) &&
	       !bpf_map_lookup_elem(bpf_map__fd(b->skel->maps.ended), &pid, &one);
}

bool force_bpf_counts_pid(const struct force_bpf *b, pid_t pid)
{
	return pid != getpid() &&
	       (!b->skel || counters_count_pid(&b->counters, pid) || counted_at_its_end(b, pid));
}

int force_bpf_fd(const struct force_bpf *b)
{
	return b->ring ? ring_buffer__epoll_fd(b->ring) : -1;
}

void force_bpf_take_events(struct force_bpf *b)
{
	if (b->ring)
		ring_buffer__consume(b->ring);
}

/* Were all lookups of a file seen, as far as its hooks were all served? */
static enum exactness file_exactness(struct force_bpf *b, uint32_t file)
{
	struct p2c_file_counts c;

	if (!is_tracked(b, file) ||
	    counters_read(&b->counters, b->force->list->files[file].target.slot, &c))
		return EXACT;
	return file_counts_exactness(&c);
}

enum exactness force_bpf_exactness(struct force_bpf *b)
{
	enum exactness e = EXACTNESS_UNKNOWN;
	size_t i;

	if (!b->follows)
		return e;
	e = counters_exactness(&b->counters, force_hooks, nr_force_hooks);
	for (i = 0; i < b->force->list->nr_files; i++)
		e = exactness_of_both(e, file_exactness(b, i));
	return e;
}

void force_bpf_read(struct force_bpf *b, uint32_t file, struct force_usage *out)
{
	const struct list_file *lf = &b->force->list->files[file];
	struct p2c_file_counts c;
	struct p2c_force_file ff;
	uint64_t i, word;

	memset(out, 0, sizeof(*out));
	if (!is_tracked(b, file) ||
	    bpf_map_lookup_elem(bpf_map__fd(b->skel->maps.force_files), &lf->target.slot, &ff) ||
	    counters_read(&b->counters, lf->target.slot, &c))
		return;
	out->known = true;
	out->late_known = counters_late_known(&b->counters);
	for (i = 0; i < words_of(lf); i++) {
		word = b->first_word[file] + i;
		/* Pages that did not arrive were taken back: force_bpf_mark(). */
		out->used += __builtin_popcountll(b->used[word] & b->forced[word]);
	}
	out->lookups = ff.lookups;
	out->late = ff.late;
	out->unused_removed = ff.unused_removed;
	out->polluted = ff.polluted;
	out->misses = c.count[COUNT_READ_MISSES] + c.count[COUNT_MMAP_MISSES];
	out->accesses = out->misses + c.count[COUNT_READ_HITS] + c.count[COUNT_MMAP_HITS] +
			c.count[COUNT_AROUND];
}

void force_bpf_seen(struct force_bpf *b, const struct extent *e, struct extent_seen *to)
{
	uint64_t index = e->index, left = e->nr_pages, n, mask, word;

	memset(to, 0, sizeof(*to));
	if (!b->missed || !is_tracked(b, e->file))
		return;
	for (; left; left -= n, index += n) {
		n = 64 - index % 64 < left ? 64 - index % 64 : left;
		mask = (n == 64 ? ~0ULL : (1ULL << n) - 1) << (index % 64);
		word = b->first_word[e->file] + index / 64;
		to->forced += __builtin_popcountll(b->forced[word] & mask);
		to->used += __builtin_popcountll(b->forced[word] & b->used[word] & mask);
		to->missed += __builtin_popcountll(
			__atomic_fetch_and(&b->missed[word], ~mask, __ATOMIC_RELAXED) & mask);
	}
}

void force_bpf_reset(struct force_bpf *b)
{
	struct p2c_file_counts *none;
	size_t i;

	if (!b->used)
		return;
	memset(b->forced, 0, b->words * sizeof(uint64_t));
	memset(b->used, 0, b->words * sizeof(uint64_t));
	memset(b->removed, 0, b->words * sizeof(uint64_t));
	if (b->missed)
		memset(b->missed, 0, b->words * sizeof(uint64_t));
	none = xcalloc(b->counters.nr_cpus, sizeof(*none));
	for (i = 0; i < b->force->list->nr_files; i++) {
		struct list_file *lf = &b->force->list->files[i];
		struct p2c_force_file f = fresh(b, i);

		if (!lf->planned)
			continue;
		bpf_map_update_elem(bpf_map__fd(b->skel->maps.force_files), &lf->target.slot, &f,
				    BPF_ANY);
		bpf_map_update_elem(bpf_map__fd(b->skel->maps.counts), &lf->target.slot, none,
				    BPF_ANY);
	}
	free(none);
}
