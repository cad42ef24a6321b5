// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "force/firing.h"
#include "shared.h"

/*
 * The triggering reader's own page goes first: some schedulers would have it
 * wait for a whole sweep of forced ones (40 ms measured with mq-deadline). A
 * page that takes longer than this comes from a disk that is busy anyway.
 */
#define FIRST_DATA_NS 2000000

/*
 * Interval at which files are marked anew, because the kernel may have dropped their inodes and
 * marks.
 */
#define RENEW_MS 10000

/* At most this many opens are held at a time; others are let through. */
#define MAX_HELD 256
/* The thread that holds them looks at least each 100 ms whether to end. */
#define LET_GO_MS 300

/*
 * A firing inside the kernel wakes this thread once the reader has its first data. If the reader
 * ends before that, the firing is found by polling at this interval.
 */
#define LOOK_MS 1000

const char *const trigger_names[NR_TRIGGERS] = { "access", "miss", "open", "now" };

/*
 * Data that arrived before the firing is not its first data: a held open may have requested the
 * firing, and it begins later.
 */
static void take_first_data(struct firing *f)
{
	if (f->last_first_data_ns >= f->fired_ns)
		f->first_ns = f->last_first_data_ns;
}

int firing_event(void *ctx, void *data, size_t size)
{
	const struct p2c_force_record *r = data;
	struct firing *f = ctx;

	if (r->event == FORCE_FIRED) {
		f->requested_ns = r->ts_ns;
		f->last_first_data_ns = 0;
	} else if (r->event == FORCE_FIRST_DATA) {
		f->last_first_data_ns = r->ts_ns;
		/*
		 * The data belongs to the firing under way, unless a new one was requested since.
		 */
		if (!f->requested_ns && !f->first_ns)
			take_first_data(f);
	}
	return 0;
}

static void wake(int fd)
{
	uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) < 0)
		say_verbose("eventfd: %s", strerror(errno));
}

static void drain(int fd)
{
	uint64_t n;

	if (read(fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
		say_verbose("eventfd: %s", strerror(errno));
}

/* Waiting needs priority, so that a busy machine does not delay it by a tick. */
static void set_priority(bool high)
{
	struct sched_param p = { .sched_priority = high ? 1 : 0 };

	/* If this is not permitted, forcing only starts a little later. */
	pthread_setschedparam(pthread_self(), high ? SCHED_FIFO : SCHED_OTHER, &p);
}

static const struct engine *engine_of(const struct firing *f)
{
	return f->force->opt.engine;
}

static bool marks_may_go(const struct firing *f)
{
	return !engine_of(f)->holds_files && (f->opens_fd >= 0 || f->hold_fd >= 0) &&
	       !(f->once && f->fired_ns);
}

/*
 * Open the files, and mark them once more: marks go with their inodes, which nothing keeps in
 * memory. ALL: also those that were not there the last time.
 */
static void take_files(struct firing *f, bool all)
{
	int err = 0;

	list_reopen(f->force->list, all);
	if (!marks_may_go(f))
		return;
	if (f->opens_fd >= 0)
		err = opens_mark(f->opens_fd, f->force->list, false);
	if (!err && f->hold_fd >= 0)
		err = opens_mark(f->hold_fd, f->force->list, true);
	if (err)
		say_verbose("no longer watching opens: fanotify: %s", strerror(-err));
}

/* Between firings no file is held open, unless the engine needs it. */
static void let_files_go(struct firing *f)
{
	if (!engine_of(f)->holds_files)
		list_close(f->force->list);
}

static void await_first_data(struct firing *f)
{
	uint64_t end = f->fired_ns + FIRST_DATA_NS, now;
	struct pollfd p = { .fd = force_bpf_fd(f->bpf), .events = POLLIN };
	struct timespec left = { 0 };

	if (p.fd < 0 || f->trigger == TRIGGER_NOW || f->trigger == TRIGGER_OPEN ||
	    engine_of(f)->at_miss)
		return;
	while (!f->first_ns && (now = now_ns()) < end) {
		left.tv_nsec = end - now;
		if (ppoll(&p, 1, &left, NULL) > 0)
			force_bpf_take_events(f->bpf);
	}
}

static void force_now(struct firing *f, uint64_t requested_ns)
{
	uint64_t start = now_ns();
	bool again = f->fired_ns;

	take_files(f, true);
	if (again)
		force_learn(f->force);
	/* Re-armed, and all pages are still cached: no new receipt. */
	if (again && !force_needed(f->force)) {
		let_files_go(f);
		force_bpf_forcing(f->bpf, false);
		f->scan_ended_ns = now_ns();
		f->scan_took_ns = f->scan_ended_ns - start;
		return;
	}
	if (again && f->on_again)
		f->on_again(f->ctx);
	f->done_ns = 0;
	f->fired_ns = requested_ns;
	f->first_ns = 0;
	if (f->trigger == TRIGGER_OPEN || f->trigger == TRIGGER_NOW)
		force_bpf_await_first(f->bpf);
	else
		take_first_data(f);
	force_bpf_take_events(f->bpf);
	await_first_data(f);
	force_bpf_forcing(f->bpf, true);
	force_run(f->force);
	let_files_go(f);
	force_bpf_forcing(f->bpf, false);
	f->done_ns = f->force->end_ns >= f->fired_ns ? f->force->end_ns : now_ns();
	f->scan_took_ns = 0;
	/*
	 * Re-arm now: an engine's program fires inside the opening task; re-arming from
	 * fanotify would be too late.
	 */
	if (f->trigger == TRIGGER_OPEN && engine_of(f)->at_open)
		force_bpf_arm(f->bpf);
}

/*
 * Has fanotify seen an open that the engine's program has not? That program sees an open
 * at most a moment after fanotify, and never sees opens through overlayfs. Give it 2 ms.
 */
static bool opens_are_ours(const struct firing *f)
{
	const struct timespec moment = { .tv_nsec = 2000000 };

	if (!engine_of(f)->at_open)
		return true;
	if (force_bpf_armed(f->bpf))
		nanosleep(&moment, NULL);
	return force_bpf_armed(f->bpf);
}

/* Handle the opens since the last call: one that counts fires, or re-arms for its first access. */
static void take_opens(struct firing *f)
{
	uint64_t now = now_ns();
	bool counts = false;
	pid_t pid;

	while (opens_next(f->opens_fd, &pid, NULL))
		counts |= force_bpf_counts_pid(f->bpf, pid);
	if (!counts || (f->once && f->fired_ns))
		return;
	/*
	 * A firing that finds all pages cached has still looked at each. Spend at most half of the
	 * time on such scans, however often a file is opened.
	 */
	if (now - f->scan_ended_ns < f->scan_took_ns)
		return;
	if (f->trigger == TRIGGER_OPEN && opens_are_ours(f)) {
		force_bpf_renew(f->bpf);
		f->requested_ns = now;
	} else if (f->fired_ns) {
		force_bpf_arm(f->bpf);
	}
}

static void *fire_loop(void *ctx)
{
	struct firing *f = ctx;
	struct pollfd p[3] = {
		{ .fd = f->wake_fd, .events = POLLIN },
		{ .fd = f->opens_fd, .events = POLLIN },
		{ .fd = f->bpf->ring ? ring_buffer__epoll_fd(f->bpf->ring) : -1, .events = POLLIN },
	};
	/*
	 * No raised priority if the kernel forces: the reader then needs the CPU more than this
	 * thread.
	 */
	bool urgent = !engine_of(f)->at_miss;
	uint64_t asked, renewed_ns = now_ns();
	int wait_ms;

	set_priority(urgent);
	while (!__atomic_load_n(&f->stop, __ATOMIC_SEQ_CST)) {
		__atomic_store_n(&f->busy, true, __ATOMIC_SEQ_CST);
		asked = __atomic_exchange_n(&f->requested_ns, 0, __ATOMIC_SEQ_CST);
		if (asked && !(f->once && f->fired_ns)) {
			set_priority(false);
			force_now(f, asked);
			set_priority(urgent);
		}
		__atomic_store_n(&f->busy, false, __ATOMIC_SEQ_CST);
		if (asked && f->once)
			wake(f->done_fd);
		wait_ms = f->requested_ns	  ? 0
			  : engine_of(f)->at_miss ? LOOK_MS
			  : marks_may_go(f)	  ? RENEW_MS
						  : -1;
		if (poll(p, 3, wait_ms) < 0 && errno != EINTR)
			break;
		if (marks_may_go(f) && now_ns() - renewed_ns >= RENEW_MS * 1000000ULL) {
			take_files(f, false);
			let_files_go(f);
			renewed_ns = now_ns();
		}
		if (p[0].revents)
			drain(f->wake_fd);
		if (p[1].revents)
			take_opens(f);
		force_bpf_take_events(f->bpf);
	}
	return NULL;
}

/* --hold: an open of a listed file waits until the list is forced, or until its time is over. */

struct held {
	int event;
	uint64_t until_ns;
};

static void let_go(struct firing *f, struct held *held, size_t *n, bool all)
{
	uint64_t now = now_ns();
	size_t i = 0;

	all |= f->done_ns && f->done_ns >= f->fired_ns;
	while (i < *n) {
		if (!all && now < held[i].until_ns) {
			i++;
			continue;
		}
		opens_allow(f->hold_fd, held[i].event);
		held[i] = held[--*n];
	}
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/*
 * Descriptors of this thread's own, none but those that it needs. With each event the kernel
 * opens the file, and denies the open that is asked about if there is no descriptor left:
 * the list's files may have taken all but a few, which other threads take meanwhile.
 */
static int own_descriptors(const struct firing *f)
{
	int needed[] = { f->hold_fd, f->wake_fd, force_bpf_tasks_fd(f->bpf) };
	int first = STDERR_FILENO + 1;
	size_t i;

	if (unshare(CLONE_FILES))
		return -errno;
	qsort(needed, ARRAY_SIZE(needed), sizeof(needed[0]), by_number);
	for (i = 0; i < ARRAY_SIZE(needed); i++) {
		if (needed[i] > first)
			close_range(first, needed[i] - 1, 0);
		if (needed[i] >= first)
			first = needed[i] + 1;
	}
	close_range(first, ~0U, 0);
	return 0;
}

/* Make sure of a descriptor for the next event, if need be by letting a held open go. */
static bool have_descriptor(struct firing *f, struct held *held, size_t *n)
{
	int spare = fcntl(f->hold_fd, F_DUPFD_CLOEXEC, 0);

	if (spare < 0 && *n) {
		opens_allow(f->hold_fd, held[--*n].event);
		return true;
	}
	if (spare < 0)
		return false;
	close(spare);
	return true;
}

static void *hold_loop(void *ctx)
{
	struct pollfd p;
	struct firing *f = ctx;
	int err = own_descriptors(f);
	struct held held[MAX_HELD];
	size_t n = 0;
	bool fired = false;
	pid_t pid;
	int event;

	if (err)
		say_verbose("--hold: cannot get a descriptor table of its own: %s", strerror(-err));
	p = (struct pollfd){ .fd = f->hold_fd, .events = POLLIN };
	while (!__atomic_load_n(&f->stop_holding, __ATOMIC_SEQ_CST)) {
		/* A millisecond of delay at the end is nothing to a held open. */
		if (poll(&p, 1, n ? 1 : 100) < 0 && errno != EINTR)
			break;
		while (have_descriptor(f, held, &n) && opens_next(f->hold_fd, &pid, &event)) {
			if (n == MAX_HELD || !force_bpf_counts_pid(f->bpf, pid) ||
			    (fired && f->done_ns)) {
				opens_allow(f->hold_fd, event);
				continue;
			}
			held[n++] = (struct held){ event, now_ns() + f->hold_ns };
			if (!fired) {
				__atomic_store_n(&f->requested_ns, now_ns(), __ATOMIC_SEQ_CST);
				wake(f->wake_fd);
				fired = true;
			}
		}
		let_go(f, held, &n, false);
	}
	let_go(f, held, &n, true);
	return NULL;
}

static int start_thread(pthread_t *thread, void *(*run)(void *), struct firing *f, bool *running)
{
	int err = pthread_create(thread, NULL, run, f);

	*running = !err;
	return -err;
}

int firing_start(struct firing *f, char **why)
{
	int err = 0;

	f->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	f->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	f->hold_fd = -1;
	f->opens_fd = -1;
	if (f->bpf->follows)
		f->opens_fd = opens_watch(f->force->list, false);
	if (f->opens_fd < 0 && f->trigger == TRIGGER_OPEN) {
		*why = xasprintf("cannot watch opens: fanotify: %s", strerror(-f->opens_fd));
		return f->opens_fd;
	}
	if (f->bpf->follows && f->opens_fd < 0)
		say_verbose("no re-arming: fanotify: %s", strerror(-f->opens_fd));
	if (f->hold_ns) {
		f->hold_fd = opens_watch(f->force->list, true);
		if (f->hold_fd < 0) {
			*why = xasprintf("--hold: fanotify: %s", strerror(-f->hold_fd));
			return f->hold_fd;
		}
		err = start_thread(&f->hold_thread, hold_loop, f, &f->holding);
	}
	if (f->trigger == TRIGGER_NOW) {
		f->requested_ns = now_ns();
	} else {
		let_files_go(f);
		if (f->trigger != TRIGGER_OPEN || engine_of(f)->at_open)
			force_bpf_arm(f->bpf);
	}
	err = err ? err : start_thread(&f->thread, fire_loop, f, &f->running);
	if (err)
		*why = xasprintf("cannot start a thread: %s", strerror(-err));
	return err;
}

bool firing_under_way(const struct firing *f)
{
	return __atomic_load_n(&f->requested_ns, __ATOMIC_SEQ_CST) ||
	       __atomic_load_n(&f->busy, __ATOMIC_SEQ_CST) || force_bpf_is_forcing(f->bpf);
}

bool firing_over(struct firing *f)
{
	drain(f->done_fd);
	return f->once && f->done_ns;
}

static void close_fd(int *fd)
{
	if (*fd > 0)
		close(*fd);
	*fd = -1;
}

static bool join(pthread_t thread, bool *running, unsigned int ms)
{
	struct timespec until = timespec_of(now_ns() + ms * 1000000ULL);

	if (*running)
		*running = pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &until);
	return !*running;
}

bool firing_stop(struct firing *f, unsigned int ms)
{
	bool over;

	f->force->stop = true;
	__atomic_store_n(&f->stop, true, __ATOMIC_SEQ_CST);
	if (f->wake_fd > 0)
		wake(f->wake_fd);
	over = join(f->thread, &f->running, ms);
	/*
	 * Stop the holding thread last: it has to allow this process's own opens of the files, too.
	 */
	__atomic_store_n(&f->stop_holding, true, __ATOMIC_SEQ_CST);
	over &= join(f->hold_thread, &f->holding, LET_GO_MS);
	/* No open may wait for a thread that is left behind. */
	close_fd(&f->hold_fd);
	if (!over)
		return false;
	force_bpf_take_events(f->bpf);
	close_fd(&f->opens_fd);
	close_fd(&f->wake_fd);
	close_fd(&f->done_fd);
	return true;
}
