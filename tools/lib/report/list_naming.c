// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "report/list_naming.h"

static int look_up(const char *dir, char **real, char **why)
{
	struct asker asker = { 0 };
	int err = dir ? ask_open(&asker, dir, ASK_ANY) : 0;

	ask_end(&asker);
	if (!err && dir) {
		*real = realpath(dir, NULL);
		err = *real ? 0 : -errno;
	}
	if (err)
		*why = xasprintf("%s: %s", dir,
				 err == -ETIMEDOUT ? "does not answer (a hung mount?)"
						   : strerror(-err));
	return err;
}

int list_naming_begin(struct list_naming *n, char **why)
{
	int err = look_up(n->under, &n->real_under, why);

	return err ? err : look_up(n->relative, &n->real_relative, why);
}

/* The rest of a path behind a directory, both absolute; NULL: it is not below that. */
static const char *below(const char *dir, const char *path)
{
	size_t len = strlen(dir);

	if (len == 1)
		return path + 1;
	return !strncmp(path, dir, len) && path[len] == '/' ? path + len + 1 : NULL;
}

/* Does PATTERN match the path, its end behind any slash, or a directory on the way? */
static bool matches(const char *pattern, const char *path)
{
	bool found = !fnmatch(pattern, path, FNM_LEADING_DIR);

	while (!found && (path = strchr(path, '/')))
		found = !fnmatch(pattern, ++path, FNM_LEADING_DIR);
	return found;
}

static bool excluded(const struct list_naming *n, const char *path)
{
	size_t i;

	for (i = 0; i < n->nr_exclude; i++) {
		if (matches(n->exclude[i], path))
			return true;
	}
	return false;
}

bool list_naming_set(struct list_naming *n, struct offsets_section *section, const char *path)
{
	char *real = realpath(path, NULL);
	const char *rest;

	/* A list is read in another directory than it was written in. */
	if (!real)
		real = xstrdup(path);
	section->file = NULL;
	section->has = OFFSETS_ALL_FIELDS;
	if ((n->real_under && !below(n->real_under, real)) || excluded(n, real)) {
		free(real);
		return false;
	}
	if (!n->real_relative) {
		section->file = real;
		return true;
	}
	rest = below(n->real_relative, real);
	if (rest) {
		section->file = xstrdup(rest);
		section->has &= ~(OFFSETS_FSID | OFFSETS_INO | OFFSETS_GEN);
	} else {
		n->outside++;
	}
	free(real);
	return rest;
}

struct identity list_naming_identity(const struct list_naming *n, const struct identity *id)
{
	struct identity shared = *id;

	if (n->real_relative)
		shared.uuid = (struct uuid){ 0 };
	return shared;
}

void list_naming_end(struct list_naming *n)
{
	if (n->outside)
		say("%s: %zu file%s not below it and not in the list", n->relative, n->outside,
		    n->outside == 1 ? " is" : "s are");
	free(n->real_under);
	free(n->real_relative);
	free(n->exclude);
}
