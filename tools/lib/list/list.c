// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "list/list.h"

/* Pages that a file may have: 16 PiB of 4 KiB pages, of which each has a bit. */
#define MAX_FILE_PAGES (1ULL << 42)
/* Pages behind the end are only counted; this keeps sums of them in range. */
#define MAX_PAST_EOF (1ULL << 62)
#define NO_FILE	     SIZE_MAX

/* Descriptors that are left for everything but the files of a list. */
#define RESERVED_FDS 128

struct loader {
	struct list *list;
	const struct list_options *opt;
	size_t current;	 /* file that extents belong to; NO_FILE: they are left out */
	size_t sections; /* seen */
	bool matched;	 /* one of them was -f's */
	bool mismatched; /* -f: a section of another file was left out */
	size_t only;	 /* -f's file */
	char *only_real; /* its absolute path */
};

/* Descriptors are handed out from the lowest: this one shows how many are left. */
static bool room_for(int fd)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) || r.rlim_cur == RLIM_INFINITY)
		return true;
	return (rlim_t)fd + (r.rlim_cur > 4 * RESERVED_FDS ? RESERVED_FDS : r.rlim_cur / 2) <
	       r.rlim_cur;
}

/* A file under another of its names: its pages are the same. */
static size_t find_alias(const struct list *l, const struct identity *id)
{
	size_t i;

	for (i = 0; i < l->nr_files; i++) {
		const struct list_file *f = &l->files[i];

		if (f->state == LIST_READY && f->target.id.fsid == id->fsid &&
		    f->target.id.ino == id->ino && f->target.id.gen == id->gen)
			return i;
	}
	return NO_FILE;
}

static size_t add_file(struct list *l, const char *path)
{
	struct list_file *f;
	char *why = NULL;
	size_t alias;

	l->files = xrealloc(l->files, l->nr_files + 1, sizeof(*l->files));
	f = &l->files[l->nr_files];
	memset(f, 0, sizeof(*f));
	if (target_open(&f->target, path, &why) != TARGET_OK) {
		f->state = LIST_GONE;
		f->why = why;
		f->target.path = xstrdup(path);
		return l->nr_files++;
	}
	alias = find_alias(l, &f->target.id);
	if (alias != NO_FILE) {
		target_close(&f->target);
		return alias;
	}
	if (!room_for(f->target.fd)) {
		target_close(&f->target);
		f->state = LIST_GONE;
		f->why = xasprintf("%s: %s (ulimit -n)", path, strerror(EMFILE));
		f->target.path = xstrdup(path);
		return l->nr_files++;
	}
	f->nr_pages = (f->target.id.size + page_size() - 1) / page_size();
	if (f->nr_pages > MAX_FILE_PAGES || bitmap_init(&f->listed, f->nr_pages)) {
		f->state = LIST_GONE;
		f->why = xasprintf("%s: is too large", path);
	}
	return l->nr_files++;
}

static void make_stale(struct list_file *f, const char *what)
{
	if (f->state != LIST_READY)
		return;
	f->state = LIST_STALE;
	f->why = xasprintf("%s: %s since the list was recorded (--stale-ok forces it all the same)",
			   f->target.path, what);
}

static bool same_file(const struct offsets_section *s, const struct identity *id)
{
	return !((s->has & OFFSETS_FSID && s->id.fsid != id->fsid) ||
		 (s->has & OFFSETS_INO && s->id.ino != id->ino) ||
		 (s->has & OFFSETS_GEN && s->id.gen && id->gen && s->id.gen != id->gen));
}

/* Is the file what it was when the section was recorded? */
static void check_stale(struct loader *ld, struct list_file *f, const struct offsets_section *s)
{
	const struct identity *id = &f->target.id;

	if (f->state != LIST_READY)
		return;
	if (!ld->opt->stale_ok) {
		if (s->has & OFFSETS_FSID && s->id.fsid != id->fsid)
			make_stale(f, "it is on another file system");
		else if (!same_file(s, id))
			make_stale(f, "it was replaced by another file");
		else if (s->has & OFFSETS_SIZE && id->size < s->id.size)
			make_stale(f, "it has shrunk");
		else if (ld->opt->strict && s->has & OFFSETS_MTIME && id->mtime_ns > s->id.mtime_ns)
			make_stale(f, "it was written to");
	}
	if (f->state == LIST_READY && s->has & OFFSETS_MTIME && id->mtime_ns > s->id.mtime_ns)
		say("warning: %s: it was written to since the list was recorded", f->target.path);
}

static size_t find_file(const struct list *l, const char *path)
{
	size_t i;

	/* Sections come back: most often one of the latest. */
	for (i = l->nr_files; i-- > 0;) {
		if (!strcmp(l->files[i].target.path, path))
			return i;
	}
	return NO_FILE;
}

static const char *on_section(void *ctx, const struct offsets_section *s)
{
	struct loader *ld = ctx;
	struct list *l = ld->list;
	size_t known;

	ld->sections++;
	if (s->has & OFFSETS_PAGE_SIZE && s->page_size != page_size())
		return "the list was recorded with another page size";
	if (ld->opt->only_file) {
		struct list_file *f = &l->files[ld->only];
		bool by_name = !strcmp(s->file, f->target.path) ||
			       (ld->only_real && !strcmp(s->file, ld->only_real));
		bool by_identity = s->has & OFFSETS_INO && same_file(s, &f->target.id);

		/* With --stale-ok a list of one file serves for any other. */
		if (!by_name && !by_identity && !(ld->opt->stale_ok && ld->sections == 1)) {
			ld->mismatched = true;
			ld->current = NO_FILE;
			return NULL;
		}
		if (!ld->matched)
			check_stale(ld, f, s);
		ld->matched = true;
		ld->current = ld->only;
	} else {
		known = find_file(l, s->file);
		ld->current = known != NO_FILE ? known : add_file(l, s->file);
		if (known == NO_FILE)
			check_stale(ld, &l->files[ld->current], s);
	}
	if (s->has & OFFSETS_MISSES) {
		l->files[ld->current].misses = s->misses;
		l->files[ld->current].misses_known = true;
	}
	return NULL;
}

static void append(struct list *l, size_t file, uint64_t index, uint64_t nr)
{
	struct extent *last = l->nr_extents ? &l->extents[l->nr_extents - 1] : NULL;
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
			/* Half as much again: what is not touched costs nothing. */
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

static const char *on_extent(void *ctx, uint64_t index, uint64_t nr)
{
	struct loader *ld = ctx;
	struct list_file *f;
	uint64_t past = nr;

	if (ld->current == NO_FILE) {
		if (ld->mismatched)
			return NULL;
		return "no file: -f FILE or a '# file=' line before it must name one";
	}
	f = &ld->list->files[ld->current];
	if (f->state == LIST_READY && index < f->nr_pages) {
		past = nr > f->nr_pages - index ? nr - (f->nr_pages - index) : 0;
		append_new(ld->list, ld->current, index, index + (nr - past) - 1);
	} else if (f->state != LIST_READY) {
		/* Nothing is known of its size; what was asked for is skipped. */
		f->listed_pages +=
			nr < MAX_PAST_EOF - f->listed_pages ? nr : MAX_PAST_EOF - f->listed_pages;
		return NULL;
	}
	f->past_eof += past < MAX_PAST_EOF - f->past_eof ? past : MAX_PAST_EOF - f->past_eof;
	return NULL;
}

static int parse_stream(struct offsets_parser *p, int fd, const char *name, char **why)
{
	static char buf[1 << 18];
	ssize_t n;
	int err = 0;

	while (!err && (n = read(fd, buf, sizeof(buf))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err = -errno;
			*why = xasprintf("%s: %s", name, strerror(errno));
			return err;
		}
		err = offsets_parser_feed(p, buf, n);
	}
	err = err ? err : offsets_parser_finish(p);
	if (err)
		*why = xasprintf("%s:%llu: %s", name, (unsigned long long)p->line, p->error);
	return err;
}

int list_load(struct list *l, const char *path, const struct list_options *opt, char **why)
{
	struct loader ld = { .list = l, .opt = opt, .current = NO_FILE, .only = NO_FILE };
	struct offsets_sink sink = { on_section, on_extent, &ld };
	const char *name = strcmp(path, "-") ? path : "standard input";
	struct offsets_parser p;
	int fd = 0, err;

	memset(l, 0, sizeof(*l));
	if (opt->only_file) {
		ld.only = ld.current = add_file(l, opt->only_file);
		if (l->files[ld.only].state != LIST_READY) {
			*why = xstrdup(l->files[ld.only].why);
			return -EINVAL;
		}
		ld.only_real = realpath(opt->only_file, NULL);
	}
	if (strcmp(path, "-")) {
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
		if (fd < 0) {
			*why = xasprintf("%s: %s", path, strerror(errno));
			free(ld.only_real);
			return -EINVAL;
		}
	}
	offsets_parser_init(&p, &sink);
	err = parse_stream(&p, fd, name, why);
	offsets_parser_free(&p);
	free(ld.only_real);
	if (fd)
		close(fd);
	if (!err && ld.mismatched && !ld.matched) {
		*why = xasprintf("%s: is a list of another file than %s", name, opt->only_file);
		err = -EINVAL;
	}
	return err == -EINVAL || !err ? err : -EINVAL;
}

int list_whole_files(struct list *l, const char *const *paths, size_t n, char **why)
{
	size_t i, file;

	memset(l, 0, sizeof(*l));
	for (i = 0; i < n; i++) {
		if (find_file(l, paths[i]) != NO_FILE)
			continue;
		file = add_file(l, paths[i]);
		if (l->files[file].state != LIST_READY) {
			*why = xstrdup(l->files[file].why);
			return -EINVAL;
		}
		if (l->files[file].nr_pages)
			append_new(l, file, 0, l->files[file].nr_pages - 1);
	}
	return 0;
}

void list_free(struct list *l)
{
	size_t i;

	for (i = 0; i < l->nr_files; i++) {
		bitmap_free(&l->files[i].listed);
		target_close(&l->files[i].target);
		free(l->files[i].why);
	}
	free(l->files);
	free(l->extents);
	memset(l, 0, sizeof(*l));
}
