/* SPDX-License-Identifier: GPL-2.0-only */
/* pcforce's BPF side: the trigger, and what becomes of forced pages. */
#ifndef PAGE2CACHE_FORCE_BPF_H
#define PAGE2CACHE_FORCE_BPF_H

#include "force/force.h"
#include "hook/counters.h"
#include "hook/hooks.h"

struct pcforce_bpf;

struct force_bpf {
	struct pcforce_bpf *skel; /* NULL: nothing is watched */
	struct counters counters;
	struct ring_buffer *ring;
	struct force *force;
	uint64_t *forced, *used, *removed; /* NULL: the files are too large to track */
	uint64_t *missed;		   /* NULL as well where the plan is not refined */
	uint64_t words;			   /* in each of them */
	uint64_t *first_word;		   /* a file of the list each */
	bool follows;			   /* what becomes of forced pages */
};

struct force_bpf_options {
	const struct counters_options *watch;
	bool fire_on_hits;
	bool fire_on_opens; /* of an engine that sees them by itself */
	bool follow;	    /* what becomes of forced pages; else the engine's hooks alone */
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

/*
 * The object, opened and not loaded, without what only an engine needs. PROGRAM: it
 * loads this one alone; NULL: all. NULL on error, with errno.
 */
struct pcforce_bpf *force_bpf_skeleton(const char *program);

/* Load and attach for the ready files of a list, not yet armed. A failure leaves nothing attached. */
enum status force_bpf_open(struct force_bpf *b, struct force *f,
			   const struct force_bpf_options *opt, char **why);
void force_bpf_detach(struct force_bpf *b);
void force_bpf_close(struct force_bpf *b);

void force_bpf_arm(struct force_bpf *b);
/* Not fired since it was armed? */
bool force_bpf_armed(const struct force_bpf *b);
/* The engine's programs may force the lists once more. */
void force_bpf_renew(struct force_bpf *b);
/* Forcing begins or is over. */
void force_bpf_forcing(struct force_bpf *b, bool on);
/* Has a program begun with forcing, and nobody said that it is over? */
bool force_bpf_is_forcing(const struct force_bpf *b);
/* Report the next access that gets its data, of any task. */
void force_bpf_await_first(struct force_bpf *b);
/* Pages are forced ones from now on, or no longer; from any thread. */
void force_bpf_mark(struct force_bpf *b, uint32_t file, uint64_t index, uint64_t nr, bool forced);
/* Is the process one that counts (COMMAND's, if there is one)? */
/* The descriptor that force_bpf_counts_pid() uses, -1: none. */
int force_bpf_tasks_fd(const struct force_bpf *b);
bool force_bpf_counts_pid(const struct force_bpf *b, pid_t pid);
/* A descriptor that is readable when events are to be taken; -1: nothing is watched. */
int force_bpf_fd(const struct force_bpf *b);
/* Hand the events that have come to on_event. */
void force_bpf_take_events(struct force_bpf *b);

/* Of what force_bpf_read() tells of any file; not known where nothing is followed. */
enum exactness force_bpf_exactness(struct force_bpf *b);
void force_bpf_read(struct force_bpf *b, uint32_t file, struct force_usage *out);
/* What was seen of an extent; its misses are then forgotten. */
void force_bpf_seen(struct force_bpf *b, const struct extent *e, struct extent_seen *to);
/* Forget what was seen, for another firing. */
void force_bpf_reset(struct force_bpf *b);

#endif
