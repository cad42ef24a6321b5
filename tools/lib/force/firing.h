/* SPDX-License-Identifier: GPL-2.0-only */
/* The thread that waits for the trigger and then has the list forced. */
#ifndef PAGE2CACHE_FIRING_H
#define PAGE2CACHE_FIRING_H

#include <pthread.h>

#include "force/force.h"
#include "force/opens.h"
#include "force/force_bpf.h"

enum trigger {
	TRIGGER_ACCESS, /* the first lookup since it was armed */
	TRIGGER_MISS,	/* the first that misses */
	TRIGGER_OPEN,
	TRIGGER_NOW,
	NR_TRIGGERS,
};

extern const char *const trigger_names[NR_TRIGGERS];

struct firing {
	enum trigger trigger;
	bool once;
	uint64_t hold_ns; /* how long an open may be held, 0: not at all */
	struct force *force;
	struct force_bpf *bpf; /* follows nothing for --now */
	/* A firing is over and another begins: its receipt is due. */
	void (*on_again)(void *ctx);
	void *ctx;

	uint64_t fired_ns;	     /* CLOCK_MONOTONIC; 0: not yet */
	uint64_t first_ns;	     /* the triggering reader had its data, 0: not seen */
	uint64_t last_first_data_ns; /* the same since the latest trigger, whatever came of it */
	uint64_t done_ns;	     /* all verified, 0: not yet */
	uint64_t scan_took_ns;	     /* duration of the last full residency scan */
	uint64_t scan_ended_ns;	     /* when it ended */

	int done_fd;	       /* eventfd, readable when a firing with --once is over */
	int wake_fd;	       /* eventfd: look at `stop` and `requested_ns` */
	uint64_t requested_ns; /* a firing was requested other than by BPF */
	bool busy;	       /* the thread is at a firing, or looks whether one is asked for */
	bool stop;
	bool stop_holding; /* later than stop: forcing opens the files itself */
	int opens_fd;	   /* FAN_OPEN: fires, or re-arms */
	int hold_fd;	   /* FAN_OPEN_PERM */
	pthread_t thread, hold_thread;
	bool running, holding;
};

/* The sample callback for force_bpf_open(); ctx is the struct firing. */
int firing_event(void *ctx, void *data, size_t size);

/* Arm and start the threads. Returns 0, or -errno with *why. */
int firing_start(struct firing *f, char **why);
/* Is a firing asked for, or not done? */
bool firing_under_way(const struct firing *f);
/* Has the one firing of --once happened? To be asked when done_fd is readable. */
bool firing_over(struct firing *f);
/*
 * No more forcing: what is not read by now is skipped. Waits for the threads, at most MS
 * milliseconds; false: one of them runs on, held by a device or mount that hangs, and nothing of
 * the forcing may be freed. Nobody's open is held any more.
 */
bool firing_stop(struct firing *f, unsigned int ms);

#endif
