// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "file/opening.h"
#include "list/list.h"
#include "list/list_text.h"

/* Pages that a file may have: 16 PiB of 4 KiB pages, of which each has a bit. */
#define MAX_FILE_PAGES (1ULL << 42)
/* Pages behind the end are only counted; this keeps sums of them in range. */
#define MAX_PAST_EOF (1ULL << 62)

/* Descriptors kept free for everything but the files of a list. */
#define RESERVED_FDS 128

/* Descriptors are handed out from the lowest: this one shows how many are left. */
static bool room_for(int fd, rlim_t limit)
{
	return limit == RLIM_INFINITY ||
	       (rlim_t)fd + (limit > 4 * RESERVED_FDS ? RESERVED_FDS : limit / 2) < limit;
}

static void set_state(struct list_file *f, enum list_state state, char *why)
{
	f->state = state;
	f->why = why;
}

/* The file is there: can it be forced? */
static void check_file(struct list_file *f, rlim_t limit)
{
	int err;

	if (!room_for(f->target.fd, limit)) {
		target_close_fd(&f->target);
		set_state(f, LIST_GONE,
			  xasprintf("%s: %s (ulimit -n)", f->target.path, strerror(EMFILE)));
		return;
	}
	f->nr_pages = (f->target.id.size + page_size() - 1) / page_size();
	err = f->nr_pages > MAX_FILE_PAGES ? -EFBIG : bitmap_init(&f->listed, f->nr_pages);
	if (err)
		set_state(f, LIST_GONE, xasprintf("%s: %s", f->target.path, strerror(-err)));
}

static void make_stale(struct list_file *f, const char *what)
{
	set_state(
		f, LIST_STALE,
		xasprintf("%s: %s since the list was recorded (--stale-ok forces it all the same)",
			  f->target.path, what));
}

/* Is the file what it was when its section was recorded? */
static void check_stale(struct list_file *f, const struct offsets_section *s,
			const struct list_options *opt)
{
	const struct identity *id = &f->target.id;
	const char *what = header_stale(s, id, opt->strict);

	f->replaced = what;
	if (what && !opt->stale_ok)
		make_stale(f, what);
	f->written = f->state == LIST_READY && s->has & OFFSETS_MTIME &&
		     id->mtime_ns > s->id.mtime_ns;
}

/* A ready file by its inode, to find files that a list has under several names. */
struct inode_node {
	struct identity id;
	size_t file;
};

static int by_inode(const void *a, const void *b)
{
	return identity_compare(&((const struct inode_node *)a)->id,
				&((const struct inode_node *)b)->id);
}

/*
 * Which file of the list is the one that was just opened and is its last? Itself, or an earlier one
 * that is the same inode under another name.
 */
static size_t unify(struct list *l, void **inodes)
{
	struct inode_node *node = xcalloc(1, sizeof(*node));
	size_t last = l->nr_files - 1, first = last;
	void *found;

	node->id = l->files[last].target.id;
	node->file = last;
	found = tsearch(node, inodes, by_inode);
	if (found)
		first = (*(struct inode_node **)found)->file;
	if (!found || first != last)
		free(node);
	if (first == last)
		return last;
	bitmap_free(&l->files[last].listed);
	target_close(&l->files[last].target);
	l->nr_files--;
	return first;
}

/* Open the files of TEXT. Returns for each of them which of the list it is, to be freed. */
static uint32_t *add_files(struct list *l, const struct list_text *text,
			   const struct list_options *opt)
{
	uint32_t *file_of = xcalloc(text->nr_files + 1, sizeof(*file_of));
	const char **paths = xcalloc(text->nr_files + 1, sizeof(*paths));
	struct opened *opened;
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };
	void *inodes = NULL;
	size_t i;

	for (i = 0; i < text->nr_files; i++)
		paths[i] = text->files[i].path;
	getrlimit(RLIMIT_NOFILE, &limit);
	opened = targets_open(l->root, paths, text->nr_files);
	free(paths);
	l->files = xcalloc(text->nr_files + 1, sizeof(*l->files));
	for (i = 0; i < text->nr_files; i++) {
		struct list_file *f = &l->files[l->nr_files++];

		memset(f, 0, sizeof(*f));
		f->pattern = text->files[i].header.pattern;
		file_of[i] = l->nr_files - 1;
		if (opened[i].error != TARGET_OK) {
			set_state(f, LIST_GONE, opened[i].why);
			f->target.path = xstrdup(text->files[i].path);
			f->target.fd = -1;
		} else {
			f->target = opened[i].target;
			check_file(f, limit.rlim_cur);
		}
		f->target.found = text->files[i].found;
		if (f->state == LIST_READY)
			check_stale(f, &text->files[i].header, opt);
		/*
		 * A file with a stale name stays in the list if it has another name that is not
		 * stale.
		 */
		if (f->state == LIST_READY)
			file_of[i] = unify(l, &inodes);
		f = &l->files[file_of[i]];
		if (text->files[i].misses_known) {
			f->misses = text->files[i].misses;
			f->misses_known = true;
		}
	}
	tdestroy(inodes, free);
	free(opened);
	for (i = 0; i < l->nr_files; i++)
		l->files[i].planned = l->files[i].state == LIST_READY;
	return file_of;
}

void list_close(struct list *l)
{
	size_t i;

	for (i = 0; i < l->nr_files; i++)
		target_close_fd(&l->files[i].target);
	l->closed = true;
}

/* O is what the path of F leads to now. */
static void take_reopened(struct list_file *f, struct opened *o)
{
	free(f->missing);
	f->missing = NULL;
	if (o->error != TARGET_OK) {
		f->missing = o->why;
		return;
	}
	if (identity_compare(&f->target.id, &o->target.id)) {
		f->missing = xasprintf("%s: it was replaced by another file since the list was "
				       "loaded",
				       f->target.path);
	} else {
		f->target.fd = o->target.fd;
		o->target.fd = -1;
	}
	target_close(&o->target);
}

void list_reopen(struct list *l, bool all)
{
	const char **paths;
	struct opened *opened;
	size_t i, n = 0, *which;

	if (!l->closed)
		return;
	paths = xcalloc(l->nr_files + 1, sizeof(*paths));
	which = xcalloc(l->nr_files + 1, sizeof(*which));
	for (i = 0; i < l->nr_files; i++) {
		if (!l->files[i].planned || (l->files[i].missing && !all))
			continue;
		paths[n] = l->files[i].target.path;
		which[n++] = i;
	}
	opened = targets_open(l->root, paths, n);
	for (i = 0; i < n; i++)
		take_reopened(&l->files[which[i]], &opened[i]);
	free(opened);
	free(which);
	free(paths);
	l->closed = false;
}

void list_settle(struct list *l)
{
	struct list_file *f;

	for (f = l->files; f < l->files + l->nr_files; f++) {
		if (!f->planned)
			continue;
		free(f->why);
		set_state(f, f->missing ? LIST_GONE : LIST_READY,
			  f->missing ? xstrdup(f->missing) : NULL);
	}
}

static void append(struct list *l, size_t file, uint64_t index, uint64_t nr)
{
	/* An extent after a mark is not joined with one before it. */
	size_t begin = l->nr_marks ? l->marks[l->nr_marks - 1].extent : 0;
	struct extent *last = l->nr_extents > begin ? &l->extents[l->nr_extents - 1] : NULL;
	uint64_t n;

	l->files[file].listed_pages += nr;
	if (index + nr > l->files[file].end)
		l->files[file].end = index + nr;
	for (; nr; nr -= n, index += n) {
		if (last && last->file == file && last->index + last->nr_pages == index &&
		    last->nr_pages + nr <= UINT32_MAX) {
			last->nr_pages += nr;
			return;
		}
		n = nr > UINT32_MAX ? UINT32_MAX : nr;
		if (l->nr_extents == l->room) {
			/* Grow by half: memory that is not touched costs nothing. */
			l->room = l->room ? l->room + l->room / 2 : 4096;
			l->extents = xrealloc(l->extents, l->room, sizeof(*l->extents));
		}
		last = &l->extents[l->nr_extents++];
		*last = (struct extent){ .index = index, .nr_pages = n, .file = file };
	}
}

/* Append those pages of first..last that are not in the list yet, run by run. */
static void append_new(struct list *l, size_t file, uint64_t first, uint64_t last)
{
	struct bitmap *b = &l->files[file].listed;
	uint64_t at = first, run;

	while (at <= last) {
		/* Whole words at a time, where all is new or nothing is. */
		if (bitmap_test(b, at)) {
			if (at % 64 == 0 && last - at >= 63 && !~b->words[at / 64])
				at += 64;
			else
				at++;
			continue;
		}
		for (run = at; at <= last;) {
			if (at % 64 == 0 && last - at >= 63 && !b->words[at / 64]) {
				b->words[at / 64] = ~0ULL;
				at += 64;
			} else if (!bitmap_test(b, at)) {
				bitmap_set(b, at);
				at++;
			} else {
				break;
			}
		}
		append(l, file, run, at - run);
	}
}

/* Counts of pages that nothing can be done about stay in range. */
static void add_bounded(uint64_t *to, uint64_t nr)
{
	*to += nr < MAX_PAST_EOF - *to ? nr : MAX_PAST_EOF - *to;
}

static void take_extent(struct list *l, size_t file, uint64_t index, uint64_t nr)
{
	struct list_file *f = &l->files[file];
	uint64_t past = nr;

	if (f->state != LIST_READY) {
		/* The file's size is not known, so all its listed pages are skipped. */
		add_bounded(&f->listed_pages, nr);
		return;
	}
	if (index < f->nr_pages) {
		past = nr > f->nr_pages - index ? nr - (f->nr_pages - index) : 0;
		append_new(l, file, index, index + (nr - past) - 1);
	}
	add_bounded(&f->past_eof, past);
}

static void add_mark(struct list *l, uint64_t unused)
{
	l->marks = xrealloc(l->marks, l->nr_marks + 1, sizeof(*l->marks));
	l->marks[l->nr_marks++] = (struct list_mark){ l->nr_extents, unused };
}

/* All extents of TEXT, which has none afterwards. */
static void take_extents(struct list *l, struct list_text *text, const uint32_t *file_of)
{
	const struct list_mark *mark = text->marks, *last_mark = mark + text->nr_marks;
	struct text_chunk *c;
	size_t i, taken = 0;

	while ((c = text->first)) {
		for (i = 0; i < c->nr; i++) {
			const struct extent *e = &c->extents[i];
			const struct long_extent *le;

			for (; mark < last_mark && mark->extent <= taken; mark++)
				add_mark(l, mark->unused);
			taken++;
			if (e->nr_pages) {
				take_extent(l, file_of[e->file], e->index, e->nr_pages);
				continue;
			}
			le = &text->longs[e->index];
			take_extent(l, file_of[e->file], le->index, le->nr_pages);
		}
		text->first = c->next;
		free(c);
	}
}

/* With -f the named file has to exist. */
static int open_only(struct opened **only, const struct target_root *root, const char *path,
		     char **why)
{
	*only = targets_open(root, &path, 1);
	if ((*only)->error == TARGET_OK)
		return 0;
	*why = (*only)->why;
	return -EINVAL;
}

int list_load(struct list *l, const char *path, const struct list_options *opt, char **why)
{
	struct opened *only = NULL;
	struct list_text text;
	uint32_t *file_of;
	int err = 0;

	memset(l, 0, sizeof(*l));
	l->root = opt->root;
	if (opt->only_file)
		err = open_only(&only, opt->root, opt->only_file, why);
	if (!err) {
		err = list_text_read(&text, path, opt, only ? &only->target : NULL, why);
		if (!err) {
			file_of = add_files(l, &text, opt);
			take_extents(l, &text, file_of);
			free(file_of);
		}
		list_text_free(&text);
	}
	if (only && only->error == TARGET_OK)
		target_close(&only->target);
	free(only);
	return err;
}

/* Files that were found and are not ready leave the list, which has no extents yet. */
static void leave_out_found(struct list *l, struct names *names)
{
	size_t i, kept = 0;

	for (i = 0; i < l->nr_files; i++) {
		struct list_file *f = &l->files[i];

		if (f->state == LIST_READY || !f->target.found) {
			l->files[kept++] = *f;
			continue;
		}
		names_leave_out(names, f->target.path, f->why);
		target_close(&f->target);
	}
	l->nr_files = kept;
}

int list_whole_files(struct list *l, struct names *names, char **why)
{
	const struct list_options opt = { 0 };
	struct list_text text = { 0 };
	size_t i, at;
	int err = 0;

	memset(l, 0, sizeof(*l));
	for (i = 0; i < names->nr; i++) {
		at = list_text_add(&text, names->all[i].path);
		text.files[at].found = names->all[i].found;
	}
	free(add_files(l, &text, &opt));
	leave_out_found(l, names);
	for (i = 0; i < l->nr_files && !err; i++) {
		if (l->files[i].state != LIST_READY) {
			*why = xstrdup(l->files[i].why);
			err = -EINVAL;
		} else if (l->files[i].nr_pages) {
			append_new(l, i, 0, l->files[i].nr_pages - 1);
		}
	}
	list_text_free(&text);
	return err;
}

void list_free(struct list *l)
{
	size_t i;

	for (i = 0; i < l->nr_files; i++) {
		bitmap_free(&l->files[i].listed);
		target_close(&l->files[i].target);
		free(l->files[i].why);
		free(l->files[i].missing);
	}
	free(l->files);
	free(l->extents);
	free(l->marks);
	memset(l, 0, sizeof(*l));
}
