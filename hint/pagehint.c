// SPDX-License-Identifier: LGPL-2.1-or-later
/* The functions of pagehint.h: what the caller's thread does. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "own.h"

#define EXPORT __attribute__((visibility("default")))

/* 5,461 hints of one range. */
#define RING_WORDS 16384

struct pagehint {
	struct ring_producer producer;
	struct own *own;
	/* A page of its own, which fork(2) clears for the child: 1 in whoever connected. */
	uint32_t *here;
};

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

EXPORT struct pagehint *pagehint_connect(const char *path)
{
	struct pagehint *h;
	struct ring *r = NULL;

	if (path) {
		errno = ENOTSUP;
		return NULL;
	}
	h = calloc(1, sizeof(*h));
	if (!h)
		return NULL;
	h->here = map_pages(page_bytes(), MADV_WIPEONFORK);
	/* A child that had the ring, too, would have the parent copy it page by page. */
	if (h->here)
		r = map_pages(ring_size(RING_WORDS), MADV_DONTFORK);
	if (r) {
		*h->here = 1;
		ring_init(r, RING_WORDS);
		ring_producer_init(&h->producer, r);
		h->own = own_start(r, RING_WORDS);
		if (h->own)
			return h;
		munmap(r, ring_size(RING_WORDS));
	}
	if (h->here)
		munmap(h->here, page_bytes());
	free(h);
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
	int err = usable(h), flags;
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
	return own_open(h->own, fd);
}

/* 0 if ID is a file of H. */
static int known(const struct pagehint *h, int id)
{
	int err = usable(h);

	if (err)
		return err;
	return __builtin_expect(own_has(h->own, id), 1) ? 0 : -EBADF;
}

EXPORT int pagehint_forget(struct pagehint *h, int id)
{
	int err = known(h, id);

	if (!err)
		own_close(h->own, id);
	return err;
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

EXPORT int pagehint_close(struct pagehint *h)
{
	if (!h)
		return -EINVAL;
	/* A child has a copy of `own`, but neither its thread nor the ring. */
	if (usable(h)) {
		free(h->own);
	} else {
		own_stop(h->own);
		munmap(h->producer.ring, ring_size(RING_WORDS));
	}
	munmap(h->here, page_bytes());
	free(h);
	return 0;
}
