// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "file/opening.h"
#include "file/remote.h"

/* Many threads: opening a cold file mostly sleeps, waiting for its directory and its inode. */
#define MAX_THREADS 16
/*
 * One thread opens files whose inodes are cached as fast as several do (some 8 us each).
 * Another is started whenever the last tick has seen fewer than that.
 */
#define TICK_NS	       500000
#define QUICK_PER_TICK 16
/*
 * After so many ticks, some 10 s, in which no file was opened, mounts count as hung. Those that are
 * known to hang at times were tried before: what is left is slow disks.
 */
#define PATIENCE_TICKS 20000
/* Threads that may be left behind; after that, files that were not begun with are given up. */
#define MAX_STUCK 64

enum progress {
	WAITING,
	BEGUN,
	DONE,
	GIVEN_UP,
};

struct task {
	char *path;
	enum progress progress;
	struct opened result;
};

/* Shared by the threads and the caller; the last of them frees it. */
struct opening {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	const struct target_root *root; /* that the paths are in, NULL: none */
	struct task *tasks;
	size_t nr, next, done, users;
};

static void put(struct opening *o)
{
	bool last;
	size_t i;

	pthread_mutex_lock(&o->lock);
	last = !--o->users;
	pthread_mutex_unlock(&o->lock);
	if (!last)
		return;
	for (i = 0; i < o->nr; i++)
		free(o->tasks[i].path);
	free(o->tasks);
	free(o);
}

/* Open files as long as there are some that nobody has begun with. */
static void open_tasks(struct opening *o)
{
	struct opened r;
	struct task *t;

	pthread_mutex_lock(&o->lock);
	while (o->next < o->nr) {
		t = &o->tasks[o->next++];
		if (t->progress == GIVEN_UP)
			continue;
		t->progress = BEGUN;
		pthread_mutex_unlock(&o->lock);
		memset(&r, 0, sizeof(r));
		r.error = target_open_in(o->root, &r.target, t->path, &r.why);
		pthread_mutex_lock(&o->lock);
		if (t->progress == GIVEN_UP) {
			/* The caller has given this file up and gone on without this thread. */
			if (r.error == TARGET_OK)
				target_close(&r.target);
			free(r.why);
			break;
		}
		t->result = r;
		t->progress = DONE;
		if (++o->done == o->nr)
			pthread_cond_signal(&o->changed);
	}
	pthread_mutex_unlock(&o->lock);
}

static void *open_thread(void *ctx)
{
	open_tasks(ctx);
	put(ctx);
	return NULL;
}

static bool start_thread(struct opening *o)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all;
	int err;

	pthread_mutex_lock(&o->lock);
	o->users++;
	pthread_mutex_unlock(&o->lock);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	/* Block signals, so that a thread left behind takes none that is to end the run. */
	sigfillset(&all);
	pthread_attr_setsigmask_np(&attr, &all);
	err = pthread_create(&thread, &attr, open_thread, o);
	pthread_attr_destroy(&attr);
	if (!err)
		return true;
	pthread_mutex_lock(&o->lock);
	o->users--;
	pthread_mutex_unlock(&o->lock);
	return false;
}

static void give_up_one(struct opening *o, struct task *t, const char *what)
{
	t->progress = GIVEN_UP;
	t->result.error = TARGET_GONE;
	t->result.why = xasprintf("%s: %s", t->path, what);
	o->done++;
}

static void give_up(struct opening *o, enum progress of, const char *what)
{
	struct task *t;

	for (t = o->tasks; t < o->tasks + o->nr; t++) {
		if (t->progress == of)
			give_up_one(o, t, what);
	}
}

/*
 * A thread that a hung mount holds can be left behind, but this process does not end before
 * it: files of mounts that may hang are tried by another process first.
 */
static void leave_out_silent(struct opening *o)
{
	struct remote remote;
	struct task *t;
	char *full;

	remote_read(&remote);
	for (t = o->tasks; t < o->tasks + o->nr; t++) {
		full = o->root ? xasprintf("%s/%s", o->root->path, t->path) : xstrdup(t->path);
		if (!remote_answers(&remote, full))
			give_up_one(o, t, "does not answer (a hung mount?)");
		free(full);
	}
	remote_free(&remote);
}

/* Wait for a tick, or until all is done. Called with the lock. */
static void tick(struct opening *o)
{
	struct timespec until = timespec_of(now_ns() + TICK_NS);
	int err = 0;

	while (o->done < o->nr && err != ETIMEDOUT)
		err = pthread_cond_timedwait(&o->changed, &o->lock, &until);
}

static bool add_thread(struct opening *o)
{
	bool started;

	pthread_mutex_unlock(&o->lock);
	started = start_thread(o);
	pthread_mutex_lock(&o->lock);
	return started;
}

/* Wait until all files are opened or given up. Called with the lock. */
static void await(struct opening *o, size_t threads)
{
	size_t before, stuck = 0, silent = 0;

	while (o->done < o->nr) {
		before = o->done;
		tick(o);
		silent = o->done > before ? 0 : silent + 1;
		if (silent >= PATIENCE_TICKS) {
			give_up(o, BEGUN, "open(2) does not return (a hung mount?)");
			stuck += threads;
			threads = 0;
			silent = 0;
		}
		if (o->next < o->nr && o->done - before < QUICK_PER_TICK && threads < MAX_THREADS &&
		    stuck < MAX_STUCK)
			threads += add_thread(o);
		if (!threads) {
			o->next = o->nr;
			give_up(o, WAITING, "not opened: too many others do not return");
		}
	}
}

struct opened *targets_open(const struct target_root *root, const char *const *paths, size_t n)
{
	struct opened *results = xcalloc(n ? n : 1, sizeof(*results));
	struct opening *o = xcalloc(1, sizeof(*o));
	pthread_condattr_t attr;
	size_t i;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&o->changed, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&o->lock, NULL);
	o->users = 1;
	o->root = root;
	o->nr = n;
	o->tasks = xcalloc(n ? n : 1, sizeof(*o->tasks));
	for (i = 0; i < n; i++)
		o->tasks[i].path = xstrdup(paths[i]);
	leave_out_silent(o);
	if (n && !start_thread(o))
		open_tasks(o);
	pthread_mutex_lock(&o->lock);
	await(o, 1);
	for (i = 0; i < n; i++)
		results[i] = o->tasks[i].result;
	pthread_mutex_unlock(&o->lock);
	put(o);
	return results;
}
