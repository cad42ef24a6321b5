// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the functions of the module bpf_page2cache take and what they refuse.
 *
 *   kfunc load             each program: its name, and whether the verifier takes it
 *   kfunc maps FILE        what the module says of each map: its name and 0 or -errno
 *   kfunc hold FILE [path|write|closed|kept]
 *                          what it says of FILE, open for reading, as a path, or for writing;
 *                          closed: of no descriptor; kept: is the map frozen meanwhile
 *   kfunc force FILE [long|twice]
 *                          has the first eight pages of FILE forced: state, error and pages read.
 *                          long: a list longer than its map; twice: and then once more
 *   kfunc keep FILE N      has a list held N times, a map keeps the last; ends
 *   kfunc delete FILE N    has a list held N times; programs of a perf event delete it
 *   kfunc inner FILE N     N times, with a map that goes away meanwhile
 *   kfunc many FILE        has 17 lists forced, of 64 pages each: how many run, and the error of
 *                          the others
 *   kfunc again FILE       has a list that runs forced again, after its state is set back
 *   kfunc die FILE         has 17 lists forced, and kills itself
 *   kfunc orphan FILE      has a list forced, closes all but its map, says so, and after a line
 *                          of input: state and error
 *
 * With `many` to `orphan` reading FILE has to be slow.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "shared.h"
#include "kfunc.skel.h"

#define LISTS	  (PAGE2CACHE_LISTS + 1)
#define LIST_SIZE (PAGE2CACHE_HEAD + 1)
/* What is waited for takes a tick or two. */
#define TRIES 1000

static int quiet(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	return 0;
}

static void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static struct kfunc_bpf *load(const char *name, const char *other)
{
	struct kfunc_bpf *skel = kfunc_bpf__open();
	struct bpf_program *prog;

	if (!skel)
		exit(1);
	bpf_object__for_each_program(prog, skel->obj) {
		const char *this = bpf_program__name(prog);

		bpf_program__set_autoload(prog, !strcmp(this, name) || !strcmp(this, other));
	}
	if (!kfunc_bpf__load(skel))
		return skel;
	kfunc_bpf__destroy(skel);
	return NULL;
}

static int load_each(void)
{
	struct kfunc_bpf *all = kfunc_bpf__open(), *skel;
	struct bpf_program *prog;

	if (!all)
		return 1;
	bpf_object__for_each_program(prog, all->obj) {
		skel = load(bpf_program__name(prog), "");
		printf("%s %s\n", bpf_program__name(prog), skel ? "taken" : "refused");
		kfunc_bpf__destroy(skel);
	}
	kfunc_bpf__destroy(all);
	return 0;
}

static struct kfunc_bpf *loaded(const char *name, const char *other)
{
	struct kfunc_bpf *skel = load(name, other);

	if (!skel)
		die(name);
	return skel;
}

static void open_file(struct kfunc_bpf *skel, const char *path, int flags)
{
	skel->data->fd = open(path, flags);
	if (skel->data->fd < 0)
		die(path);
}

/* Returns what the program does. */
static int run(const struct bpf_program *prog)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);

	if (bpf_prog_test_run_opts(bpf_program__fd(prog), &opts))
		die(bpf_program__name(prog));
	return opts.retval;
}

static int maps(const char *path)
{
	struct kfunc_bpf *skel = loaded("hold_each", "");

	open_file(skel, path, O_RDONLY);
	if (bpf_map_freeze(bpf_map__fd(skel->maps.frozen)))
		die("freeze");
	run(skel->progs.hold_each);
	printf("extents %d\npast %d\nnot_mmapable %d\nodd_values %d\ntoo_few %d\n",
	       skel->data->error_extents, skel->data->error_past, skel->data->error_not_mmapable,
	       skel->data->error_odd_values, skel->data->error_too_few);
	printf("read_only %d\nfrozen %d\nringbuf %d\nholders %d\n", skel->data->error_read_only,
	       skel->data->error_frozen, skel->data->error_ringbuf, skel->data->error_holders);
	return 0;
}

static int hold(const char *path, const char *how)
{
	struct kfunc_bpf *skel = loaded("hold_each", "keep");

	open_file(skel, path,
		  !strcmp(how, "path")	  ? O_PATH
		  : !strcmp(how, "write") ? O_WRONLY
					  : O_RDONLY);
	if (!strcmp(how, "closed"))
		close(skel->data->fd);
	if (!strcmp(how, "kept")) {
		run(skel->progs.keep);
		puts(bpf_map_freeze(bpf_map__fd(skel->maps.extents)) ? "not frozen" : "frozen");
		return 0;
	}
	printf("%d\n", run(skel->progs.hold_each));
	return 0;
}

static struct page2cache_head *heads_of(const struct kfunc_bpf *skel)
{
	size_t bytes = LISTS * LIST_SIZE * sizeof(struct page2cache_extent);
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
			bpf_map__fd(skel->maps.extents), 0);

	if (at == MAP_FAILED)
		die("mmap");
	return at;
}

static struct page2cache_head *head_at(struct page2cache_head *heads, int list)
{
	return (void *)((struct page2cache_extent *)heads + list * LIST_SIZE);
}

static struct page2cache_head *set_list(struct page2cache_head *heads, int list, __u64 nr_pages)
{
	struct page2cache_head *head = head_at(heads, list);
	struct page2cache_extent *e = (void *)(head + 1);

	*e = (struct page2cache_extent){ list * nr_pages, nr_pages };
	head->max_pages = nr_pages;
	head->nr_extents = 1;
	return head;
}

static __u64 state_of(const struct page2cache_head *head)
{
	return __atomic_load_n(&head->state, __ATOMIC_SEQ_CST);
}

static int error_of(const struct page2cache_head *head)
{
	return __atomic_load_n(&head->error, __ATOMIC_SEQ_CST);
}

/* Until the list has ended, or has been refused. */
static void await(const struct page2cache_head *head)
{
	int i;

	for (i = 0; i < TRIES && state_of(head) != PAGE2CACHE_DONE && !error_of(head); i++)
		usleep(10000);
}

static int force(const char *path, const char *how)
{
	struct kfunc_bpf *skel = loaded("force_now", "");
	struct page2cache_head *head = set_list(heads_of(skel), 0, 8);

	open_file(skel, path, O_RDONLY);
	if (!strcmp(how, "long"))
		head->nr_extents = LISTS * LIST_SIZE;
	if (run(skel->progs.force_now))
		die("held");
	await(head);
	if (!strcmp(how, "twice")) {
		run(skel->progs.force_now);
		usleep(10000);
		while (!error_of(head))
			usleep(10000);
	}
	printf("state %llu error %d read %llu\n", (unsigned long long)state_of(head),
	       error_of(head), (unsigned long long)head->read);
	return 0;
}

static int keep(const char *path, int n)
{
	struct kfunc_bpf *skel = loaded("keep", "");
	int i, held = 0;

	open_file(skel, path, O_RDONLY);
	for (i = 0; i < n; i++)
		held += !run(skel->progs.keep);
	printf("held %d\n", held);
	return 0;
}

/* The processor's cycles, or a clock where it does not count them. */
static int perf_event(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_HARDWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_HW_CPU_CYCLES,
		.sample_period = 100000,
	};
	int event = syscall(__NR_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);

	if (event >= 0)
		return event;
	attr.type = PERF_TYPE_SOFTWARE;
	attr.config = PERF_COUNT_SW_CPU_CLOCK;
	event = syscall(__NR_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (event < 0)
		die("perf_event_open");
	return event;
}

static int delete (const char *path, int n)
{
	struct kfunc_bpf *skel = loaded("keep_in_hash", "delete_kept");
	__u64 before;
	int i;

	open_file(skel, path, O_RDONLY);
	if (!bpf_program__attach_perf_event(skel->progs.delete_kept, perf_event()))
		die("delete_kept");
	for (i = 0; i < n; i++) {
		before = __atomic_load_n(&skel->bss->deleted, __ATOMIC_SEQ_CST);
		run(skel->progs.keep_in_hash);
		/* The clock goes on only while we run. */
		while (__atomic_load_n(&skel->bss->deleted, __ATOMIC_SEQ_CST) == before)
			;
	}
	printf("deleted %d\n", i);
	return 0;
}

static void *replace_inner(void *ctx)
{
	const struct kfunc_bpf *skel = ctx;
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	__u32 zero = 0;
	int fd;

	for (;;) {
		fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "inner", sizeof(__u32),
				    sizeof(struct page2cache_extent), 16, &opts);
		if (fd < 0 || bpf_map_update_elem(bpf_map__fd(skel->maps.outer), &zero, &fd, 0))
			die("inner map");
		close(fd);
		pthread_testcancel();
	}
	return NULL;
}

static int inner(const char *path, int n)
{
	struct kfunc_bpf *skel = loaded("hold_inner", "");
	int i, held = 0, gone = 0, error;
	pthread_t thread;

	open_file(skel, path, O_RDONLY);
	if (pthread_create(&thread, NULL, replace_inner, skel))
		die("thread");
	for (i = 0; i < n; i++) {
		error = run(skel->progs.hold_inner);
		held += !error;
		/* None was there yet, or it is being freed. */
		gone += error == 1 || error == -ENOENT;
	}
	pthread_cancel(thread);
	pthread_join(thread, NULL);
	printf("other %d\n", n - held - gone);
	return 0;
}

static struct page2cache_head *force_all(struct kfunc_bpf *skel)
{
	struct page2cache_head *heads = heads_of(skel);
	int i;

	for (i = 0; i < LISTS; i++)
		set_list(heads, i, 64);
	for (i = 0; i < LISTS; i++) {
		skel->bss->first = i * LIST_SIZE;
		if (run(skel->progs.force_now))
			die("held");
	}
	return heads;
}

static int many(const char *path)
{
	struct kfunc_bpf *skel = loaded("force_now", "");
	struct page2cache_head *heads, *head;
	int i, k, running = 0, error = 0;

	open_file(skel, path, O_RDONLY);
	heads = force_all(skel);
	for (i = 0; i < LISTS; i++) {
		head = head_at(heads, i);
		for (k = 0; k < TRIES && state_of(head) == PAGE2CACHE_IDLE && !error_of(head); k++)
			usleep(10000);
		running += state_of(head) == PAGE2CACHE_RUNNING;
		if (state_of(head) == PAGE2CACHE_IDLE)
			error = error_of(head);
	}
	printf("running %d error %d\n", running, error);
	return 0;
}

static int again(const char *path)
{
	struct kfunc_bpf *skel = loaded("force_now", "");
	struct page2cache_head *head = set_list(heads_of(skel), 0, 8000);
	int tries, i;

	open_file(skel, path, O_RDONLY);
	run(skel->progs.force_now);
	while (state_of(head) == PAGE2CACHE_IDLE)
		usleep(1000);
	__atomic_store_n(&head->state, PAGE2CACHE_IDLE, __ATOMIC_SEQ_CST);
	/* The list that runs publishes an error of its own over this one, every few milliseconds. */
	for (tries = 0; tries < 50; tries++) {
		run(skel->progs.force_now);
		for (i = 0; i < 200; i++) {
			if (error_of(head) == -EBUSY || state_of(head) != PAGE2CACHE_IDLE)
				break;
			usleep(50);
		}
		if (i < 200)
			break;
	}
	printf("state %llu error %d\n", (unsigned long long)state_of(head), error_of(head));
	return 0;
}

static int kill_self(const char *path)
{
	struct kfunc_bpf *skel = loaded("force_now", "");

	open_file(skel, path, O_RDONLY);
	force_all(skel);
	return kill(getpid(), SIGKILL);
}

static int orphan(const char *path)
{
	struct kfunc_bpf *skel = loaded("force_now", "");
	struct page2cache_head *head = set_list(heads_of(skel), 0, 8000);
	int map = dup(bpf_map__fd(skel->maps.extents));

	open_file(skel, path, O_RDONLY);
	if (map < 0 || run(skel->progs.force_now))
		die("held");
	while (state_of(head) == PAGE2CACHE_IDLE)
		usleep(1000);
	kfunc_bpf__destroy(skel);
	puts("ready");
	fflush(stdout);
	getchar();
	printf("state %llu error %d\n", (unsigned long long)state_of(head), error_of(head));
	return 0;
}

static const struct {
	const char *name;
	int (*run)(const char *path);
	int (*run_how)(const char *path, const char *how);
	int (*run_times)(const char *path, int n);
} commands[] = {
	{ .name = "maps", .run = maps },	   { .name = "hold", .run_how = hold },
	{ .name = "force", .run_how = force },	   { .name = "keep", .run_times = keep },
	{ .name = "delete", .run_times = delete }, { .name = "inner", .run_times = inner },
	{ .name = "many", .run = many },	   { .name = "again", .run = again },
	{ .name = "die", .run = kill_self },	   { .name = "orphan", .run = orphan },
};

int main(int argc, char **argv)
{
	const char *more = argc == 4 ? argv[3] : NULL;
	size_t i;

	libbpf_set_print(quiet);
	if (argc == 2 && !strcmp(argv[1], "load"))
		return load_each();
	for (i = 0; i < sizeof(commands) / sizeof(commands[0]) && (argc == 3 || argc == 4); i++) {
		if (strcmp(argv[1], commands[i].name))
			continue;
		if (commands[i].run && !more)
			return commands[i].run(argv[2]);
		if (commands[i].run_how)
			return commands[i].run_how(argv[2], more ? more : "");
		if (commands[i].run_times && more)
			return commands[i].run_times(argv[2], atoi(more));
	}
	fprintf(stderr, "usage: kfunc load | maps|many|again|die|orphan FILE | "
			"hold FILE [path|write|closed|kept] | force FILE [long|twice] | "
			"keep|delete|inner FILE N\n");
	return 2;
}
