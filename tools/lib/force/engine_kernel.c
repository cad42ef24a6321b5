// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>

#include "hook/attach.h"
#include "force/force.h"
#include "force/engine_kernel.h"
#include "force/module_list.h"
#include "shared.h"
#include "file/residency.h"
#include "pcforce.skel.h"
#include "force/force_bpf.h"

/* How often the answers are looked at. The kernel notes the time of its end. */
#define POLL_NS 2000000
/* By then the module's worker has begun, or it has refused the file. */
#define BEGIN_NS 5000000000ULL
/* What a stopped list may still take: the device has been asked already. */
#define STOP_NS 1000000000ULL

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

char *helper_refused(void)
{
	struct pcforce_bpf *skel;
	struct bpf_program *prog;
	int err;

	if (helper_number() < 0)
		return xstrdup("this kernel has no helper bpf_force_page2cache(): a kernel patch "
			       "brings it");
	skel = pcforce_bpf__open();
	if (!skel)
		return xasprintf("opening the program: %s", strerror(errno));
	kfunc_leave_out(skel);
	bpf_object__for_each_program(prog, skel->obj) {
		bpf_program__set_autoload(prog, prog == skel->progs.force_at_miss);
	}
	err = helper_set_number(skel->progs.force_at_miss);
	err = err ? err : pcforce_bpf__load(skel);
	pcforce_bpf__destroy(skel);
	return err ? xasprintf("the verifier does not accept bpf_force_page2cache(): %s",
			       strerror(-err))
		   : NULL;
}

/* Calls visit for each run of the list, in the order in which it is to be read. */
static void for_each_run(struct helper *h, const struct list *l,
			 void (*visit)(struct helper *h, const struct extent *run))
{
	struct plan p;
	size_t i;

	plan_init(&p, l);
	while (plan_next(&p)) {
		for (i = 0; i < p.nr_runs; i++) {
			if (l->files[p.runs[i].file].state == LIST_READY)
				visit(h, &p.runs[i]);
		}
	}
	plan_free(&p);
}

static void count_run(struct helper *h, const struct extent *run)
{
	h->nr[run->file]++;
}

static struct page2cache_head *head_of(const struct helper *h, size_t file)
{
	return (void *)&h->extents[h->first[file]];
}

static void store_run(struct helper *h, const struct extent *run)
{
	struct page2cache_head *head = head_of(h, run->file);
	struct page2cache_extent *e = (void *)(head + 1);

	e[head->nr_extents++] =
		(struct page2cache_extent){ .index = run->index, .nr_pages = run->nr_pages };
}

int helper_size(struct helper *h, struct pcforce_bpf *skel, const struct list *l)
{
	uint64_t at = 0;
	size_t i;
	int err;

	h->first = xcalloc(l->nr_files, sizeof(*h->first));
	h->nr = xcalloc(l->nr_files, sizeof(*h->nr));
	for_each_run(h, l, count_run);
	for (i = 0; i < l->nr_files; i++) {
		h->first[i] = at;
		at += PAGE2CACHE_HEAD + h->nr[i];
	}
	h->nr_extents = at;
	if (at > UINT32_MAX)
		return -E2BIG;
	err = bpf_map__set_max_entries(skel->maps.extents, at ? at : 1);
	return err || h->kfunc ? err : helper_set_number(skel->progs.force_at_miss);
}

/* What is not allowed to be read of a file is not handed over at all. */
static void share_out(struct helper *h, const struct list *l, uint64_t max_bytes)
{
	uint64_t left = max_bytes / page_size(), pages;
	size_t i;

	for (i = 0; i < l->nr_files; i++) {
		if (l->files[i].state != LIST_READY)
			continue;
		pages = l->files[i].listed_pages < left ? l->files[i].listed_pages : left;
		head_of(h, i)->max_pages = pages;
		left -= pages;
		if (!pages)
			h->nr[i] = 0;
	}
}

int helper_fill(struct helper *h, const struct force_bpf *t, uint64_t max_bytes)
{
	h->bpf = t;
	h->extents = mmap(NULL, (h->nr_extents ? h->nr_extents : 1) * sizeof(*h->extents),
			  PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(t->skel->maps.extents),
			  0);
	if (h->extents == MAP_FAILED) {
		h->extents = NULL;
		return -errno;
	}
	for_each_run(h, t->list, store_run);
	share_out(h, t->list, max_bytes);
	return 0;
}

void helper_arm(struct helper *h)
{
	const struct list *l = h->bpf->list;
	struct page2cache_head *head;
	size_t i;
	int err;

	h->bpf->skel->bss->asked_slot = 0;
	for (i = 0; i < l->nr_files; i++) {
		head = head_of(h, i);
		if (!h->nr[i] || head->state == PAGE2CACHE_RUNNING)
			continue;
		*head = (struct page2cache_head){ .nr_extents = head->nr_extents,
						  .max_pages = head->max_pages,
						  .state = head->state };
		__atomic_store_n(&head->state, PAGE2CACHE_IDLE, __ATOMIC_RELEASE);
		err = h->kfunc ? kfunc_hold(h, &l->files[i]) : 0;
		if (err)
			say("%s: the module cannot be given this file: %s", l->files[i].target.path,
			    strerror(-err));
	}
}

static uint64_t state_of(const struct helper *h, size_t file)
{
	return __atomic_load_n(&head_of(h, file)->state, __ATOMIC_ACQUIRE);
}

bool helper_worked(const struct helper *h)
{
	const struct timespec pause = { .tv_nsec = POLL_NS };
	size_t i;

	for (i = 0; i < h->bpf->list->nr_files; i++) {
		if (!h->nr[i])
			continue;
		/* It may have found all in place. */
		while (state_of(h, i) == PAGE2CACHE_RUNNING && !head_of(h, i)->submitted)
			nanosleep(&pause, NULL);
		if (head_of(h, i)->submitted)
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
static struct absent find_absent(const struct helper *h, const struct list_file *lf, size_t file)
{
	const struct page2cache_extent *e = (void *)(head_of(h, file) + 1);
	struct absent a = { 0 };
	uint64_t i;

	for (i = 0; i < h->nr[file] && !a.nr; i++)
		residency_runs(lf->target.fd, e[i].index, e[i].nr_pages, take_absent, &a);
	return a;
}

/*
 * The kernel skips a program where a task sleeps in the middle of it, on the same
 * processor: not for longer than that takes to begin with a list.
 */
static void await_others(const struct helper *h)
{
	const struct timespec pause = { .tv_nsec = POLL_NS };
	int i;

	for (i = 0; i < 50 && __atomic_load_n(&h->bpf->skel->bss->first_tid, __ATOMIC_SEQ_CST); i++)
		nanosleep(&pause, NULL);
}

/*
 * Has the module force the list, if the task that fired the trigger has not: its worker
 * may not have begun yet. Returns whether it is being forced.
 */
static bool kick_module(const struct helper *h, const struct list_file *lf, size_t file)
{
	const struct timespec pause = { .tv_nsec = POLL_NS };
	bool asked = h->bpf->skel->bss->asked_slot == lf->target.slot;
	int err = asked ? 0 : kfunc_force(h, lf);
	uint64_t end = now_ns() + BEGIN_NS;

	while (!err && now_ns() < end) {
		if (state_of(h, file) != PAGE2CACHE_IDLE)
			return true;
		nanosleep(&pause, NULL);
	}
	say("%s: the module does not force this file: %s", lf->target.path,
	    strerror(err ? -err : EOPNOTSUPP));
	return false;
}

/* A read of ours misses a page: that has the list forced. Returns whether it is. */
static bool kick(const struct helper *h, const struct list_file *lf, size_t file)
{
	struct absent a;
	int tries;
	char byte;

	for (tries = 0; tries < 8; tries++) {
		await_others(h);
		a = find_absent(h, lf, file);
		if (!a.nr)
			return false;
		if (pread(lf->target.fd, &byte, 1, a.index * page_size()) < 0)
			say_verbose("%s: reading page %llu: %s", lf->target.path,
				    (unsigned long long)a.index, strerror(errno));
		if (state_of(h, file) != PAGE2CACHE_IDLE)
			return true;
	}
	say("%s: the kernel does not begin with the list", lf->target.path);
	return false;
}

/* Until the kernel is done with the file, or what is left of a stop's grace. */
static void await(const struct helper *h, size_t file, struct force *f, uint64_t *deadline)
{
	const struct timespec pause = { .tv_nsec = POLL_NS };
	struct page2cache_head *head = head_of(h, file);
	uint64_t running = PAGE2CACHE_RUNNING;

	while (state_of(h, file) != PAGE2CACHE_DONE) {
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
		return "its reader has closed the file";
	case EDQUOT:
		return "the limit of --max-bytes, or of the memory that was available";
	case EINTR:
		return "its reader was killed";
	case ECANCELED:
		return "pcforce ended";
	default:
		return strerror(-error);
	}
}

/* Nothing was forced: what is cached was resident. */
static void count_resident(struct force *f, size_t file, const struct helper *h)
{
	const struct page2cache_extent *e = (void *)(head_of(h, file) + 1);
	uint64_t i, cached, nr = head_of(h, file)->nr_extents;

	for (i = 0; i < nr; i++) {
		if (!residency_count(f->list->files[file].target.fd, e[i].index, e[i].nr_pages,
				     &cached))
			f->counts[file].resident += cached;
	}
}

static void take_answers(struct helper *h, struct force *f, size_t file)
{
	const struct page2cache_head *head = head_of(h, file);
	struct force_counts *c = &f->counts[file];
	const struct list_file *lf = &f->list->files[file];

	c->resident = head->resident;
	c->read = head->read;
	c->failed = head->failed;
	c->past_eof += head->past_eof;
	c->submitted = head->submitted;
	c->skipped = head->skipped;
	/* It was stopped and has not come to an end. */
	if (state_of(h, file) != PAGE2CACHE_DONE)
		c->skipped = c->requested - c->resident - c->read - c->failed - c->past_eof;
	if (head->error)
		say("%s: the kernel stopped early: %s", lf->target.path, stopped_by(head->error));
	if (head->end_ns > f->end_ns)
		f->end_ns = head->end_ns;
}

void helper_run(struct helper *h, struct force *f)
{
	uint64_t deadline = 0, *words;
	bool *begun = xcalloc(f->list->nr_files, sizeof(*begun));
	size_t i;

	for (i = 0; i < f->list->nr_files; i++) {
		if (h->nr[i])
			begun[i] = state_of(h, i) != PAGE2CACHE_IDLE ||
				   (!f->stop &&
				    (h->kfunc ? kick_module : kick)(h, &f->list->files[i], i));
	}
	for (i = 0; i < f->list->nr_files; i++) {
		struct force_counts *c = &f->counts[i];

		if (f->list->files[i].state != LIST_READY)
			continue;
		if (begun[i]) {
			await(h, i, f, &deadline);
			take_answers(h, f, i);
		} else {
			count_resident(f, i, h);
			c->skipped = c->requested - c->resident - c->past_eof;
		}
		words = h->bpf->forced;
		if (words)
			memcpy(f->absent[i].words, words + h->bpf->first_word[i],
			       (f->list->files[i].end / 64 + 1) * sizeof(*words));
	}
	free(begun);
}

void helper_free(struct helper *h)
{
	if (h->extents)
		munmap(h->extents, (h->nr_extents ? h->nr_extents : 1) * sizeof(*h->extents));
	free(h->first);
	free(h->nr);
	memset(h, 0, sizeof(*h));
}
