/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Engine `kfunc`: as engine `helper`, by the functions that the module
 * bpf_page2cache brings to a kernel that is not patched (kmod/).
 *
 * The module reads only files that the kernel itself vouches for, those that an LSM
 * program is called with. So we map each file of the list: the program has the module
 * hold it, for the program that will see a page missed.
 */
#ifndef PAGE2CACHE_KFUNC_H
#define PAGE2CACHE_KFUNC_H

#include "list/list.h"

struct helper;
struct pcforce_bpf;

/* Why there is no such engine here, and what brings it; to be freed. NULL: there is one. */
char *kfunc_refused(void);

/* Which of the files it cannot read here, and why; to be freed. NULL: it can read all. */
char *kfunc_refuses(const struct list *l);

/* Between open and load: what of the object is not needed without the module. */
void kfunc_leave_out(struct pcforce_bpf *skel);

/* The list of a file may be forced, as soon as a page of it is missed. Returns 0 or -errno. */
int kfunc_hold(const struct helper *h, const struct list_file *lf);
/* It is forced at once. Returns 0 or -errno. */
int kfunc_force(const struct helper *h, const struct list_file *lf);

#endif
