// SPDX-License-Identifier: GPL-2.0-only
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/progress.h"

#define PATIENCE_NS 2000000000ULL
#define RENEW_NS    200000000ULL

static struct progress current;
static bool forbidden, under_way, on_screen;

/* A number of things, without or with the word for them. */
static char *amount(bool bytes, uint64_t n, bool word)
{
	return bytes ? xasprintf("%" PRIu64 " MiB", n >> 20)
		     : xasprintf("%" PRIu64 "%s", n, word ? " files" : "");
}

/* With the rest that is left, as far as that can be told. */
static char *with_rest(const struct progress *p, char *text, uint64_t done, uint64_t total,
		       uint64_t elapsed_ns)
{
	double rate = done * 1e9 / elapsed_ns;
	char *a_second = amount(p->bytes, rate, false), *longer;

	if (rate > 0 && total > done)
		longer = xasprintf("%s, %s a second, %.0f s left", text, a_second,
				   (total - done) / rate);
	else
		longer = xasprintf("%s, %s a second", text, a_second);
	free(a_second);
	free(text);
	return longer;
}

char *progress_text(const struct progress *p, uint64_t done, uint64_t total, uint64_t now)
{
	char *all, *so_far, *text;

	if (now - p->start_ns < PATIENCE_NS || (p->shown_ns && now - p->shown_ns < RENEW_NS))
		return NULL;
	if (!total) {
		text = amount(p->bytes, done, true);
	} else {
		so_far = amount(p->bytes, done, false);
		all = amount(p->bytes, total, true);
		text = xasprintf("%s of %s", so_far, all);
		free(all);
		free(so_far);
	}
	return with_rest(p, text, done, total, now - p->start_ns);
}

void progress_forbid(void)
{
	forbidden = true;
}

void progress_begin(bool bytes)
{
	under_way = !forbidden && !quiet && isatty(STDERR_FILENO);
	current = (struct progress){ .bytes = bytes, .start_ns = under_way ? now_ns() : 0 };
}

void progress_set(uint64_t done, uint64_t total)
{
	uint64_t now;
	char *text;

	if (!under_way)
		return;
	now = now_ns();
	text = progress_text(&current, done, total, now);
	if (!text)
		return;
	fprintf(stderr, "\r%s: %s\033[K", program_name, text);
	fflush(stderr);
	free(text);
	current.shown_ns = now;
	__atomic_store_n(&on_screen, true, __ATOMIC_RELAXED);
}

void progress_hide(void)
{
	/* From any thread that has something to say. */
	if (!__atomic_exchange_n(&on_screen, false, __ATOMIC_RELAXED))
		return;
	fputs("\r\033[K", stderr);
	fflush(stderr);
}

void progress_end(void)
{
	progress_hide();
	under_way = false;
}
