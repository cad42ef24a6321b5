// SPDX-License-Identifier: GPL-2.0-only
#include "force/pace.h"

/* One submission takes at most this long at the given rate, unless it is a single page. */
#define PIECE_NS 50000000ULL
/* At most this much time without reading is made up for. */
#define SLACK_NS PIECE_NS
/* How soon a stop is noticed. */
#define LOOK_NS 20000000ULL

void pace_init(struct pace *p, uint64_t rate, uint64_t most_bytes)
{
	uint64_t bytes = rate / (1000000000 / PIECE_NS);

	if (!rate || bytes > most_bytes)
		bytes = most_bytes;
	pthread_mutex_init(&p->lock, NULL);
	p->rate = rate;
	p->piece_pages = bytes < page_size() ? 1 : bytes / page_size();
}

void pace_begin(struct pace *p, uint64_t now)
{
	p->due_ns = now;
}

void pace_free(struct pace *p)
{
	pthread_mutex_destroy(&p->lock);
}

/* Pieces end at multiples of their size, so that large folios fit in where those are that large. */
uint64_t pace_piece(const struct pace *p, uint64_t index, uint64_t nr)
{
	uint64_t left = p->piece_pages - index % p->piece_pages;

	return nr < left ? nr : left;
}

static uint64_t time_of(const struct pace *p, uint64_t bytes)
{
	return bytes * 1000000000 / p->rate + 1;
}

uint64_t pace_due(struct pace *p, uint64_t now, uint64_t bytes)
{
	uint64_t earliest = now > SLACK_NS ? now - SLACK_NS : 0, due;

	pthread_mutex_lock(&p->lock);
	if (p->due_ns < earliest)
		p->due_ns = earliest;
	p->due_ns += time_of(p, bytes);
	due = p->due_ns;
	pthread_mutex_unlock(&p->lock);
	return due;
}

static void pace_undo(struct pace *p, uint64_t bytes)
{
	pthread_mutex_lock(&p->lock);
	p->due_ns -= time_of(p, bytes);
	pthread_mutex_unlock(&p->lock);
}

bool pace_wait(struct pace *p, uint64_t bytes, const volatile bool *stop)
{
	uint64_t now = now_ns(), due = p->rate ? pace_due(p, now, bytes) : now;
	struct timespec wait;

	for (; now < due && !*stop; now = now_ns()) {
		wait = timespec_of(due - now < LOOK_NS ? due - now : LOOK_NS);
		nanosleep(&wait, NULL);
	}
	/* What is not read after all is not waited for by others. */
	if (now < due)
		pace_undo(p, bytes);
	return !*stop;
}
