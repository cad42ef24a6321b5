// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <libmount/libmount.h>

#include "file/mounts.h"
#include "file/remote.h"

struct mounts {
	struct libmnt_table *table;
	struct remote *remote;
};

struct mounts *mounts_read(void)
{
	struct mounts *m = xcalloc(1, sizeof(*m));

	m->remote = xcalloc(1, sizeof(*m->remote));
	remote_read(m->remote);
	m->table = mnt_new_table();
	/* Without /proc no mount is known: files are shown by device and inode number. */
	if (m->table)
		mnt_table_parse_file(m->table, "/proc/self/mountinfo");
	return m;
}

void mounts_free(struct mounts *m)
{
	mnt_unref_table(m->table);
	remote_free(m->remote);
	free(m->remote);
	free(m);
}

/* The components come leaf first: /path/from/the/root/of/the/file/system. */
static char *path_in_fs(const struct p2c_file_name *name)
{
	char *path = xcalloc(1, name->bytes + 2), *to = path;
	const char *c = name->names + name->bytes;

	while (c > name->names) {
		for (c--; c > name->names && c[-1]; c--)
			;
		to += sprintf(to, "/%s", c);
	}
	return path;
}

/* super_block.s_dev, which the page cache's inodes have, of a mount. */
static uint32_t kernel_dev(struct libmnt_fs *fs)
{
	dev_t dev = mnt_fs_get_devno(fs);

	return major(dev) << 20 | minor(dev);
}

static char *join(struct libmnt_fs *fs, const char *path)
{
	const char *root = mnt_fs_get_root(fs), *point = mnt_fs_get_target(fs);
	size_t len;

	if (!root || !point)
		return NULL;
	len = strcmp(root, "/") ? strlen(root) : 0;
	if (strncmp(path, root, len) || (len && path[len] && path[len] != '/'))
		return NULL;
	return xasprintf("%s%s", strcmp(point, "/") ? point : "", path + len);
}

/* Does PATH, below the mount FS, lead to the file? */
static bool leads_to(struct remote *remote, struct libmnt_fs *fs, const char *path,
		     const struct p2c_file_key *key)
{
	size_t silent = remote->nr_silent;
	struct stat st;
	int err = remote_lstat(remote, path, &st);

	if (remote->nr_silent > silent)
		say("%s: does not answer (a hung mount?): its files are shown by device and inode "
		    "number",
		    mnt_fs_get_target(fs));
	return !err && S_ISREG(st.st_mode) && st.st_ino == key->ino;
}

/*
 * A container's root is an overlay of folders that lie on a device which the container does not
 * see. The path in the container is the end of the file's path on that device, behind one of these
 * folders: the longest end that leads to the same inode number, which an overlay takes from the
 * file below.
 */
static char *path_in_root(const struct mounts *m, const char *in_fs, const struct p2c_file_key *key)
{
	struct libmnt_fs *root = mnt_table_find_target(m->table, "/", MNT_ITER_BACKWARD);
	const char *end;

	if (!root || !mnt_fs_match_fstype(root, "overlay"))
		return NULL;
	for (end = in_fs; end; end = strchr(end + 1, '/')) {
		if (leads_to(m->remote, root, end, key))
			return xstrdup(end);
	}
	return NULL;
}

char *mounts_path(const struct mounts *m, const struct p2c_file_name *name)
{
	char *in_fs, *path = NULL;
	struct libmnt_iter *it;
	struct libmnt_fs *fs;

	if (!m->table || !name->bytes || name->bytes >= NAME_BYTES)
		return NULL;
	/* The latest mount hides those before it at the same place. */
	it = mnt_new_iter(MNT_ITER_BACKWARD);
	if (!it)
		return NULL;
	in_fs = path_in_fs(name);
	while (!path && !mnt_table_next_fs(m->table, it, &fs)) {
		if (kernel_dev(fs) != name->key.dev)
			continue;
		path = join(fs, in_fs);
		if (path && !leads_to(m->remote, fs, path, &name->key)) {
			free(path);
			path = NULL;
		}
	}
	mnt_free_iter(it);
	if (!path)
		path = path_in_root(m, in_fs, &name->key);
	free(in_fs);
	return path;
}
