// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/btf.h>

#include "base/util.h"
#include "hook/attach.h"
#include "hook/types.h"

static int types_fd = -1;
static char types_path[64];

const struct bpf_object_open_opts *types_open_opts(void)
{
	static struct bpf_object_open_opts opts = { .sz = sizeof(opts) };

	/* libbpf takes a path: without /proc the memory has none. */
	if (types_fd < 0 && !access("/proc/self/fd", X_OK)) {
		types_fd = memfd_create("page2cache-types", MFD_CLOEXEC);
		snprintf(types_path, sizeof(types_path), "/proc/self/fd/%d", types_fd);
	}
	/* Without it libbpf looks at all types: slower, and just as right. */
	opts.btf_custom_path = types_fd < 0 ? NULL : types_path;
	return &opts;
}

/* Types that CO-RE looks up by name. */
static bool is_looked_up(const struct btf_type *t)
{
	return btf_is_composite(t) || btf_is_any_enum(t) || btf_is_typedef(t);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names of an object's types without the flavour (___), sorted. */
static char **names_of(const struct btf *btf, size_t *n)
{
	__u32 id, count = btf__type_cnt(btf);
	char **names = xcalloc(count, sizeof(*names));
	const struct btf_type *t;
	const char *name;
	char *flavour;

	*n = 0;
	for (id = 1; id < count; id++) {
		t = btf__type_by_id(btf, id);
		name = btf__name_by_offset(btf, t->name_off);
		if (!is_looked_up(t) || !name || !*name)
			continue;
		names[*n] = xstrdup(name);
		flavour = strstr(names[*n], "___");
		if (flavour)
			*flavour = 0;
		++*n;
	}
	qsort(names, *n, sizeof(*names), by_name);
	return names;
}

struct copy {
	struct btf *to;
	const struct btf *from;
	__u32 *ids; /* of the copies; 0: not copied */
	int err;
};

static __u32 copy_type(struct copy *c, __u32 id);

/* What a pointer points to is never compared: void will do. */
static void copy_reference(struct copy *c, __u32 id, size_t at, __u32 referred)
{
	__u32 copied = copy_type(c, referred);

	/* Adding types moves them: an offset stays. */
	memcpy((char *)btf__type_by_id(c->to, id) + at, &copied, sizeof(copied));
}

static __u32 copy_type(struct copy *c, __u32 id)
{
	const struct btf_type *t = btf__type_by_id(c->from, id);
	size_t i;
	int to;

	if (!id || c->err || btf_is_func_proto(t))
		return 0;
	if (c->ids[id])
		return c->ids[id];
	to = btf_is_ptr(t) ? btf__add_ptr(c->to, 0) : btf__add_type(c->to, c->from, t);
	if (to < 0) {
		c->err = to;
		return 0;
	}
	c->ids[id] = to;
	if (btf_is_composite(t)) {
		for (i = 0; i < btf_vlen(t); i++)
			copy_reference(c, to,
				       sizeof(*t) + i * sizeof(struct btf_member) +
					       offsetof(struct btf_member, type),
				       btf_members(t)[i].type);
	} else if (btf_is_array(t)) {
		copy_reference(c, to, sizeof(*t) + offsetof(struct btf_array, type),
			       btf_array(t)->type);
		copy_reference(c, to, sizeof(*t) + offsetof(struct btf_array, index_type),
			       btf_array(t)->index_type);
	} else if (btf_is_typedef(t) || btf_is_mod(t) || btf_is_type_tag(t)) {
		copy_reference(c, to, offsetof(struct btf_type, type), t->type);
	}
	return to;
}

static int write_whole(int fd, const void *data, size_t size)
{
	ssize_t done = pwrite(fd, data, size, 0);

	if (done < 0 || ftruncate(fd, size))
		return -errno;
	return (size_t)done == size ? 0 : -EIO;
}

bool types_btrfs_mounted(void)
{
	DIR *dir = opendir("/sys/fs/btrfs");
	struct dirent *e;
	bool found = false;

	/* A folder for each by its UUID, beside one of what the module can do. */
	while (dir && !found && (e = readdir(dir)))
		found = strchr(e->d_name, '-');
	if (dir)
		closedir(dir);
	return found;
}

/* Copy those types of FROM that are named, from the id FIRST on. */
static void copy_named(struct copy *c, __u32 first, char **names, size_t n)
{
	__u32 id, count = btf__type_cnt(c->from);
	const struct btf_type *t;
	const char *name;

	c->ids = xcalloc(count, sizeof(*c->ids));
	for (id = first; id < count; id++) {
		t = btf__type_by_id(c->from, id);
		if (!is_looked_up(t) || !t->name_off)
			continue;
		name = btf__name_by_offset(c->from, t->name_off);
		if (bsearch(&name, names, n, sizeof(*names), by_name))
			copy_type(c, id);
	}
	free(c->ids);
}

/* What a module has beside the kernel's own types. */
static void copy_module(struct copy *c, const char *path, char **names, size_t n)
{
	const struct btf *kernel = c->from;
	struct btf *module = btf__parse_split(path, (struct btf *)kernel);

	/* The kernel has these types itself, or has none: then programs do without. */
	if (!module)
		return;
	c->from = module;
	copy_named(c, btf__type_cnt(kernel), names, n);
	c->from = kernel;
	btf__free(module);
}

int types_write(const struct bpf_object *obj)
{
	char *why = NULL, **names;
	struct copy c = { .from = kernel_btf(&why) };
	const void *data;
	__u32 size;
	size_t n, i;

	if (types_fd < 0)
		return 0;
	if (!c.from) {
		free(why);
		return -ENOENT;
	}
	c.to = btf__new_empty();
	if (!c.to)
		return -errno;
	names = names_of(bpf_object__btf(obj), &n);
	copy_named(&c, 1, names, n);
	if (types_btrfs_mounted())
		copy_module(&c, "/sys/kernel/btf/btrfs", names, n);
	data = btf__raw_data(c.to, &size);
	if (!c.err)
		c.err = data ? write_whole(types_fd, data, size) : -ENOMEM;
	for (i = 0; i < n; i++)
		free(names[i]);
	free(names);
	btf__free(c.to);
	return c.err;
}
