/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where a read began. The tracepoint of a read lookup (mm/filemap.c, filemap_get_pages()) tells
 * where the lookup begins and where the whole request ends. A lookup that leaves out its last
 * folio, because that is not up to date, returns without the tracepoint. What it leaves out is
 * looked up again, so each request that ends well ends with an event; where the request began,
 * only the system call's own arguments tell.
 */
#ifndef PAGE2CACHE_REQUEST_BPF_H
#define PAGE2CACHE_REQUEST_BPF_H

#include "compat.bpf.h"

/* A lookup finds at most so many folios at once (struct folio_batch), and these pages. */
#define BATCH_PAGES (31 * PMD_FOLIO_PAGES)

/* include/linux/fs.h: no read(2) takes more bytes. */
#define MAX_RW_COUNT 0x7ffff000UL

/* arch/x86/entry/syscalls/syscall_64.tbl; include/uapi/asm-generic/unistd.h */
#if defined(__TARGET_ARCH_x86)
#define ARG(regs, n) \
	((n) == 0 ? (regs)->di : (n) == 1 ? (regs)->si : (n) == 2 ? (regs)->dx : (regs)->r10)
enum {
	NR_READ = 0,
	NR_PREAD64 = 17,
	NR_READV = 19,
	NR_SENDFILE = 40,
	NR_SPLICE = 275,
	NR_PREADV = 295,
	NR_COPY_FILE_RANGE = 326,
	NR_PREADV2 = 327,
};
#elif defined(__TARGET_ARCH_arm64)
#define ARG(regs, n) ((regs)->user_regs.regs[n])
enum {
	NR_READ = 63,
	NR_READV = 65,
	NR_PREAD64 = 67,
	NR_PREADV = 69,
	NR_SENDFILE = 71,
	NR_SPLICE = 76,
	NR_COPY_FILE_RANGE = 285,
	NR_PREADV2 = 286,
};
#endif

struct p2c_request {
	__u64 first; /* page */
	__u64 call;  /* tells a task's system calls apart; 0: nothing does */
};

/* The kernel counts the reading system calls of a task, each at its end. */
static __always_inline __u64 reading_call(void)
{
	struct task_struct *task = bpf_get_current_task_btf();

	return bpf_core_field_exists(task->ioac.syscr) ? task->ioac.syscr + 1 : 0;
}

static __always_inline struct file *file_of(__u32 fd)
{
	struct file **fds = BPF_CORE_READ(bpf_get_current_task_btf(), files, fdt, fd), *file = NULL;

	bpf_probe_read_kernel(&file, sizeof(file), &fds[fd]);
	return file;
}

/*
 * The request that a lookup in the file of INODE is part of, which ends with page LAST. False if
 * the system call does not tell: it is another one (io_uring), or a thread of the kernel reads, or
 * what is read is not what the call names. A file on top of this one, as of an overlay, has
 * another inode; then the end of what was asked for shows that the position is the same.
 */
static __always_inline bool request_of(__u64 inode, __u64 last, struct p2c_request *r)
{
	struct pt_regs *regs = entry_regs();
	__u64 pos = 0, bytes = 0, user = 0;
	long nr = syscall_number(regs);
	struct file *file = NULL;
	__u32 fd = ARG(regs, 0);
	bool own_pos = false;

	if (bpf_get_current_task_btf()->flags & (PF_KTHREAD | PF_IO_WORKER))
		return false;
	if (nr == NR_PREAD64 || nr == NR_PREADV || nr == NR_PREADV2) {
		pos = ARG(regs, 3);
		own_pos = nr == NR_PREADV2 && pos == ~0ULL;
	} else if (nr == NR_READ || nr == NR_READV) {
		own_pos = true;
	} else if (nr == NR_SENDFILE) {
		fd = ARG(regs, 1);
		user = ARG(regs, 2);
		own_pos = !user;
	} else if (nr == NR_SPLICE || nr == NR_COPY_FILE_RANGE) {
		user = ARG(regs, 1);
		own_pos = !user;
	} else {
		return false;
	}
	/* Both are written back at the end of the call. */
	if (user)
		bpf_probe_read_user(&pos, sizeof(pos), (void *)user);
	if (own_pos) {
		file = file_of(fd);
		pos = BPF_CORE_READ(file, f_pos);
	}
	r->first = pos >> PAGE_SHIFT;
	r->call = nr == NR_SPLICE ? 0 : reading_call();
	if (nr == NR_READ || nr == NR_PREAD64)
		bytes = ARG(regs, 2);
	if (bytes > MAX_RW_COUNT)
		bytes = MAX_RW_COUNT;
	if (bytes && (pos + bytes - 1) >> PAGE_SHIFT == last)
		return true;
	if (!file)
		file = file_of(fd);
	return (__u64)BPF_CORE_READ(file, f_mapping, host) == inode;
}

#endif
