// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "file/residency.h"

/* cachestat(2), Linux 6.5: not in Debian 12's headers. */
#ifndef __NR_cachestat
#define __NR_cachestat 451
#endif

struct cachestat_range {
	uint64_t off;
	uint64_t len;
};

struct cachestat {
	uint64_t nr_cache;
	uint64_t nr_dirty;
	uint64_t nr_writeback;
	uint64_t nr_evicted;
	uint64_t nr_recently_evicted;
};

/* Pages of a file that are mapped at once to ask mincore(2) about: 4 GiB. */
#define WINDOW_PAGES (1ULL << 20)

static int count_mincore(int fd, uint64_t index, uint64_t nr, uint64_t *cached)
{
	struct residency_map m = { .fd = fd };
	unsigned char vec[4096];
	uint64_t at, n, i;
	int err = 0;

	*cached = 0;
	for (at = 0; at < nr && !err; at += n) {
		n = nr - at < sizeof(vec) ? nr - at : sizeof(vec);
		err = residency_uptodate(&m, index + at, n, vec);
		for (i = 0; i < n && !err; i++)
			*cached += vec[i] & 1;
	}
	residency_unmap(&m);
	return err;
}

int residency_count(int fd, uint64_t index, uint64_t nr, uint64_t *cached)
{
	struct cachestat_range range = { index * page_size(), nr * page_size() };
	struct cachestat cs;

	*cached = 0;
	if (!nr)
		return 0;
	if (!syscall(__NR_cachestat, fd, &range, &cs, 0)) {
		*cached = cs.nr_cache;
		return 0;
	}
	if (errno != ENOSYS)
		return -errno;
	return count_mincore(fd, index, nr, cached);
}

/* Consecutive runs of the same kind are handed on as one. */
struct runs {
	int fd;
	residency_run *run;
	void *ctx;
	uint64_t index;
	uint64_t nr;
	bool cached;
};

static int add_run(struct runs *r, uint64_t index, uint64_t nr, bool cached)
{
	int err = 0;

	if (r->nr && r->cached == cached) {
		r->nr += nr;
		return 0;
	}
	if (r->nr)
		err = r->run(r->ctx, r->index, r->nr, r->cached);
	r->index = index;
	r->nr = nr;
	r->cached = cached;
	return err;
}

static int halve(struct runs *r, uint64_t index, uint64_t nr)
{
	uint64_t cached;
	int err = residency_count(r->fd, index, nr, &cached);

	if (err)
		return err;
	if (!cached || cached >= nr)
		return add_run(r, index, nr, cached);
	err = halve(r, index, nr / 2);
	return err ? err : halve(r, index + nr / 2, nr - nr / 2);
}

int residency_runs(int fd, uint64_t index, uint64_t nr, residency_run *run, void *ctx)
{
	struct runs r = { .fd = fd, .run = run, .ctx = ctx };
	int err = nr ? halve(&r, index, nr) : 0;

	if (!err && r.nr)
		err = run(ctx, r.index, r.nr, r.cached);
	return err;
}

void residency_unmap(struct residency_map *m)
{
	if (m->at)
		munmap(m->at, m->nr * page_size());
	m->at = NULL;
	m->nr = 0;
}

/* To anybody else mincore(2) says that every page is there. */
static bool may_ask(int fd)
{
	char path[64];
	struct stat st;

	if (!fstat(fd, &st) && st.st_uid == geteuid())
		return true;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return !faccessat(AT_FDCWD, path, W_OK, AT_EACCESS);
}

int residency_uptodate(struct residency_map *m, uint64_t index, uint64_t nr, unsigned char *vec)
{
	if (!m->at && !may_ask(m->fd))
		return -EPERM;
	if (!m->at || index < m->index || index + nr > m->index + m->nr) {
		residency_unmap(m);
		m->index = index;
		m->nr = nr > WINDOW_PAGES ? nr : WINDOW_PAGES;
		m->at = mmap(NULL, m->nr * page_size(), PROT_READ, MAP_SHARED, m->fd,
			     index * page_size());
		if (m->at == MAP_FAILED) {
			m->at = NULL;
			return -errno;
		}
	}
	if (mincore(m->at + (index - m->index) * page_size(), nr * page_size(), vec))
		return -errno;
	return 0;
}
