// SPDX-License-Identifier: LGPL-2.1-or-later
/* The functions of pagehint.h, which run in the caller's thread. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "own.h"
#include "peer.h"

#define EXPORT __attribute__((visibility("default")))

struct pagehint {
	struct ring_producer producer;
	/* The queue is drained by `own`, a thread of this process, or by `peer`, a server. */
	struct own *own;
	struct peer peer;
	/* Its layout is that of a server's queue, QUEUE_BYTES. */
	void *queue;
	const struct result *results;
	/* In a page that fork(2) clears for the child: 1 only in the process that connected. */
	uint32_t *here;
	bool known[PAGEHINT_MAX_FILES];
};

/* Map memory that fork(2) treats as ADVICE says. */
static void *map_pages(size_t size, int advice)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	if (madvise(p, size, advice)) {
		munmap(p, size);
		return NULL;
	}
	return p;
}

static size_t page_bytes(void)
{
	return sysconf(_SC_PAGESIZE);
}

/* The queue is not inherited, because the parent would have to copy each page after a fork(2). */
static int start_own(struct pagehint *h)
{
	struct result *results = NULL;
	int err;

	h->queue = map_pages(QUEUE_BYTES, MADV_DONTFORK);
	if (h->queue)
		results = map_pages(RESULTS_BYTES, MADV_DONTFORK);
	if (results)
		h->own = own_start(h->queue, RING_WORDS, results, NULL);
	h->results = results;
	if (h->own)
		return 0;
	err = -errno;
	if (results)
		munmap(results, RESULTS_BYTES);
	if (h->queue)
		munmap(h->queue, QUEUE_BYTES);
	return err;
}

static int start_peer(struct pagehint *h, const char *path)
{
	int err = peer_connect(&h->peer, path);

	h->queue = h->peer.queue;
	h->results = h->peer.results;
	return err;
}

EXPORT struct pagehint *pagehint_connect(const char *path)
{
	struct pagehint *h = calloc(1, sizeof(*h));
	int err;

	if (!h)
		return NULL;
	h->here = map_pages(page_bytes(), MADV_WIPEONFORK);
	err = !h->here ? -errno : path ? start_peer(h, path) : start_own(h);
	if (!err) {
		*h->here = 1;
		ring_producer_init(&h->producer, h->queue, RING_WORDS, path);
		return h;
	}
	if (h->here)
		munmap(h->here, page_bytes());
	free(h);
	errno = -err;
	return NULL;
}

/* 0 if H is a handle of this process. */
static int usable(const struct pagehint *h)
{
	if (__builtin_expect(!h, 0))
		return -EINVAL;
	return __builtin_expect(*h->here, 1) ? 0 : -ESTALE;
}

EXPORT int pagehint_file(struct pagehint *h, int fd)
{
	int err = usable(h), flags, id;
	struct stat st;

	if (err)
		return err;
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || (flags & O_ACCMODE) == O_WRONLY || flags & O_PATH)
		return -EBADF;
	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	id = h->own ? own_open(h->own, fd, true) : peer_open(&h->peer, fd);
	if (id >= 0)
		h->known[id] = true;
	return id;
}

/* 0 if ID is a file of H. */
static int known(const struct pagehint *h, int id)
{
	int err = usable(h);

	if (err)
		return err;
	return __builtin_expect((unsigned int)id < PAGEHINT_MAX_FILES && h->known[id], 1) ? 0
											  : -EBADF;
}

EXPORT int pagehint_forget(struct pagehint *h, int id)
{
	int err = known(h, id);

	if (err)
		return err;
	h->known[id] = false;
	return h->own ? own_close(h->own, id) : peer_close(&h->peer, id);
}

EXPORT int pagehint_willneed(struct pagehint *h, int id, uint64_t offset, uint64_t length)
{
	const struct pagehint_range range = { offset, length };
	int err = known(h, id);

	if (err)
		return err;
	return ring_put(&h->producer, id, &range, 1) ? 0 : -EAGAIN;
}

EXPORT int pagehint_willneed_many(struct pagehint *h, int id, const struct pagehint_range *ranges,
				  size_t n)
{
	int err = known(h, id);
	size_t some;

	if (err)
		return err;
	for (; n; n -= some, ranges += some) {
		some = n < RING_MAX_RANGES ? n : RING_MAX_RANGES;
		if (!ring_put(&h->producer, id, ranges, some))
			err = -EAGAIN;
	}
	return err;
}

EXPORT uint64_t pagehint_dropped(const struct pagehint *h)
{
	return usable(h) ? 0 : h->producer.ring->dropped;
}

EXPORT int pagehint_stat(struct pagehint *h, int id, struct pagehint_stat *st)
{
	int err = known(h, id);

	if (err)
		return err;
	return result_read(&h->results[id], st) ? 0 : -EAGAIN;
}

static signed char *weights(const struct pagehint *h)
{
	return (signed char *)h->queue + QUEUE_WEIGHTS;
}

/* 0 if there are such a domain and so many features. */
static int askable(const struct pagehint *h, unsigned int domain, size_t n)
{
	int err = usable(h);

	if (err)
		return err;
	return domain < PERCEPTRON_DOMAINS && n && n <= PERCEPTRON_FEATURES ? 0 : -EINVAL;
}

EXPORT int pagehint_predict(struct pagehint *h, unsigned int domain, const uint64_t *features,
			    size_t n)
{
	int err = askable(h, domain, n);

	return err ? err : perceptron_sum(weights(h), domain, features, n) >= 0;
}

EXPORT int pagehint_update(struct pagehint *h, unsigned int domain, const uint64_t *features,
			   size_t n, int direction)
{
	int err = askable(h, domain, n);

	if (!err)
		perceptron_learn(weights(h), domain, features, n, direction != 0);
	return err;
}

EXPORT int pagehint_close(struct pagehint *h)
{
	bool here;

	if (!h)
		return -EINVAL;
	/* A child has a copy of `own`, but neither the thread nor the shared memory. */
	here = !usable(h);
	if (!h->own) {
		peer_end(&h->peer, here);
	} else if (here) {
		own_stop(h->own, false);
		munmap(h->queue, QUEUE_BYTES);
		munmap((void *)h->results, RESULTS_BYTES);
	} else {
		free(h->own);
	}
	munmap(h->here, page_bytes());
	free(h);
	return 0;
}
