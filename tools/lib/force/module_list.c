// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "force/force_bpf.h"
#include "force/module_list.h"
#include "hook/lockdown.h"
#include "shared.h"
#include "pcforce.skel.h"

#define MODULE "bpf_page2cache"

int module_list_configure(struct pcforce_bpf *skel)
{
	int err = bpf_program__set_autoload(skel->progs.take_list, true);

	skel->rodata->kfunc = true;
	return err ? err : bpf_map__set_autocreate(skel->maps.held, true);
}

/* The least of what this engine needs of the verifier. */
static char *verifier_refused(void)
{
	struct pcforce_bpf *skel = force_bpf_skeleton("take_list");
	int err;

	if (!skel)
		return xasprintf("cannot open the BPF program: %s", strerror(errno));
	err = module_list_configure(skel);
	err = err ? err : pcforce_bpf__load(skel);
	pcforce_bpf__destroy(skel);
	return err ? xasprintf("the verifier does not accept the functions of the module " MODULE
			       ": %s",
			       strerror(-err))
		   : NULL;
}

char *module_refused(void)
{
	char *why, *text;

	if (access("/sys/module/" MODULE, F_OK)) {
		why = unsigned_module_refused();
		text = xasprintf("the module " MODULE " is not loaded: %s (kmod/README says how to "
				 "%s it, for Linux 6.12 and later)",
				 why ? why : "modprobe " MODULE, why ? "sign" : "build");
		free(why);
		return text;
	}
	if (access("/sys/kernel/btf/" MODULE, F_OK))
		return xstrdup("the module " MODULE
			       " has no types (BTF): build it again, make kmod "
			       "says what that takes");
	return verifier_refused();
}

int module_list_take(struct pcforce_bpf *skel, const struct list_file *lf, uint64_t first, bool now)
{
	struct p2c_take_list take = {
		.fd = lf->target.fd,
		.slot = lf->target.slot,
		.first = first,
		.now = now,
	};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &take, .ctx_size_in = sizeof(take));
	int err = bpf_prog_test_run_opts(bpf_program__fd(skel->progs.take_list), &opts);

	return err ? err : (int)opts.retval;
}
