// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol.h"

#define MAX_FDS 2

int hello_check(const struct hello *other)
{
	const struct hello own = hello_own();

	if (other->magic != own.magic)
		return -EPROTO;
	return other->protocol == own.protocol && other->layout == own.layout ? 0
									      : -EPROTONOSUPPORT;
}

/* The length of NR_FDS descriptors. CMSG_SPACE() rounds up, which would let one more in. */
static size_t control_bytes(size_t nr_fds)
{
	return nr_fds ? CMSG_LEN(nr_fds * sizeof(int)) : 0;
}

int protocol_send(int sock, const void *message, size_t len, const int *fds, size_t nr_fds)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(MAX_FDS * sizeof(int))] = { 0 };
	struct iovec io = { (void *)message, len };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1 };
	struct cmsghdr *c = (struct cmsghdr *)control;
	ssize_t n;

	if (nr_fds) {
		m.msg_control = control;
		m.msg_controllen = control_bytes(nr_fds);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = control_bytes(nr_fds);
		memcpy(CMSG_DATA(c), fds, nr_fds * sizeof(int));
	}
	do {
		n = sendmsg(sock, &m, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

static void close_all(const int *fds, size_t n)
{
	while (n)
		close(fds[--n]);
}

/* Take the descriptors that have come with M. */
static size_t take_fds(struct msghdr *m, int *fds)
{
	struct cmsghdr *c;
	size_t n, nr = 0;

	for (c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds + nr, CMSG_DATA(c), n * sizeof(int));
		nr += n;
	}
	return nr;
}

int protocol_receive(int sock, void *message, size_t len, int *fds, size_t max_fds, size_t *nr_fds)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(MAX_FDS * sizeof(int))];
	struct iovec io = { message, len };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1 };
	int came[MAX_FDS];
	ssize_t n;

	do {
		m.msg_control = control;
		m.msg_controllen = control_bytes(max_fds);
		n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	*nr_fds = 0;
	if (n < 0)
		return -errno;
	*nr_fds = take_fds(&m, came);
	if ((size_t)n == len && !(m.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
		if (*nr_fds)
			memcpy(fds, came, *nr_fds * sizeof(int));
		return 0;
	}
	close_all(came, *nr_fds);
	*nr_fds = 0;
	/* When the other side has hung up, an empty message is read. */
	return n ? -EBADMSG : -ECONNRESET;
}
