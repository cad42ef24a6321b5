/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Lists that the module bpf_page2cache (kmod/) has at hand, for a kernel that is not
 * patched: engine `kfunc`.
 *
 * The module reads only files that the kernel itself vouches for: those that an LSM
 * program is called with. So we map each file of the list, and the program has the
 * module hold its list, for the program that will see a page missed.
 */
#ifndef PAGE2CACHE_MODULE_LIST_H
#define PAGE2CACHE_MODULE_LIST_H

#include "list/list.h"

struct pcforce_bpf;

/* Why the module is of no use here, and what brings it; to be freed. NULL: it is. */
char *module_refused(void);
/* Which of the files it cannot be given here, and why; to be freed. NULL: it can, all. */
char *module_refuses(const struct list *l);

/* Have the module hold the list of a file, until a page of it is missed. 0 or -errno. */
int module_list_hold(struct pcforce_bpf *skel, const struct list_file *lf);
/* Have it force the list at once. Returns 0 or -errno. */
int module_list_force(struct pcforce_bpf *skel, const struct list_file *lf);

#endif
