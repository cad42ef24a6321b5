// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/notify.h"
#include "base/session.h"
#include "serve/connection.h"
#include "serve/counted.h"
#include "serve/listening.h"
#include "serve/serve.h"
#include "shared.h"

/* Programs that are served at a time. */
#define MAX_CONNECTIONS 32
_Static_assert(MAX_CONNECTIONS <= MAX_PROCESSES, "each of them can be counted");

/* What still runs that long after the end is left behind: a file system hangs. */
#define END_S	 3
#define RETRY_NS 10000000

/* What is readable: a connection by its number, or one of these two. */
#define LISTENING 0
#define COUNTED	  UINT64_MAX

struct server {
	struct listening listening;
	int epoll;
	struct pace pace;
	struct counted *counted;
	uint64_t nr_accepted;
	pthread_mutex_t lock;
	pthread_cond_t ended; /* a connection has left `connections` */
	struct connection *connections[MAX_CONNECTIONS];
	uint32_t nr_connections; /* written with the lock */
	uint32_t in_flight;
};

/* Threads are detached, and the process has one server. */
static struct server server = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.ended = PTHREAD_COND_INITIALIZER,
};

/* Put a connection where FROM stands, NULL: a free place. One of the two is NULL. False: no place. */
static bool replace(struct connection *from, struct connection *to)
{
	bool found = false;
	size_t i;

	pthread_mutex_lock(&server.lock);
	for (i = 0; i < MAX_CONNECTIONS && !found; i++) {
		found = server.connections[i] == from;
		if (found)
			server.connections[i] = to;
	}
	if (found)
		__atomic_add_fetch(&server.nr_connections, to ? 1 : -1, __ATOMIC_RELAXED);
	pthread_cond_signal(&server.ended);
	pthread_mutex_unlock(&server.lock);
	return found;
}

static void *run_connection(void *ctx)
{
	struct connection *c = ctx;

	connection_serve(c);
	say_verbose("process %d is no longer served", c->peer.pid);
	/* Its socket is closed after that: nobody else's stop() can have found its number. */
	replace(c, NULL);
	close(c->sock);
	free(c);
	return NULL;
}

/* A program that has gone is not waited for: its thread may be in the middle of a long range. */
static void watch(const struct connection *c)
{
	struct epoll_event e = { EPOLLRDHUP | EPOLLET, { .u64 = c->number } };

	epoll_ctl(server.epoll, EPOLL_CTL_ADD, c->sock, &e);
}

/* Returns 0 or -errno. The socket is the connection's then. */
static int start_connection(int sock, const struct ucred *peer)
{
	struct connection *c = xcalloc(1, sizeof(*c));
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	*c = (struct connection){
		.number = ++server.nr_accepted,
		.sock = sock,
		.peer = *peer,
		.pace = &server.pace,
		.nr_served = &server.nr_connections,
		.in_flight = &server.in_flight,
		.counted = server.counted,
	};
	if (!replace(NULL, c)) {
		free(c);
		return -EAGAIN;
	}
	watch(c);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	err = pthread_create(&thread, &attr, run_connection, c);
	pthread_attr_destroy(&attr);
	if (!err)
		return 0;
	replace(c, NULL);
	free(c);
	return -err;
}

static int check_peer(int sock, struct ucred *peer)
{
	socklen_t len = sizeof(*peer);

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, peer, &len))
		return -errno;
	return peer->uid == geteuid() ? 0 : -EACCES;
}

static void accept_one(int sock)
{
	struct ucred peer = { 0 };
	int err = check_peer(sock, &peer);

	err = err ? err : start_connection(sock, &peer);
	if (!err) {
		say_verbose("process %d is served", peer.pid);
		return;
	}
	say_verbose("process %d of user %u is refused: %s", peer.pid, peer.uid, strerror(-err));
	connection_refuse(sock, err);
}

/* No more is read for connection NUMBER, 0: for any. */
static void stop(uint64_t number)
{
	struct connection *c;
	size_t i;

	pthread_mutex_lock(&server.lock);
	for (i = 0; i < MAX_CONNECTIONS; i++) {
		c = server.connections[i];
		if (!c || (number && c->number != number))
			continue;
		c->server_ends |= !number;
		c->stop = true;
		/* Whoever talks to the program then finds that it has hung up. */
		shutdown(c->sock, SHUT_RDWR);
	}
	pthread_mutex_unlock(&server.lock);
}

static void accept_all(void)
{
	int sock;

	while ((sock = accept4(server.listening.sock, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		accept_one(sock);
	/* A connection that waits is an event all the time: without a free descriptor, look less often. */
	if (errno != EAGAIN)
		nanosleep(&(struct timespec){ .tv_nsec = RETRY_NS }, NULL);
}

static bool on_events(void *ctx)
{
	struct epoll_event events[MAX_CONNECTIONS + 2];
	int i, n = epoll_wait(server.epoll, events, ARRAY_SIZE(events), 0);

	for (i = 0; i < n; i++) {
		if (events[i].data.u64 == LISTENING)
			accept_all();
		else if (events[i].data.u64 == COUNTED)
			counted_take(server.counted);
		else
			stop(events[i].data.u64);
	}
	return true;
}

/* No connection is left that the BPF programs serve. */
static void close_programs(void)
{
	counted_close(server.counted);
	lookups_close();
}

static void end_connections(void)
{
	struct timespec until;
	int err = 0;

	stop(0);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += END_S;
	pthread_mutex_lock(&server.lock);
	while (server.nr_connections && !err)
		err = pthread_cond_timedwait(&server.ended, &server.lock, &until);
	pthread_mutex_unlock(&server.lock);
	if (err)
		say("a program's files did not answer within %d s (a device or mount that hangs?)",
		    END_S);
	else
		close_programs();
}

/* Accesses are counted where this kernel lets us; hints are served anyway. */
static int count_accesses(void)
{
	struct epoll_event e = { EPOLLIN, { .u64 = COUNTED } };
	char *why = NULL;

	server.counted = counted_open(&why);
	if (server.counted)
		return epoll_ctl(server.epoll, EPOLL_CTL_ADD, counted_fd(server.counted), &e);
	say("hits, misses, late and used are not counted: %s", why);
	free(why);
	return 0;
}

static enum status serve_programs(const struct serve_options *opt)
{
	struct epoll_event e = { EPOLLIN, { .u64 = LISTENING } };
	struct session s = {
		.duration_us = opt->duration_us,
		.event_fd = epoll_create1(EPOLL_CLOEXEC),
		.end_fd = -1,
		.on_events = on_events,
	};
	int err;

	server.epoll = s.event_fd;
	if (epoll_ctl(server.epoll, EPOLL_CTL_ADD, server.listening.sock, &e) || count_accesses())
		return fail_with(xasprintf("epoll: %s", strerror(errno)), STATUS_FAILED);
	say_verbose("serving at %s", opt->path);
	notify_ready();
	err = session_run(&s);
	end_connections();
	return err ? fail_with(xasprintf("waiting: %s", strerror(-err)), STATUS_FAILED)
		   : STATUS_DONE;
}

enum status serve(const struct serve_options *opt)
{
	char *why = opt->at_lookups ? lookups_open() : NULL;
	enum status status;

	if (why)
		return fail_with(xasprintf("--serve by engine kfunc: %s", why), STATUS_UNSUPPORTED);
	status = listening_open(&server.listening, opt->path);
	if (!status) {
		session_block_signals(false);
		pace_init(&server.pace, opt->rate, PACE_BYTES);
		pace_begin(&server.pace, now_ns());
		status = serve_programs(opt);
	}
	listening_close(&server.listening);
	return status;
}
