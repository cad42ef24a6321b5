/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether this kernel has a hook and lets it be used: looked up in BTF, or tried. */
#ifndef PAGE2CACHE_ATTACH_H
#define PAGE2CACHE_ATTACH_H

#include <bpf/btf.h>

enum hook_kind {
	HOOK_TP,
	HOOK_FENTRY,
	HOOK_KPROBE,
	HOOK_CLASSIC, /* a tracepoint's record */
	NR_HOOK_KINDS,
};

extern const char *const hook_kind_names[NR_HOOK_KINDS];

/* Of a program's section, such as fexit/filemap_get_pages; -1 if it is none of these. */
int hook_kind(const char *section);

/*
 * The running kernel's types, read once and kept: it is some megabytes, 4 KiB a
 * read. NULL if the kernel shows none, *why says so (to be freed).
 */
const struct btf *kernel_btf(char **why);

/* Returns why a section's hook is of no use, to be freed, or NULL if it is usable. */
char *hook_refused(const char *section);

#endif
