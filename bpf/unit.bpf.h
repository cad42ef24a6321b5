/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The cgroup of a systemd unit, from its start to its stop. systemd makes one at each start and
 * puts the unit's first process into it afterwards: so no access is missed.
 */
#ifndef PAGE2CACHE_UNIT_BPF_H
#define PAGE2CACHE_UNIT_BPF_H

#include "tasks.bpf.h"

#define MAX_CGROUP_DEPTH 64

static const char slice[8] = ".slice";

/* Zero up to its end, so that it can be compared in words. */
struct p2c_unit_name {
	__u64 words[UNIT_NAME / 8];
};

/*
 * The name of a cgroup's folder, without the _ that systemd puts before one which the kernel has
 * a use for. Returns whether it ends as those of slices do.
 */
static __always_inline bool read_folder(struct cgroup *g, struct p2c_unit_name *name)
{
	const char *from = BPF_CORE_READ(g, kn, name);
	char first = 0;
	__u64 end = 0;
	long len;

	__builtin_memset(name, 0, sizeof(*name));
	bpf_probe_read_kernel(&first, 1, from);
	from += first == '_';
	len = bpf_probe_read_kernel_str(name, sizeof(*name), from);
	if (len < (long)sizeof(".slice"))
		return false;
	bpf_probe_read_kernel(&end, sizeof(".slice"), from + len - sizeof(".slice"));
	return end == *(const __u64 *)slice;
}

/* A global function: the verifier sees the loop once. */
__noinline int is_unit_name(const struct p2c_unit_name *name, __u32 i)
{
	const __u64 *wanted;
	__u64 differ = 0;
	int k;

	if (!name || i >= UNIT_DEPTH)
		return 0;
	wanted = (const __u64 *)cfg.unit[i];
	for (k = 0; k < UNIT_NAME / 8; k++)
		differ |= name->words[k] ^ wanted[k];
	return !differ;
}

/* Beside version 2 there may be hierarchies of version 1, in which systemd makes the same folders. */
static __always_inline bool is_v2(struct cgroup *cgroup)
{
	return !BPF_CORE_READ(cgroup, root, hierarchy_id);
}

/*
 * Is it the unit's own cgroup? Between those that are named there are slices only, as systemd
 * may put a unit into any: a group that a service or container has made for itself is none.
 */
static __always_inline bool is_unit(struct cgroup *cgroup)
{
	__u32 level = BPF_CORE_READ(cgroup, level), top = watch.top_level, left = cfg.unit_depth;
	struct cgroup *g = cgroup;
	struct p2c_unit_name name;
	bool is_slice;
	int i;

	for (i = 0; i < MAX_CGROUP_DEPTH && g && level > top; i++, level--) {
		is_slice = read_folder(g, &name);
		if (left && is_unit_name(&name, left - 1))
			left--;
		else if (g == cgroup || !is_slice)
			return false;
		g = (void *)BPF_CORE_READ(g, self.parent);
	}
	return i && level == top && !left;
}

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(unit_start, struct cgroup *cgroup)
{
	if (!is_v2(cgroup) || !is_unit(cgroup))
		return 0;
	watch.cgroup_level = BPF_CORE_READ(cgroup, level);
	watch.cgroup_id = BPF_CORE_READ(cgroup, kn, id);
	/* Last: a unit that has a start but no cgroup is over. */
	watch.unit_ns = clock_now();
	return 0;
}

SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(unit_stop, struct cgroup *cgroup)
{
	if (is_v2(cgroup) && BPF_CORE_READ(cgroup, kn, id) == watch.cgroup_id)
		watch.cgroup_id = 0;
	return 0;
}

/* The number and level of a cgroup whose folder the user side has open. */
SEC("iter/cgroup")
int cgroup_place(struct bpf_iter__cgroup *ctx)
{
	struct cgroup *cgroup = ctx->cgroup;
	struct p2c_cgroup_place place = { 0 };

	if (!cgroup)
		return 0;
	place.id = BPF_CORE_READ(cgroup, kn, id);
	place.level = BPF_CORE_READ(cgroup, level);
	bpf_seq_write(ctx->meta->seq, &place, sizeof(place));
	return 0;
}

#endif
