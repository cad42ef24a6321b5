// SPDX-License-Identifier: GPL-2.0-only
#include <linux/membarrier.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "serve/counted_slots.h"
#include "hints.skel.h"

/* So many new chunks of pages make it worth while to look for old ones. */
#define RENEW_CHUNKS (HINT_CHUNKS / 4)

/* Programs of BPF that run now are over after this. */
static bool barrier(void)
{
	return !syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0);
}

static bool sweep(const struct counted *c)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);

	return barrier() && !bpf_prog_test_run_opts(bpf_program__fd(c->skel->progs.sweep), &opts);
}

void slots_sweep(struct counted *c)
{
	uint32_t slot;

	if (!c->nr_left || !sweep(c))
		return;
	for (slot = FIRST_SLOT; slot < END_SLOT; slot++) {
		if (c->slots[slot].use != SLOT_LEFT)
			continue;
		memset(&c->counts[slot], 0, sizeof(c->counts[slot]));
		memset(&c->hints[slot], 0, sizeof(c->hints[slot]));
		c->slots[slot].use = SLOT_FREE;
	}
	c->nr_left = 0;
}

void slots_renew(struct counted *c)
{
	uint64_t made = __atomic_load_n(&c->skel->bss->chunks_made, __ATOMIC_RELAXED);

	if (made - c->chunks_seen < RENEW_CHUNKS)
		return;
	c->chunks_seen = made;
	/* Whoever sees the turn change looks at both maps. */
	c->skel->bss->pages_before = true;
	if (!barrier())
		return;
	c->skel->bss->pages_turn = !c->skel->bss->pages_turn;
	sweep(c);
}

static uint32_t find_free(const struct counted *c)
{
	uint32_t slot;

	for (slot = FIRST_SLOT; slot < END_SLOT; slot++) {
		if (c->slots[slot].use == SLOT_FREE)
			return slot;
	}
	return 0;
}

/* 0: all are in use. */
static uint32_t take_slot(struct counted *c, enum slot_use use)
{
	uint32_t slot = find_free(c);

	if (!slot) {
		slots_sweep(c);
		slot = find_free(c);
	}
	if (!slot)
		return 0;
	c->slots[slot] = (struct slot){ .use = use };
	c->hints[slot].live = 1;
	return slot;
}

static void leave_slot(struct counted *c, uint32_t slot)
{
	c->hints[slot].live = 0;
	c->slots[slot].use = SLOT_LEFT;
	c->nr_left++;
}

uint32_t slots_take_file(struct counted *c, int fd)
{
	struct target t = { .path = (char *)"a program's file", .fd = fd }, *all = &t;
	char *why = NULL;
	uint32_t slot;
	int err;

	err = targets_resolve(c->skel->obj, &all, 1, &why);
	if (err) {
		say_verbose("not counted: %s", why);
		free(why);
		return 0;
	}
	if (counters_has_file(&c->counters, &t))
		return t.slot;
	slot = take_slot(c, SLOT_FILE);
	if (!slot)
		return 0;
	if (counters_put_file(&c->counters, &t, slot)) {
		leave_slot(c, slot);
		return 0;
	}
	c->slots[slot].key = t.key;
	c->nr_files++;
	return slot;
}

void slots_leave_file(struct counted *c, uint32_t slot)
{
	if (c->slots[slot].nr_processes)
		return;
	counters_drop_file(&c->counters, &c->slots[slot].key);
	leave_slot(c, slot);
	/* Bits of single files are not taken back: others may share them. */
	if (!--c->nr_files)
		memset(c->counters.watch->bits, 0, sizeof(c->counters.watch->bits));
}

uint32_t slots_take_process(struct counted *c, uint32_t file, uint32_t place)
{
	uint32_t *of = &c->slots_of[file].slot[place], slot = *of;

	if (slot)
		return slot;
	slot = take_slot(c, SLOT_PROCESS);
	if (!slot)
		return 0;
	c->slots[slot].file = file;
	c->slots[slot].place = place;
	c->slots[file].nr_processes++;
	__atomic_store_n(of, slot, __ATOMIC_RELEASE);
	return slot;
}

void slots_leave_process(struct counted *c, uint32_t slot)
{
	const struct slot *s = &c->slots[slot];
	uint32_t file = s->file;

	if (s->shown)
		return;
	__atomic_store_n(&c->slots_of[file].slot[s->place], 0, __ATOMIC_RELEASE);
	leave_slot(c, slot);
	c->slots[file].nr_processes--;
	slots_leave_file(c, file);
}
