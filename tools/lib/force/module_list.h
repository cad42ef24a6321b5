/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Lists that the module bpf_page2cache (kmod/) has at hand, for a kernel that is not
 * patched: engine `kfunc`.
 *
 * We run a program that names a descriptor of ours to the module, which then holds the
 * list of that file for the program that will see a page missed.
 */
#ifndef PAGE2CACHE_MODULE_LIST_H
#define PAGE2CACHE_MODULE_LIST_H

#include "list/list.h"

struct pcforce_bpf;

/* Why the module is of no use here, and what brings it; to be freed. NULL: it is. */
char *module_refused(void);

/* The program that module_list_take() runs is loaded with the others. Returns 0 or -errno. */
int module_list_configure(struct pcforce_bpf *skel);
/*
 * Have the module hold the list of a file, whose head is at FIRST, until a page of the file is
 * missed; NOW: have it forced at once. Returns 0 or -errno.
 */
int module_list_take(struct pcforce_bpf *skel, const struct list_file *lf, uint64_t first,
		     bool now);

#endif
