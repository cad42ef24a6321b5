/* SPDX-License-Identifier: GPL-2.0-only */
/* For kernels without the patches; one that has them brings its own, which is found first. */
#ifndef _LINUX_PAGE2CACHE_H
#define _LINUX_PAGE2CACHE_H

#include <linux/types.h>

struct bpf_map;
struct file;
struct task_struct;

int force_page2cache(struct task_struct *task, struct file *file, struct bpf_map *map,
		     u64 first, bool missed);

#endif /* _LINUX_PAGE2CACHE_H */
