// SPDX-License-Identifier: GPL-2.0-only
/* Reads a list of extents of a file into the page cache, for bpf_force_page2cache(). */
#include <linux/backing-dev.h>
#include <linux/blkdev.h>
#include <linux/bpf.h>
#include <linux/memcontrol.h>
#include <linux/pagemap.h>

#define CHUNK_PAGES	((2 << 20) >> PAGE_SHIFT)	/* submitted at once */
#define IN_FLIGHT	(4 * CHUNK_PAGES)		/* who misses another waits behind them */
#define HEAD_EXTENTS	(sizeof(struct bpf_page2cache) / sizeof(struct bpf_page2cache_extent))

struct page2cache {
	struct work_struct work;
	struct file *file;
	loff_t size;			/* at the beginning */
	struct bpf_map *map;
	struct bpf_page2cache *head;	/* in it: user space may write there */
	u64 nr_extents, missed, first, first_end; /* an extent's pages that were read first */
	struct cgroup_subsys_state *memcg, *blkcg;
	unsigned int oldest, newest, in_flight;	/* the latter in pages */
	struct folio *ring[IN_FLIGHT + CHUNK_PAGES];
};

struct workqueue_struct *page2cache_wq;

static bool page2cache_stopped(struct page2cache *p)
{
	if (!p->head->error)
		p->head->error = i_size_read(p->file->f_mapping->host) < p->size ? -ESTALE :
			file_count(p->file) == 1 ? -EBADF : /* others closed it */
			!atomic64_read(&p->map->usercnt) ? -EOWNERDEAD :
			READ_ONCE(p->head->state) != BPF_PAGE2CACHE_RUNNING ? -ECANCELED :
			p->head->submitted >= p->head->max_pages ? -EDQUOT :
			fatal_signal_pending(current) ? -EINTR : 0;
	return p->head->error;
}

/* Waits until no more than @nr_pages are in flight. */
static void page2cache_reap(struct page2cache *p, unsigned int nr_pages)
{
	while (p->oldest != p->newest && p->in_flight > nr_pages) {
		struct folio *folio = p->ring[p->oldest++ % ARRAY_SIZE(p->ring)];

		folio_wait_locked(folio);
		p->in_flight -= folio_nr_pages(folio);
		if (!folio_test_uptodate(folio)) {
			p->head->read -= folio_nr_pages(folio);
			p->head->failed += folio_nr_pages(folio);
		}
		folio_put(folio);
	}
}

/* Starts to read absent pages, in large folios. Returns the index up to which it came. */
static pgoff_t page2cache_submit(struct page2cache *p, pgoff_t index, pgoff_t end)
{
	struct address_space *mapping = p->file->f_mapping;
	int error, order, min_order = mapping_min_folio_order(mapping);
	int max_order = mapping_max_folio_order(mapping);
	struct file_ra_state ra = {};
	DEFINE_READAHEAD(ractl, p->file, &ra, mapping, round_down(index, 1UL << min_order));
	unsigned int nofs = memalloc_nofs_save();
	gfp_t gfp = readahead_gfp_mask(mapping);
	struct folio *folio;

	filemap_invalidate_lock_shared(mapping);
	while (index < end) {
		order = min3(max_order, ilog2(end - index), (int)__ffs(index | CHUNK_PAGES));
		order = max(order, min_order);
		folio = filemap_alloc_folio(gfp, order);
		error = !folio ? -ENOMEM : filemap_add_folio(mapping, folio,
							     round_down(index, 1UL << order), gfp);
		if (error) {
			if (folio)
				folio_put(folio);
			max_order = order - 1;
			if (order > min_order)
				continue;
			p->head->error = error == -EEXIST ? 0 : error; /* is looked up again */
			break;
		}
		p->head->read += min(end, folio_next_index(folio)) - index;
		index = min(end, folio_next_index(folio));
		folio_get(folio);
		p->ring[p->newest++ % ARRAY_SIZE(p->ring)] = folio;
		p->in_flight += folio_nr_pages(folio);
		p->head->submitted += folio_nr_pages(folio);
		ractl._nr_pages += folio_nr_pages(folio);
	}
	if (ractl._nr_pages)
		mapping->a_ops->readahead(&ractl);
	while ((folio = readahead_folio(&ractl)))	/* what it did not take */
		folio_unlock(folio);
	filemap_invalidate_unlock_shared(mapping);
	memalloc_nofs_restore(nofs);
	return index;
}

static void page2cache_read(struct page2cache *p, pgoff_t index, pgoff_t end)
{
	while (index < end && !page2cache_stopped(p)) {
		struct folio *folio = filemap_get_folio(p->file->f_mapping, index);
		pgoff_t next = min(end, round_down(index, CHUNK_PAGES) + CHUNK_PAGES);

		if (IS_ERR(folio)) {
			next = index + min_t(u64, next - index,
					     p->head->max_pages - p->head->submitted);
			next = page2cache_submit(p, index, next);
		} else {
			next = clamp(folio_next_index(folio), index + 1, end);
			folio_wait_locked(folio);
			*(folio_test_uptodate(folio) ? &p->head->resident :
						       &p->head->failed) += next - index;
			folio_put(folio);
		}
		index = next;
		page2cache_reap(p, IN_FLIGHT);
		cond_resched();
	}
	p->head->skipped += end - index;
}

/* An extent, clipped to the file. User space may change it at any time: it is read once. */
static u64 page2cache_extent(struct page2cache *p, u64 i, u64 *index, u64 *end)
{
	struct bpf_page2cache_extent *e = (struct bpf_page2cache_extent *)(p->head + 1) + i;
	u64 eof = DIV_ROUND_UP_ULL(p->size, PAGE_SIZE), nr_pages = READ_ONCE(e->nr_pages);

	*index = min(READ_ONCE(e->index), eof);
	*end = *index + min(nr_pages, eof - *index);
	return nr_pages;
}

static void page2cache_work(struct work_struct *work)
{
	struct page2cache *p = container_of(work, struct page2cache, work);
	struct mem_cgroup *old = set_active_memcg(mem_cgroup_from_css(p->memcg));
	struct blk_plug plug;
	u64 i, nr_pages, index, end;

	page2cache_reap(p, 0);	/* the task that waits for these pages goes first */
	kthread_associate_blkcg(p->blkcg);
	blk_start_plug(&plug);
	for (i = 0; i < p->nr_extents; i++) {	/* once stopped, this only counts */
		nr_pages = page2cache_extent(p, i, &index, &end);
		p->head->requested += nr_pages;
		p->head->past_eof += nr_pages - (end - index);
		if (i == p->missed) {
			page2cache_read(p, index, clamp(p->first, index, end));
			index = clamp(p->first_end, index, end);
		}
		page2cache_read(p, index, end);
		cond_resched();
	}
	blk_finish_plug(&plug);
	page2cache_reap(p, 0);
	kthread_associate_blkcg(NULL);
	set_active_memcg(old);
	p->head->end_ns = ktime_get_ns();
	smp_store_release(&p->head->state, BPF_PAGE2CACHE_DONE); /* user space acquires */
	css_put(p->memcg);
	css_put(p->blkcg);
	bpf_map_put(p->map);
	fput(p->file);
	kvfree(p);
}

/* As bpf_force_page2cache(), for a miss by @task, which pays for it. May sleep. */
int force_page2cache(struct task_struct *task, struct file *file, struct bpf_map *map,
		     u64 first, u64 index)
{
	struct address_space *mapping = file->f_mapping;
	struct bpf_array *array = container_of(map, struct bpf_array, map);
	struct page2cache *p;
	u64 start, end, nr, room = map->max_entries - HEAD_EXTENTS;
	struct bpf_page2cache *head = (void *)array->value + first * map->value_size;

	if (!S_ISREG(mapping->host->i_mode) || IS_DAX(mapping->host) ||
	    ~file->f_mode & (FMODE_READ | FMODE_OPENED) || !mapping->a_ops->readahead ||
	    inode_to_bdi(mapping->host) == &noop_backing_dev_info)
		return -EOPNOTSUPP;
	if (map->map_type != BPF_MAP_TYPE_ARRAY || !(map->map_flags & BPF_F_MMAPABLE) ||
	    map->value_size != sizeof(struct bpf_page2cache_extent) || first > room ||
	    room > map->max_entries)
		return -EINVAL;
	nr = READ_ONCE(head->nr_extents);
	if (nr > room - first)
		return -EINVAL;
	p = kvzalloc(sizeof(*p), GFP_NOFS | __GFP_ACCOUNT | __GFP_NORETRY | __GFP_NOWARN);
	if (!p)
		return -ENOMEM;
	if (cmpxchg(&head->state, BPF_PAGE2CACHE_IDLE, BPF_PAGE2CACHE_RUNNING)) {
		kvfree(p);
		return -EBUSY;
	}
	bpf_map_inc(map);
	INIT_WORK(&p->work, page2cache_work);
	p->file = get_file(file);
	p->size = i_size_read(mapping->host);
	p->map = map;
	p->head = head;
	p->nr_extents = nr;
	p->memcg = task_get_css(task, memory_cgrp_id);
	p->blkcg = task_get_css(task, io_cgrp_id);
	/* What the task has missed, and as much as readahead would read with it. */
	for (; p->missed < min_t(u64, nr, SZ_64K); p->missed++) {
		page2cache_extent(p, p->missed, &start, &end);
		if (index < start || index >= end)
			continue;
		p->first = index;
		p->first_end = min(end, index + (SZ_128K >> PAGE_SHIFT));
		page2cache_read(p, p->first, p->first_end);
		break;
	}
	queue_work(page2cache_wq, &p->work);
	return 0;
}
