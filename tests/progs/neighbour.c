// SPDX-License-Identifier: GPL-2.0-only
/*
 * A neighbour that looks maps up by bpf(2), over and over:
 *
 *	neighbour THREADS
 *
 * prints a line when it has begun, and loops until it is ended. During such a call the kernel
 * runs no programs of kprobes and classic tracepoints on that CPU, nor for other tasks if it is
 * preempted there. The values are large, so that most of its time is inside of the calls.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define VALUE_BYTES (1 << 20)

static int map;

static int call_bpf(enum bpf_cmd cmd, union bpf_attr *attr)
{
	return syscall(__NR_bpf, cmd, attr, sizeof(*attr));
}

static void *look_up(void *value)
{
	union bpf_attr attr;
	uint32_t key = 0;

	memset(&attr, 0, sizeof(attr));
	attr.map_fd = map;
	attr.key = (uintptr_t)&key;
	attr.value = (uintptr_t)value;
	while (!call_bpf(BPF_MAP_LOOKUP_ELEM, &attr))
		;
	fprintf(stderr, "neighbour: a look-up failed: %s\n", strerror(errno));
	exit(1);
}

int main(int argc, char **argv)
{
	int i, n = argc == 2 ? atoi(argv[1]) : 0;
	union bpf_attr attr;
	pthread_t thread;

	if (n < 1) {
		fprintf(stderr, "usage: neighbour THREADS\n");
		return 2;
	}
	memset(&attr, 0, sizeof(attr));
	attr.map_type = BPF_MAP_TYPE_ARRAY;
	attr.key_size = sizeof(uint32_t);
	attr.value_size = VALUE_BYTES;
	attr.max_entries = 1;
	map = call_bpf(BPF_MAP_CREATE, &attr);
	if (map < 0) {
		fprintf(stderr, "neighbour: no map: %s\n", strerror(errno));
		return 1;
	}
	for (i = 0; i < n; i++) {
		if (pthread_create(&thread, NULL, look_up, malloc(VALUE_BYTES)))
			return 1;
	}
	puts("begun");
	fflush(stdout);
	pause();
	return 0;
}
