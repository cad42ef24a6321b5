// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads a list of extents of a file into the page cache, for BPF programs.
 *
 * A task that misses a page reads it as ever. A worker reads the list, in its order and in
 * turns, so that many lists make progress side by side. Between the turns the worker holds
 * no lock, and no file that its readers have closed.
 */
#include <linux/backing-dev.h>
#include <linux/blkdev.h>
#include <linux/bpf.h>
#include <linux/delay.h>
#include <linux/ioprio.h>
#include <linux/magic.h>
#include <linux/memcontrol.h>
#include <linux/module.h>
#include <linux/page2cache.h>
#include <linux/pagemap.h>
#include <linux/psi.h>
#include <linux/slab.h>
#include <linux/task_work.h>

#define FIRST_PAGES	(SZ_128K >> PAGE_SHIFT)	/* of the window, and the least */
#define TURN_PAGES	(SZ_2M >> PAGE_SHIFT)
#define TURN_STEPS	1024
/* What is in flight bounds the latency of unrelated misses: prefetch_adapt(). */
#define WINDOW_PAGES	(4 * TURN_PAGES)
#define WINDOW_REQUESTS	127UL
#define REQUEST_PAGES	(FIRST_PAGES / 2) /* so many more allow for one request more */
#define SLOW_NS		(30 * NSEC_PER_MSEC)
#define RING_SIZE	(WINDOW_PAGES + TURN_PAGES)
#define LISTS_PER_MAP	16
#define AHEAD_NICE	10	/* of the task, with which a worker may share a processor */
#define GRACE_TICKS	2	/* for the task to read its page and leave the kernel */
#define HEAD_EXTENTS	(sizeof(struct bpf_page2cache) / sizeof(struct bpf_page2cache_extent))

struct prefetch_folio {
	struct folio *folio;
	u32 nr_pages;			/* of the extent */
	bool cached;			/* somebody else has added it */
	bool request;			/* the first one of a request */
};

struct prefetch {
	struct list_head node;		/* in prefetches; empty: ended */
	refcount_t refs;		/* until the end, and until resume has run */
	struct delayed_work work;
	struct callback_head resume;	/* the task goes back to user mode */
	struct file *file;		/* NULL: nothing more is to be submitted */
	loff_t size;			/* at the beginning */
	struct bpf_map *map;
	struct bpf_page2cache *head;	/* in it: user space may write there */
	struct bpf_page2cache count;	/* what the head is to say */
	struct cgroup_subsys_state *memcg, *blkcg;
	int ioprio, nice;
	pgoff_t index, end;		/* what is left of extent count.reached - 1 */
	unsigned long max_requests, requests;
	unsigned long window, in_flight; /* pages in the ring: at most, and now */
	u64 grow_ns;			/* before which the window does not grow */
	unsigned int timed;		/* where the ring has the request that is timed */
	u64 timed_ns;			/* when it was submitted; 0: none is */
	unsigned int oldest, nr_folios;	/* of the ring */
	struct prefetch_folio *ring;	/* NULL until the worker begins */
};

static struct workqueue_struct *prefetch_wq;
static LIST_HEAD(prefetches);
static DEFINE_SPINLOCK(prefetches_lock);

static void prefetch_put(struct prefetch *p)
{
	if (refcount_dec_and_test(&p->refs))
		kfree(p);
}

/* Do only lists hold @file? */
static bool prefetch_is_closed(struct file *file)
{
	struct prefetch *other;
	long nr = 0;

	spin_lock(&prefetches_lock);
	list_for_each_entry(other, &prefetches, node)
		nr += READ_ONCE(other->file) == file;
	spin_unlock(&prefetches_lock);
	return file_count(file) <= nr;
}

/* Why nothing more is to be submitted, 0 if it is. */
static int prefetch_error(struct prefetch *p)
{
	if (!atomic64_read(&p->map->usercnt))
		p->count.error = -EOWNERDEAD;
	else if (p->count.error || !p->file)
		return p->count.error;
	else if (READ_ONCE(p->head->state) != BPF_PAGE2CACHE_RUNNING)
		p->count.error = -ECANCELED;
	else if (css_is_dying(p->memcg) || css_is_dying(p->blkcg))
		p->count.error = -ENODEV;
	else if (i_size_read(p->file->f_mapping->host) < p->size)
		p->count.error = -ESTALE;
	return p->count.error;
}

/* What has become of pages, for good. */
static void prefetch_count(struct prefetch *p, struct folio *folio, u32 nr_pages, bool cached)
{
	if (!folio_test_uptodate(folio))
		p->count.failed += nr_pages;
	else if (cached)
		p->count.resident += nr_pages;
	else
		p->count.read += nr_pages;
	folio_put(folio);
}

/* Takes over a reference of @folio, which is locked as long as it is being read. */
static void prefetch_note(struct prefetch *p, struct folio *folio, u32 nr_pages, bool cached,
			  bool request)
{
	unsigned int newest = (p->oldest + p->nr_folios++) % RING_SIZE;

	p->ring[newest] = (struct prefetch_folio){
		.folio = folio, .nr_pages = nr_pages, .cached = cached, .request = request,
	};
	p->in_flight += nr_pages;
	p->requests += request;
	if (request && !p->timed_ns) {
		p->timed = newest;
		p->timed_ns = ktime_get_ns();
	}
}

/*
 * Other readers wait behind what is in flight, as does umount(8). Where requests queue up, as
 * on a slow device or in a throttled group, more of them in flight make nothing faster.
 * blk-throttle stops such a group once in 100 ms and passes its requests in between: after a
 * slow one the window stays as it is for a second.
 */
static void prefetch_adapt(struct prefetch *p)
{
	u64 now = ktime_get_ns();

	if (now - p->timed_ns > SLOW_NS) {
		p->window = max_t(unsigned long, p->window / 4, FIRST_PAGES);
		p->grow_ns = now + NSEC_PER_SEC;
	} else if (now >= p->grow_ns) {
		p->window = min_t(unsigned long, p->window * 2, WINDOW_PAGES);
	}
	p->timed_ns = 0;
}

/* Counts what has arrived, up to the oldest that has not. */
static void prefetch_reap(struct prefetch *p)
{
	struct prefetch_folio *f;

	for (; p->nr_folios; p->nr_folios--) {
		f = &p->ring[p->oldest];
		if (folio_test_locked(f->folio))
			break;
		prefetch_count(p, f->folio, f->nr_pages, f->cached);
		p->in_flight -= f->nr_pages;
		p->requests -= f->request;
		if (p->timed_ns && p->timed == p->oldest)
			prefetch_adapt(p);
		p->oldest = (p->oldest + 1) % RING_SIZE;
	}
}

/*
 * Adds a folio of absent pages, as large as it can be. A charge that goes over
 * memory.high is slowed down where the kernel is left, or inside of the next charge:
 * this one is the last then.
 */
static struct folio *prefetch_add(struct prefetch *p, struct address_space *mapping,
				  pgoff_t index, pgoff_t end)
{
	unsigned int min_order = mapping_min_folio_order(mapping), order;
	unsigned int over_high = current->memcg_nr_pages_over_high;
	gfp_t gfp = readahead_gfp_mask(mapping);
	struct folio *folio;
	int error;

	order = min3(mapping_max_folio_order(mapping), (size_t)ilog2(end - index),
		     __ffs(index | TURN_PAGES));
	for (order = max(order, min_order);; order--) {
		folio = filemap_alloc_folio(gfp, order);
		error = -ENOMEM;
		if (folio)
			error = filemap_add_folio(mapping, folio, round_down(index, 1UL << order),
						  gfp);
		if (!error)
			break;
		if (folio)
			folio_put(folio);
		if (order == min_order) {
			/* What somebody else has added meanwhile is looked up again. */
			if (error != -EEXIST)
				p->count.error = error;
			return NULL;
		}
	}
	if (current->memcg_nr_pages_over_high > over_high)
		p->count.error = -ENOMEM;
	return folio;
}

/* Starts to read absent pages. Returns the index up to which it came. */
static pgoff_t prefetch_submit(struct prefetch *p, pgoff_t index, pgoff_t end)
{
	struct address_space *mapping = p->file->f_mapping;
	struct file_ra_state ra = {};
	DEFINE_READAHEAD(ractl, p->file, &ra, mapping, mapping_align_index(mapping, index));
	unsigned int nofs = memalloc_nofs_save();
	struct folio *folio;
	pgoff_t next;

	filemap_invalidate_lock_shared(mapping);
	while (index < end && !p->count.error) {
		folio = prefetch_add(p, mapping, index, end);
		if (!folio)
			break;
		next = min(end, folio_next_index(folio));
		folio_get(folio);
		prefetch_note(p, folio, next - index, false, !ractl._nr_pages);
		ractl._nr_pages += folio_nr_pages(folio);
		index = next;
	}
	p->count.submitted += ractl._nr_pages;
	if (ractl._nr_pages)
		mapping->a_ops->readahead(&ractl);
	while ((folio = readahead_folio(&ractl)))	/* what it did not take */
		folio_unlock(folio);
	/* readahead_expand() adds pages where a file system has to read more, as to decompress. */
	p->count.submitted += ra.size;
	if (ractl._workingset)	/* and enters that, once, as read_pages() would have done */
		psi_memstall_leave(&ractl._pflags);
	filemap_invalidate_unlock_shared(mapping);
	memalloc_nofs_restore(nofs);
	return index;
}

/*
 * A page that is cached, but not valid, and that nobody is reading: a page fault has added
 * it and is about to read it, a write has filled a part of it, or a read has failed. It is
 * read as by a task that looks it up.
 */
static void prefetch_read_folio(struct prefetch *p, struct folio *folio)
{
	struct address_space *mapping = p->file->f_mapping;

	filemap_invalidate_lock_shared(mapping);
	if (folio_trylock(folio)) {
		if (folio->mapping == mapping && !folio_test_uptodate(folio)) {
			p->count.submitted += folio_nr_pages(folio);
			mapping->a_ops->read_folio(p->file, folio);	/* unlocks it */
		} else {
			folio_unlock(folio);
		}
	}
	filemap_invalidate_unlock_shared(mapping);
}

/*
 * How many pages may be submitted at once; if that is none, the list ends. Near a limit of
 * memory these are few, because a charge reclaims while they are locked. Once the list alone
 * fills a group, its last pages would push out its first.
 */
static u64 prefetch_budget(struct prefetch *p)
{
	u64 limit, budget = p->count.max_pages - min(p->count.max_pages, p->count.submitted);
	struct mem_cgroup *memcg = mem_cgroup_from_css(p->memcg);

	if (!budget)
		p->count.error = -EDQUOT;
	for (; memcg && budget; memcg = parent_mem_cgroup(memcg)) {
		limit = min(READ_ONCE(memcg->memory.high), READ_ONCE(memcg->memory.max));
		if (p->count.submitted >= limit)
			p->count.error = -ENOMEM;
		if (page_counter_read(&memcg->memory) + WINDOW_PAGES > limit)
			budget = min_t(u64, budget, MEMCG_CHARGE_BATCH);
	}
	return p->count.error ? 0 : min_t(u64, budget, p->window);
}

/* Submits what is absent at @index, or looks at what is there. Returns up to where. */
static pgoff_t prefetch_piece(struct prefetch *p, pgoff_t index, pgoff_t end)
{
	struct folio *folio = filemap_get_folio(p->file->f_mapping, index);
	bool request = false;
	pgoff_t next;

	end = min(end, round_down(index, TURN_PAGES) + TURN_PAGES);
	if (IS_ERR(folio))
		return prefetch_submit(p, index, min(end, index + prefetch_budget(p)));
	if (!folio_test_uptodate(folio) && !folio_test_locked(folio)) {
		if (!prefetch_budget(p)) {
			folio_put(folio);
			return index;
		}
		prefetch_read_folio(p, folio);
		request = true;
	}
	next = clamp(folio_next_index(folio), index + 1, end);
	if (folio_test_uptodate(folio))
		prefetch_count(p, folio, next - index, true);
	else
		prefetch_note(p, folio, next - index, true, request);
	return next;
}

/* An extent, clipped to the file. User space may change it at any time: it is read once. */
static u64 prefetch_extent(struct prefetch *p, u64 i, pgoff_t *index, pgoff_t *end)
{
	struct bpf_page2cache_extent *e = (struct bpf_page2cache_extent *)(p->head + 1) + i;
	u64 eof = DIV_ROUND_UP_ULL(p->size, PAGE_SIZE), nr_pages = READ_ONCE(e->nr_pages);

	*index = min(READ_ONCE(e->index), eof);
	*end = *index + min(nr_pages, eof - *index);
	return nr_pages - (*end - *index);
}

static bool prefetch_window_full(struct prefetch *p)
{
	return p->in_flight >= p->window ||
	       p->requests >= min(p->max_requests, p->window / REQUEST_PAGES - 1);
}

static bool prefetch_complete(struct prefetch *p)
{
	return p->index == p->end && p->count.reached == p->count.nr_extents;
}

/* Returns whether there is more to be submitted. */
static bool prefetch_turn(struct prefetch *p)
{
	u64 full = p->count.submitted + TURN_PAGES;
	unsigned int steps;

	if (!prefetch_error(p) && p->file && prefetch_is_closed(p->file))
		p->count.error = -EBADF;
	for (steps = 0; steps < TURN_STEPS; steps++) {
		prefetch_reap(p);
		if (prefetch_error(p) || prefetch_complete(p))
			return false;
		if (prefetch_window_full(p) || p->count.submitted >= full)
			return true;
		if (p->index == p->end)
			p->count.past_eof += prefetch_extent(p, p->count.reached++, &p->index,
							     &p->end);
		else
			p->index = prefetch_piece(p, p->index, p->end);
		cond_resched();
	}
	return true;
}

/* Must the worker wait for a page? Not if no process has the map, and nobody wants the answers. */
static bool prefetch_waits(struct prefetch *p, bool more)
{
	return more ? prefetch_window_full(p) : p->nr_folios && p->count.error != -EOWNERDEAD;
}

/* User space reads along. */
static void prefetch_publish(struct prefetch *p)
{
	u64 *from = (u64 *)&p->count, *to = (u64 *)p->head;
	size_t i;

	for (i = offsetof(struct bpf_page2cache, error) / 8; i < sizeof(p->count) / 8; i++)
		WRITE_ONCE(to[i], from[i]);
}

/* Undoes prefetch_get_map(). */
static void prefetch_put_map(struct bpf_map *map)
{
	atomic64_dec(&map->writecnt);
	bpf_map_put(map);
}

static void prefetch_end(struct prefetch *p)
{
	/* Nobody looks at the answers of a map without a process. */
	for (; p->nr_folios; p->nr_folios--) {
		folio_put(p->ring[p->oldest].folio);
		p->oldest = (p->oldest + 1) % RING_SIZE;
	}
	if (prefetch_complete(p))
		p->count.error = 0;	/* it was met too late to matter */
	p->count.skipped = p->end - p->index;
	p->count.end_ns = ktime_get_ns();
	spin_lock(&prefetches_lock);
	prefetch_publish(p);
	smp_store_release(&p->head->state, BPF_PAGE2CACHE_DONE); /* user space acquires */
	list_del_init(&p->node);
	spin_unlock(&prefetches_lock);
	cancel_delayed_work(&p->work);	/* prefetch_resume() may have queued it */
	kvfree(p->ring);
	css_put(p->memcg);
	css_put(p->blkcg);
	prefetch_put_map(p->map);
	prefetch_put(p);
}

/* Runs in the task. A module that has this code is pinned until then. */
static void prefetch_resume(struct callback_head *resume)
{
	struct prefetch *p = container_of(resume, struct prefetch, resume);

	spin_lock(&prefetches_lock);
	/* On the task's own processor the worker would run before user mode does. */
	if (!list_empty(&p->node))
		mod_delayed_work(prefetch_wq, &p->work, num_online_cpus() == 1);
	spin_unlock(&prefetches_lock);
	prefetch_put(p);
	module_put(THIS_MODULE);
}

/* Has the worker begin when the task goes back to user mode, or after a while. */
static void prefetch_await(struct prefetch *p, struct task_struct *task)
{
	queue_delayed_work(prefetch_wq, &p->work, GRACE_TICKS);
	init_task_work(&p->resume, prefetch_resume);
	if (task->flags & (PF_KTHREAD | PF_USER_WORKER) ||
	    task_work_add(task, &p->resume, TWA_RESUME))
		return;
	refcount_inc(&p->refs);
	__module_get(THIS_MODULE);
}

/* A turn on behalf of the task. Returns whether there is more to be submitted. */
static bool prefetch_act(struct prefetch *p)
{
	struct mem_cgroup *old = set_active_memcg(mem_cgroup_from_css(p->memcg));
	struct blk_plug plug;
	bool more;

	kthread_associate_blkcg(p->blkcg);
	set_task_ioprio(current, p->ioprio);
	if (!p->ring)
		p->ring = kvmalloc_array(RING_SIZE, sizeof(*p->ring),
					 GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN);
	if (!p->ring)
		p->count.error = -ENOMEM;
	blk_start_plug(&plug);
	more = prefetch_turn(p);
	blk_finish_plug(&plug);
	/* A worker never goes back to user mode, where it would be slowed down. */
	current->memcg_nr_pages_over_high = 0;
	set_task_ioprio(current, IOPRIO_DEFAULT);
	kthread_associate_blkcg(NULL);
	set_active_memcg(old);
	return more;
}

static void prefetch_work(struct work_struct *work)
{
	struct prefetch *p = container_of(to_delayed_work(work), struct prefetch, work);
	unsigned long until = jiffies + msecs_to_jiffies(10);
	unsigned int oldest = p->oldest, nr_folios = p->nr_folios;
	struct file *file = p->file;
	int nice = task_nice(current);
	bool more, moved;

	set_user_nice(current, p->nice);
	more = prefetch_act(p);
	/* A list that stands still, as on a throttled device, is looked at once a tick. */
	moved = p->oldest != oldest || p->nr_folios != nr_folios;
	while (moved && prefetch_waits(p, more) && time_before(jiffies, until)) {
		usleep_range(50, 100);
		prefetch_reap(p);
	}
	set_user_nice(current, nice);
	if (!more && file) {
		WRITE_ONCE(p->file, NULL);
		fput(file);
	}
	if (more || prefetch_waits(p, false)) {
		prefetch_publish(p);
		queue_delayed_work(prefetch_wq, &p->work, prefetch_waits(p, more));
	} else {
		prefetch_end(p);
	}
}

static bool prefetch_takes_file(struct file *file)
{
	struct inode *inode = file->f_mapping->host;

	/* A FUSE server is a process like others, and may never answer. */
	if (inode->i_sb->s_magic == FUSE_SUPER_MAGIC &&
	    strcmp(inode->i_sb->s_type->name, "virtiofs"))
		return false;
	return S_ISREG(inode->i_mode) && !IS_DAX(inode) &&
	       !(~file->f_mode & (FMODE_READ | FMODE_OPENED)) &&
	       file->f_mapping->a_ops->readahead && file->f_mapping->a_ops->read_folio &&
	       inode_to_bdi(inode) != &noop_backing_dev_info;
}

static bool prefetch_takes_map(struct bpf_map *map)
{
	return map->map_type == BPF_MAP_TYPE_ARRAY && map->map_flags & BPF_F_MMAPABLE &&
	       !(map->map_flags & BPF_F_RDONLY_PROG) && IS_ERR_OR_NULL(map->record) &&
	       map->value_size == sizeof(struct bpf_page2cache_extent) &&
	       map->max_entries >= HEAD_EXTENTS;
}

/* Takes a reference of a map that can be written to, and keeps it from being frozen. */
static int prefetch_get_map(struct bpf_map *map)
{
	int error = 0;

	rcu_read_lock();
	map = bpf_map_inc_not_zero(map);
	rcu_read_unlock();
	if (IS_ERR(map))
		return PTR_ERR(map);
	mutex_lock(&map->freeze_mutex);
	if (map->frozen)
		error = -EPERM;
	else
		atomic64_inc(&map->writecnt);
	mutex_unlock(&map->freeze_mutex);
	if (error)
		bpf_map_put(map);
	return error;
}

/* A list runs once at a time, whatever user space writes into its head. */
static int prefetch_register(struct prefetch *p)
{
	unsigned int nr = 0;
	struct prefetch *other;
	int error = 0;

	spin_lock(&prefetches_lock);
	list_for_each_entry(other, &prefetches, node) {
		if (other->head == p->head)
			error = -EBUSY;
		nr += other->map == p->map;
	}
	if (!error && nr >= LISTS_PER_MAP)
		error = -EAGAIN;
	if (!error && cmpxchg(&p->head->state, BPF_PAGE2CACHE_IDLE, BPF_PAGE2CACHE_RUNNING))
		error = -EBUSY;
	if (!error)
		list_add(&p->node, &prefetches);
	spin_unlock(&prefetches_lock);
	return error;
}

/* Whose the I/O and the memory are, and how much may be in flight. */
static void prefetch_charge(struct prefetch *p, struct task_struct *task)
{
	struct block_device *bdev = p->file->f_mapping->host->i_sb->s_bdev;

	p->memcg = task_get_css(task, memory_cgrp_id);
	p->blkcg = task_get_css(task, io_cgrp_id);
	task_lock(task);
	p->ioprio = __get_task_ioprio(task);
	task_unlock(task);
	p->nice = max(task_nice(task) - AHEAD_NICE, MIN_NICE);
	p->window = FIRST_PAGES;
	p->max_requests = WINDOW_REQUESTS;
	if (bdev)
		p->max_requests = clamp_t(unsigned long, bdev_get_queue(bdev)->nr_requests / 4, 1,
					  WINDOW_REQUESTS);
}

/**
 * force_page2cache() - begin to read a list of extents into the page cache
 * @task: pays for memory and I/O
 * @file: open for reading; referenced by the caller until this returns
 * @map: mmapable array of struct bpf_page2cache_extent; referenced by the caller
 * @first: element where the list begins, with a struct bpf_page2cache
 * @missed: @task has missed a page, which it is about to read
 *
 * Context: process context, without locks that ->readahead() or an allocation takes.
 *
 * Return: 0 if begun, or an error as of bpf_force_page2cache().
 */
int force_page2cache(struct task_struct *task, struct file *file, struct bpf_map *map,
		     u64 first, bool missed)
{
	struct bpf_array *array = container_of(map, struct bpf_array, map);
	struct bpf_page2cache *head;
	struct prefetch *p;
	u64 nr_extents;
	int error;

	if (!prefetch_takes_file(file))
		return -EOPNOTSUPP;
	if (!prefetch_takes_map(map) || first > map->max_entries - HEAD_EXTENTS)
		return -EINVAL;
	head = (void *)array->value + first * map->value_size;
	/* User space fills in a list, then sets its state. */
	if (smp_load_acquire(&head->state) != BPF_PAGE2CACHE_IDLE)
		return -EBUSY;
	nr_extents = READ_ONCE(head->nr_extents);
	if (nr_extents > map->max_entries - HEAD_EXTENTS - first)
		return -EINVAL;
	if (!prefetch_wq)
		return -ENOMEM;
	p = kzalloc(sizeof(*p), GFP_NOFS | __GFP_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN);
	if (!p)
		return -ENOMEM;
	refcount_set(&p->refs, 1);
	INIT_DELAYED_WORK(&p->work, prefetch_work);
	p->file = get_file(file);
	p->size = i_size_read(file->f_mapping->host);
	p->map = map;
	p->head = head;
	p->count.nr_extents = nr_extents;
	p->count.max_pages = READ_ONCE(head->max_pages);
	error = prefetch_get_map(map);
	if (error)
		goto put_file;
	error = prefetch_register(p);
	if (error)
		goto put_map;
	prefetch_charge(p, task);
	spin_lock(&prefetches_lock);	/* until it is unlocked, the list cannot end */
	if (missed)
		prefetch_await(p, task);
	else
		queue_delayed_work(prefetch_wq, &p->work, 0);
	spin_unlock(&prefetches_lock);
	return 0;

put_map:
	prefetch_put_map(map);
put_file:
	fput(p->file);
	prefetch_put(p);
	return error;
}

static int __init page2cache_init(void)
{
	prefetch_wq = alloc_workqueue("page2cache", WQ_UNBOUND | WQ_FREEZABLE, 0);
	return prefetch_wq ? 0 : -ENOMEM;
}
late_initcall(page2cache_init);
