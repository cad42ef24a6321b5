// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>

#include "report/known_files.h"

bool known_file_found(const struct known_file *f)
{
	return !f->target || f->target->found;
}

static void add(struct known_files *f, uint32_t slot, const struct p2c_file_key *key, char *path,
		const struct target *target)
{
	struct known_file *file;

	/* Doubled: there may be hundreds of thousands. */
	if (!(f->nr & (f->nr - 1)))
		f->files = xrealloc(f->files, f->nr ? f->nr * 2 : 1, sizeof(*f->files));
	file = &f->files[f->nr++];
	*file = (struct known_file){ slot, *key, path, target };
}

void known_file_read(struct known_file *f, const struct counters *w, const struct mounts *m,
		     uint32_t slot)
{
	struct p2c_file_name name;

	memset(f, 0, sizeof(*f));
	f->slot = slot;
	if (counters_name(w, slot, &name))
		return;
	f->key = name.key;
	f->path = mounts_path(m, &name);
}

/* Files that got their slot at their first access. */
static void read_found(struct known_files *f, const struct counters *w)
{
	int files = bpf_object__find_map_fd_by_name(w->obj, "files");
	struct p2c_file_key key, *before = NULL;
	struct mounts *m = mounts_read();
	struct known_file found;
	uint32_t slot;

	while (!bpf_map_get_next_key(files, before, &key)) {
		before = &key;
		if (bpf_map_lookup_elem(files, &key, &slot))
			continue;
		if (slot == SLOT_OTHERS) {
			f->nr_beyond++;
			continue;
		}
		known_file_read(&found, w, m, slot);
		add(f, slot, &key, found.path, NULL);
	}
	mounts_free(m);
}

void known_files_read(struct known_files *f, const struct counters *w, const struct target *targets,
		      size_t n, bool auto_files)
{
	struct p2c_file_key none = { 0 };
	size_t i;

	memset(f, 0, sizeof(*f));
	for (i = 0; i < n; i++)
		add(f, targets[i].slot, &targets[i].key, xstrdup(targets[i].path), &targets[i]);
	if (!auto_files)
		return;
	read_found(f, w);
	add(f, SLOT_OTHERS, &none, NULL, NULL);
}

void known_file_free(struct known_file *f)
{
	free(f->path);
	f->path = NULL;
}

void known_files_free(struct known_files *f)
{
	size_t i;

	for (i = 0; i < f->nr; i++)
		known_file_free(&f->files[i]);
	free(f->files);
	memset(f, 0, sizeof(*f));
}

static char *dev_text(uint32_t dev)
{
	return xasprintf("%u:%u", dev >> 20, dev & ((1U << 20) - 1));
}

char *known_file_cell(const struct known_file *f)
{
	char *dev, *text;

	if (f->path)
		return xstrdup(f->path);
	if (f->slot == SLOT_OTHERS)
		return xstrdup("(files beyond the table's size)");
	dev = dev_text(f->key.dev);
	text = xasprintf("(dev %s, inode %llu)", dev, (unsigned long long)f->key.ino);
	free(dev);
	return text;
}

void json_file_name(struct json_object *o, const struct known_file *f)
{
	bool others = f->slot == SLOT_OTHERS;
	char *dev = dev_text(f->key.dev);

	json_name(o, "file", f->path);
	json_text(o, "dev", others ? NULL : dev);
	json_u64_if(o, "ino", !others, f->key.ino);
	free(dev);
}
