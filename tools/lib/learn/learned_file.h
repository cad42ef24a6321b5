/* SPDX-License-Identifier: GPL-2.0-only */
/* The file that a list is learned in: whether it may be, and by whom. */
#ifndef PAGE2CACHE_LEARNED_FILE_H
#define PAGE2CACHE_LEARNED_FILE_H

#include <sys/stat.h>

#include "list/list_place.h"

enum learned_state {
	LEARNED_OURS,	/* no other learner has it until learned_file_close() */
	LEARNED_FORCED, /* it is to be forced, not to be replaced */
	LEARNED_UNUSED, /* neither */
};

struct learned_file {
	const char *path;
	int fd;		  /* -1: it is not ours */
	struct stat was;  /* when it was opened */
	bool made;	  /* there was none */
	bool this_kernel; /* it was learned on the kernel that runs */
};

/*
 * Open and lock the list at P, which PATH leads to; where there is none, an empty one is made.
 * Says why in any other state than LEARNED_OURS.
 */
enum learned_state learned_file_open(struct learned_file *f, const char *path,
				     const struct list_place *p);
/* Unlock the list, so that another pcforce may learn it. It can still be touched. */
void learned_file_unlock(struct learned_file *f);
/* Does the path still lead to it? */
bool learned_file_stays(const struct learned_file *f, const struct list_place *p);
/* Set its modification time to now, or to the oldest possible, so that the next start learns. */
void learned_file_touch(const struct learned_file *f, bool now);
/* Remove an empty list that was made by learned_file_open(). */
void learned_file_close(struct learned_file *f, const struct list_place *p);

#endif
