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
	struct helper *helper;		   /* the kernel forces; NULL: we do */
	bool follows;			   /* what becomes of forced pages */
};

struct tracker_options {
	const struct watch_options *watch;
	bool fire_on_hits;
	bool fire_on_opens; /* where the engine sees opens by itself: kfunc */
	bool follow;	    /* what becomes of forced pages; else the engine's hooks alone */
	struct helper *helper;
	uint64_t max_bytes;		/* for the helper */
	ring_buffer_sample_fn on_event; /* gets each struct force_record */
	void *ctx;
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

/* Leaves the hooks out that only one of the kernel's engines needs: between plan and select. */
void tracker_drop_engine(void);

/* Load and attach for the ready files of a list, not yet armed. A failure leaves nothing attached. */
enum status tracker_open(struct tracker *t, const struct list *l, const struct tracker_options *opt,
			 char **why);
void tracker_detach(struct tracker *t);
void tracker_close(struct tracker *t);

void tracker_arm(struct tracker *t);
/* Not fired since it was armed? */
bool tracker_armed(const struct tracker *t);
/* The kernel may force the lists once more. */
void tracker_renew(struct tracker *t);
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
