// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kfuncs with which BPF programs have lists of extents read into the page cache,
 * for kernels without the helper bpf_force_page2cache().
 *
 * A process that has a file open runs a program which takes a list of that file,
 * bpf_page2cache_hold_fd(), and leaves the list in a map, which owns it
 * (bpf_kptr_xchg()). A program that sees a page missed takes the list out of the map
 * and names it: bpf_page2cache_force(). So no program ever hands over a file that
 * nobody holds.
 *
 * The last two functions may be called anywhere, in NMI, too: they do nothing but
 * queue an irq_work.
 */
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/irq_work.h>
#include <linux/magic.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/rcupdate.h>

#include "compat.h"
/* One source with the patches, down to the byte: mm/page2cache.c there. Its initcall is ours. */
#undef late_initcall
#define late_initcall(function)
#include "page2cache.c"

/* Each list pins the module, from bpf_page2cache_hold_fd() to list_free(). */
struct bpf_page2cache_list {
	struct file *file;
	struct bpf_map *map;	/* with its write count: it cannot be frozen */
	u64 first;		/* element of the map: the head */
	struct task_struct *task; /* pays; NULL: the list is dropped */
	bool missed;		/* the task has missed a page, which it reads itself */
	struct irq_work irq_work;
	struct work_struct work;
};

/* Begins with the list for the task, as the helper would. */
static void list_begin(struct bpf_page2cache_list *list)
{
	struct bpf_array *array = container_of(list->map, struct bpf_array, map);
	struct bpf_page2cache *head = (void *)array->value + list->first * list->map->value_size;
	int error = force_page2cache(list->task, list->file, list->map, list->first,
				     list->missed);

	/* The state stays BPF_PAGE2CACHE_IDLE: user space learns why. */
	if (error)
		WRITE_ONCE(head->error, error);
	put_task_struct(list->task);
}

static void list_free(struct work_struct *work)
{
	struct bpf_page2cache_list *list = container_of(work, struct bpf_page2cache_list, work);

	if (list->task)
		list_begin(list);
	fput(list->file);
	prefetch_put_map(list->map);
	irq_work_sync(&list->irq_work);
	kfree(list);
	module_put(THIS_MODULE);
}

/* Programs may run under any lock, that of a workqueue included: this runs under none. */
static void list_irq_work(struct irq_work *irq_work)
{
	struct bpf_page2cache_list *list = container_of(irq_work, struct bpf_page2cache_list,
							irq_work);

	queue_work(prefetch_wq, &list->work);
}

/* The file that has the pages of an overlay's: a mapping of that refers to it. */
static struct file *overlay_file(struct file *file)
{
	struct mm_struct *mm = current->mm;
	struct file *real = ERR_PTR(-EOPNOTSUPP);
	struct vm_area_struct *vma;
	unsigned long at;

	if (!mm)
		return real;
	at = vm_mmap(file, 0, PAGE_SIZE, PROT_READ, MAP_PRIVATE, 0);
	if (IS_ERR_VALUE(at))
		return ERR_PTR(at);
	/* If another thread maps something else there meanwhile, the process gets that. */
	mmap_read_lock(mm);
	vma = vma_lookup(mm, at);
	if (vma && vma->vm_file)
		real = get_file(vma->vm_file);
	mmap_read_unlock(mm);
	vm_munmap(at, PAGE_SIZE);
	return real;
}

/* A reference of the file that is open as @fd, if it can be read ahead. */
static struct file *list_file(int fd)
{
	struct file *file = fget(fd), *real;

	if (!file)
		return ERR_PTR(-EBADF);
	if (file_inode(file)->i_sb->s_magic == OVERLAYFS_SUPER_MAGIC) {
		real = overlay_file(file);
		fput(file);
		if (IS_ERR(real))
			return real;
		file = real;
	}
	if (prefetch_takes_file(file))
		return file;
	fput(file);
	return ERR_PTR(-EOPNOTSUPP);
}

/* A list without its file, which takes over the reference of the map. */
static struct bpf_page2cache_list *list_alloc(struct bpf_map *map, u64 first)
{
	struct bpf_page2cache_list *list = kzalloc(sizeof(*list), GFP_KERNEL_ACCOUNT);

	if (!list)
		return NULL;
	__module_get(THIS_MODULE);
	init_irq_work(&list->irq_work, list_irq_work);
	INIT_WORK(&list->work, list_free);
	list->map = map;
	list->first = first;
	return list;
}

__bpf_kfunc_start_defs();

/**
 * bpf_page2cache_hold_fd() - have a list of a file at hand
 * @fd: descriptor of the process that runs the program: a regular file, open for reading
 * @p__map: mmapable array of struct bpf_page2cache_extent
 * @first: element where the list begins, with a struct bpf_page2cache
 * @error: is set to 0, or to the reason: -EBADF: no such descriptor, -EOPNOTSUPP: the file
 * cannot be read ahead, -EINVAL: no such list or map, -EPERM: the map is frozen, -ENOENT:
 * the map is being freed, -ENOMEM, or what mapping a file of an overlay has failed with
 *
 * Programs of type BPF_PROG_TYPE_SYSCALL only. While a list is held, its map cannot be
 * frozen. Of an overlay the file that has the pages is held.
 *
 * Return: the list, to be given to bpf_page2cache_force() or bpf_page2cache_drop(), or NULL.
 */
__bpf_kfunc struct bpf_page2cache_list *bpf_page2cache_hold_fd(int fd, void *p__map, u64 first,
							       int *error)
{
	struct bpf_page2cache_list *list;
	struct bpf_map *map = p__map;
	struct file *file;

	/* A map that can own lists could own this one: neither would ever go. */
	*error = -EINVAL;
	if (!prefetch_takes_map(map) || first > map->max_entries - HEAD_EXTENTS)
		return NULL;
	file = list_file(fd);
	if (IS_ERR(file)) {
		*error = PTR_ERR(file);
		return NULL;
	}
	*error = prefetch_get_map(map);
	if (*error)
		goto put_file;
	list = list_alloc(map, first);
	if (list) {
		list->file = file;
		return list;
	}
	*error = -ENOMEM;
	prefetch_put_map(map);
put_file:
	fput(file);
	return NULL;
}

/**
 * bpf_page2cache_force() - have a list read into the page cache, by a worker
 * @list: of bpf_page2cache_hold_fd(); it is released
 * @index: page that the current task has missed, U64_MAX if it has not
 *
 * The memory and the I/O are the current task's; in an interrupt, those of the task that
 * was interrupted. A task that has missed a page reads it itself; the worker begins when the
 * task goes back to user mode, or after two ticks. What becomes of the list stands in its
 * struct bpf_page2cache: if it does not begin, the state stays
 * BPF_PAGE2CACHE_IDLE, and error says why: -EINVAL: the list is longer than its map, -EBUSY:
 * the list is running, -EAGAIN: too many lists of the map are running, -ENOMEM. May be called
 * anywhere.
 */
__bpf_kfunc void bpf_page2cache_force(struct bpf_page2cache_list *list, u64 index)
{
	list->task = get_task_struct(current);
	list->missed = index != U64_MAX;
	irq_work_queue(&list->irq_work);
}

/**
 * bpf_page2cache_drop() - release a list
 * @list: of bpf_page2cache_hold_fd()
 *
 * May be called anywhere.
 */
__bpf_kfunc void bpf_page2cache_drop(struct bpf_page2cache_list *list)
{
	irq_work_queue(&list->irq_work);
}

/* For the map that owns a list: an element may be deleted anywhere, in NMI, too. */
__bpf_kfunc void bpf_page2cache_drop_dtor(void *list)
{
	bpf_page2cache_drop(list);
}
CFI_NOSEAL(bpf_page2cache_drop_dtor);

__bpf_kfunc_end_defs();

#include "hints.c"

/* Kfuncs for programs that a process runs, and that may sleep. */
BTF_KFUNCS_START(page2cache_run_kfuncs)
BTF_ID_FLAGS(func, bpf_page2cache_hold_fd,
	     KF_ACQUIRE | KF_RET_NULL | KF_SLEEPABLE | KF_TRUSTED_ARGS)
BTF_ID_FLAGS(func, bpf_page2cache_force, KF_RELEASE)
BTF_ID_FLAGS(func, bpf_page2cache_drop, KF_RELEASE)
BTF_ID_FLAGS(func, bpf_page2cache_queue_new, KF_ACQUIRE | KF_RET_NULL | KF_SLEEPABLE)
BTF_ID_FLAGS(func, bpf_page2cache_queue_drop, KF_RELEASE)
BTF_KFUNCS_END(page2cache_run_kfuncs)

/* Kfuncs for programs at a hook. */
BTF_KFUNCS_START(page2cache_hook_kfuncs)
BTF_ID_FLAGS(func, bpf_page2cache_force, KF_RELEASE)
BTF_ID_FLAGS(func, bpf_page2cache_drop, KF_RELEASE)
BTF_ID_FLAGS(func, bpf_page2cache_hint, KF_TRUSTED_ARGS)
BTF_ID_FLAGS(func, bpf_page2cache_queue_drop, KF_RELEASE)
BTF_KFUNCS_END(page2cache_hook_kfuncs)

static const struct btf_kfunc_id_set page2cache_run_set = {
	.owner = THIS_MODULE,
	.set = &page2cache_run_kfuncs,
};

static const struct btf_kfunc_id_set page2cache_hook_set = {
	.owner = THIS_MODULE,
	.set = &page2cache_hook_kfuncs,
};

BTF_ID_LIST(page2cache_dtor_ids)
BTF_ID(struct, bpf_page2cache_list)
BTF_ID(func, bpf_page2cache_drop_dtor)
BTF_ID(struct, bpf_page2cache_queue)
BTF_ID(func, bpf_page2cache_queue_drop_dtor)

static int __init bpf_page2cache_init(void)
{
	const struct btf_id_dtor_kfunc dtors[] = {
		{ .btf_id = page2cache_dtor_ids[0], .kfunc_btf_id = page2cache_dtor_ids[1] },
		{ .btf_id = page2cache_dtor_ids[2], .kfunc_btf_id = page2cache_dtor_ids[3] },
	};
	int error = page2cache_init();

	if (error)
		return error;
	error = register_btf_id_dtor_kfuncs(dtors, ARRAY_SIZE(dtors), THIS_MODULE);
	error = error ?: register_btf_kfunc_id_set(BPF_PROG_TYPE_SYSCALL, &page2cache_run_set);
	error = error ?: register_btf_kfunc_id_set(BPF_PROG_TYPE_TRACING, &page2cache_hook_set);
	error = error ?: register_btf_kfunc_id_set(BPF_PROG_TYPE_KPROBE, &page2cache_hook_set);
	if (error)
		destroy_workqueue(prefetch_wq);
	return error;
}

/* Has what is being read end early, whether or not a process still has its map. */
static bool lists_run(void)
{
	struct prefetch *p;
	bool run;

	spin_lock(&prefetches_lock);
	list_for_each_entry(p, &prefetches, node)
		WRITE_ONCE(p->count.error, -EOWNERDEAD);
	run = !list_empty(&prefetches);
	spin_unlock(&prefetches_lock);
	return run;
}

/*
 * Nobody refers to the module any more: neither a program, nor a map that can own lists, nor
 * a list (bpf_page2cache_list). What is left is what they have begun, and the end of functions
 * that have released the last reference:
 *
 * - Workers. What is read is only ever queued until it has left the list of what runs; then
 *   destroy_workqueue() waits for the worker itself.
 * - prefetch_resume() in a task that was preempted on its way out of it, which does not sleep
 *   there: synchronize_rcu_tasks() waits until each task has slept or was in user mode.
 * - list_free() after it has released the reference: destroy_workqueue() waits for that, too.
 *
 * list_irq_work() has returned: list_free() waits for it before that.
 */
static void __exit bpf_page2cache_exit(void)
{
	while (lists_run())
		msleep(10);
	destroy_workqueue(prefetch_wq);
	synchronize_rcu_tasks();
}

module_init(bpf_page2cache_init);
module_exit(bpf_page2cache_exit);

MODULE_DESCRIPTION("Kfuncs to read lists of extents into the page cache");
MODULE_LICENSE("GPL");
