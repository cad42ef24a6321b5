// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "force/force_bpf.h"
#include "force/module_list.h"
#include "hook/attach.h"
#include "shared.h"
#include "pcforce.skel.h"

#define MODULE "bpf_page2cache"

/* The least of what this engine needs of the verifier. */
static char *verifier_refused(void)
{
	struct pcforce_bpf *skel = force_bpf_skeleton("map_file");
	int err;

	if (!skel)
		return xasprintf("opening the program: %s", strerror(errno));
	skel->rodata->kfunc = true;
	err = bpf_map__set_autocreate(skel->maps.held, true);
	err = err ? err : pcforce_bpf__load(skel);
	pcforce_bpf__destroy(skel);
	return err ? xasprintf("the verifier does not accept the functions of the module " MODULE
			       ": %s",
			       strerror(-err))
		   : NULL;
}

char *module_refused(void)
{
	char *why;

	if (access("/sys/module/" MODULE, F_OK))
		return xstrdup("the module " MODULE " is not loaded: modprobe " MODULE
			       " (kmod/README says how to build it, for Linux 6.12 and later)");
	why = hook_refused("lsm/mmap_file");
	if (why)
		return why;
	if (access("/sys/kernel/btf/" MODULE, F_OK))
		return xstrdup("the module " MODULE
			       " has no types (BTF): build it again, make kmod "
			       "says what that takes");
	return verifier_refused();
}

static bool on_overlay(const struct list_file *lf)
{
	struct statfs fs;

	return lf->state == LIST_READY && !fstatfs(lf->target.fd, &fs) &&
	       fs.f_type == OVERLAYFS_SUPER_MAGIC;
}

char *module_refuses(const struct list *l)
{
	char *why, *text;
	size_t i;

	for (i = 0; i < l->nr_files && !on_overlay(&l->files[i]); i++)
		;
	if (i == l->nr_files)
		return NULL;
	why = hook_refused("lsm/mmap_backing_file");
	if (!why)
		return NULL;
	text = xasprintf("%s: on an overlay, whose files the module is not given here: "
			 "lsm/mmap_backing_file: %s",
			 l->files[i].target.path, why);
	free(why);
	return text;
}

/* mmap() the file ourselves so that the LSM program runs; own_map tells it what to do then. */
static int map_for(struct pcforce_bpf *skel, const struct list_file *lf, enum p2c_own_map what)
{
	__u32 before = skel->bss->own_held;
	void *at;
	int err;

	__atomic_store_n(&skel->bss->own_map, what, __ATOMIC_SEQ_CST);
	at = mmap(NULL, page_size(), PROT_READ, MAP_SHARED, lf->target.fd, 0);
	err = at == MAP_FAILED ? -errno : munmap(at, page_size());
	__atomic_store_n(&skel->bss->own_map, OWN_MAP_NOTHING, __ATOMIC_SEQ_CST);
	if (err)
		return err;
	return __atomic_load_n(&skel->bss->own_held, __ATOMIC_SEQ_CST) == before ? -EOPNOTSUPP : 0;
}

int module_list_hold(struct pcforce_bpf *skel, const struct list_file *lf)
{
	return map_for(skel, lf, OWN_MAP_HOLDS);
}

int module_list_force(struct pcforce_bpf *skel, const struct list_file *lf)
{
	return map_for(skel, lf, OWN_MAP_FORCES);
}
