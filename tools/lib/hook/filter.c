// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hook/cgroup.h"
#include "hook/filter.h"

/* The first namespace of users has a fixed inode number (include/linux/proc_ns.h). */
#define PROC_USER_INIT_INO 0xEFFFFFFDU

void filter_set(struct counters_options *to, const struct filter_options *f, bool command)
{
	/* Of a unit it is systemd that starts the processes, whatever COMMAND is. */
	to->tree = (command && !f->everybody && !f->unit.nr) || f->tree_pid;
	to->tree_pid = f->tree_pid;
	to->pid = f->pid;
	to->cgroup_dir = f->cgroup_dir;
	to->unit = f->unit.nr ? &f->unit : NULL;
	to->by_user = f->user != NULL;
	to->uid = f->uid;
}

static char *no_process(const char *option, uint64_t pid)
{
	return xasprintf("%s %llu: no such process", option, (unsigned long long)pid);
}

static bool is_gone(uint64_t pid)
{
	return pid && kill(pid, 0) && errno == ESRCH;
}

/* The kernel's programs see the numbers that users have in the first namespace. */
static bool users_are_renumbered(void)
{
	struct stat ns;

	return !stat("/proc/self/ns/user", &ns) && ns.st_ino != PROC_USER_INIT_INO;
}

bool filter_process_over(const struct filter_options *f)
{
	struct pollfd p = { .fd = f->pid_fd, .events = POLLIN };

	/* A process that nobody waits for keeps its number when it has ended. */
	if (f->pid_fd >= 0)
		return poll(&p, 1, 0) == 1;
	return is_gone(f->pid) || is_gone(f->tree_pid);
}

/* Take hold of the process of -p or -P. False: there is none. */
static bool hold_process(struct filter_options *f)
{
	uint64_t pid = f->pid ? f->pid : f->tree_pid;

	f->pid_fd = pid ? syscall(SYS_pidfd_open, (pid_t)pid, 0) : -1;
	if (!pid || f->pid_fd >= 0)
		return true;
	if (errno != EPERM && errno != ENOSYS)
		return false;
	say_verbose("process %llu: its end may be seen late: pidfd_open: %s",
		    (unsigned long long)pid, strerror(errno));
	return !is_gone(pid);
}

enum status filter_check(struct filter_options *f)
{
	char *why = NULL;
	int fd;

	if (!hold_process(f))
		return fail_with(f->pid ? no_process("-p", f->pid) : no_process("-P", f->tree_pid),
				 STATUS_BAD_INPUT);
	if (f->user && users_are_renumbered())
		return fail_with(
			xasprintf("--uid %s: not in a user namespace: run it outside, with "
				  "the number that the user has there",
				  f->user),
			STATUS_UNSUPPORTED);
	if (f->cgroup_dir) {
		fd = cgroup_open(f->cgroup_dir, &why);
		if (fd < 0)
			return fail_with(why, STATUS_BAD_INPUT);
		close(fd);
	}
	return STATUS_DONE;
}

char *filter_locate_error(const struct counters_options *opt, int err, enum status *status)
{
	*status = err == -ESRCH ? STATUS_BAD_INPUT : STATUS_UNSUPPORTED;
	return err == -ESRCH ? no_process("-p", opt->pid) : hooks_load_error(err);
}

enum status filter_find_running(struct counters *w, const struct counters_options *opt, char **why)
{
	int err = opt->tree_pid ? counters_add_tree(w, opt->tree_pid) : 0;

	if (counters_find_unit(w, opt, why))
		return STATUS_UNSUPPORTED;
	if (is_gone(opt->tree_pid)) {
		*why = no_process("-P", opt->tree_pid);
		return STATUS_BAD_INPUT;
	}
	if (!err)
		return STATUS_DONE;
	*why = xasprintf("-P %d: its descendants cannot be found: %s", opt->tree_pid,
			 strerror(-err));
	return STATUS_UNSUPPORTED;
}
