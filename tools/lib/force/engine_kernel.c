// SPDX-License-Identifier: GPL-2.0-only
/*
 * Engines `helper` and `kfunc`: the kernel reads the list, from the moment of the miss
 * on. Its lists and its answers lie in memory that it shares with us (kernel_lists.h).
 * `helper` is a function of a patched kernel; `kfunc` is one of a module, which is given
 * the files before (module_list.h). struct kernel_way says how they differ.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>

#include "file/residency.h"
#include "force/engine_kernel.h"
#include "force/force.h"
#include "force/force_bpf.h"
#include "force/kernel_lists.h"
#include "force/module_list.h"
#include "hook/attach.h"
#include "shared.h"
#include "pcforce.skel.h"

/* Poll interval for the kernel's answers. It costs no precision: the kernel notes when it ended. */
#define POLL_NS 2000000
/*
 * After so many polls, 5 s at least, the module's worker has begun, or has refused the file. Where
 * we get no CPU, neither does the worker.
 */
#define BEGIN_POLLS 2500
/* How long a stopped list may take to end: requests that the device already has still complete. */
#define STOP_NS 80000000ULL

struct kernel_state {
	struct pcforce_bpf *skel; /* NULL: not loaded */
	struct kernel_lists lists;
	uint64_t *own; /* a file each: pages of the list that start_by_miss() has read */
};

struct kernel_way {
	/* Between open and load of the programs. Returns 0 or -errno. */
	int (*configure)(struct pcforce_bpf *skel);
	/* The module must be given a file before its programs may force it. */
	bool takes_files;
	/* Have the list of a file forced now. Returns whether it is. */
	bool (*start)(const struct force *f, size_t file);
};

/* The helper's number in the running kernel, which is no ABI; -1: it has none. */
static int helper_number(void)
{
	const struct btf_type *t;
	char *why = NULL;
	const struct btf *btf = kernel_btf(&why);
	const struct btf_enum *e;
	int id, i, number = -1;

	id = btf ? btf__find_by_name_kind(btf, "bpf_func_id", BTF_KIND_ENUM) : -1;
	t = id > 0 ? btf__type_by_id(btf, id) : NULL;
	for (i = 0; t && i < btf_vlen(t); i++) {
		e = &btf_enum(t)[i];
		if (!strcmp(btf__name_by_offset(btf, e->name_off), "BPF_FUNC_force_page2cache"))
			number = e->val;
	}
	free(why);
	return number;
}

int helper_set_number(struct bpf_program *prog)
{
	size_t i, n = bpf_program__insn_cnt(prog);
	struct bpf_insn *insns = xcalloc(n, sizeof(*insns));
	int number = helper_number(), err;

	memcpy(insns, bpf_program__insns(prog), n * sizeof(*insns));
	for (i = 0; i < n; i++) {
		if (insns[i].code == (BPF_JMP | BPF_CALL) && !insns[i].src_reg &&
		    insns[i].imm == HELPER_PLACEHOLDER)
			insns[i].imm = number;
	}
	err = number < 0 ? -ENOENT : bpf_program__set_insns(prog, insns, n);
	free(insns);
	return err;
}

static char *helper_refused(void)
{
	struct pcforce_bpf *skel;
	int err;

	if (helper_number() < 0)
		return xstrdup("this kernel has no helper bpf_force_page2cache(): a kernel patch "
			       "brings it");
	skel = force_bpf_skeleton("force_at_miss");
	if (!skel)
		return xasprintf("cannot open the BPF program: %s", strerror(errno));
	err = helper_set_number(skel->progs.force_at_miss);
	err = err ? err : pcforce_bpf__load(skel);
	pcforce_bpf__destroy(skel);
	return err ? xasprintf("the verifier does not accept bpf_force_page2cache(): %s",
			       strerror(-err))
		   : NULL;
}

static int helper_configure(struct pcforce_bpf *skel)
{
	skel->rodata->helper = true;
	return helper_set_number(skel->progs.force_at_miss);
}

static uint64_t state_of(const struct force *f, size_t file)
{
	const struct kernel_state *k = f->state;

	return kernel_lists_state(&k->lists, file);
}

static int kernel_prepare(struct force *f)
{
	struct kernel_state *k = xcalloc(1, sizeof(*k));

	f->state = k;
	k->own = xcalloc(f->list->nr_files, sizeof(*k->own));
	kernel_lists_count(&k->lists, f);
	return kernel_lists_lay_out(&k->lists, f->list->nr_files);
}

static int kernel_configure(struct force *f, struct pcforce_bpf *skel)
{
	struct kernel_state *k = f->state;
	int err;

	k->skel = skel;
	err = bpf_map__set_max_entries(skel->maps.extents,
				       kernel_lists_bytes(&k->lists) /
					       sizeof(struct page2cache_extent));
	return err ? err : f->opt.engine->way->configure(skel);
}

static int kernel_loaded(struct force *f)
{
	struct kernel_state *k = f->state;
	void *memory = mmap(NULL, kernel_lists_bytes(&k->lists), PROT_READ | PROT_WRITE, MAP_SHARED,
			    bpf_map__fd(k->skel->maps.extents), 0);

	if (memory == MAP_FAILED)
		return -errno;
	k->lists.extents = memory;
	kernel_lists_fill(&k->lists, f, force_max_bytes(f) / page_size());
	return 0;
}

static void kernel_describe(const struct force *f, size_t file, struct p2c_force_file *to)
{
	const struct kernel_state *k = f->state;

	to->first_extent = k->lists.first[file];
	to->nr_extents = k->lists.nr[file];
}

static void say_refused(const struct list_file *lf, int err)
{
	say("%s: the module does not force this file: %s; its pages are skipped", lf->target.path,
	    err == -EOPNOTSUPP ? "it cannot be read ahead (tmpfs, FUSE, DAX)" : strerror(-err));
}

static void kernel_arm(struct force *f)
{
	const struct kernel_way *way = f->opt.engine->way;
	struct kernel_state *k = f->state;
	struct page2cache_head *head;
	size_t i;
	int err;

	k->skel->bss->asked_slot = 0;
	for (i = 0; i < f->list->nr_files; i++) {
		const struct list_file *lf = &f->list->files[i];

		head = kernel_lists_head(&k->lists, i);
		if (!k->lists.nr[i] || head->state == PAGE2CACHE_RUNNING)
			continue;
		*head = (struct page2cache_head){ .nr_extents = k->lists.nr[i],
						  .max_pages = head->max_pages + k->own[i],
						  .state = head->state };
		k->own[i] = 0;
		__atomic_store_n(&head->state, PAGE2CACHE_IDLE, __ATOMIC_RELEASE);
		err = way->takes_files ? module_list_take(k->skel, lf, k->lists.first[i], false)
				       : 0;
		if (!err)
			continue;
		say_refused(lf, err);
		k->lists.nr[i] = 0;
	}
}

static bool kernel_worked(const struct force *f)
{
	const struct timespec pause = { .tv_nsec = POLL_NS };
	const struct kernel_state *k = f->state;
	const struct page2cache_head *head;
	size_t i;

	for (i = 0; i < f->list->nr_files; i++) {
		if (!k->lists.nr[i])
			continue;
		head = kernel_lists_head(&k->lists, i);
		/* If the kernel finds all pages cached, it never submits any. */
		while (state_of(f, i) == PAGE2CACHE_RUNNING && !head->submitted && !f->stop)
			nanosleep(&pause, NULL);
		if (head->submitted)
			return true;
	}
	return false;
}

struct absent {
	uint64_t index;
	uint64_t nr; /* 0: none */
};

static int take_absent(void *ctx, uint64_t index, uint64_t nr, bool cached)
{
	struct absent *a = ctx;

	if (cached)
		return 0;
	*a = (struct absent){ index, nr };
	return 1;
}

/* A listed page of the file that is not cached. */
static struct absent find_absent(const struct force *f, size_t file)
{
	const struct kernel_state *k = f->state;
	const struct list_file *lf = &f->list->files[file];
	struct page2cache_extent e;
	struct absent a = { 0 };
	uint64_t i;

	for (i = 0; i < k->lists.nr[file] && !a.nr; i++) {
		e = kernel_lists_extent(&k->lists, file, i, lf->end);
		residency_runs(lf->target.fd, e.index, e.nr_pages, take_absent, &a);
	}
	return a;
}

/*
 * While force_at_miss() sleeps on a CPU, the kernel will not run it again there. Wait
 * until it has returned, at most 100 ms.
 */
static void await_others(const struct kernel_state *k)
{
	const struct timespec pause = { .tv_nsec = POLL_NS };
	int i;

	for (i = 0; i < 50 && __atomic_load_n(&k->skel->bss->first_tid, __ATOMIC_SEQ_CST); i++)
		nanosleep(&pause, NULL);
}

/*
 * Read an absent page of the file. Returns whether it was this read that brought the page in: on a
 * busy CPU the kernel, having started with the list at the miss, can be there first.
 */
static bool bring_in(const struct force *f, size_t file, uint64_t index)
{
	const struct target *t = &f->list->files[file].target;
	const struct kernel_state *k = f->state;
	uint64_t before = __atomic_load_n(&k->skel->bss->own_pages, __ATOMIC_SEQ_CST);
	char byte;

	if (pread(t->fd, &byte, 1, index * page_size()) < 0) {
		say_verbose("%s: cannot read page %llu: %s", t->path, (unsigned long long)index,
			    strerror(errno));
		return false;
	}
	return __atomic_load_n(&k->skel->bss->own_pages, __ATOMIC_SEQ_CST) != before;
}

/*
 * Read an absent page of the file, and nothing around it: this miss makes the kernel start with
 * the list. The kernel finds the page cached then, so it is counted here, for the limit as well.
 */
static bool start_by_miss(const struct force *f, size_t file)
{
	const struct target *t = &f->list->files[file].target;
	const struct kernel_state *k = f->state;
	struct page2cache_head *head = kernel_lists_head(&k->lists, file);
	struct absent a;
	int tries;

	posix_fadvise(t->fd, 0, 0, POSIX_FADV_RANDOM);
	for (tries = 0; tries < 8; tries++) {
		await_others(k);
		a = find_absent(f, file);
		if (!a.nr || !head->max_pages)
			return false;
		head->max_pages--;
		if (bring_in(f, file, a.index))
			k->own[file]++;
		else
			head->max_pages++;
		if (state_of(f, file) != PAGE2CACHE_IDLE)
			return true;
	}
	say("%s: the kernel did not start reading after %d attempts", t->path, tries);
	return false;
}

static bool has_begun(const struct force *f, size_t file)
{
	return state_of(f, file) != PAGE2CACHE_IDLE;
}

/* Why the module has not begun with the list, -errno; 0: it has, or has been told to stop. */
static int await_begin(const struct force *f, size_t file)
{
	const struct timespec pause = { .tv_nsec = POLL_NS };
	const struct kernel_state *k = f->state;
	const struct page2cache_head *head = kernel_lists_head(&k->lists, file);
	unsigned int polls = 0;
	int64_t err = 0;

	while (!f->stop && !has_begun(f, file) && !err) {
		if (polls++ == BEGIN_POLLS)
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
		err = __atomic_load_n(&head->error, __ATOMIC_SEQ_CST);
	}
	return has_begun(f, file) ? 0 : err;
}

/*
 * Ask the module to begin with the list, unless the task that fired the trigger has: the
 * module's worker may not have begun yet.
 */
static bool start_by_module(const struct force *f, size_t file)
{
	const struct list_file *lf = &f->list->files[file];
	const struct kernel_state *k = f->state;
	bool asked = k->skel->bss->asked_slot == lf->target.slot;
	int err = asked ? 0 : module_list_take(k->skel, lf, k->lists.first[file], true);

	err = err ? err : await_begin(f, file);
	if (err)
		say_refused(lf, err);
	return has_begun(f, file);
}

/* Wait until the kernel is done with the file, or until the grace period after a stop is over. */
static void await(const struct force *f, size_t file, uint64_t *deadline)
{
	const struct timespec pause = { .tv_nsec = POLL_NS };
	const struct kernel_state *k = f->state;
	struct page2cache_head *head = kernel_lists_head(&k->lists, file);
	uint64_t running = PAGE2CACHE_RUNNING;

	while (state_of(f, file) != PAGE2CACHE_DONE) {
		if (f->stop && !*deadline)
			*deadline = now_ns() + STOP_NS;
		if (f->stop)
			__atomic_compare_exchange_n(&head->state, &running, PAGE2CACHE_STOP, false,
						    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
		running = PAGE2CACHE_RUNNING;
		if (*deadline && now_ns() > *deadline)
			return;
		nanosleep(&pause, NULL);
	}
}

static const char *stopped_by(int64_t error)
{
	switch (-error) {
	case ENOMEM:
		return "memory is short";
	case ESTALE:
		return "the file was truncated";
	case EBADF:
		return "the reader closed the file";
	case EDQUOT:
		return "the limit of --max-bytes or of available memory was reached";
	case ENODEV:
		return "the reader's cgroup is gone";
	case ECANCELED:
		return "pcforce ended";
	default:
		return strerror(-error);
	}
}

/*
 * The kernel has forced nothing of these files: what is cached was resident, but for the pages that
 * start_by_miss() has read in vain.
 */
static void count_resident(struct force *f, const bool *begun)
{
	const struct kernel_state *k = f->state;
	const struct extent *run;
	struct force_counts *c;
	uint64_t cached, own;
	size_t i;

	for (i = 0; i < f->plan.nr_runs; i++) {
		run = &f->plan.runs[i];
		c = &f->counts[run->file];
		if (begun[run->file] || f->list->files[run->file].state != LIST_READY)
			continue;
		if (residency_count(f->list->files[run->file].target.fd, run->index, run->nr_pages,
				    &cached)) {
			c->blind = true;
			continue;
		}
		own = k->own[run->file] - c->read;
		if (own > cached)
			own = cached;
		c->read += own;
		c->submitted += own;
		c->resident += cached - own;
	}
}

static void take_answers(struct force *f, size_t file)
{
	const struct kernel_state *k = f->state;
	struct force_counts *c = &f->counts[file];
	const char *path = f->list->files[file].target.path;
	struct page2cache_head answer;
	uint64_t end_ns, own = k->own[file];

	/* What is not accounted for yet are the pages of the plan. */
	if (!kernel_lists_answer(&k->lists, file,
				 c->requested - c->resident - c->past_eof - c->skipped, &answer)) {
		say("%s: what the kernel said of its pages was overwritten by another process; "
		    "they count as skipped",
		    path);
		return;
	}
	if (own > answer.resident)
		own = answer.resident;
	c->resident += answer.resident - own;
	c->read += answer.read + own;
	c->failed += answer.failed;
	c->past_eof += answer.past_eof;
	c->submitted += answer.submitted + own;
	if (answer.error)
		say("%s: the kernel stopped early: %s", path, stopped_by(answer.error));
	end_ns = answer.end_ns ? answer.end_ns + k->skel->bss->watch.clock_ns : 0;
	if (end_ns > f->end_ns && end_ns <= now_ns())
		f->end_ns = end_ns;
}

/* The kernel refuses a list beyond those that it reads at a time. */
static void await_room(const struct force *f)
{
	const struct timespec pause = { .tv_nsec = POLL_NS };
	const struct kernel_state *k = f->state;
	size_t running, i;

	do {
		for (running = i = 0; i < f->list->nr_files; i++)
			running += k->lists.nr[i] && state_of(f, i) == PAGE2CACHE_RUNNING;
	} while (running >= PAGE2CACHE_LISTS && !f->stop && !nanosleep(&pause, NULL));
}

static void kernel_run(struct force *f)
{
	const struct kernel_way *way = f->opt.engine->way;
	const struct kernel_state *k = f->state;
	bool *begun = xcalloc(f->list->nr_files, sizeof(*begun));
	uint64_t deadline = 0;
	size_t i;

	for (i = 0; i < f->list->nr_files; i++) {
		if (!k->lists.nr[i])
			continue;
		await_room(f);
		begun[i] = has_begun(f, i) || (!f->stop && way->start(f, i));
	}
	for (i = 0; i < f->list->nr_files; i++) {
		if (!begun[i] || f->list->files[i].state != LIST_READY)
			continue;
		await(f, i, &deadline);
		take_answers(f, i);
	}
	count_resident(f, begun);
	/*
	 * Pages that the kernel has not reached, because it ended early, or was stopped and has not
	 * ended yet, are skipped.
	 */
	for (i = 0; i < f->list->nr_files; i++) {
		if (f->list->files[i].state == LIST_READY)
			force_skip_rest(&f->counts[i]);
	}
	free(begun);
}

static void kernel_free(struct force *f)
{
	struct kernel_state *k = f->state;

	if (k->lists.extents)
		munmap(k->lists.extents, kernel_lists_bytes(&k->lists));
	kernel_lists_free(&k->lists);
	free(k->own);
	free(k);
}

/* What both of them do alike. */
#define KERNEL_ENGINE                                                                      \
	.prepare = kernel_prepare, .configure = kernel_configure, .loaded = kernel_loaded, \
	.describe = kernel_describe, .arm = kernel_arm, .worked = kernel_worked,           \
	.run = kernel_run, .free = kernel_free

static const struct kernel_way helper_way = {
	.configure = helper_configure,
	.start = start_by_miss,
};
static const char *const helper_events[] = { "force", "insert", NULL };

const struct engine engine_helper = {
	.name = "helper",
	.at_miss = true,
	.sees_inserts = true,
	.events = helper_events,
	.way = &helper_way,
	.refused = helper_refused,
	KERNEL_ENGINE,
};

static const struct kernel_way kfunc_way = {
	.configure = module_list_configure,
	.takes_files = true,
	.start = start_by_module,
};
static const char *const kfunc_events[] = { "open", "insert", NULL };

const struct engine engine_kfunc = {
	.name = "kfunc",
	.at_miss = true,
	.at_open = true,
	.holds_files = true,
	.events = kfunc_events,
	.way = &kfunc_way,
	.refused = module_refused,
	KERNEL_ENGINE,
};
