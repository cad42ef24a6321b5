/* SPDX-License-Identifier: GPL-2.0-only */
/* pcforce --learn: what a start accesses is recorded, and becomes the list for the next one. */
#ifndef PAGE2CACHE_LEARNER_H
#define PAGE2CACHE_LEARNER_H

#include "force/beside.h"
#include "learn/learn_options.h"
#include "learn/learned_file.h"
#include "report/recording.h"

enum learner_state {
	LEARNER_OFF,
	LEARNER_WANTS, /* this start is to be recorded */
	LEARNER_ASKS,  /* that depends on what has become of the list's files */
	LEARNER_RECORDS,
};

struct learner {
	struct companion companion; /* first: it is what its callbacks get */
	const struct learn_options *opt;
	struct hint *hint;
	enum learner_state state;
	struct learned_file file;
	struct recording rec;
	uint64_t until_ns; /* a start that lives by then has started well */
};

/*
 * Look at the list that the options of H name, which is not loaded yet. The hint has no list
 * any more where it is not to be forced. FILTER and COMMAND (NULL: none) say whom to record.
 */
void learner_init(struct learner *l, const struct learn_options *opt, struct hint *h,
		  const struct filter_options *filter, char **command);
void learner_free(struct learner *l);

#endif
