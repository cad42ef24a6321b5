// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file/remote.h"
#include "list/list_text.h"

/* The file of extents that are left out: they are of another one than -f's. */
#define LEFT_OUT (OFFSETS_NO_FILE - 1)

struct reader {
	struct list_text *text;
	const struct list_options *opt;
	const struct target *only; /* of -f; NULL: every section counts */
	char *only_real;	   /* its absolute path */
	size_t sections;	   /* seen */
	bool matched;		   /* one of them was -f's */
	bool mismatched;	   /* -f: a section of another file was left out */
};

/* A node of the tree: the files move when their array grows, so it has the path itself. */
struct path_node {
	const char *path;
	size_t file;
};

static int by_path(const void *a, const void *b)
{
	const struct path_node *x = a, *y = b;

	return strcmp(x->path, y->path);
}

size_t list_text_add(struct list_text *t, const char *path)
{
	struct path_node key = { .path = path }, *node;
	void *found = tfind(&key, &t->by_path, by_path);
	struct text_file *f;

	if (found)
		return (*(struct path_node **)found)->file;
	/* Doubled: lists have hundreds of thousands of files. */
	if (!(t->nr_files & (t->nr_files - 1)))
		t->files = xrealloc(t->files, t->nr_files ? t->nr_files * 2 : 1, sizeof(*f));
	f = &t->files[t->nr_files];
	*f = (struct text_file){ .path = xstrdup(path) };
	node = xcalloc(1, sizeof(*node));
	node->path = f->path;
	node->file = t->nr_files;
	if (!tsearch(node, &t->by_path, by_path)) {
		say("out of memory");
		exit(STATUS_FAILED);
	}
	return t->nr_files++;
}

bool header_is_of_fs(const struct offsets_section *header, const struct identity *id)
{
	if (uuid_is_known(&header->id.uuid) && uuid_is_known(&id->uuid)) {
		if (memcmp(&header->id.uuid, &id->uuid, sizeof(id->uuid)))
			return false;
		if (!id->subvolumes)
			return true;
	}
	return !(header->has & OFFSETS_FSID) || header->id.fsid == id->fsid;
}

bool header_matches(const struct offsets_section *header, const struct identity *id)
{
	return header_is_of_fs(header, id) &&
	       !((header->has & OFFSETS_INO && header->id.ino != id->ino) ||
		 (header->has & OFFSETS_GEN && header->id.gen && id->gen &&
		  header->id.gen != id->gen));
}

const char *header_stale(const struct offsets_section *header, const struct identity *id,
			 bool strict)
{
	if (!header_is_of_fs(header, id))
		return "it is on another file system";
	if (!header_matches(header, id))
		return "it was replaced by another file";
	if (header->has & OFFSETS_SIZE && id->size < header->id.size)
		return "it has shrunk";
	if (strict && header->has & OFFSETS_MTIME && id->mtime_ns > header->id.mtime_ns)
		return "it was written to";
	return NULL;
}

/* Is it a section of -f's file? */
static bool is_only(struct reader *r, const struct offsets_section *s)
{
	if (!strcmp(s->file, r->only->path) || (r->only_real && !strcmp(s->file, r->only_real)))
		return true;
	if (s->has & OFFSETS_INO && header_matches(s, &r->only->id))
		return true;
	/* With --stale-ok a list of one file serves for any other. */
	return r->opt->stale_ok && r->sections == 1;
}

static void show_progress(const struct reader *r)
{
	struct list_progress *p = r->opt->progress;

	if (!p)
		return;
	__atomic_store_n(&p->files, r->text->nr_files, __ATOMIC_RELAXED);
	__atomic_store_n(&p->extents, r->text->nr_extents, __ATOMIC_RELAXED);
}

static const char *on_section(void *ctx, const struct offsets_section *s, uint32_t *file)
{
	struct reader *r = ctx;
	struct list_text *t = r->text;
	size_t known = t->nr_files;
	struct text_file *f;
	bool first;

	r->sections++;
	if (s->has & OFFSETS_PAGE_SIZE && s->page_size != page_size())
		return "the list was recorded with another page size";
	if (r->only && !is_only(r, s)) {
		r->mismatched = true;
		*file = LEFT_OUT;
		return NULL;
	}
	*file = r->only ? 0 : list_text_add(t, s->file);
	show_progress(r);
	first = r->only ? !r->matched : *file == known;
	r->matched = true;
	f = &t->files[*file];
	if (first) {
		f->header = *s;
		f->header.file = NULL; /* the parser's */
	}
	if (s->has & OFFSETS_MISSES) {
		f->misses = s->misses;
		f->misses_known = true;
	}
	return NULL;
}

static const char *on_extent(void *ctx, uint32_t file, uint64_t index, uint64_t nr)
{
	struct reader *r = ctx;
	struct list_text *t = r->text;
	struct text_chunk *c = t->last;
	struct extent e = { .index = index, .nr_pages = nr, .file = file };

	if (file == LEFT_OUT)
		return NULL;
	if (file == OFFSETS_NO_FILE) {
		if (!r->only)
			return "no file: a '# file=' line before it must name one, or pcforce -f FILE";
		e.file = 0;
	}
	if (nr > UINT32_MAX) {
		e.index = t->nr_longs;
		e.nr_pages = 0;
		t->longs = xrealloc(t->longs, t->nr_longs + 1, sizeof(*t->longs));
		t->longs[t->nr_longs++] = (struct long_extent){ index, nr };
	}
	if (!c || c->nr == TEXT_CHUNK_EXTENTS) {
		/* Not xcalloc(): a short list pays for what it fills. */
		c = xrealloc(NULL, 1, sizeof(*c));
		c->next = NULL;
		c->nr = 0;
		if (t->last)
			t->last->next = c;
		else
			t->first = c;
		t->last = c;
	}
	c->extents[c->nr++] = e;
	t->nr_extents++;
	show_progress(r);
	return NULL;
}

static const char *on_comment(void *ctx, const char *text, const char *end)
{
	struct reader *r = ctx;

	r->text->incomplete |= offsets_says_incomplete(text, end);
	return NULL;
}

static void on_unused(void *ctx, uint64_t starts)
{
	struct list_text *t = ((struct reader *)ctx)->text;

	if (!starts && !t->nr_marks)
		return;
	t->marks = xrealloc(t->marks, t->nr_marks + 1, sizeof(*t->marks));
	t->marks[t->nr_marks++] = (struct list_mark){ t->nr_extents, starts };
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

/* Returns a descriptor or -errno; -ETIMEDOUT on a mount that hangs. */
static int open_text(const char *path)
{
	struct remote remote;
	bool answers;
	int fd;

	remote_read(&remote);
	answers = remote_answers(&remote, path);
	remote_free(&remote);
	if (!answers)
		return -ETIMEDOUT;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -errno;
	return fd;
}

int list_text_read(struct list_text *t, const char *path, const struct list_options *opt,
		   const struct target *only, char **why)
{
	struct reader r = { .text = t, .opt = opt, .only = only };
	struct offsets_sink sink = { on_section, on_extent, on_comment, &r, on_unused };
	const char *name = strcmp(path, "-") ? path : "standard input";
	struct offsets_parser p;
	struct stat st;
	int fd = 0, err;

	memset(t, 0, sizeof(*t));
	if (strcmp(path, "-")) {
		fd = open_text(path);
		if (fd < 0) {
			*why = xasprintf("%s: %s", path, strerror(-fd));
			return -EINVAL;
		}
	}
	if (only) {
		list_text_add(t, only->path);
		r.only_real = opt->root ? NULL : realpath(only->path, NULL);
	}
	if (opt->progress && !fstat(fd, &st))
		__atomic_store_n(&opt->progress->bytes, st.st_size, __ATOMIC_RELAXED);
	offsets_parser_init(&p, &sink);
	err = parse_stream(&p, fd, name, why);
	offsets_parser_free(&p);
	free(r.only_real);
	if (fd)
		close(fd);
	if (!err && r.mismatched && !r.matched) {
		*why = xasprintf("%s: is a list of another file than %s", name, only->path);
		err = -EINVAL;
	}
	return err ? -EINVAL : 0;
}

void list_text_free(struct list_text *t)
{
	struct text_chunk *c;
	size_t i;

	tdestroy(t->by_path, free);
	while ((c = t->first)) {
		t->first = c->next;
		free(c);
	}
	for (i = 0; i < t->nr_files; i++)
		free(t->files[i].path);
	free(t->files);
	free(t->longs);
	free(t->marks);
	memset(t, 0, sizeof(*t));
}
