/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The few of the kernel's types that an object of BPF programs asks for.
 *
 * For each kind of kernel object that a program touches, libbpf compares names
 * with all types of the kernel: 126,000 of them, 0.4 ms a kind. That is most of
 * what opening a tool takes. Given a BTF of those few, it compares with these.
 */
#ifndef PAGE2CACHE_TYPES_H
#define PAGE2CACHE_TYPES_H

#include <stdbool.h>

#include <bpf/libbpf.h>

/* With what to open an object whose types are written by types_write(). */
const struct bpf_object_open_opts *types_open_opts(void);

/* Is a btrfs mounted? Its types may be those of a module. */
bool types_btrfs_mounted(void);

/* Between open and load, with kernel_btf() at hand. Returns 0 or -errno. */
int types_write(const struct bpf_object *obj);

#endif
