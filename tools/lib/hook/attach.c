// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "hook/attach.h"
#include "base/util.h"

const char *const hook_kind_names[NR_HOOK_KINDS] = { "tp", "fentry", "kprobe", "classic" };

static const struct {
	const char *prefix;
	enum hook_kind kind;
} sections[] = {
	{ "tp_btf/", HOOK_TP },	      { "fentry/", HOOK_FENTRY }, { "fexit/", HOOK_FENTRY },
	{ "fentry.s/", HOOK_FENTRY }, { "kprobe/", HOOK_KPROBE }, { "kretprobe/", HOOK_KPROBE },
	{ "tp/", HOOK_CLASSIC },
};

int hook_kind(const char *section)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sections); i++) {
		if (!strncmp(section, sections[i].prefix, strlen(sections[i].prefix)))
			return sections[i].kind;
	}
	return -1;
}

const struct btf *kernel_btf(char **why)
{
	static struct btf *btf;

	if (!btf)
		btf = btf__load_vmlinux_btf();
	if (!btf)
		*why = xstrdup("this kernel shows no BTF (/sys/kernel/btf/vmlinux): it needs one "
			       "built with CONFIG_DEBUG_INFO_BTF");
	return btf;
}

/* A BTF tracepoint exists if the kernel has the type of its handlers. */
static char *tracepoint_refused(const struct btf *btf, const char *name)
{
	char type[128];

	snprintf(type, sizeof(type), "btf_trace_%s", name);
	if (btf__find_by_name_kind(btf, type, BTF_KIND_TYPEDEF) > 0)
		return NULL;
	return xstrdup("this kernel has no such tracepoint");
}

/* The smallest program there is: only the kernel knows what it allows. */
static char *program_refused(const struct btf *btf, const char *function, enum bpf_prog_type type,
			     struct bpf_prog_load_opts *opts)
{
	static const struct bpf_insn nothing[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int id = btf__find_by_name_kind(btf, function, BTF_KIND_FUNC), prog;

	if (id < 0)
		return xstrdup("this kernel has no such function (inlined or renamed)");
	opts->attach_btf_id = id;
	prog = bpf_prog_load(type, NULL, "GPL", nothing, ARRAY_SIZE(nothing), opts);
	if (prog < 0)
		return xasprintf("this kernel refuses BPF programs there: %s%s", strerror(-prog),
				 prog == -EPERM ? " (lockdown, or no CAP_PERFMON)" : "");
	close(prog);
	return NULL;
}

static bool is_off(const char *path)
{
	FILE *f = fopen(path, "re");
	bool off = f && fgetc(f) == '0';

	if (f)
		fclose(f);
	return off;
}

/* Through ftrace the kernel calls programs of fentry and of kprobes at a function's entry. */
static char *ftrace_refused(void)
{
	/* Programs can still be attached, but are never called. */
	if (is_off("/proc/sys/kernel/ftrace_enabled"))
		return xstrdup("ftrace is switched off: set kernel.ftrace_enabled to 1 (sysctl)");
	return NULL;
}

static char *fentry_refused(const struct btf *btf, const char *function, bool sleepable)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_TRACE_FENTRY,
		    .prog_flags = sleepable ? BPF_F_SLEEPABLE : 0);
	char *why = ftrace_refused();

	return why ? why : program_refused(btf, function, BPF_PROG_TYPE_TRACING, &opts);
}

/* The number of the kernel's kind of perf event; -1 without kprobes. */
static int kprobe_type(void)
{
	FILE *f = fopen("/sys/bus/event_source/devices/kprobe/type", "re");
	int type;

	if (!f)
		return -1;
	if (fscanf(f, "%d", &type) != 1)
		type = -1;
	fclose(f);
	return type;
}

/* EVENT: GROUP/NAME. */
static char *classic_refused(const char *event)
{
	static const char *const places[] = { "/sys/kernel/tracing", "/sys/kernel/debug/tracing" };
	char path[256];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(places); i++) {
		snprintf(path, sizeof(path), "%s/events/%s/id", places[i], event);
		if (!access(path, R_OK))
			return NULL;
	}
	return xstrdup("this kernel has no such tracepoint, or tracefs is not mounted");
}

static char *kprobe_refused(const char *function)
{
	struct perf_event_attr attr = { .size = sizeof(attr) };
	int type = kprobe_type(), fd;
	char *why;

	if (type < 0)
		return xstrdup("this kernel is built without kprobes");
	/* Only this file tells that the programs of kprobes are never called. */
	if (is_off("/sys/kernel/debug/kprobes/enabled"))
		return xstrdup("kprobes are switched off: write 1 to "
			       "/sys/kernel/debug/kprobes/enabled");
	why = ftrace_refused();
	if (why)
		return why;
	attr.type = type;
	attr.config1 = (uintptr_t)function;
	fd = syscall(__NR_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd >= 0) {
		close(fd);
		return NULL;
	}
	if (errno == ENOENT)
		return xstrdup("this kernel has no such function (inlined or renamed)");
	return xasprintf("this kernel refuses kprobes there: %s", strerror(errno));
}

char *hook_refused(const char *section)
{
	const char *name = strchr(section, '/');
	char *why;
	const struct btf *btf = kernel_btf(&why);

	if (!btf)
		return why;
	switch (hook_kind(section)) {
	case HOOK_TP:
		return tracepoint_refused(btf, name + 1);
	case HOOK_FENTRY:
		return fentry_refused(btf, name + 1, name[-1] == 's');
	case HOOK_KPROBE:
		return kprobe_refused(name + 1);
	case HOOK_CLASSIC:
		return classic_refused(name + 1);
	default:
		return xasprintf("%s: not a kind of hook that this program knows", section);
	}
}
