// SPDX-License-Identifier: GPL-2.0-only
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
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
/* Pages that mincore(2) is asked about at once. */
#define ASK_PAGES 4096

/*
 * Can reading a file fill the page cache of another one? An overlay reads the file below, and a
 * FUSE server may ask for the same. cachestat(2) knows nothing of the other file, a mapping does.
 */
static bool may_stand_for_another(int fd)
{
	struct statfs fs;

	return !fstatfs(fd, &fs) &&
	       (fs.f_type == OVERLAYFS_SUPER_MAGIC || fs.f_type == FUSE_SUPER_MAGIC);
}

/* Returns 0, -EOPNOTSUPP where only a mapping tells, or -errno. */
static int count_cachestat(int fd, uint64_t index, uint64_t nr, uint64_t *cached)
{
	struct cachestat_range range = { index * page_size(), nr * page_size() };
	struct cachestat cs = { 0 };

	if (syscall(__NR_cachestat, fd, &range, &cs, 0))
		/* A container's seccomp profile that does not know the call may return EPERM. */
		return errno == ENOSYS || errno == EPERM ? -EOPNOTSUPP : -errno;
	*cached = cs.nr_cache;
	return !cs.nr_cache && may_stand_for_another(fd) ? -EOPNOTSUPP : 0;
}

static int scan_mincore(int fd, uint64_t index, uint64_t nr, residency_run *run, void *ctx);

static int add_cached(void *ctx, uint64_t index, uint64_t nr, bool cached)
{
	if (cached)
		*(uint64_t *)ctx += nr;
	return 0;
}

int residency_count(int fd, uint64_t index, uint64_t nr, uint64_t *cached)
{
	int err;

	*cached = 0;
	err = nr ? count_cachestat(fd, index, nr, cached) : 0;
	return err == -EOPNOTSUPP ? scan_mincore(fd, index, nr, add_cached, cached) : err;
}

/* Consecutive runs of the same kind are reported as one. */
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

static int end_runs(struct runs *r, int err)
{
	return err || !r->nr ? err : r->run(r->ctx, r->index, r->nr, r->cached);
}

static int scan_mincore(int fd, uint64_t index, uint64_t nr, residency_run *run, void *ctx)
{
	struct runs r = { .fd = fd, .run = run, .ctx = ctx };
	struct residency_map m = { .fd = fd };
	unsigned char vec[ASK_PAGES];
	uint64_t n, i;
	int err = 0;

	for (; nr && !err; nr -= n, index += n) {
		n = nr < ASK_PAGES ? nr : ASK_PAGES;
		err = residency_uptodate(&m, index, n, vec);
		for (i = 0; i < n && !err; i++)
			err = add_run(&r, index + i, 1, vec[i] & 1);
	}
	residency_unmap(&m);
	return end_runs(&r, err);
}

int residency_runs(int fd, uint64_t index, uint64_t nr, residency_run *run, void *ctx)
{
	struct runs r = { .fd = fd, .run = run, .ctx = ctx };
	uint64_t cached;
	int err = nr ? count_cachestat(fd, index, nr, &cached) : 0;

	if (err == -EOPNOTSUPP)
		return scan_mincore(fd, index, nr, run, ctx);
	return end_runs(&r, err || !nr ? err : halve(&r, index, nr));
}

void residency_unmap(struct residency_map *m)
{
	if (m->at)
		munmap(m->at, m->nr * page_size());
	m->at = NULL;
	m->nr = 0;
}

/*
 * mincore(2) tells only the owner of a file and those who may write to it; to anybody else it says
 * that every page is cached. So ask about a page so far behind the end of the file that it cannot
 * be cached, however many pages with checksums a file system keeps there (fs-verity: 1/128 of the
 * file).
 */
static int may_ask(int fd)
{
	unsigned char vec = 0;
	struct stat st;
	void *behind;

	if (fstat(fd, &st))
		return -errno;
	behind = mmap(NULL, page_size(), PROT_READ, MAP_SHARED, fd,
		      (st.st_size + st.st_size / 64 + (1 << 20)) / page_size() * page_size());
	if (behind == MAP_FAILED)
		return -errno;
	if (mincore(behind, page_size(), &vec))
		vec = 1;
	munmap(behind, page_size());
	return vec & 1 ? -EPERM : 0;
}

int residency_uptodate(struct residency_map *m, uint64_t index, uint64_t nr, unsigned char *vec)
{
	int err = m->at ? 0 : may_ask(m->fd);

	if (err)
		return err;
	if (!m->at || index < m->index || index + nr > m->index + m->nr) {
		residency_unmap(m);
		m->index = index;
		m->nr = nr > WINDOW_PAGES ? nr : WINDOW_PAGES;
		/*
		 * khugepaged reads in absent pages of a file that is mapped (Linux 7.3 where huge
		 * pages are `always`). It leaves a mapping with MAP_STACK alone.
		 */
		m->at = mmap(NULL, m->nr * page_size(), PROT_READ, MAP_SHARED | MAP_STACK, m->fd,
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
