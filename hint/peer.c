// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "peer.h"

/* Map BYTES of a server's memory file, if its seals keep them there while they are mapped. */
static void *map_shared(int fd, size_t bytes, int protection)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);
	void *p;

	if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(fd, &st) || (size_t)st.st_size < bytes) {
		errno = EPROTO;
		return NULL;
	}
	p = mmap(NULL, bytes, protection, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (p == MAP_FAILED)
		return NULL;
	/* A child needs no mapping: the library refuses it the handle. */
	if (!madvise(p, bytes, MADV_DONTFORK))
		return p;
	munmap(p, bytes);
	return NULL;
}

static int map_both(struct peer *p, const int fds[2])
{
	p->queue = map_shared(fds[0], QUEUE_BYTES, PROT_READ | PROT_WRITE);
	if (!p->queue)
		return -errno;
	p->results = map_shared(fds[1], RESULTS_BYTES, PROT_READ);
	if (p->results)
		return 0;
	munmap(p->queue, QUEUE_BYTES);
	return -errno;
}

/* Files are passed only to servers of this user or of root, as which a service manager listens. */
static int check_owner(int sock)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &len))
		return -errno;
	return !peer.uid || peer.uid == geteuid() ? 0 : -EACCES;
}

static int greet(struct peer *p)
{
	const struct hello own = hello_own();
	struct welcome w = { 0 };
	size_t nr;
	int fds[2], err;

	err = check_owner(p->sock);
	err = err ? err : protocol_send(p->sock, &own, sizeof(own), NULL, 0);
	/* A server that hung up without reading our hello has sent its reason, which follows the reset. */
	if (!err || err == -EPIPE)
		err = protocol_receive(p->sock, &w, sizeof(w), fds, 2, &nr);
	if (err == -ECONNRESET)
		err = protocol_receive(p->sock, &w, sizeof(w), fds, 2, &nr);
	if (err)
		return err;
	err = w.error ? w.error : hello_check(&w.hello);
	err = err ? err : nr == 2 ? map_both(p, fds) : -EPROTO;
	while (nr)
		close(fds[--nr]);
	return err;
}

static int connect_socket(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int sock, err = 0;

	if (strlen(path) >= sizeof(to.sun_path))
		return -ENAMETOOLONG;
	strcpy(to.sun_path, path);
	sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return -errno;
	if (connect(sock, (struct sockaddr *)&to, sizeof(to)))
		err = errno == ENOENT || errno == EPROTOTYPE ? -ECONNREFUSED : -errno;
	if (err)
		close(sock);
	return err ? err : sock;
}

int peer_connect(struct peer *p, const char *path)
{
	struct stat st;
	int err = 0;

	p->sock = connect_socket(path);
	if (p->sock < 0)
		return p->sock;
	/* The server's ring_barrier() reaches only processes that have registered. */
	if (fstat(p->sock, &st) ||
	    syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0))
		err = -errno;
	p->dev = st.st_dev;
	p->ino = st.st_ino;
	err = err ? err : greet(p);
	if (err)
		close(p->sock);
	return err;
}

/* Is the descriptor still our socket? The program may have closed it. */
static bool has_socket(const struct peer *p)
{
	struct stat st;

	return !fstat(p->sock, &st) && st.st_dev == p->dev && st.st_ino == p->ino;
}

static int ask(const struct peer *p, uint32_t what, int id, const int *fds, size_t nr_fds)
{
	const struct ask ask = { what, id };
	struct answer answer = { 0 };
	size_t nr;
	int err;

	if (!has_socket(p))
		return -ECONNRESET;
	err = protocol_send(p->sock, &ask, sizeof(ask), fds, nr_fds);
	err = err ? err : protocol_receive(p->sock, &answer, sizeof(answer), NULL, 0, &nr);
	return err == -EPIPE ? -ECONNRESET : err ? err : answer.result;
}

int peer_open(const struct peer *p, int fd)
{
	int id = ask(p, ASK_FILE, 0, &fd, 1);

	return id < PAGEHINT_MAX_FILES ? id : -EPROTO;
}

int peer_close(const struct peer *p, int id)
{
	return ask(p, ASK_FORGET, id, NULL, 0);
}

void peer_end(struct peer *p, bool mapped)
{
	if (has_socket(p))
		close(p->sock);
	if (!mapped)
		return;
	munmap(p->queue, QUEUE_BYTES);
	munmap((void *)p->results, RESULTS_BYTES);
}
