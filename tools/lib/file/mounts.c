// SPDX-License-Identifier: GPL-2.0-only
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "file/mounts.h"

struct mount {
	uint32_t dev; /* super_block.s_dev */
	char *root;   /* of the file system, what is mounted */
	char *point;
};

struct mounts {
	struct mount *list;
	size_t n;
};

static bool octal(char c)
{
	return c >= '0' && c <= '7';
}

/* mountinfo writes space, tab, newline and backslash as \ooo. */
static char *unescape(const char *s)
{
	char *out = xstrdup(s), *to = out;

	for (; *s; s++) {
		if (s[0] == '\\' && octal(s[1]) && s[1] <= '3' && octal(s[2]) && octal(s[3])) {
			*to++ = (s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0');
			s += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = 0;
	return out;
}

struct mounts *mounts_read(void)
{
	struct mounts *m = xcalloc(1, sizeof(*m));
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL, root[PATH_MAX], point[PATH_MAX];
	unsigned int major, minor;
	size_t room = 0;

	while (f && getline(&line, &room, f) > 0) {
		if (strlen(line) >= PATH_MAX ||
		    sscanf(line, "%*d %*d %u:%u %s %s", &major, &minor, root, point) != 4)
			continue;
		m->list = xrealloc(m->list, m->n + 1, sizeof(*m->list));
		m->list[m->n].dev = major << 20 | minor;
		m->list[m->n].root = unescape(root);
		m->list[m->n].point = unescape(point);
		m->n++;
	}
	free(line);
	if (f)
		fclose(f);
	return m;
}

void mounts_free(struct mounts *m)
{
	size_t i;

	for (i = 0; i < m->n; i++) {
		free(m->list[i].root);
		free(m->list[i].point);
	}
	free(m->list);
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

static char *join(const struct mount *mount, const char *path)
{
	size_t len = strlen(mount->root);

	if (!strcmp(mount->root, "/"))
		len = 0;
	if (strncmp(path, mount->root, len) || (len && path[len] && path[len] != '/'))
		return NULL;
	return xasprintf("%s%s", strcmp(mount->point, "/") ? mount->point : "", path + len);
}

char *mounts_path(const struct mounts *m, const struct p2c_file_name *name)
{
	char *in_fs, *path = NULL;
	struct stat st;
	size_t i;

	if (!name->bytes || name->bytes >= NAME_BYTES)
		return NULL;
	in_fs = path_in_fs(name);
	/* The latest mount hides those before it at the same place. */
	for (i = m->n; i-- > 0 && !path;) {
		if (m->list[i].dev != name->key.dev)
			continue;
		path = join(&m->list[i], in_fs);
		if (path &&
		    (lstat(path, &st) || !S_ISREG(st.st_mode) || st.st_ino != name->key.ino)) {
			free(path);
			path = NULL;
		}
	}
	free(in_fs);
	return path;
}
