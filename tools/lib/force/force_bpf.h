/* SPDX-License-Identifier: GPL-2.0-only */
/* pcforce's BPF side: the trigger, and what becomes of forced pages. */
#ifndef PAGE2CACHE_TRACKER_H
#define PAGE2CACHE_TRACKER_H

#include "hook/hooks.h"
#include "list/list.h"
#include "hook/counters.h"

struct pcforce_bpf;

struct force_bpf {
	struct pcforce_bpf *skel; /* NULL: nothing is watched */
	struct counters counters;
	struct ring_buffer *ring;
	const struct list *list;
	uint64_t *forced, *used, *removed; /* NULL: the files are too large to track */
	uint64_t words;			   /* in each of them */
	uint64_t *first_word;		   /* a file of the list each */
	struct helper *helper;		   /* the kernel forces; NULL: we do */
	bool follows;			   /* what becomes of forced pages */
};

struct force_bpf_options {
	const struct counters_options *watch;
	bool fire_on_hits;
	bool fire_on_opens; /* where the engine sees opens by itself: kfunc */
	bool follow;	    /* what becomes of forced pages; else the engine's hooks alone */
	struct helper *helper;
	uint64_t max_bytes;		/* for the helper */
	ring_buffer_sample_fn on_event; /* gets each struct p2c_force_record */
	void *ctx;
};

/* What was seen of a file since the last reset; known: it was watched at all. */
struct force_usage {
	bool known, late_known;
	uint64_t used; /* forced pages that were looked up */
	uint64_t lookups, late, unused_removed, polluted;
	uint64_t accesses, misses; /* of all of the file's pages */
};

extern struct hook force_hooks[];
extern const size_t nr_force_hooks;

/* Leaves the hooks out that only one of the kernel's engines needs: between plan and select. */
void force_bpf_drop_engine(void);

/* Load and attach for the ready files of a list, not yet armed. A failure leaves nothing attached. */
enum status force_bpf_open(struct force_bpf *t, const struct list *l,
			   const struct force_bpf_options *opt, char **why);
void force_bpf_detach(struct force_bpf *t);
void force_bpf_close(struct force_bpf *t);

void force_bpf_arm(struct force_bpf *t);
/* Not fired since it was armed? */
bool force_bpf_armed(const struct force_bpf *t);
/* The kernel may force the lists once more. */
void force_bpf_renew(struct force_bpf *t);
/* Forcing begins or is over. */
void force_bpf_forcing(struct force_bpf *t, bool on);
/* Report the next access that gets its data, of any task. */
void force_bpf_await_first(struct force_bpf *t);
/* Pages that are about to be submitted; from any thread. */
void force_bpf_mark(struct force_bpf *t, uint32_t file, uint64_t index, uint64_t nr);
/* Is the process one that counts (COMMAND's, if there is one)? */
bool force_bpf_counts_pid(const struct force_bpf *t, pid_t pid);

void force_bpf_read(struct force_bpf *t, uint32_t file, const struct bitmap *absent,
		    struct force_usage *out);
/* Forget what was seen, for another firing. */
void force_bpf_reset(struct force_bpf *t);

#endif
