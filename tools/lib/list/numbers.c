// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "list/numbers.h"

#define FIRST_ROOM 64

struct numbered {
	uint32_t number; /* 0: the slot is free */
	uint32_t file;
};

/* The slot that has NUMBER, or the free one where it would be. */
static struct numbered *slot_of(const struct numbers *n, uint32_t number)
{
	/* Multiplied, so that numbers whose low bits are the same do not share one slot. */
	size_t at = (number * 0x9e3779b97f4a7c15ULL >> 32) & (n->room - 1);

	while (n->slots[at].number && n->slots[at].number != number)
		at = (at + 1) & (n->room - 1);
	return &n->slots[at];
}

static void grow(struct numbers *n)
{
	struct numbers larger = { .room = n->room ? n->room * 2 : FIRST_ROOM };
	size_t i;

	larger.slots = xcalloc(larger.room, sizeof(*larger.slots));
	for (i = 0; i < n->room; i++) {
		if (n->slots[i].number)
			*slot_of(&larger, n->slots[i].number) = n->slots[i];
	}
	larger.nr = n->nr;
	numbers_free(n);
	*n = larger;
}

void numbers_add(struct numbers *n, uint32_t number, uint32_t file)
{
	/* Half of the slots stay free, so that a search ends soon. */
	if (n->nr * 2 >= n->room)
		grow(n);
	*slot_of(n, number) = (struct numbered){ number, file };
	n->nr++;
}

bool numbers_find(const struct numbers *n, uint32_t number, uint32_t *file)
{
	const struct numbered *found;

	if (!n->nr)
		return false;
	found = slot_of(n, number);
	*file = found->file;
	return found->number;
}

void numbers_free(struct numbers *n)
{
	free(n->slots);
	memset(n, 0, sizeof(*n));
}
