// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a process hints is read into the page cache: a BPF program finds hints where the process
 * looks pages up, and leaves them in a queue; a worker reads their pages. Memory and I/O are those
 * of the task that hints, not the BPF program's owner's.
 *
 * A queue has one owner at a time on either side. Whoever takes the queue out of its map
 * (bpf_kptr_xchg()) may add hints; whoever has set @awake may run the worker, or free the queue.
 * A worker that rests looks at @tail and @dropped once more after it has cleared @awake; those who
 * write them look at @awake after that, by xchg(), which is a full barrier.
 */
#define HINTS		256
/* A task that waits for the disk has the next hints soon: the worker looks for them, then naps. */
#define HINT_SPIN_NS	(30 * NSEC_PER_USEC)
#define HINT_NAPS	20
#define HINT_TURN_MS	10

struct page2cache_hint {
	struct file *file;
	struct task_struct *task;	/* pays */
	pgoff_t index;
	u32 nr_pages;
};

/* Each queue pins the module, from bpf_page2cache_queue_new() to queue_free(). */
struct bpf_page2cache_queue {
	struct prefetch p;		/* what the functions of page2cache.c use of it */
	unsigned int naps;		/* since there was a hint */
	unsigned long max_requests;	/* in flight, as the latest hint has it */
	bool awake;			/* the worker runs, or is about to */
	bool dropped;
	struct irq_work irq_work;
	struct work_struct work;
	u64 tail ____cacheline_aligned;
	u64 head ____cacheline_aligned;
	struct page2cache_hint hints[HINTS];
};

static void hint_free(const struct page2cache_hint *hint)
{
	put_task_struct(hint->task);
	fput(hint->file);
}

static void queue_free(struct bpf_page2cache_queue *q)
{
	struct prefetch *p = &q->p;

	for (; q->head != q->tail; q->head++)
		hint_free(&q->hints[q->head % HINTS]);
	for (; p->nr_folios; p->nr_folios--) {
		folio_put(p->ring[p->oldest].folio);
		p->oldest = (p->oldest + 1) % RING_SIZE;
	}
	irq_work_sync(&q->irq_work);
	kvfree(p->ring);
	kvfree(q);
	module_put(THIS_MODULE);
}

/* Waits until something may be submitted. Returns false if the queue is dropped. */
static bool queue_has_room(struct bpf_page2cache_queue *q)
{
	prefetch_reap(&q->p);
	while (prefetch_window_full(&q->p) && !READ_ONCE(q->dropped)) {
		usleep_range_state(50, 100, TASK_IDLE);
		prefetch_reap(&q->p);
	}
	return !READ_ONCE(q->dropped);
}

/* Submits the absent pages of a hint, as far as the file goes. */
static void queue_submit(struct bpf_page2cache_queue *q, const struct page2cache_hint *hint)
{
	struct address_space *mapping = hint->file->f_mapping;
	pgoff_t eof = DIV_ROUND_UP_ULL(i_size_read(mapping->host), PAGE_SIZE);
	pgoff_t index = min(hint->index, eof);
	pgoff_t end = index + min_t(pgoff_t, hint->nr_pages, eof - index);
	struct prefetch *p = &q->p;
	struct folio *folio;

	while (index < end && !p->count.error) {
		folio = filemap_get_folio(mapping, index);
		if (!IS_ERR(folio)) {
			index = folio_next_index(folio);
			folio_put(folio);
		} else if (queue_has_room(q)) {
			index = prefetch_submit(p, index, min(end, index + prefetch_budget(p)));
		} else {
			break;
		}
	}
}

/* Reads a hint on behalf of its task: of the groups that this is in now. */
static void queue_read(struct bpf_page2cache_queue *q, const struct page2cache_hint *hint)
{
	struct prefetch *p = &q->p;
	unsigned long window = p->window;
	struct mem_cgroup *old;

	p->file = hint->file;
	prefetch_charge(p, hint->task);
	p->window = window;	/* as the hints before have set it */
	p->max_requests = clamp(READ_ONCE(q->max_requests), 1UL, p->max_requests);
	if (css_is_dying(p->memcg) || css_is_dying(p->blkcg))
		p->count.error = -ENODEV;
	old = set_active_memcg(mem_cgroup_from_css(p->memcg));
	kthread_associate_blkcg(p->blkcg);
	set_task_ioprio(current, p->ioprio);
	queue_submit(q, hint);
	/* A worker never goes back to user mode, where it would be slowed down. */
	current->memcg_nr_pages_over_high = 0;
	set_task_ioprio(current, IOPRIO_DEFAULT);
	kthread_associate_blkcg(NULL);
	set_active_memcg(old);
	css_put(p->memcg);
	css_put(p->blkcg);
}

/* Reads what is hinted. Returns whether something was. */
static bool queue_take(struct bpf_page2cache_queue *q)
{
	u64 head = q->head, tail = smp_load_acquire(&q->tail);
	struct page2cache_hint hint;
	struct blk_plug plug;

	if (head == tail)
		return false;
	blk_start_plug(&plug);
	while (head != tail) {
		hint = q->hints[head++ % HINTS];
		smp_store_release(&q->head, head);
		queue_read(q, &hint);
		hint_free(&hint);
		cond_resched();
	}
	blk_finish_plug(&plug);
	return true;
}

/*
 * Takes hints for a turn. Once a group has no room for a page, the rest of the turn's hints are
 * forgotten. Returns whether another turn is to follow: not if nothing was hinted for a while,
 * and nothing is on its way.
 */
static bool queue_turn(struct bpf_page2cache_queue *q)
{
	unsigned long until = jiffies + msecs_to_jiffies(HINT_TURN_MS);
	struct prefetch *p = &q->p;
	u64 spin = 0;

	p->count.error = 0;
	p->count.submitted = 0;
	while (!READ_ONCE(q->dropped) && time_before(jiffies, until)) {
		prefetch_reap(p);
		if (queue_take(q)) {
			q->naps = 0;
			spin = ktime_get_ns() + HINT_SPIN_NS;
		} else if (ktime_get_ns() < spin) {
			cpu_relax();
			cond_resched();
		} else if (q->naps < HINT_NAPS) {
			q->naps++;
			usleep_range_state(50, 60, TASK_IDLE);
		} else if (p->nr_folios) {
			usleep_range_state(1000, 2000, TASK_IDLE);
		} else {
			return false;
		}
	}
	return true;
}

/* Ends the worker's work. Returns false if there is something to do again, and nobody else does it. */
static bool queue_rest(struct bpf_page2cache_queue *q)
{
	q->naps = 0;
	smp_store_mb(q->awake, false);	/* before tail and dropped are looked at again */
	if (READ_ONCE(q->tail) == q->head && !READ_ONCE(q->dropped))
		return true;
	return xchg(&q->awake, true);
}

static void queue_work_fn(struct work_struct *work)
{
	struct bpf_page2cache_queue *q = container_of(work, struct bpf_page2cache_queue, work);

	if (!READ_ONCE(q->dropped) && !queue_turn(q) && queue_rest(q))
		return;
	if (!READ_ONCE(q->dropped)) {
		queue_work(prefetch_wq, &q->work);
		return;
	}
	queue_free(q);
}

/* Programs may run under any lock, that of a workqueue included: this runs under none. */
static void queue_irq_work(struct irq_work *irq_work)
{
	struct bpf_page2cache_queue *q = container_of(irq_work, struct bpf_page2cache_queue,
						      irq_work);

	queue_work(prefetch_wq, &q->work);
}

__bpf_kfunc_start_defs();

/**
 * bpf_page2cache_queue_new() - make a queue for the hints of a process
 *
 * Programs of type BPF_PROG_TYPE_SYSCALL only.
 *
 * Return: the queue, to be given to bpf_page2cache_queue_drop() in the end, or NULL.
 */
__bpf_kfunc struct bpf_page2cache_queue *bpf_page2cache_queue_new(void)
{
	struct bpf_page2cache_queue *q = kvzalloc(sizeof(*q), GFP_KERNEL_ACCOUNT);

	if (!q)
		return NULL;
	q->p.ring = kvmalloc_array(RING_SIZE, sizeof(*q->p.ring), GFP_KERNEL_ACCOUNT);
	if (!q->p.ring) {
		kvfree(q);
		return NULL;
	}
	__module_get(THIS_MODULE);
	init_irq_work(&q->irq_work, queue_irq_work);
	INIT_WORK(&q->work, queue_work_fn);
	q->p.count.max_pages = U64_MAX;
	q->p.window = FIRST_PAGES;
	return q;
}

/**
 * bpf_page2cache_hint() - have pages of a file read into the page cache, by a worker
 * @q: queue of the current task's process
 * @list: holds the file; what is in its map does not matter
 * @index: first page
 * @nr_pages: how many; what is beyond the end of the file is left out
 * @max_requests: of the queue, in flight at most: one always may be, but no more than the
 * device is given for a list
 *
 * The memory and the I/O are the current task's. May be called anywhere.
 *
 * Return: 0, -EAGAIN: the queue is full, -E2BIG: more than 128 KiB.
 */
__bpf_kfunc int bpf_page2cache_hint(struct bpf_page2cache_queue *q,
				    struct bpf_page2cache_list *list, u64 index, u64 nr_pages,
				    u64 max_requests)
{
	u64 tail = q->tail;

	if (nr_pages > FIRST_PAGES)
		return -E2BIG;
	if (tail - smp_load_acquire(&q->head) >= HINTS)
		return -EAGAIN;
	q->hints[tail % HINTS] = (struct page2cache_hint){
		.file = get_file(list->file), .task = get_task_struct(current),
		.index = index, .nr_pages = nr_pages,
	};
	WRITE_ONCE(q->max_requests, max_requests);
	smp_store_release(&q->tail, tail + 1);
	if (!xchg(&q->awake, true))
		irq_work_queue(&q->irq_work);
	return 0;
}

/**
 * bpf_page2cache_queue_drop() - release a queue
 * @q: of bpf_page2cache_queue_new(); hints in it may be forgotten
 *
 * May be called anywhere.
 */
__bpf_kfunc void bpf_page2cache_queue_drop(struct bpf_page2cache_queue *q)
{
	WRITE_ONCE(q->dropped, true);
	if (!xchg(&q->awake, true))
		irq_work_queue(&q->irq_work);
}

/* For the map that owns a queue: an element may be deleted anywhere, in NMI, too. */
__bpf_kfunc void bpf_page2cache_queue_drop_dtor(void *q)
{
	bpf_page2cache_queue_drop(q);
}
CFI_NOSEAL(bpf_page2cache_queue_drop_dtor);

__bpf_kfunc_end_defs();
