/* SPDX-License-Identifier: GPL-2.0-only */
/* A line of characters that shows which parts of a file are cached. */
#ifndef PAGE2CACHE_PICTURE_H
#define PAGE2CACHE_PICTURE_H

#include <stdio.h>

#include "base/util.h"

struct picture {
	unsigned int width; /* characters; 0: there is no picture */
	uint64_t pages;	    /* of the file */
	uint64_t *cached;   /* of each character's pages */
};

void picture_init(struct picture *p, unsigned int width, uint64_t pages);
/* NR pages from INDEX are cached. */
void picture_add(struct picture *p, uint64_t index, uint64_t nr);
/* # all pages of a character are cached, + at least half, - some, . none. To be freed. */
char *picture_text(const struct picture *p);
void picture_free(struct picture *p);

/* The columns of the terminal that F is; without one what COLUMNS says, or 80. */
unsigned int terminal_width(FILE *f);

#endif
