// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file/mountinfo.h"
#include "file/remote.h"

struct remote_mount {
	char *point;
	bool silent;
};

/* How the types of such mounts begin in mountinfo: fuse.sshfs, nfs4, smb3. */
static const char *const types[] = { "fuse", "nfs",   "cifs",	"smb3",	    "9p",     "virtiofs",
				     "ceph", "afs",   "coda",	"orangefs", "autofs", "lustre",
				     "gfs2", "ocfs2", "beegfs", "gpfs",	    "panfs",  "wekafs" };

/* The same types as statfs(2) has them, where virtiofs counts as FUSE. */
static const unsigned int magics[] = {
	FUSE_SUPER_MAGIC,	 NFS_SUPER_MAGIC,	    CIFS_SUPER_MAGIC,
	SMB2_SUPER_MAGIC,	 SMB_SUPER_MAGIC,	    V9FS_MAGIC,
	CEPH_SUPER_MAGIC,	 AFS_SUPER_MAGIC,	    AFS_FS_MAGIC,
	CODA_SUPER_MAGIC,	 0x20030528 /* orangefs */, AUTOFS_SUPER_MAGIC,
	0x0bd00bd0 /* lustre */, 0x01161970 /* gfs2 */,	    OCFS2_SUPER_MAGIC,
	0x19830326 /* beegfs */, 0x47504653 /* gpfs */,	    0xaad7aaea /* panfs */
};

bool remote_magic(unsigned int f_type)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(magics); i++) {
		if (f_type == magics[i])
			return true;
	}
	return false;
}

static bool is_remote(const char *type)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		if (!strncmp(type, types[i], strlen(types[i])))
			return true;
	}
	return false;
}

void remote_read(struct remote *r)
{
	struct mountinfo m;

	*r = (struct remote){ 0 };
	mountinfo_open(&m);
	while (mountinfo_next(&m)) {
		if (!is_remote(m.type))
			continue;
		r->mounts = xrealloc(r->mounts, r->nr + 1, sizeof(*r->mounts));
		r->mounts[r->nr++] = (struct remote_mount){ .point = xstrdup(m.point) };
	}
	mountinfo_close(&m);
}

/*
 * The mount that an absolute PATH leads to: the one whose mount point is the longest beginning of
 * PATH.
 */
static struct remote_mount *find_absolute(const struct remote *r, const char *path)
{
	struct remote_mount *m, *found = NULL;
	size_t len, longest = 0;

	for (m = r->mounts; m < r->mounts + r->nr; m++) {
		len = strlen(m->point);
		if (len >= longest && !strncmp(path, m->point, len) &&
		    (path[len] == '/' || !path[len] || (len && m->point[len - 1] == '/'))) {
			found = m;
			longest = len;
		}
	}
	return found;
}

/* As find_absolute(), of any path; NULL: no such mount. */
static struct remote_mount *find(const struct remote *r, const char *path)
{
	struct remote_mount *m;
	char *here, *full;

	if (*path == '/' || !r->nr)
		return find_absolute(r, path);
	here = getcwd(NULL, 0);
	if (!here)
		return NULL;
	full = xasprintf("%s/%s", here, path);
	m = find_absolute(r, full);
	free(full);
	free(here);
	return m;
}

static void fall_silent(struct remote *r, struct remote_mount *m)
{
	m->silent = true;
	r->nr_silent++;
}

bool remote_answers(struct remote *r, const char *path)
{
	struct remote_mount *m = find(r, path);

	if (m && !m->silent && ask_open(&r->asker, path, ASK_REMOTE) == -ETIMEDOUT)
		fall_silent(r, m);
	return !m || !m->silent;
}

int remote_try(struct remote *r, const char *path)
{
	return ask_open(&r->asker, path, find(r, path) ? ASK_REMOTE : ASK_ANY);
}

int remote_lstat(struct remote *r, const char *path, struct stat *st)
{
	struct remote_mount *m = find(r, path);
	int err;

	if (!m)
		return lstat(path, st) ? -errno : 0;
	if (m->silent)
		return -ETIMEDOUT;
	err = ask_lstat(&r->asker, path, st, ASK_REMOTE);
	if (err == -ETIMEDOUT)
		fall_silent(r, m);
	return err;
}

const char *remote_silent_below(struct remote *r, const char *dir)
{
	char *real = r->nr ? realpath(dir, NULL) : NULL;
	size_t len = real ? strlen(real) : 0, i;
	const char *silent = NULL;

	for (i = 0; real && i < r->nr && !silent; i++) {
		struct remote_mount *m = &r->mounts[i];

		if (!strncmp(m->point, real, len) && (m->point[len] == '/' || len == 1) &&
		    !remote_answers(r, m->point))
			silent = m->point;
	}
	free(real);
	return silent;
}

void remote_free(struct remote *r)
{
	size_t i;

	for (i = 0; i < r->nr; i++)
		free(r->mounts[i].point);
	free(r->mounts);
	ask_end(&r->asker);
	*r = (struct remote){ 0 };
}
