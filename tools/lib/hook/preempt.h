/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whether the kernel preempts tasks inside of the kernel. The kernel never runs a tp_btf, fentry
 * or fexit program on a CPU where a task was preempted in the middle of it, for as long as that
 * task waits: events of other tasks are lost there. Programs of kprobes, kretprobes and classic
 * tracepoints run with preemption off, so they see every event.
 */
#ifndef PAGE2CACHE_PREEMPT_H
#define PAGE2CACHE_PREEMPT_H

#include <stdbool.h>

/* True if the kernel does not tell, because exactness comes before cost. */
bool kernel_preempts(void);

#endif
