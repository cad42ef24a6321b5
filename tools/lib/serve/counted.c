// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "report/account.h"
#include "serve/counted_slots.h"
#include "hints.skel.h"

/* Counts are shown this long after they have changed: results are older by no more than that. */
#define SHOW_NS 10000000

static struct hook hint_hooks[] = {
	HOOK_INSERT,
	COUNTERS_HOOKS,
	{ "program_exec", false, { { { "program_exec" } }, { { "program_exec_classic" } } } },
};

struct counted_program {
	struct counted *counted;
	struct ucred peer;
	uint32_t place;	 /* of its process */
	uint32_t worker; /* the kernel's number */
	bool joined;
	bool refused; /* its process cannot be told from others */
	struct shown *shown[PAGEHINT_MAX_FILES];
};

/* --- loading */

static void *map_array(const struct bpf_map *map)
{
	size_t bytes = (size_t)END_SLOT * bpf_map__value_size(map);
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	if (at == MAP_FAILED)
		return NULL;
	return at;
}

static void unmap_array(void *at, size_t size)
{
	if (at)
		munmap(at, END_SLOT * size);
}

static int load(struct counted *c, char **why)
{
	const struct counters_options opt = { .nr_files = END_SLOT - 1, .by_process = true };
	size_t n = ARRAY_SIZE(hint_hooks);
	int err;

	hooks_quiet_libbpf();
	c->skel = hints_bpf__open_opts(types_open_opts());
	if (!c->skel)
		return -errno;
	/* The thread that reads a file for a program keeps it open. */
	if (hooks_plan(hint_hooks, n, c->skel->obj, !types_btrfs_mounted(), why))
		return -EOPNOTSUPP;
	err = counters_configure(&c->counters, &c->skel->rodata->cfg, &opt, hint_hooks, n);
	if (err)
		return err;
	hooks_select(hint_hooks, n, c->skel->obj);
	err = counters_size(&c->counters, c->skel->obj);
	err = err ? err : bpf_map__set_max_entries(c->skel->maps.hint_counts, END_SLOT);
	err = err ? err : hints_bpf__load(c->skel);
	if (err)
		return err;
	counters_bind(&c->counters, &c->skel->bss->watch);
	/* Programs are attached while pages of the files may be on their way. */
	c->skel->bss->pages_came = true;
	return counters_locate(&c->counters);
}

/* Wait for one of the two: for changes, or, for a moment after one, for the time to show them. */
static int wait_for(struct counted *c, int fd, int op)
{
	struct epoll_event e = { EPOLLIN | EPOLLONESHOT, { .fd = fd } };

	return epoll_ctl(c->epoll, op, fd, &e) ? -errno : 0;
}

static int show_changed(void *ctx, void *data, size_t size);

static int prepare(struct counted *c)
{
	int err;

	c->counts = map_array(c->skel->maps.counts);
	c->hints = map_array(c->skel->maps.hint_counts);
	c->slots_of = map_array(c->skel->maps.process_slots);
	c->epoll = epoll_create1(EPOLL_CLOEXEC);
	c->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (!c->counts || !c->hints || !c->slots_of || c->epoll < 0 || c->timer < 0)
		return -errno;
	c->ring = ring_buffer__new(bpf_map__fd(c->skel->maps.ring), show_changed, c, NULL);
	if (!c->ring)
		return -errno;
	err = wait_for(c, c->timer, EPOLL_CTL_ADD);
	return err ? err : wait_for(c, bpf_map__fd(c->skel->maps.ring), EPOLL_CTL_ADD);
}

struct counted *counted_open(char **why)
{
	struct counted *c = xcalloc(1, sizeof(*c));
	int err;

	pthread_mutex_init(&c->lock, NULL);
	c->epoll = c->timer = -1;
	*why = NULL;
	err = load(c, why);
	err = err ? err : prepare(c);
	if (!err)
		return c;
	if (!*why)
		*why = hooks_load_error(err);
	counted_close(c);
	return NULL;
}

static void detach(struct counted *c)
{
	counters_on(&c->counters, false);
	hooks_detach(hint_hooks, ARRAY_SIZE(hint_hooks));
}

void counted_close(struct counted *c)
{
	if (!c)
		return;
	if (c->nr_processes)
		detach(c);
	ring_buffer__free(c->ring);
	if (c->epoll >= 0)
		close(c->epoll);
	if (c->timer >= 0)
		close(c->timer);
	unmap_array(c->counts, sizeof(*c->counts));
	unmap_array(c->hints, sizeof(*c->hints));
	unmap_array(c->slots_of, sizeof(*c->slots_of));
	counters_free(&c->counters);
	hints_bpf__destroy(c->skel);
	free(c);
}

/* --- showing */

/* What has been counted in a slot of a process, up to now. */
static struct pagehint_stat counted_in(const struct counted *c, uint32_t slot)
{
	struct p2c_file_counts counts = c->counts[slot];
	struct account a;

	account_derive(&counts, true, NULL, &a);
	return (struct pagehint_stat){
		.hits = a.hits,
		.misses = a.misses,
		.late = a.late,
		.used = __atomic_load_n(&c->hints[slot].used, __ATOMIC_RELAXED),
	};
}

/* A fault that turns out to be a miss was a hit for a moment: BEFORE may be ahead by that. */
static uint64_t since(uint64_t before, uint64_t now)
{
	return now > before ? now - before : 0;
}

static void show(const struct counted *c, const struct shown *s)
{
	struct pagehint_stat st = counted_in(c, s->slot);

	st.hits = since(s->before.hits, st.hits);
	st.misses = since(s->before.misses, st.misses);
	st.late = since(s->before.late, st.late);
	st.used = since(s->before.used, st.used);
	if (!s->all || !counters_late_known(&c->counters))
		st.late = PAGEHINT_UNKNOWN;
	if (!s->all || c->hints[s->slot].lost)
		st.used = PAGEHINT_UNKNOWN;
	result_set_counts(s->result, &st);
}

/* The counts of a slot have changed. */
static int show_changed(void *ctx, void *data, size_t size)
{
	struct counted *c = ctx;
	uint32_t slot = *(uint32_t *)data;
	struct shown *s;

	__atomic_store_n(&c->hints[slot].told, 0, __ATOMIC_SEQ_CST);
	for (s = c->slots[slot].shown; s; s = s->next)
		show(c, s);
	return 0;
}

int counted_fd(const struct counted *c)
{
	return c->epoll;
}

/*
 * Many accesses come at once: all that change something within SHOW_NS after the first are
 * shown together.
 */
void counted_take(struct counted *c)
{
	const struct itimerspec once = { .it_value.tv_nsec = SHOW_NS };
	struct epoll_event e;

	if (epoll_wait(c->epoll, &e, 1, 0) != 1)
		return;
	/* The caller has programs to accept: it does not wait while BPF programs are attached. */
	if (e.data.fd != c->timer || pthread_mutex_trylock(&c->lock)) {
		timerfd_settime(c->timer, 0, &once, NULL);
		wait_for(c, c->timer, EPOLL_CTL_MOD);
		return;
	}
	ring_buffer__consume(c->ring);
	slots_renew(c);
	pthread_mutex_unlock(&c->lock);
	wait_for(c, bpf_map__fd(c->skel->maps.ring), EPOLL_CTL_MOD);
}

/* --- processes */

/*
 * Is the process, which is counted already, one of the peer's user? If the peer has ended, another
 * process may have its number, and another user's is not for this program to see.
 */
static bool is_peers(const struct ucred *peer)
{
	char path[32];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d", peer->pid);
	return !stat(path, &st) && st.st_uid == peer->uid;
}

/* The place of a process that is counted; -1: it is not. */
static int find_process(const struct counted *c, uint32_t number)
{
	uint32_t place;

	return bpf_map_lookup_elem(bpf_map__fd(c->skel->maps.processes), &number, &place)
		       ? -1
		       : (int)place;
}

static int add_process(struct counted *c, const struct ucred *peer, uint32_t number)
{
	int fd = bpf_map__fd(c->skel->maps.processes);
	uint32_t place = 0;

	/* As many as there are connections, so one is free. */
	while (place < MAX_PROCESSES && c->processes[place].nr_programs)
		place++;
	if (place == MAX_PROCESSES || bpf_map_update_elem(fd, &number, &place, BPF_ANY))
		return -1;
	if (is_peers(peer)) {
		c->processes[place].number = number;
		return place;
	}
	bpf_map_delete_elem(fd, &number);
	return -1;
}

static bool attach(struct counted *c)
{
	char *why = NULL;

	if (c->nr_processes || c->broken)
		return !c->broken;
	if (hooks_attach(hint_hooks, ARRAY_SIZE(hint_hooks), c->skel->obj, &why)) {
		c->broken = true;
		say("hits, misses, late and used are not counted: %s", why);
		free(why);
		return false;
	}
	counters_on(&c->counters, true);
	return true;
}

static void leave(struct counted_program *p)
{
	struct counted *c = p->counted;
	struct process *process = &c->processes[p->place];

	bpf_map_delete_elem(bpf_map__fd(c->skel->maps.workers), &p->worker);
	/* Unless it has ended: its number may be that of another place by now. */
	if (!--process->nr_programs && find_process(c, process->number) == (int)p->place)
		bpf_map_delete_elem(bpf_map__fd(c->skel->maps.processes), &process->number);
	c->nr_processes -= !process->nr_programs;
	if (!c->nr_processes)
		detach(c);
}

/* The program's process counts from now on. */
static bool join(struct counted_program *p)
{
	struct counted *c = p->counted;
	uint32_t number;
	int place;

	if (!p->peer.pid || counters_number(&c->counters, p->peer.pid, &number) || !attach(c))
		return false;
	place = find_process(c, number);
	if (place < 0)
		place = add_process(c, &p->peer, number);
	if (place < 0) {
		if (!c->nr_processes)
			detach(c);
		return false;
	}
	p->place = place;
	c->nr_processes += !c->processes[place].nr_programs++;
	if (!bpf_map_update_elem(bpf_map__fd(c->skel->maps.workers), &p->worker, &p->place,
				 BPF_ANY))
		return true;
	leave(p);
	return false;
}

/* --- programs */

struct counted_program *counted_begin(struct counted *c, const struct ucred *peer, pid_t worker)
{
	struct counted_program *p;
	uint32_t number;

	if (!c || counters_number(&c->counters, worker, &number))
		return NULL;
	p = xcalloc(1, sizeof(*p));
	p->counted = c;
	p->peer = *peer;
	p->worker = number;
	return p;
}

static uint32_t take_slots(struct counted_program *p, int fd)
{
	struct counted *c = p->counted;
	uint32_t file, slot;

	if (!p->joined && !p->refused) {
		p->joined = join(p);
		p->refused = !p->joined;
	}
	file = p->joined ? slots_take_file(c, fd) : 0;
	if (!file)
		return 0;
	slot = slots_take_process(c, file, p->place);
	if (!slot)
		slots_leave_file(c, file);
	return slot;
}

void counted_file(struct counted_program *p, int id, int fd, bool all, struct result *r)
{
	struct counted *c;
	struct shown *s;
	uint32_t slot;

	if (!p)
		return;
	c = p->counted;
	pthread_mutex_lock(&c->lock);
	slot = take_slots(p, fd);
	if (slot) {
		s = xcalloc(1, sizeof(*s));
		*s = (struct shown){ c->slots[slot].shown, r, counted_in(c, slot), slot, all };
		c->slots[slot].shown = s;
		p->shown[id] = s;
		show(c, s);
	}
	pthread_mutex_unlock(&c->lock);
}

static void forget(struct counted_program *p, int id)
{
	struct counted *c = p->counted;
	struct shown *s = p->shown[id], **at;

	if (!s)
		return;
	at = &c->slots[s->slot].shown;
	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	slots_leave_process(c, s->slot);
	free(s);
	p->shown[id] = NULL;
}

void counted_forget(struct counted_program *p, int id)
{
	if (!p || id < 0 || id >= PAGEHINT_MAX_FILES)
		return;
	pthread_mutex_lock(&p->counted->lock);
	forget(p, id);
	pthread_mutex_unlock(&p->counted->lock);
}

void counted_end(struct counted_program *p)
{
	struct counted *c;
	int id;

	if (!p)
		return;
	c = p->counted;
	pthread_mutex_lock(&c->lock);
	for (id = 0; id < PAGEHINT_MAX_FILES; id++)
		forget(p, id);
	if (p->joined)
		leave(p);
	slots_sweep(c);
	pthread_mutex_unlock(&c->lock);
	free(p);
}
