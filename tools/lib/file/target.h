/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A file that is watched or forced: what it is to user space (struct identity,
 * which a list records) and to the page cache (struct p2c_file_key).
 */
#ifndef PAGE2CACHE_TARGET_H
#define PAGE2CACHE_TARGET_H

#include "shared.h"
#include "base/util.h"
#include "file/remote.h"
#include "file/uuid.h"

struct identity {
	struct uuid uuid; /* of the file system */
	uint64_t fsid;	  /* of statfs(2); on some file systems the device number */
	bool subvolumes;  /* btrfs: fsid tells apart what uuid does not */
	uint64_t ino;
	uint32_t gen;  /* FS_IOC_GETVERSION, 0 where the file system has none */
	uint64_t size; /* bytes */
	int64_t mtime_ns;
	uint64_t dev; /* st_dev: tells two mounts apart, but may be another one after a reboot */
};

struct target {
	char *path;
	int fd;
	struct identity id;
	struct p2c_file_key key;
	uint64_t inode; /* the kernel's struct inode, as long as somebody has the file open */
	uint32_t slot;
	bool found; /* below a directory or in a list of names: no file that somebody named */
};

enum target_error {
	TARGET_OK,
	TARGET_GONE, /* no such file, or it cannot be opened */
	TARGET_DIRECTORY,
	TARGET_UNCACHED, /* not a regular file, or one without a page cache */
};

/*
 * A directory that names are looked up in as if it were the root: of a container, or of a copy of
 * another host's files. Neither "..", an absolute name nor a symbolic link leads out of it.
 */
struct target_root {
	const char *path;
	int fd;
};

/* Returns 0, or -errno with *why: -EOPNOTSUPP where the kernel has no such lookup. */
int target_root_open(struct target_root *root, const char *path, char **why);

/*
 * Open PATH for reading without blocking and only if it is a regular file of a
 * file system that has a page cache. On error *why (to be freed) says what is
 * wrong, path included.
 */
enum target_error target_open(struct target *t, const char *path, char **why);
/* As target_open(), of a name in ROOT; NULL: of any path. */
enum target_error target_open_in(const struct target_root *root, struct target *t, const char *path,
				 char **why);
/*
 * The same, after another process has opened PATH: whoever opens a file of a mount that hangs is
 * held, deaf to every signal. Such a file is TARGET_GONE.
 */
enum target_error target_open_asked(struct target *t, struct remote *remote, const char *path,
				    char **why);
/* What the two functions above say of a file whose mount does not answer: TARGET_GONE. */
enum target_error target_silent(struct target *t, const char *path, char **why);
/*
 * The file will not be read any more: keep only its inode, as closing an open file may hang if its
 * mount hangs by then. Without /proc the file stays open.
 */
void target_keep_inode(struct target *t);
void target_close(struct target *t);
/* Close the target's descriptor alone. */
void target_close_fd(struct target *t);

/* An order of files; 0: the same one, as it is mounted now. */
int identity_compare(const struct identity *a, const struct identity *b);

/* What fd is now; returns 0 or -errno. */
int identity_of(int fd, struct identity *id);

struct bpf_object;

/*
 * Find the key of each target through the program `identify` of a loaded object
 * (bpf/target.bpf.h). Returns 0, or -errno with *why set:
 * -EOPNOTSUPP when one of them does not go through the page cache,
 * else why BPF did not answer.
 */
int targets_resolve(struct bpf_object *obj, struct target **targets, size_t n, char **why);

/* The device on which the pages of a resolved target lie: not its st_dev in an overlay. */
dev_t target_device(const struct target *t);

#endif
