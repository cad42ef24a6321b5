/* SPDX-License-Identifier: GPL-2.0-only */
/* pcforce's BPF side: the trigger, and what becomes of forced pages. */
#ifndef PAGE2CACHE_TRACKER_H
#define PAGE2CACHE_TRACKER_H

#include "hooks.h"
#include "list.h"
#include "watch.h"

struct pcforce_bpf;

struct tracker {
	struct pcforce_bpf *skel; /* NULL: nothing is watched */
	struct watch watch;
	struct ring_buffer *ring;
	const struct list *list;
	uint64_t *forced, *used, *removed; /* NULL: the files are too large to track */
	uint64_t words;			   /* in each of them */
	uint64_t *first_word;		   /* a file of the list each */
};

/* What was seen of a file since the last reset; known: it was watched at all. */
struct tracked {
	bool known, late_known;
	uint64_t used; /* forced pages that were looked up */
	uint64_t lookups, late, unused_removed, polluted;
	uint64_t accesses, misses; /* of all of the file's pages */
};

extern struct hook tracker_hooks[];
extern const size_t tracker_nr_hooks;

/*
 * Load and attach for the ready files of a list, not yet armed. on_event is
 * called with each struct force_record. A failure leaves nothing attached.
 */
enum status tracker_open(struct tracker *t, const struct list *l, const struct watch_options *opt,
			 bool fire_on_hits, ring_buffer_sample_fn on_event, void *ctx, char **why);
void tracker_detach(struct tracker *t);
void tracker_close(struct tracker *t);

void tracker_arm(struct tracker *t);
/* Forcing begins or is over. */
void tracker_forcing(struct tracker *t, bool on);
/* Report the next access that gets its data, of any task. */
void tracker_await_first(struct tracker *t);
/* Pages that are about to be submitted; from any thread. */
void tracker_mark(struct tracker *t, uint32_t file, uint64_t index, uint64_t nr);
/* Is the process one that counts (COMMAND's, if there is one)? */
bool tracker_counts_pid(const struct tracker *t, pid_t pid);

void tracker_read(struct tracker *t, uint32_t file, const struct bitmap *absent,
		  struct tracked *out);
/* Forget what was seen, for another firing. */
void tracker_reset(struct tracker *t);

#endif
