// SPDX-License-Identifier: GPL-2.0-only
/*
 * A container's profile: COMMAND is executed with a filter that refuses some system calls.
 *
 *	refuse ENOSYS|EPERM CALL[,CALL]... COMMAND...
 *
 * CALL is cachestat or mincore. Status 3: there are no such filters here.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* cachestat(2), Linux 6.5: not in Debian 12's headers. */
#ifndef __NR_cachestat
#define __NR_cachestat 451
#endif

static const struct {
	const char *name;
	unsigned int number;
} calls[] = {
	{ "cachestat", __NR_cachestat },
	{ "mincore", __NR_mincore },
};

static int number_of(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (!strcmp(calls[i].name, name))
			return calls[i].number;
	}
	return -1;
}

static int refuse(int number, int err)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | err),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

int main(int argc, char **argv)
{
	char *name, *rest;
	int number, err;

	if (argc < 4 || (strcmp(argv[1], "ENOSYS") && strcmp(argv[1], "EPERM"))) {
		fprintf(stderr, "usage: refuse ENOSYS|EPERM CALL[,CALL]... COMMAND...\n");
		return 2;
	}
	err = strcmp(argv[1], "EPERM") ? ENOSYS : EPERM;
	for (name = strtok_r(argv[2], ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
		number = number_of(name);
		if (number < 0) {
			fprintf(stderr, "refuse: no such call: %s\n", name);
			return 2;
		}
		if (refuse(number, err)) {
			perror("refuse: seccomp");
			return 3;
		}
	}
	execvp(argv[3], argv + 3);
	perror(argv[3]);
	return 2;
}
