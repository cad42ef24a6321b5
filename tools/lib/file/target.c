// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "file/target.h"

/* Mappings made at once: below the default of vm.max_map_count. */
#define RESOLVE_BATCH 4096

static const struct {
	long magic;
	const char *name;
	const char *why;
} uncached[] = {
	{ TMPFS_MAGIC, "tmpfs", "its pages are the file itself and cannot be missed" },
	{ RAMFS_MAGIC, "ramfs", "its pages are the file itself and cannot be missed" },
	{ HUGETLBFS_MAGIC, "hugetlbfs", "its pages are the file itself and cannot be missed" },
	{ PROC_SUPER_MAGIC, "procfs", "its files are made as they are read" },
	{ SYSFS_MAGIC, "sysfs", "its files are made as they are read" },
	{ CGROUP_SUPER_MAGIC, "cgroup", "its files are made as they are read" },
	{ CGROUP2_SUPER_MAGIC, "cgroup2", "its files are made as they are read" },
	{ DEBUGFS_MAGIC, "debugfs", "its files are made as they are read" },
	{ TRACEFS_MAGIC, "tracefs", "its files are made as they are read" },
	{ SECURITYFS_MAGIC, "securityfs", "its files are made as they are read" },
};

static const char *kind_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFBLK:
	case S_IFCHR:
		return "a device";
	case S_IFIFO:
		return "a FIFO";
	case S_IFSOCK:
		return "a socket";
	default:
		return "something else";
	}
}

static void set_identity(struct identity *id, int fd, const struct stat *st,
			 const struct statfs *fs)
{
	long gen = 0;

	/* The kernel copies an int out, whatever the ioctl's number says. */
	if (ioctl(fd, FS_IOC_GETVERSION, &gen))
		gen = 0;
	memset(id, 0, sizeof(*id));
	id->uuid = uuid_of_fs(fd, fs->f_type);
	memcpy(&id->fsid, &fs->f_fsid, sizeof(id->fsid));
	id->subvolumes = fs->f_type == BTRFS_SUPER_MAGIC;
	id->dev = st->st_dev;
	id->ino = st->st_ino;
	id->gen = gen;
	id->size = st->st_size;
	id->mtime_ns = st->st_mtim.tv_sec * 1000000000LL + st->st_mtim.tv_nsec;
}

int identity_compare(const struct identity *a, const struct identity *b)
{
	if (a->dev != b->dev)
		return a->dev < b->dev ? -1 : 1;
	if (a->ino != b->ino)
		return a->ino < b->ino ? -1 : 1;
	return a->gen < b->gen ? -1 : a->gen > b->gen;
}

int identity_of(int fd, struct identity *id)
{
	struct statfs fs;
	struct stat st;

	if (fstat(fd, &st) || fstatfs(fd, &fs))
		return -errno;
	set_identity(id, fd, &st, &fs);
	return 0;
}

static int open_in(const struct target_root *root, const char *path, uint64_t flags)
{
	struct open_how how = { .flags = flags,
				.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };

	if (!root)
		return open(path, flags);
	return syscall(SYS_openat2, root->fd, path, &how, sizeof(how));
}

int target_root_open(struct target_root *root, const char *path, char **why)
{
	struct asker asker = { 0 };
	int err = ask_open(&asker, path, ASK_ANY), fd;

	ask_end(&asker);
	*root = (struct target_root){ path, -1 };
	if (!err) {
		root->fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		err = root->fd < 0 ? -errno : 0;
	}
	if (err) {
		*why = xasprintf("%s: %s", path,
				 err == -ETIMEDOUT ? "does not answer (a hung mount?)"
						   : strerror(-err));
		return err;
	}
	fd = open_in(root, ".", O_PATH | O_CLOEXEC);
	if (fd < 0) {
		/* A container's seccomp profile that does not know the call may return EPERM. */
		*why = xasprintf("--root: names cannot be kept within a directory: openat2: %s",
				 strerror(errno));
		return -EOPNOTSUPP;
	}
	close(fd);
	return 0;
}

/*
 * Open for reading what AT, an O_PATH descriptor of PATH, refers to. Where /proc is not
 * mounted PATH is opened again, and has to be the same file.
 */
static int reopen(int at, const struct target_root *root, const char *path, const struct stat *st)
{
	const int flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
	struct stat again;
	char proc[64];
	int fd;

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", at);
	fd = open(proc, flags);
	if (fd >= 0 || errno != ENOENT)
		return fd;
	fd = open_in(root, path, flags);
	if (fd >= 0 &&
	    (fstat(fd, &again) || again.st_dev != st->st_dev || again.st_ino != st->st_ino)) {
		close(fd);
		errno = ESTALE;
		return -1;
	}
	return fd;
}

enum target_error target_open(struct target *t, const char *path, char **why)
{
	return target_open_in(NULL, t, path, why);
}

enum target_error target_open_in(const struct target_root *root, struct target *t, const char *path,
				 char **why)
{
	struct statfs fs;
	struct stat st;
	size_t i;
	int at;

	memset(t, 0, sizeof(*t));
	t->fd = -1;
	/* Look first: opening a device or a FIFO has effects of its own. */
	at = open_in(root, path, O_PATH | O_CLOEXEC);
	if (at < 0 || fstat(at, &st) || fstatfs(at, &fs)) {
		*why = xasprintf("%s: %s", path, strerror(errno));
		if (at >= 0)
			close(at);
		return TARGET_GONE;
	}
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
		*why = xasprintf("%s: is %s, not a regular file", path, kind_of(st.st_mode));
		close(at);
		return TARGET_UNCACHED;
	}
	for (i = 0; i < ARRAY_SIZE(uncached); i++) {
		if (fs.f_type != uncached[i].magic)
			continue;
		*why = xasprintf("%s: is on %s: %s", path, uncached[i].name, uncached[i].why);
		close(at);
		return TARGET_UNCACHED;
	}
	if (S_ISDIR(st.st_mode)) {
		*why = xasprintf("%s: is a directory, not a regular file", path);
		close(at);
		return TARGET_DIRECTORY;
	}
	t->fd = reopen(at, root, path, &st);
	close(at);
	if (t->fd < 0) {
		*why = xasprintf("%s: %s", path, strerror(errno));
		return TARGET_GONE;
	}
	set_identity(&t->id, t->fd, &st, &fs);
	t->path = xstrdup(path);
	return TARGET_OK;
}

void target_close_fd(struct target *t)
{
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
}

enum target_error target_open_asked(struct target *t, struct remote *remote, const char *path,
				    char **why)
{
	return remote_try(remote, path) == -ETIMEDOUT ? target_silent(t, path, why)
						      : target_open(t, path, why);
}

enum target_error target_silent(struct target *t, const char *path, char **why)
{
	memset(t, 0, sizeof(*t));
	t->fd = -1;
	*why = xasprintf("%s: does not answer (a hung mount?)", path);
	return TARGET_GONE;
}

void target_keep_inode(struct target *t)
{
	char proc[64];
	int at;

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", t->fd);
	at = open(proc, O_PATH | O_CLOEXEC);
	if (at < 0)
		return;
	close(t->fd);
	t->fd = at;
}

void target_close(struct target *t)
{
	target_close_fd(t);
	free(t->path);
	t->path = NULL;
}

/* A target and where it is mapped. */
struct mapped {
	char *at;
	struct target *target;
};

static int by_address(const void *a, const void *b)
{
	const struct mapped *x = a, *y = b;

	return x->at < y->at ? -1 : x->at > y->at;
}

/* Take one mapping of this process. Returns whether it is of a target, or -errno. */
static int take_mapping(const struct p2c_vma_record *r, const struct mapped *maps, size_t n,
			char **why)
{
	const struct mapped key = { .at = (char *)(uintptr_t)r->start };
	const struct mapped *m = bsearch(&key, maps, n, sizeof(*maps), by_address);

	if (!m)
		return 0;
	if (r->uncached) {
		*why = xasprintf("%s: %s", m->target->path,
				 r->uncached == 2 ? "is on DAX and bypasses the page cache"
						  : "its file system has no page cache to fill");
		return -EOPNOTSUPP;
	}
	m->target->key = r->key;
	m->target->inode = r->inode;
	return 1;
}

/* Read the iterator: one struct p2c_vma_record a file mapping of this process. */
static int read_mappings(struct bpf_link *link, const struct mapped *maps, size_t n, char **why)
{
	struct p2c_vma_record r[64];
	size_t found = 0, have = 0, records, k;
	int err = 0, fd = bpf_iter_create(bpf_link__fd(link));
	uint64_t last = 0;
	ssize_t got = 0;

	if (fd < 0)
		return -errno;
	/*
	 * Read up to the last mapping that is wanted, not to the end: when the output fills a
	 * buffer, Linux 6.18 shows the last mappings of a single task for ever.
	 */
	while (found < n && (got = read(fd, (char *)r + have, sizeof(r) - have)) > 0) {
		records = (have + got) / sizeof(r[0]);
		for (k = 0; k < records && r[k].start > last; k++) {
			last = r[k].start;
			err = take_mapping(&r[k], maps, n, why);
			if (err < 0)
				goto out;
			found += err;
		}
		if (k < records)
			break;
		have = (have + got) % sizeof(r[0]);
		memmove(r, &r[records], have);
	}
	err = got < 0 ? -errno : found == n ? 0 : -ENOENT;
out:
	close(fd);
	return err;
}

static int resolve_batch(struct bpf_link *link, struct target **targets, size_t n, char **why)
{
	struct mapped *maps = xcalloc(n, sizeof(*maps));
	size_t i, nr;
	int err = 0;

	for (nr = 0; nr < n; nr++) {
		maps[nr].target = targets[nr];
		maps[nr].at = mmap(NULL, page_size(), PROT_READ, MAP_SHARED, targets[nr]->fd, 0);
		if (maps[nr].at == MAP_FAILED) {
			*why = xasprintf("%s: cannot be mapped: %s", targets[nr]->path,
					 strerror(errno));
			err = -EOPNOTSUPP;
			break;
		}
	}
	qsort(maps, nr, sizeof(*maps), by_address);
	if (!err)
		err = read_mappings(link, maps, n, why);
	for (i = 0; i < nr; i++)
		munmap(maps[i].at, page_size());
	free(maps);
	return err;
}

int targets_resolve(struct bpf_object *obj, struct target **targets, size_t n, char **why)
{
	union bpf_iter_link_info info = { .task.tid = getpid() };
	LIBBPF_OPTS(bpf_iter_attach_opts, opts, .link_info = &info, .link_info_len = sizeof(info));
	struct bpf_program *identify;
	struct bpf_link *link;
	size_t i;
	int err;

	*why = NULL;
	if (!n)
		return 0;
	identify = bpf_object__find_program_by_name(obj, "identify");
	/* Since 6.1 the kernel can be told whose mappings; before, it shows all. */
	link = bpf_program__attach_iter(identify, &opts);
	if (!link)
		link = bpf_program__attach_iter(identify, NULL);
	err = link ? 0 : -errno;
	for (i = 0; i < n && !err; i += RESOLVE_BATCH)
		err = resolve_batch(link, targets + i,
				    n - i < RESOLVE_BATCH ? n - i : RESOLVE_BATCH, why);
	if (err && !*why)
		*why = xasprintf("cannot find the page-cache inodes of the files: %s",
				 strerror(-err));
	bpf_link__destroy(link);
	return err;
}

dev_t target_device(const struct target *t)
{
	/* Decode the kernel's own encoding of a device number. */
	return makedev(t->key.dev >> 20, t->key.dev & ((1U << 20) - 1));
}
