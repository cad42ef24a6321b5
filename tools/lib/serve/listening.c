// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "serve/listening.h"

/* The first descriptor that a service manager hands over: sd_listen_fds(3). */
#define FIRST_HANDED 3
#define BACKLOG	     32

/* How many sockets a service manager has handed over to this process. */
static uint64_t nr_handed(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	uint64_t whose, n;

	if (!pid || !fds || parse_u64(pid, &whose) || whose != (uint64_t)getpid() ||
	    parse_u64(fds, &n))
		return 0;
	return n;
}

static int socket_option(int sock, int option)
{
	socklen_t len = sizeof(int);
	int value;

	return getsockopt(sock, SOL_SOCKET, option, &value, &len) ? -1 : value;
}

static enum status take_handed(struct listening *l, uint64_t nr)
{
	struct sockaddr_un at = { 0 };
	socklen_t len = sizeof(at);

	l->sock = FIRST_HANDED;
	if (nr != 1 || socket_option(l->sock, SO_DOMAIN) != AF_UNIX ||
	    socket_option(l->sock, SO_TYPE) != SOCK_SEQPACKET ||
	    socket_option(l->sock, SO_ACCEPTCONN) != 1)
		return fail_with(
			xasprintf("--serve takes one listening socket of a service manager: "
				  "ListenSequentialPacket=%s",
				  l->path),
			STATUS_BAD_INPUT);
	if (getsockname(l->sock, (struct sockaddr *)&at, &len) || strcmp(at.sun_path, l->path))
		return fail_with(xasprintf("--serve %s: the service manager listens at '%s'",
					   l->path, at.sun_path),
				 STATUS_BAD_INPUT);
	fcntl(l->sock, F_SETFD, FD_CLOEXEC);
	return STATUS_DONE;
}

/*
 * Does anybody listen at the address? Only ECONNREFUSED says that nobody does: a socket of another
 * type, which another daemon has made, is refused with EPROTOTYPE.
 */
static bool is_served(const struct sockaddr_un *at)
{
	int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool served;

	if (sock < 0)
		return true;
	served = !connect(sock, (const struct sockaddr *)at, sizeof(*at)) || errno != ECONNREFUSED;
	close(sock);
	return served;
}

/* A server that was killed leaves its socket: remove it. Returns 0 or -errno. */
static int remove_left(const struct sockaddr_un *at)
{
	struct stat st;

	if (lstat(at->sun_path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	if (is_served(at))
		return -EADDRINUSE;
	return unlink(at->sun_path) ? -errno : 0;
}

static int make(struct listening *l)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	mode_t before;
	int err;

	if (strlen(l->path) >= sizeof(at.sun_path))
		return -ENAMETOOLONG;
	strcpy(at.sun_path, l->path);
	err = remove_left(&at);
	if (err)
		return err;
	l->sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (l->sock < 0)
		return -errno;
	/* No moment at which another user could connect. */
	before = umask(0177);
	err = bind(l->sock, (struct sockaddr *)&at, sizeof(at)) ? -errno : 0;
	umask(before);
	if (err)
		return err;
	l->made = !lstat(l->path, &l->st);
	return listen(l->sock, BACKLOG) ? -errno : 0;
}

enum status listening_open(struct listening *l, const char *path)
{
	uint64_t handed = nr_handed();
	enum status status = STATUS_DONE;
	int err;

	*l = (struct listening){ .path = path, .sock = -1 };
	if (handed) {
		status = take_handed(l, handed);
	} else {
		err = make(l);
		if (err == -EADDRINUSE)
			return fail_with(xasprintf("--serve %s: another server serves there", path),
					 STATUS_FAILED);
		if (err)
			return fail_with(xasprintf("--serve %s: %s", path, strerror(-err)),
					 STATUS_BAD_INPUT);
	}
	if (!status)
		fcntl(l->sock, F_SETFL, O_NONBLOCK);
	return status;
}

void listening_close(struct listening *l)
{
	struct stat st;

	if (l->sock >= 0)
		close(l->sock);
	/* Another server may have begun there since somebody removed ours. */
	if (l->made && !lstat(l->path, &st) && st.st_ino == l->st.st_ino &&
	    st.st_dev == l->st.st_dev)
		unlink(l->path);
}
