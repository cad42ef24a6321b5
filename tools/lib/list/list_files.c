// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "list/list_emit.h"
#include "list/list_files.h"
#include "list/list_text.h"
#include "list/order.h"

/* Two headers, of which each may leave fields out. */
enum sameness {
	SAME,
	DIFFERENT,
	UNKNOWN, /* what they have of an identity does not tell */
};

/* A node of either tree. */
struct file_node {
	const char *path;
	uint64_t ino;
	uint32_t file;
	struct file_node *next; /* another file with this inode number, on another file system */
};

static int by_path(const void *a, const void *b)
{
	const struct file_node *x = a, *y = b;

	return strcmp(x->path, y->path);
}

static int by_ino(const void *a, const void *b)
{
	const struct file_node *x = a, *y = b;

	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

static bool both_have(const struct offsets_section *a, const struct offsets_section *b,
		      enum offsets_field field)
{
	return a->has & b->has & field;
}

/*
 * By UUID two file systems can be told apart, or by fsid where one has no UUID. Within one UUID
 * another fsid is another subvolume of btrfs, or the same file system with another device number:
 * which of them, a list does not say. FUSE has 0 for all.
 */
static enum sameness compare_fs(const struct offsets_section *a, const struct offsets_section *b)
{
	bool fsids = both_have(a, b, OFFSETS_FSID) && (a->id.fsid || b->id.fsid);

	if (uuid_is_known(&a->id.uuid) && uuid_is_known(&b->id.uuid)) {
		if (memcmp(&a->id.uuid, &b->id.uuid, sizeof(a->id.uuid)))
			return DIFFERENT;
		return fsids && a->id.fsid != b->id.fsid ? UNKNOWN : SAME;
	}
	if (!fsids)
		return UNKNOWN;
	return a->id.fsid == b->id.fsid ? SAME : DIFFERENT;
}

static enum sameness compare(const struct offsets_section *a, const struct offsets_section *b)
{
	if (!both_have(a, b, OFFSETS_INO))
		return UNKNOWN;
	if (a->id.ino != b->id.ino)
		return DIFFERENT;
	/* 0: the file system has none. */
	if (both_have(a, b, OFFSETS_GEN) && a->id.gen && b->id.gen && a->id.gen != b->id.gen)
		return DIFFERENT;
	return compare_fs(a, b);
}

static struct file_node *find(void *const *tree, const struct file_node *key,
			      int (*by)(const void *, const void *))
{
	void *found = tfind(key, tree, by);

	return found ? *(struct file_node **)found : NULL;
}

static struct file_node *insert(void **tree, struct file_node key,
				int (*by)(const void *, const void *))
{
	struct file_node *node = xcalloc(1, sizeof(*node)), **found;

	*node = key;
	found = tsearch(node, tree, by);
	if (!found) {
		say("out of memory");
		exit(STATUS_FAILED);
	}
	if (*found == node)
		return node;
	/*
	 * There is a node already. By path the latest file counts, by inode number each of them
	 * does.
	 */
	if (by == by_path) {
		(*found)->path = node->path;
		(*found)->file = node->file;
		free(node);
	} else {
		node->next = (*found)->next;
		(*found)->next = node;
	}
	return *found;
}

static uint32_t add_section(struct list_files *l, const struct offsets_section *s, const char *path)
{
	uint32_t file = l->nr;

	if (!(l->nr & (l->nr - 1)))
		l->sections = xrealloc(l->sections, l->nr ? l->nr * 2 : 1, sizeof(*l->sections));
	l->sections[l->nr] = *s;
	l->sections[l->nr++].file = path ? xstrdup(path) : NULL;
	if (!path)
		return file;
	insert(&l->by_path, (struct file_node){ .path = l->sections[file].file, .file = file },
	       by_path);
	if (l->unify && s->has & OFFSETS_INO)
		insert(&l->by_ino, (struct file_node){ .ino = s->id.ino, .file = file }, by_ino);
	return file;
}

static struct file_node *find_path(const struct list_files *l, const char *path)
{
	const struct file_node key = { .path = path };

	return find(&l->by_path, &key, by_path);
}

uint32_t list_files_add(struct list_files *l, const char *path)
{
	const struct offsets_section none = { .page_size = page_size(), .has = OFFSETS_PAGE_SIZE };
	struct file_node *node = find_path(l, path);

	return node ? node->file : add_section(l, &none, path);
}

/* The file with the identity of S under whatever name. */
static struct file_node *find_same(const struct list_files *l, const struct offsets_section *s)
{
	const struct file_node key = { .ino = s->id.ino };
	struct file_node *node;

	if (!(s->has & OFFSETS_INO))
		return NULL;
	for (node = find(&l->by_ino, &key, by_ino); node; node = node->next) {
		const struct offsets_section *there = &l->sections[node->file];

		if (there->file && compare(there, s) == SAME)
			return node;
	}
	return NULL;
}

/* TO, a header of the same file, gets what it has not. */
static void fill_in(struct offsets_section *to, const struct offsets_section *from)
{
	unsigned int new = from->has & ~to->has;

	if (!uuid_is_known(&to->id.uuid))
		to->id.uuid = from->id.uuid;
	if (new &OFFSETS_FSID)
		to->id.fsid = from->id.fsid;
	if (new &OFFSETS_INO)
		to->id.ino = from->id.ino;
	if (new &OFFSETS_GEN)
		to->id.gen = from->id.gen;
	if (new &OFFSETS_SIZE)
		to->id.size = from->id.size;
	if (new &OFFSETS_MTIME)
		to->id.mtime_ns = from->id.mtime_ns;
	if (new &OFFSETS_PAGE_SIZE)
		to->page_size = from->page_size;
	if (new &OFFSETS_MISSES)
		to->misses = from->misses;
	to->has |= new;
}

/* S is another file than THERE, which has its name PATH. Which of them stays? */
static int settle_conflict(struct list_files *l, uint32_t there, const struct offsets_section *s,
			   const char *path, uint32_t *file, char **why)
{
	struct offsets_section *old = &l->sections[there];
	bool known = both_have(old, s, OFFSETS_MTIME) && old->id.mtime_ns != s->id.mtime_ns;
	char *name;

	if (!l->newest || !known) {
		*why = xasprintf(l->newest ? "%s: is two files in these lists, and neither is newer"
					   : "%s: is two files in these lists; --newest takes the "
					     "newer one",
				 path);
		return -EINVAL;
	}
	say_verbose("%s: the older file of this name is left out", path);
	if (s->id.mtime_ns < old->id.mtime_ns) {
		*file = add_section(l, s, NULL);
		return 0;
	}
	name = old->file;
	old->file = NULL;
	*file = add_section(l, s, name);
	free(name);
	return 0;
}

/* Which file S is that a list calls PATH. */
static int take_section(struct list_files *l, const struct offsets_section *s, const char *path,
			uint32_t *file, char **why)
{
	struct file_node *named = find_path(l, path), *node = named;
	enum sameness sameness = named ? compare(&l->sections[named->file], s) : UNKNOWN;

	if (sameness != SAME && l->unify)
		node = find_same(l, s);
	if (node && node != named)
		say_verbose("%s: is %s, by its inode", path, l->sections[node->file].file);
	if (!node && named && sameness == DIFFERENT)
		return settle_conflict(l, named->file, s, path, file, why);
	node = node ? node : named;
	if (!node) {
		*file = add_section(l, s, path);
		return 0;
	}
	*file = node->file;
	fill_in(&l->sections[*file], s);
	return 0;
}

static void take_extents(struct page_runs *runs, const struct list_text *text,
			 const uint32_t *file_of)
{
	const struct text_chunk *c;
	size_t i;

	for (c = text->first; c; c = c->next) {
		for (i = 0; i < c->nr; i++) {
			const struct extent *e = &c->extents[i];
			uint64_t first = e->nr_pages ? e->index : text->longs[e->index].index;
			uint64_t nr = e->nr_pages ? e->nr_pages : text->longs[e->index].nr_pages;

			page_runs_add(runs, file_of[e->file], first, first + nr - 1);
		}
	}
	page_runs_settle(runs);
}

int list_files_read(struct list_files *l, const char *path, struct page_runs *runs, char **why)
{
	const struct list_options opt = { 0 };
	struct list_text text;
	uint32_t *file_of = NULL;
	size_t i;
	int err = list_text_read(&text, path, &opt, NULL, why);

	if (!err)
		file_of = xcalloc(text.nr_files, sizeof(*file_of));
	for (i = 0; i < text.nr_files && !err; i++) {
		struct offsets_section s = text.files[i].header;

		if (text.files[i].misses_known) {
			s.misses = text.files[i].misses;
			s.has |= OFFSETS_MISSES;
		}
		err = take_section(l, &s, text.files[i].path, &file_of[i], why);
	}
	if (!err)
		take_extents(runs, &text, file_of);
	l->incomplete |= text.incomplete;
	free(file_of);
	list_text_free(&text);
	return err;
}

/* A folder without slashes at its end; "/" becomes "", as what is below it begins with one. */
static char *folder_of(const char *path)
{
	size_t len = strlen(path);

	while (len && path[len - 1] == '/')
		len--;
	return xasprintf("%.*s", (int)len, path);
}

/* What follows FROM in PATH, from a slash on or empty; NULL: PATH is not below it. */
static const char *below(const char *path, const char *from)
{
	size_t len = strlen(from);

	if (strncmp(path, from, len) || (path[len] && path[len] != '/'))
		return NULL;
	return path + len;
}

/*
 * The name that PATH gets as FROM becomes TO; NULL: it keeps its own. "." is where relative names
 * begin.
 */
static char *renamed(const char *path, const char *from, const char *to)
{
	const char *rest;

	if (!strcmp(from, ".")) {
		if (*path == '/')
			return NULL;
		return strcmp(to, ".") ? xasprintf("%s/%s", to, path) : xstrdup(path);
	}
	rest = below(path, from);
	if (!rest || (!*rest && !*to))
		return NULL;
	if (!strcmp(to, ".") && *rest)
		return xstrdup(rest + strspn(rest, "/"));
	return xasprintf("%s%s", to, rest);
}

ssize_t list_files_rebase(struct list_files *l, const char *from, const char *to, char **why)
{
	const unsigned int identity = OFFSETS_FSID | OFFSETS_INO | OFFSETS_GEN;
	char *from_folder = folder_of(from), *to_folder = folder_of(to), *path;
	void *taken = NULL;
	ssize_t n = 0;
	size_t i;

	for (i = 0; i < l->nr; i++) {
		struct offsets_section *s = &l->sections[i];

		path = renamed(s->file, from_folder, to_folder);
		if (path) {
			free(s->file);
			s->file = path;
			s->has &= ~identity;
			memset(&s->id.uuid, 0, sizeof(s->id.uuid));
			n++;
		}
		if (find(&taken, &(struct file_node){ .path = s->file }, by_path)) {
			*why = xasprintf("%s: two files of the list would have this name", s->file);
			n = -EINVAL;
			break;
		}
		insert(&taken, (struct file_node){ .path = s->file }, by_path);
	}
	tdestroy(taken, free);
	free(from_folder);
	free(to_folder);
	return n;
}

/* The order that pages have now says more than the pattern of a list that they come from. */
static void find_random(struct offsets_section *sections, size_t n, const struct page_runs *runs)
{
	struct order *orders = xcalloc(n, sizeof(*orders));
	size_t i;

	for (i = 0; i < runs->nr; i++)
		order_add(&orders[runs->runs[i].file], runs->runs[i].first,
			  runs->runs[i].last - runs->runs[i].first + 1);
	for (i = 0; i < n; i++) {
		if (sections[i].pattern && orders[i].pages && order_is_random(&orders[i]))
			sections[i].pattern = PATTERN_RANDOM;
	}
	free(orders);
}

void list_files_write(const struct list_files *l, const struct page_runs *runs, FILE *f)
{
	const struct page_run *run, *end = runs->runs + runs->nr;
	struct list_emit e;

	find_random(l->sections, l->nr, runs);
	list_emit_init(&e, f, l->sections, l->nr);
	for (run = runs->runs; run < end; run++)
		list_emit_use(&e, run->file);
	list_emit_begin(&e, false, l->incomplete);
	for (run = runs->runs; run < end && !ferror(f); run++)
		list_emit_run(&e, run->file, run->first, run->last - run->first + 1);
	list_emit_free(&e);
}

static void free_chain(void *node)
{
	struct file_node *n = node, *next;

	for (; n; n = next) {
		next = n->next;
		free(n);
	}
}

void list_files_free(struct list_files *l)
{
	size_t i;

	tdestroy(l->by_path, free);
	tdestroy(l->by_ino, free_chain);
	for (i = 0; i < l->nr; i++)
		free(l->sections[i].file);
	free(l->sections);
	memset(l, 0, sizeof(*l));
}
