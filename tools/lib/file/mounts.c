// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "file/mountinfo.h"
#include "file/mounts.h"
#include "file/remote.h"

struct mount {
	uint32_t dev;
	char *root, *point;
	bool overlay;
};

struct mounts {
	struct mount *mounts; /* the oldest first */
	size_t nr;
	struct remote *remote;
};

struct mounts *mounts_read(void)
{
	struct mounts *m = xcalloc(1, sizeof(*m));
	struct mountinfo info;

	m->remote = xcalloc(1, sizeof(*m->remote));
	remote_read(m->remote);
	/* Without /proc no mount is known: files are shown by device and inode number. */
	mountinfo_open(&info);
	while (mountinfo_next(&info)) {
		m->mounts = xrealloc(m->mounts, m->nr + 1, sizeof(*m->mounts));
		m->mounts[m->nr++] = (struct mount){
			.dev = info.dev,
			.root = xstrdup(info.root),
			.point = xstrdup(info.point),
			.overlay = !strcmp(info.type, "overlay"),
		};
	}
	mountinfo_close(&info);
	return m;
}

void mounts_free(struct mounts *m)
{
	size_t i;

	for (i = 0; i < m->nr; i++) {
		free(m->mounts[i].root);
		free(m->mounts[i].point);
	}
	free(m->mounts);
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

static char *join(const struct mount *mnt, const char *path)
{
	size_t len = strcmp(mnt->root, "/") ? strlen(mnt->root) : 0;

	if (strncmp(path, mnt->root, len) || (len && path[len] && path[len] != '/'))
		return NULL;
	return xasprintf("%s%s", strcmp(mnt->point, "/") ? mnt->point : "", path + len);
}

/* Does PATH, below the mount MNT, lead to the file? */
static bool leads_to(struct remote *remote, const struct mount *mnt, const char *path,
		     const struct p2c_file_key *key)
{
	size_t silent = remote->nr_silent;
	struct stat st;
	int err = remote_lstat(remote, path, &st);

	if (remote->nr_silent > silent)
		say("%s: does not answer (a hung mount?): its files are shown by device and inode "
		    "number",
		    mnt->point);
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
	const struct mount *root = m->mounts + m->nr;
	const char *end;

	while (root > m->mounts && strcmp(root[-1].point, "/"))
		root--;
	if (root == m->mounts || !(--root)->overlay)
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
	size_t i;

	if (!name->bytes || name->bytes >= NAME_BYTES)
		return NULL;
	in_fs = path_in_fs(name);
	/* The latest mount hides those before it at the same place. */
	for (i = m->nr; i-- && !path;) {
		const struct mount *mnt = &m->mounts[i];

		if (mnt->dev != name->key.dev)
			continue;
		path = join(mnt, in_fs);
		if (path && !leads_to(m->remote, mnt, path, &name->key)) {
			free(path);
			path = NULL;
		}
	}
	if (!path)
		path = path_in_root(m, in_fs, &name->key);
	free(in_fs);
	return path;
}
