// SPDX-License-Identifier: GPL-2.0-only
/*
 * changing POLICY FILE: a reader that changes its pattern, under forcing. A list of random pages of
 * the file's second half is known, a page for each step. The reader goes in order through the first
 * half (seq_us), through the listed pages (random_us), in order through a mapping (mmap_us), and in
 * strides (strided_us): in the second of these alone it wants what the list says. Before a step,
 * POLICY decides of the page that is 64 steps ahead whether it is forced, by a hint of libpagehint:
 *
 *   always, never
 *   rule     as the plan of pcforce does, which has not seen a page
 *   one      the rule, refined by what became of the pages (tools/lib/force/choice.h): the weights
 *            are in memory that BPF shares, and each outcome is learnt at once
 *   batch    the same by bpf(), 64 questions and 64 outcomes at a time, as A Prediction System
 *            Service (ASPLOS 2023) has it
 *
 * FILE must not be cached; one line of JSON is printed: times in microseconds, how many pages were
 * forced, how many decisions were right, and how many hints the queue had no room for.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "force/choice.h"
#include "list/plan.h"
#include "pagehint.h"
#include "sharing.h"
#include "sharing.skel.h"

#define AHEAD  ASKED_MOST /* steps that are known, and those of a batch */
#define STRIDE 16
#define STEP   4 /* pages that are read at once in order */
#define PAGE   4096

enum phase {
	SEQ,
	RANDOM,
	MMAP,
	STRIDED,
	NR_PHASES,
};

/* A step's listed page: how it was decided, as far as that is. */
struct decided {
	struct choice_case x;
	bool forced;
};

static int fd, random_fd, id;
static uint64_t nr_pages; /* of the file */
static uint64_t *listed, nr_listed, step;
static struct decided *decided;
static struct pagehint *hints;
static struct sharing_bpf *skel;
static struct choice_case now; /* what is known of the next page */
static uint64_t nr_forced, nr_right;
static unsigned int sum; /* of what was read, so that it is read */

static _Noreturn void die(const char *what, int err)
{
	fprintf(stderr, "changing: %s: %s\n", what, strerror(err));
	exit(1);
}

/* --- policies: each decides of steps from AT on, as many as it does at a time */

static void decide(uint64_t at, bool forced)
{
	decided[at] = (struct decided){ now, forced };
	if (!forced)
		return;
	nr_forced++;
	/* Who forces more than there is room for does it without the queue. */
	if (pagehint_willneed(hints, id, listed[at] * PAGE, PAGE) == -EAGAIN &&
	    readahead(fd, listed[at] * PAGE, PAGE))
		die("readahead", errno);
}

static void decide_always(uint64_t at)
{
	decide(at, true);
}

static void decide_never(uint64_t at)
{
	decide(at, false);
}

static void decide_by_rule(uint64_t at)
{
	decide(at, now.rule);
}

/* The weights of the perceptron, where BPF sees them. */
static struct choice *shared(void)
{
	return (struct choice *)skel->bss->weights;
}

static void decide_one(uint64_t at)
{
	decide(at, choice_forces(shared(), &now));
}

static void learn_one(const struct choice_case *x, enum choice_verdict verdict)
{
	choice_learn(shared(), x, verdict);
}

static struct batch questions, outcomes;

static void ask(struct batch *b, struct answers *answers)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	uint32_t zero = 0;

	if (bpf_map_update_elem(bpf_map__fd(skel->maps.asked), &zero, b, 0) ||
	    bpf_prog_test_run_opts(bpf_program__fd(skel->progs.ask_batch), &opts) ||
	    (answers && bpf_map_lookup_elem(bpf_map__fd(skel->maps.answers), &zero, answers)))
		die("bpf", errno);
	b->nr = 0;
}

static struct asked *add_to(struct batch *b, const struct choice_case *x)
{
	struct asked *q = &b->asked[b->nr++];

	*q = (struct asked){ .n = CHOICE_FEATURES };
	choice_features(x, (perceptron_feature *)q->features);
	return q;
}

static void decide_batch(uint64_t at)
{
	struct answers answers;
	unsigned int i;

	if (at % AHEAD)
		return;
	for (i = 0; i < AHEAD; i++)
		add_to(&questions, &now);
	ask(&questions, &answers);
	for (i = 0; i < AHEAD && at + i < nr_listed; i++)
		decide(at + i, choice_by_sum(&now, answers.sum[i]));
}

static void learn_batch(const struct choice_case *x, enum choice_verdict verdict)
{
	struct asked *q;

	if (verdict == CHOICE_NOTHING)
		return;
	q = add_to(&outcomes, x);
	q->learn = 1;
	q->outcome = verdict == CHOICE_FORCE;
	if (outcomes.nr == ASKED_MOST)
		ask(&outcomes, NULL);
}

static const struct policy {
	const char *name;
	void (*decide)(uint64_t at);
	void (*learn)(const struct choice_case *x, enum choice_verdict verdict);
} policies[] = {
	{ "always", decide_always },	      { "never", decide_never },
	{ "rule", decide_by_rule },	      { "one", decide_one, learn_one },
	{ "batch", decide_batch, learn_batch },
}, *policy;

/* The reader has passed a step, and has read its listed page or has not. */
static void judge(const struct decided *d, bool wanted)
{
	const struct choice_outcome o = {
		.forced = d->forced,
		.pages = 1,
		.used = d->forced && wanted,
		.unused = d->forced && !wanted,
		.missed = !d->forced && wanted,
	};
	enum choice_verdict verdict = choice_judge(&d->x, &o);

	nr_right += d->forced == wanted;
	now.wrong = choice_after(&now, verdict);
	if (policy->learn)
		policy->learn(&d->x, verdict);
}

/* --- the reader */

static void read_pages(int from, uint64_t index, uint64_t nr)
{
	static char data[STEP * PAGE];

	if (pread(from, data, nr * PAGE, index * PAGE) != (ssize_t)(nr * PAGE))
		die("pread", errno);
	sum += data[0];
}

static void touch_pages(const volatile unsigned char *map, uint64_t index, uint64_t nr)
{
	for (; nr; nr--, index++)
		sum += map[index * PAGE];
}

static void read_step(enum phase phase, uint64_t i, const unsigned char *map)
{
	switch (phase) {
	case SEQ:
		read_pages(fd, i * STEP, STEP);
		break;
	case RANDOM:
		read_pages(random_fd, listed[step], 1);
		break;
	case MMAP:
		touch_pages(map, i * STEP, STEP);
		break;
	default:
		read_pages(fd, i * STRIDE, 1);
	}
}

static uint64_t steps_of(enum phase phase)
{
	return nr_pages / 2 / (phase == STRIDED ? STRIDE : STEP);
}

/* Microseconds. What the phases before have read is gone: that takes time, which is not counted. */
static double run_phase(enum phase phase)
{
	unsigned char *map = NULL;
	uint64_t start, i;
	double us;

	if (posix_fadvise(fd, 0, nr_pages / 2 * PAGE, POSIX_FADV_DONTNEED))
		die("fadvise", errno);
	if (phase == MMAP) {
		map = mmap(NULL, nr_pages / 2 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
		if (map == MAP_FAILED)
			die("mmap", errno);
	}
	start = now_ns();
	for (i = 0; i < steps_of(phase); i++, step++) {
		if (step + AHEAD < nr_listed)
			policy->decide(step + AHEAD);
		read_step(phase, i, map);
		judge(&decided[step], phase == RANDOM);
	}
	us = (now_ns() - start) / 1e3;
	if (map)
		munmap(map, nr_pages / 2 * PAGE);
	return us;
}

/* --- the list */

/* The same random pages of the second half in every run, none twice. */
static void make_list(void)
{
	uint64_t half = nr_pages / 2, x = 88172645463325252ULL, i, j, page;
	enum phase phase;

	for (phase = 0; phase < NR_PHASES; phase++)
		nr_listed += steps_of(phase);
	listed = calloc(half, sizeof(*listed));
	decided = calloc(nr_listed, sizeof(*decided));
	if (!listed || !decided)
		die("memory", errno);
	for (i = 0; i < half; i++)
		listed[i] = nr_pages - half + i;
	for (i = half - 1; i; i--) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		j = x % (i + 1);
		page = listed[i];
		listed[i] = listed[j];
		listed[j] = page;
	}
}

/* Does pcforce force it beside a reader, when it has seen nothing but the list? */
static bool rule_forces(void)
{
	struct list_file file = { .nr_pages = nr_pages, .pattern = PATTERN_RANDOM };
	struct list l = { .files = &file, .nr_files = 1 };
	struct plan p;
	bool forces;

	l.extents = calloc(nr_listed, sizeof(*l.extents));
	for (; l.nr_extents < nr_listed; l.nr_extents++)
		l.extents[l.nr_extents] = (struct extent){ listed[l.nr_extents], 1, 0 };
	plan_make(&p, &l, true);
	forces = !plan_left_pages(&p, 0);
	plan_free(&p);
	return forces;
}

static void open_file(const char *path)
{
	struct stat st;

	fd = open(path, O_RDONLY);
	random_fd = open(path, O_RDONLY);
	if (fd < 0 || random_fd < 0 || fstat(fd, &st))
		die(path, errno);
	if (posix_fadvise(random_fd, 0, 0, POSIX_FADV_RANDOM))
		die("fadvise", errno);
	nr_pages = st.st_size / PAGE;
	if (nr_pages < 2048)
		die("FILE has too few pages", 0);
	now = (struct choice_case){ .kind = PATTERN_RANDOM,
				    .random = true,
				    .nr_pages = 1,
				    .window = 32,
				    .device = st.st_dev };
}

static void start(void)
{
	uint64_t at;

	make_list();
	now.rule = rule_forces();
	skel = sharing_bpf__open_and_load();
	if (!skel)
		die("the BPF programs do not load", errno);
	choice_init(shared());
	hints = pagehint_connect(NULL);
	if (!hints)
		die("pagehint_connect", errno);
	id = pagehint_file(hints, fd);
	if (id < 0)
		die("pagehint_file", -id);
	for (at = 0; at < AHEAD; at++)
		policy->decide(at);
}

int main(int argc, char **argv)
{
	const struct policy *end = policies + sizeof(policies) / sizeof(*policies);
	double us[NR_PHASES];
	enum phase phase;

	for (policy = policies; argc == 3 && policy < end && strcmp(policy->name, argv[1]);)
		policy++;
	if (argc != 3 || policy == end) {
		fprintf(stderr, "usage: changing always|never|rule|one|batch FILE\n");
		return 2;
	}
	open_file(argv[2]);
	start();
	for (phase = 0; phase < NR_PHASES; phase++)
		us[phase] = run_phase(phase);
	printf("{\"us\": %.1f, \"seq_us\": %.1f, \"random_us\": %.1f, \"mmap_us\": %.1f, "
	       "\"strided_us\": %.1f, \"listed\": %llu, \"forced\": %llu, \"right\": %llu, "
	       "\"without\": %llu, \"sum\": %u}\n",
	       us[SEQ] + us[RANDOM] + us[MMAP] + us[STRIDED], us[SEQ], us[RANDOM], us[MMAP],
	       us[STRIDED], (unsigned long long)nr_listed, (unsigned long long)nr_forced,
	       (unsigned long long)nr_right, (unsigned long long)pagehint_dropped(hints), sum);
	pagehint_close(hints);
	sharing_bpf__destroy(skel);
	return 0;
}
