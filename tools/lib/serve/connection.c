// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "file/remote.h"
#include "force/memory.h"
#include "hint/own.h"
#include "hint/protocol.h"
#include "serve/connection.h"
#include "serve/counted.h"

/* A program that has connected says hello within this time. */
#define HELLO_S 5
/* Pieces in flight for all programs together, beside two of each, one of which is being submitted. */
#define ALL_FLIGHT 512
/* So often memory is looked at while pages are read in. */
#define LOOK_NS 100000000ULL

/* What the server and one program share. */
struct shared {
	struct ring *queue;
	struct result *results;
	int fds[2]; /* of the two */
};

/* --- what may be read in */

/*
 * The share of this program, of what may be in flight for all that are connected. If the module reads
 * as well, half of it. One piece, while those of other programs leave no room: also of programs that
 * have hung up.
 */
static unsigned int flight(void *ctx)
{
	const struct connection *c = ctx;
	unsigned int share = ALL_FLIGHT / __atomic_load_n(c->nr_served, __ATOMIC_RELAXED);

	if (__atomic_load_n(c->in_flight, __ATOMIC_RELAXED) >= ALL_FLIGHT)
		return 1;
	share = share < OWN_FLIGHT ? share : OWN_FLIGHT;
	return c->lookups ? share / 2 : share;
}

/*
 * The kernel charges us for what it reads. A program whose own group has a limit is still given
 * no more than that. What is cached of its files counts: a group's page cache is no less room, as
 * it can be reclaimed, but pages that were hinted before would go.
 */
static void look_at_memory(struct connection *c, uint64_t now)
{
	uint64_t room = memory_room_for(c->peer.pid), cached = own_cached(c->own);

	c->room = room > cached ? room - cached : 0;
	if (c->lookups) {
		/* The other half is the module's. */
		c->room /= 2;
		lookups_allow(c->lookups, c->room, flight(c));
	}
	c->looked_ns = now;
}

static bool admit(void *ctx, uint64_t bytes)
{
	struct connection *c = ctx;
	uint64_t now = now_ns();

	if (now - c->looked_ns >= LOOK_NS)
		look_at_memory(c, now);
	if (c->stop || c->room < bytes)
		return false;
	c->room -= bytes;
	return pace_wait(c->pace, bytes, &c->stop);
}

static size_t take(void *ctx, struct ring_consumer *consumer, struct ring_hint *hints, size_t max,
		   bool at_once)
{
	struct connection *c = ctx;
	uint64_t now = now_ns();

	if (lookups_begun(c->lookups) && now - c->looked_ns >= LOOK_NS)
		look_at_memory(c, now);
	return lookups_take(c->lookups, consumer, hints, max, at_once);
}

/* --- files */

/* May this user write the file? Root may, always. */
static bool may_write(int fd)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return !faccessat(AT_FDCWD, path, W_OK, AT_EACCESS);
}

/*
 * The kernel tells a user what is cached of a file that the user owns or may write. It would tell
 * root of every file, but a process of root's may have given up its rights, which only the
 * descriptor shows then. What tells what was cached, as late hits do, is told of the same files.
 */
static bool may_count(const struct stat *st, int fd, int flags)
{
	return st->st_uid == geteuid() || (flags & O_ACCMODE) == O_RDWR ||
	       (geteuid() && may_write(fd));
}

/* Is FD a file that the program may read, and that no other machine or process answers for? */
static int check_file(int fd, bool *counts)
{
	int flags = fcntl(fd, F_GETFL);
	struct statfs fs;
	struct stat st;

	if (flags < 0 || flags & O_PATH || (flags & O_ACCMODE) == O_WRONLY)
		return -EBADF;
	if (fstatfs(fd, &fs))
		return -errno;
	if (remote_magic(fs.f_type))
		return -EOPNOTSUPP;
	if (fstat(fd, &st))
		return -errno;
	*counts = may_count(&st, fd, flags);
	return S_ISREG(st.st_mode) ? 0 : -EINVAL;
}

static int take_file(const struct connection *c, int fd)
{
	bool counts = false;
	int id = check_file(fd, &counts);

	if (c->lookups) {
		/* Which pages the module has read is not known here. */
		counts = false;
		lookups_begin(c->lookups);
	}
	id = id ? id : own_open(c->own, fd, counts);
	if (id < 0)
		return id;
	counted_file(c->program, id, fd, counts, &c->own->results[id]);
	if (c->lookups)
		lookups_hold(c->lookups, id, fd);
	return id;
}

static int forget_file(const struct connection *c, int id)
{
	int err;

	counted_forget(c->program, id);
	err = own_close(c->own, id);
	if (!err && c->lookups)
		lookups_let_go(c->lookups, id);
	return err;
}

/* --- the program */

static int answer(const struct connection *c, const struct ask *ask, const int *fds, size_t nr_fds)
{
	if (ask->what == ASK_FILE && nr_fds == 1)
		return take_file(c, fds[0]);
	if (ask->what == ASK_FORGET && !nr_fds)
		return forget_file(c, ask->id);
	return -EINVAL;
}

static void talk(const struct connection *c)
{
	struct answer a;
	struct ask ask = { 0 };
	size_t nr;
	int fd, err;

	do {
		err = protocol_receive(c->sock, &ask, sizeof(ask), &fd, 1, &nr);
		a.result = err ? err : answer(c, &ask, &fd, nr);
		/* At once: locks that the program has on the file last as long as its descriptor. */
		if (nr)
			close(fd);
		if (!err || err == -EBADMSG)
			err = protocol_send(c->sock, &a, sizeof(a), NULL, 0);
	} while (!err);
}

static int make_memory(const char *name, size_t bytes, int seals, void **at)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING), err;

	if (fd < 0)
		return -errno;
	*at = MAP_FAILED;
	if (!ftruncate(fd, bytes))
		*at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	/* Our own mapping remains writable: only later ones are not, where that is sealed. */
	if (*at != MAP_FAILED && !fcntl(fd, F_ADD_SEALS, seals))
		return fd;
	err = -errno;
	if (*at != MAP_FAILED)
		munmap(*at, bytes);
	close(fd);
	return err;
}

static int share(struct shared *s)
{
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	void *at;

	s->fds[0] = make_memory("pagehint queue", QUEUE_BYTES, seals, &at);
	if (s->fds[0] < 0)
		return s->fds[0];
	s->queue = at;
	s->fds[1] =
		make_memory("pagehint results", RESULTS_BYTES, seals | F_SEAL_FUTURE_WRITE, &at);
	if (s->fds[1] < 0)
		return s->fds[1];
	s->results = at;
	return 0;
}

/* The mappings remain. */
static void close_memory(const struct shared *s)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(s->fds); i++) {
		if (s->fds[i] >= 0)
			close(s->fds[i]);
	}
}

static void unmap_memory(const struct shared *s)
{
	if (s->results)
		munmap(s->results, RESULTS_BYTES);
	if (s->queue)
		munmap(s->queue, QUEUE_BYTES);
}

static int send_welcome(int sock, int err, const int *fds)
{
	const struct welcome w = { .hello = hello_own(), .error = err };

	return protocol_send(sock, &w, sizeof(w), fds, err ? 0 : 2);
}

static int receive_hello(int sock)
{
	struct timeval limit = { .tv_sec = HELLO_S };
	struct hello hello = { 0 };
	size_t nr;
	int err;

	setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	err = protocol_receive(sock, &hello, sizeof(hello), NULL, 0, &nr);
	limit.tv_sec = 0;
	setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return err ? err : hello_check(&hello);
}

void connection_serve(struct connection *c)
{
	struct own_limits limits = {
		.admit = admit, .flight = flight, .in_flight = c->in_flight, .ctx = c
	};
	struct shared s = { .fds = { -1, -1 } };
	int err;

	err = receive_hello(c->sock);
	err = err ? err : share(&s);
	if (!err) {
		c->lookups = lookups_join(c->peer.pid, s.fds[0]);
		limits.take = c->lookups ? take : NULL;
		c->own = own_start(s.queue, RING_WORDS, s.results, &limits);
		err = c->own ? 0 : -errno;
	}
	if (send_welcome(c->sock, err, s.fds))
		c->stop = true;
	close_memory(&s);
	if (c->own) {
		c->program = counted_begin(c->counted, &c->peer, c->own->worker);
		talk(c);
		counted_end(c->program);
		/* A program that connects again and again has no more in flight than one that stays. */
		own_stop(c->own, !c->server_ends);
	}
	if (c->lookups)
		say_verbose("process %d: %" PRIu64 " ranges were taken at its lookups", c->peer.pid,
			    lookups_taken(c->lookups));
	lookups_leave(c->lookups);
	unmap_memory(&s);
}

void connection_refuse(int sock, int err)
{
	fcntl(sock, F_SETFL, O_NONBLOCK);
	send_welcome(sock, err, NULL);
	close(sock);
}
