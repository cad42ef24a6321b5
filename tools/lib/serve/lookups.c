// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "base/util.h"
#include "force/module_list.h"
#include "hint/protocol.h"
#include "hook/attach.h"
#include "hook/counters.h"
#include "serve/lookups.h"
#include "shared.h"
#include "takehints.skel.h"

#define HOOK "fentry/filemap_get_pages"

/* The BPF program has a place for as long as one lookup. */
#define AGAIN_NS 50000

_Static_assert(HINT_FILES == PAGEHINT_MAX_FILES, "there is room for each file of a program");

struct lookups {
	struct p2c_hint_place *place;
	uint32_t number;
	uint64_t seen; /* where the queue had been read up to, the last time that we looked */
	int nr_ids;    /* none from here on has been held */
};

/* The process has one server. */
static struct takehints_bpf *skel;
static struct p2c_hint_place *places;

static const size_t places_bytes = MAX_PROCESSES * sizeof(struct p2c_hint_place);

/* --- loading */

static void configure(void)
{
	skel->rodata->ring.bytes = QUEUE_BYTES;
	skel->rodata->ring.tail = offsetof(struct ring, tail);
	skel->rodata->ring.words = offsetof(struct ring, words);
	skel->rodata->ring.nr_words = RING_WORDS;
	skel->rodata->ring.willneed = RING_WILLNEED;
	skel->rodata->ring.max_ranges = RING_MAX_RANGES;
}

static char *load(void)
{
	int err;

	hooks_quiet_libbpf();
	skel = takehints_bpf__open();
	if (!skel)
		return hooks_load_error(-errno);
	configure();
	err = takehints_bpf__load(skel);
	if (err)
		return hooks_load_error(err);
	places = mmap(NULL, places_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
		      bpf_map__fd(skel->maps.places), 0);
	if (places == MAP_FAILED) {
		places = NULL;
		return hooks_load_error(-errno);
	}
	err = takehints_bpf__attach(skel);
	return err ? xasprintf("cannot attach to " HOOK ": %s", strerror(-err)) : NULL;
}

char *lookups_open(void)
{
	char *why = hook_refused(HOOK);

	why = why ? why : module_refused();
	if (!why && !in_first_pidns())
		why = xstrdup("a PID namespace of its own has other numbers for processes than the "
			      "kernel: serve outside of it, or by engine user");
	why = why ? why : load();
	if (why)
		lookups_close();
	return why;
}

void lookups_close(void)
{
	if (places)
		munmap(places, places_bytes);
	takehints_bpf__destroy(skel);
	places = NULL;
	skel = NULL;
}

/* --- places */

static void wait_a_moment(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = AGAIN_NS }, NULL);
}

/* Run a BPF program. Returns 0 or -errno. */
static int order(const struct bpf_program *prog, struct p2c_hint_order o)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &o, .ctx_size_in = sizeof(o));
	int err;

	do {
		err = bpf_prog_test_run_opts(bpf_program__fd(prog), &opts);
		err = err ? err : (int)opts.retval;
		if (err == -EAGAIN)
			wait_a_moment();
	} while (err == -EAGAIN);
	return err;
}

static bool lock(struct lookups *l)
{
	uint32_t unlocked = 0;

	return __atomic_compare_exchange_n(&l->place->lock, &unlocked, 1, false, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED);
}

static void unlock(struct lookups *l)
{
	__atomic_store_n(&l->place->lock, 0, __ATOMIC_RELEASE);
}

static void wait_for_lock(struct lookups *l)
{
	while (!lock(l))
		wait_a_moment();
}

static bool take_place(struct lookups *l, uint32_t tgid)
{
	uint32_t nobody = 0;

	for (l->number = 0; l->number < MAX_PROCESSES; l->number++) {
		l->place = &places[l->number];
		if (__atomic_compare_exchange_n(&l->place->tgid, &nobody, tgid, false,
						__ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			return true;
		nobody = 0;
	}
	return false;
}

/* A BPF program that has found the place before finds no queue in it. */
static void leave_place(struct lookups *l)
{
	int id;

	wait_for_lock(l);
	*l->place = (struct p2c_hint_place){ .lock = 1, .tgid = l->place->tgid };
	unlock(l);
	order(skel->progs.order_queue, (struct p2c_hint_order){ .place = l->number, .fd = -1 });
	for (id = 0; id < l->nr_ids; id++)
		lookups_let_go(l, id);
	__atomic_store_n(&l->place->tgid, 0, __ATOMIC_RELEASE);
	free(l);
}

struct lookups *lookups_join(pid_t pid, int queue)
{
	struct lookups *l;
	uint32_t tgid = pid;
	struct stat st;

	if (!skel || fstat(queue, &st))
		return NULL;
	l = xcalloc(1, sizeof(*l));
	if (!take_place(l, tgid)) {
		free(l);
		return NULL;
	}
	l->place->inode = st.st_ino;
	l->place->dev = (uint64_t)major(st.st_dev) << 20 | minor(st.st_dev);
	if (!order(skel->progs.order_queue, (struct p2c_hint_order){ .place = l->number }) &&
	    !bpf_map_update_elem(bpf_map__fd(skel->maps.place_of), &tgid, &l->number, BPF_NOEXIST))
		return l;
	leave_place(l);
	return NULL;
}

void lookups_leave(struct lookups *l)
{
	if (!l)
		return;
	bpf_map_delete_elem(bpf_map__fd(skel->maps.place_of), &l->place->tgid);
	leave_place(l);
}

/* --- the queue */

/* The address in a line of /proc/PID/maps, if the line is of the queue's file; else 0. */
static uint64_t address_in(const char *line, const struct p2c_hint_place *p)
{
	unsigned int high, low;
	uint64_t start, inode;

	if (sscanf(line, "%" SCNx64 "-%*x %*s %*x %x:%x %" SCNu64, &start, &high, &low, &inode) !=
	    4)
		return 0;
	return inode == p->inode && ((uint64_t)high << 20 | low) == p->dev ? start : 0;
}

/* The BPF program looks for itself whether what is found is the queue. */
void lookups_begin(struct lookups *l)
{
	char path[64], line[512];
	uint64_t at = 0;
	FILE *f;

	if (l->place->ring)
		return;
	snprintf(path, sizeof(path), "/proc/%u/maps", l->place->tgid);
	f = fopen(path, "re");
	if (!f)
		return;
	while (!at && fgets(line, sizeof(line), f))
		at = address_in(line, l->place);
	fclose(f);
	__atomic_store_n(&l->place->ring, at, __ATOMIC_RELEASE);
}

bool lookups_begun(const struct lookups *l)
{
	return __atomic_load_n(&l->place->ring, __ATOMIC_ACQUIRE);
}

void lookups_allow(struct lookups *l, uint64_t bytes, unsigned int requests)
{
	wait_for_lock(l);
	l->place->room = bytes;
	l->place->requests = requests;
	unlock(l);
}

uint64_t lookups_taken(const struct lookups *l)
{
	return __atomic_load_n(&l->place->taken, __ATOMIC_RELAXED);
}

size_t lookups_take(struct lookups *l, struct ring_consumer *c, struct ring_hint *hints, size_t max,
		    bool at_once)
{
	struct p2c_hint_place *p = l->place;
	bool moved;
	size_t n;

	if (at_once)
		wait_for_lock(l);
	else if (!lock(l))
		return 0;
	moved = p->head != l->seen;
	c->head = p->head;
	c->file = p->file;
	c->left = p->left;
	/* Of nothing, too, tells the program how far its hints have been taken. */
	n = ring_take(c, hints, moved && !at_once ? 0 : max);
	p->head = l->seen = c->head;
	p->file = c->file;
	p->left = c->left;
	unlock(l);
	return n;
}

/* --- files */

void lookups_hold(struct lookups *l, int id, int fd)
{
	char path[64];
	int own;

	/* Opened anew: flags, position and locks of the program's are not shared. */
	snprintf(path, sizeof(path), "/proc/thread-self/fd/%d", fd);
	own = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (own < 0)
		return;
	if (l->nr_ids <= id)
		l->nr_ids = id + 1;
	/* What the module does not take, the server's thread reads. */
	order(skel->progs.order_file, (struct p2c_hint_order){ l->number, id, own, 0 });
	close(own);
}

void lookups_let_go(struct lookups *l, int id)
{
	order(skel->progs.order_file, (struct p2c_hint_order){ l->number, id, -1, 0 });
}
