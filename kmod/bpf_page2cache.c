// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kfuncs with which BPF programs have lists of extents read into the page cache,
 * for kernels without the helper bpf_force_page2cache().
 *
 * An LSM program is given a file that can be relied on, by a task that opens or maps
 * it, and takes a list of it: bpf_page2cache_hold(). A program that sees a page
 * missed has only to name that list: bpf_page2cache_force(). In between the list
 * lies in a map, which owns it (bpf_kptr_xchg()).
 */
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/irq_work.h>
#include <linux/module.h>
#include <linux/wait_bit.h>

#include "compat.h"
/*
 * One source with the patches, down to the byte: mm/page2cache.c there. Its late_initcall()
 * would be the module's own init function, which calls page2cache_init() itself.
 */
#undef late_initcall
#define late_initcall(init)
#include "page2cache.c"

struct bpf_page2cache_list {
	struct file *file;
	struct bpf_map *map;
	u64 first;		/* element of the map: the head */
	struct task_struct *task;	/* that missed page index, and pays */
	u64 index;
	struct irq_work irq_work;
	struct work_struct work;
};

/* Lists on their way from the program that forces them to the worker. */
static atomic_t under_way;

static void list_free(struct bpf_page2cache_list *list)
{
	bpf_map_put(list->map);
	fput(list->file);
	kfree(list);
}

/* Reads what @task has missed in its place, then as the helper does. */
static void list_work(struct work_struct *work)
{
	struct bpf_page2cache_list *list = container_of(work, struct bpf_page2cache_list, work);
	struct cgroup_subsys_state *memcg = task_get_css(list->task, memory_cgrp_id);
	struct cgroup_subsys_state *blkcg = task_get_css(list->task, io_cgrp_id);
	struct mem_cgroup *old = set_active_memcg(mem_cgroup_from_css(memcg));

	kthread_associate_blkcg(blkcg);
	force_page2cache(list->task, list->file, list->map, list->first, list->index);
	kthread_associate_blkcg(NULL);
	set_active_memcg(old);
	css_put(memcg);
	css_put(blkcg);
	put_task_struct(list->task);
	irq_work_sync(&list->irq_work);
	list_free(list);
	if (atomic_dec_and_test(&under_way))
		wake_up_var(&under_way);
}

/* Programs may run under any lock, that of a workqueue included. */
static void list_irq_work(struct irq_work *irq_work)
{
	struct bpf_page2cache_list *list = container_of(irq_work, struct bpf_page2cache_list,
							irq_work);

	queue_work(prefetch_wq, &list->work);
}

__bpf_kfunc_start_defs();

/**
 * bpf_page2cache_hold() - have a list of a file at hand
 * @file: of whose pages it is; open for reading
 * @p__map: mmapable array of struct bpf_page2cache_extent
 * @first: element where the list begins, with a struct bpf_page2cache
 *
 * Does not sleep. LSM programs only.
 *
 * Return: the list, to be given to bpf_page2cache_force() or bpf_page2cache_drop(), or
 * NULL if there is no file, no memory, or a map with kernel pointers. Whether file and
 * map are such that can be used is found out when the list is forced; if not, its state
 * stays BPF_PAGE2CACHE_IDLE.
 */
__bpf_kfunc struct bpf_page2cache_list *bpf_page2cache_hold(struct file *file, void *p__map,
							    u64 first)
{
	struct bpf_page2cache_list *list;
	struct bpf_map *map = p__map;

	/*
	 * Of an anonymous mapping there is no file, which the verifier of 6.12 does not know.
	 * A map that can own lists could own this one: neither would ever go.
	 */
	if (!file || !IS_ERR_OR_NULL(map->record))
		return NULL;
	list = kzalloc(sizeof(*list), GFP_NOWAIT | __GFP_NOWARN);
	if (!list)
		return NULL;
	init_irq_work(&list->irq_work, list_irq_work);
	INIT_WORK(&list->work, list_work);
	bpf_map_inc(map);
	list->file = get_file(file);
	list->map = map;
	list->first = first;
	return list;
}

/**
 * bpf_page2cache_force() - have a list read into the page cache, by a worker
 * @list: of bpf_page2cache_hold(); it is released
 * @index: page that the current task has missed, U64_MAX if it has not
 *
 * The memory and the I/O are the current task's. What becomes of it stands in the list's
 * struct bpf_page2cache. Does not sleep.
 */
__bpf_kfunc void bpf_page2cache_force(struct bpf_page2cache_list *list, u64 index)
{
	list->task = get_task_struct(current);
	list->index = index;
	atomic_inc(&under_way);
	irq_work_queue(&list->irq_work);
}

/**
 * bpf_page2cache_drop() - release a list
 * @list: of bpf_page2cache_hold()
 */
__bpf_kfunc void bpf_page2cache_drop(struct bpf_page2cache_list *list)
{
	list_free(list);
}

/* For the map that owns one. */
__bpf_kfunc void bpf_page2cache_drop_dtor(void *list)
{
	list_free(list);
}
CFI_NOSEAL(bpf_page2cache_drop_dtor);

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(page2cache_kfuncs)
BTF_ID_FLAGS(func, bpf_page2cache_hold, KF_ACQUIRE | KF_RET_NULL | KF_TRUSTED_ARGS)
BTF_ID_FLAGS(func, bpf_page2cache_force, KF_RELEASE)
BTF_ID_FLAGS(func, bpf_page2cache_drop, KF_RELEASE)
BTF_KFUNCS_END(page2cache_kfuncs)

BTF_ID_LIST_SINGLE(force_id, func, bpf_page2cache_force)

/*
 * The set for tracing programs serves LSM programs, too, and programs of perf events,
 * which may run in NMI. Forcing only has a worker woken, that can be done anywhere, in a
 * kprobe, too; to hold and to drop a list takes and gives back files and maps.
 */
static int page2cache_filter(const struct bpf_prog *prog, u32 kfunc_id)
{
	switch (prog->type) {
	case BPF_PROG_TYPE_LSM:
		return 0;
	case BPF_PROG_TYPE_TRACING:
	case BPF_PROG_TYPE_TRACEPOINT:
	case BPF_PROG_TYPE_KPROBE:
		return kfunc_id == *force_id ? 0 : -EACCES;
	default:
		return -EACCES;
	}
}

static const struct btf_kfunc_id_set page2cache_set = {
	.owner = THIS_MODULE,
	.set = &page2cache_kfuncs,
	.filter = page2cache_filter,
};

BTF_ID_LIST(page2cache_dtor_ids)
BTF_ID(struct, bpf_page2cache_list)
BTF_ID(func, bpf_page2cache_drop_dtor)

static int __init module_begin(void)
{
	const struct btf_id_dtor_kfunc dtors[] = {
		{ .btf_id = page2cache_dtor_ids[0], .kfunc_btf_id = page2cache_dtor_ids[1] },
	};
	int error;

	error = page2cache_init();
	if (error)
		return error;
	error = register_btf_id_dtor_kfuncs(dtors, ARRAY_SIZE(dtors), THIS_MODULE);
	error = error ?: register_btf_kfunc_id_set(BPF_PROG_TYPE_TRACING, &page2cache_set);
	error = error ?: register_btf_kfunc_id_set(BPF_PROG_TYPE_KPROBE, &page2cache_set);
	if (error)
		destroy_workqueue(prefetch_wq);
	return error;
}

/*
 * Nobody refers to the module any more: lists that are left end early (-EOWNERDEAD), at their
 * next turn. A list that waits for one has a timer, which is not seen by destroy_workqueue().
 */
static void __exit module_end(void)
{
	bool left;

	wait_var_event(&under_way, !atomic_read(&under_way));
	do {
		spin_lock(&prefetches_lock);
		left = !list_empty(&prefetches);
		spin_unlock(&prefetches_lock);
		if (left)
			msleep(20);
	} while (left);
	destroy_workqueue(prefetch_wq);
}

module_init(module_begin);
module_exit(module_end);

MODULE_DESCRIPTION("Kfuncs to read lists of extents into the page cache");
MODULE_LICENSE("GPL");
