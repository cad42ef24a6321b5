// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/progress.h"
#include "file/names.h"

static struct name *add(struct names *n, const char *path, bool found, dev_t dev, ino_t ino)
{
	/* Doubled: there may be hundreds of thousands. */
	if (!(n->nr & (n->nr - 1)))
		n->all = xrealloc(n->all, n->nr ? n->nr * 2 : 1, sizeof(*n->all));
	n->any_found |= found;
	n->all[n->nr] = (struct name){ xstrdup(path), found, dev, ino };
	return &n->all[n->nr++];
}

static void leave_out(struct names *n, const char *path, int err)
{
	say("%s: %s", path, strerror(err));
	n->incomplete = true;
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* Directories change while they are walked: a file that is gone by now counts as never there. */
static void take_entry(struct names *n, const FTSENT *e)
{
	switch (e->fts_info) {
	case FTS_F:
		add(n, e->fts_path, true, e->fts_statp->st_dev, e->fts_statp->st_ino);
		break;
	case FTS_DNR:
	case FTS_NS:
	case FTS_ERR:
		if (e->fts_errno != ENOENT || !e->fts_level)
			leave_out(n, e->fts_path, e->fts_errno);
		break;
	default:
		/* FTS_DC is one of the directories that lead to it, mounted once more. */
		break;
	}
}

static enum status walk(struct names *n, const char *dir)
{
	char *roots[] = { xstrdup(dir), NULL };
	const char *silent = remote_silent_below(&n->remote, dir);
	const FTSENT *e;
	FTS *fts = NULL;
	int err = 0;

	/* Looking at the folder that the mount is on could hang. */
	if (silent) {
		say("%s: %s, mounted below it, does not answer (a hung mount?)", dir, silent);
		free(roots[0]);
		return STATUS_BAD_INPUT;
	}
	fts = fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_XDEV | FTS_NOCHDIR, by_name);
	while (fts && (errno = 0, e = fts_read(fts))) {
		take_entry(n, e);
		progress_set(n->nr, 0);
	}
	err = errno;
	if (fts)
		fts_close(fts);
	free(roots[0]);
	return err ? fail_with(xasprintf("%s: %s", dir, strerror(err)), STATUS_BAD_INPUT)
		   : STATUS_DONE;
}

/* Opening a file on a mount that hangs would block, so another process tries it first. */
static enum target_error open_found(struct names *n, const char *path, struct target *t, char **why)
{
	return remote_answers(&n->remote, path) ? target_open(t, path, why)
						: target_silent(t, path, why);
}

/* Take a path that was named: a directory is walked, and anything else has to be a file. */
static enum status take_named(struct names *n, const char *path, bool found)
{
	enum target_error error;
	struct target t;
	char *why;

	error = found ? open_found(n, path, &t, &why)
		      : target_open_asked(&t, &n->remote, path, &why);
	if (error == TARGET_OK) {
		add(n, path, found, t.id.dev, t.id.ino);
		target_close(&t);
		return STATUS_DONE;
	}
	if (error == TARGET_DIRECTORY) {
		free(why);
		return walk(n, path);
	}
	fail_with(why, STATUS_BAD_INPUT);
	n->incomplete |= found;
	return found ? STATUS_DONE : STATUS_BAD_INPUT;
}

static enum status take_list(struct names *n, const char *list)
{
	bool input = !strcmp(list, "-");
	enum status status = STATUS_DONE;
	unsigned long long count = 0;
	char *name = NULL;
	size_t room = 0;
	ssize_t len;
	FILE *f;

	if (!input && !remote_answers(&n->remote, list))
		return fail_with(xasprintf("%s: does not answer (a hung mount?)", list),
				 STATUS_BAD_INPUT);
	f = input ? stdin : fopen(list, "re");
	while (f && !status && (errno = 0, len = getdelim(&name, &room, 0, f)) >= 0) {
		count++;
		if (!*name)
			status = fail_with(xasprintf("%s:%llu: expected a name, found an empty one",
						     input ? "standard input" : list, count),
					   STATUS_BAD_INPUT);
		else
			status = take_named(n, name, true);
	}
	if (!status && (!f || ferror(f)))
		status = fail_with(xasprintf("%s: %s", list, strerror(errno)), STATUS_BAD_INPUT);
	free(name);
	if (f && !input)
		fclose(f);
	return status;
}

static int by_inode(const void *a, const void *b)
{
	const struct name *x = *(const struct name *const *)a, *y = *(const struct name *const *)b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	if (x->found != y->found)
		return x->found ? 1 : -1;
	return x < y ? -1 : x > y;
}

/* Of the names under which a file was found the first one stays, unless -f names the file. */
static void drop_links(struct names *n)
{
	struct name **sorted = xcalloc(n->nr, sizeof(*sorted)), *first = NULL;
	size_t i, kept = 0;

	for (i = 0; i < n->nr; i++)
		sorted[i] = &n->all[i];
	qsort(sorted, n->nr, sizeof(*sorted), by_inode);
	for (i = 0; i < n->nr; i++) {
		if (!first || first->dev != sorted[i]->dev || first->ino != sorted[i]->ino) {
			first = sorted[i];
		} else if (sorted[i]->found) {
			free(sorted[i]->path);
			sorted[i]->path = NULL;
		}
	}
	for (i = 0; i < n->nr; i++) {
		if (n->all[i].path)
			n->all[kept++] = n->all[i];
	}
	n->nr = kept;
	free(sorted);
}

enum status names_collect(struct names *n, const char *const *files, size_t nr, const char *files0)
{
	enum status status = STATUS_DONE, of_file;
	size_t i;

	*n = (struct names){ 0 };
	remote_read(&n->remote);
	progress_begin(false);
	/* What is wrong with each of them is said. */
	for (i = 0; i < nr; i++) {
		of_file = take_named(n, files[i], false);
		status = status ? status : of_file;
	}
	if (!status && files0)
		status = take_list(n, files0);
	progress_end();
	drop_links(n);
	return status;
}

void names_leave_out(struct names *n, const char *path, char *why)
{
	struct stat st;

	if (lstat(path, &st) && errno == ENOENT) {
		free(why);
		return;
	}
	fail_with(why, STATUS_FAILED);
	n->incomplete = true;
}

bool names_open(struct names *n, const struct name *name, struct target *t)
{
	enum target_error error;
	char *why;

	error = open_found(n, name->path, t, &why);
	t->found = name->found;
	if (error == TARGET_OK)
		return true;
	names_leave_out(n, name->path, why);
	return false;
}

void names_free(struct names *n)
{
	size_t i;

	for (i = 0; i < n->nr; i++)
		free(n->all[i].path);
	free(n->all);
	n->all = NULL;
	n->nr = 0;
	remote_free(&n->remote);
}
