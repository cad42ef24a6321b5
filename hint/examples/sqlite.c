// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * An SQLite extension that hints the pages of a scan. A table into which rows came in another
 * order than that of its key has its pages all over the file: a scan of a range waits for the disk
 * at each of them. The inner pages of the tree say which pages come next.
 *
 * The extension is a VFS named "pagehint" that hands everything to the default one. Where it sees
 * a page being read that follows the one before among the children of an inner page, it hints the
 * next ones. What is looked up once, or in another order, hints nothing.
 *
 * scripts/experiment hints --cells example-sqlite measures what a cold range gains.
 *
 * cc -O2 -shared -fPIC sqlite.c -o pagehint.so $(pkg-config --cflags --libs pagehint)
 * sqlite3 -cmd '.load ./pagehint.so' -cmd '.open file:DATABASE?vfs=pagehint' ''
 */
#include <dirent.h>
#include <pagehint.h>
#include <sqlite3ext.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

SQLITE_EXTENSION_INIT1

#define AHEAD 64 /* pages that are known to come and hinted */
#define TREES 4	 /* inner pages that are remembered, such as of an index and of its table */
#define MOST  16384

struct inner {
	unsigned int nr, next,
		hinted; /* of the children: all, the one after the last read, hinted */
	uint32_t child[MOST];
};

struct file {
	sqlite3_file base;
	struct pagehint *hints; /* NULL where the file is no database, or without hints */
	int id;
	unsigned int page_size, latest;
	struct inner *inner; /* TREES of them */
	sqlite3_file real[];
};

static sqlite3_vfs *below, vfs;

static sqlite3_file *real(sqlite3_file *f)
{
	return ((struct file *)f)->real;
}

static uint32_t number(const unsigned char *p, unsigned int bytes)
{
	uint32_t n = 0;

	while (bytes--)
		n = n << 8 | *p++;
	return n;
}

/* Is it the child of an inner page? If in order, those that follow are hinted. */
static void follow(struct file *f, uint32_t page)
{
	unsigned int t, k;

	for (t = 0; t < TREES; t++) {
		struct inner *in = &f->inner[t];

		for (k = in->next; k < in->nr && in->child[k] != page; k++)
			;
		if (k == in->nr)
			continue;
		if (k != in->next || !k)
			in->hinted = k + 1;
		in->next = k + 1;
		for (; k && in->hinted < in->nr && in->hinted < k + AHEAD; in->hinted++)
			pagehint_willneed(f->hints, f->id,
					  (uint64_t)(in->child[in->hinted] - 1) * f->page_size,
					  f->page_size);
	}
}

/* The children of an inner page: of a table (5) or of an index (2). */
static void remember(struct file *f, const unsigned char *page, bool first)
{
	const unsigned char *head = first ? page + 100 : page;
	unsigned int nr = number(head + 3, 2), at, i;
	struct inner *in;

	if ((*head != 5 && *head != 2) || nr >= MOST || 12 + 2 * nr > f->page_size - 100)
		return;
	in = &f->inner[f->latest++ % TREES];
	in->nr = in->next = 0;
	for (i = 0; i < nr; i++) {
		at = number(head + 12 + 2 * i, 2);
		if (at + 4 > f->page_size)
			return;
		in->child[i] = number(page + at, 4);
	}
	in->child[nr] = number(head + 8, 4);
	in->nr = nr + 1;
}

static void look(struct file *f, const unsigned char *data, int size, sqlite3_int64 at)
{
	if (!at && size >= 100 && !memcmp(data, "SQLite format 3", 16)) {
		f->page_size = number(data + 16, 2);
		if (f->page_size == 1)
			f->page_size = 65536;
	}
	if (f->page_size < 512 || (unsigned int)size != f->page_size || at % size)
		return;
	follow(f, at / size + 1);
	remember(f, data, !at);
}

static int x_read(sqlite3_file *file, void *data, int size, sqlite3_int64 at)
{
	struct file *f = (struct file *)file;
	int err = f->real->pMethods->xRead(f->real, data, size, at);

	if (!err && f->hints)
		look(f, data, size, at);
	return err;
}

static int x_close(sqlite3_file *file)
{
	struct file *f = (struct file *)file;

	pagehint_close(f->hints);
	free(f->inner);
	return f->real->pMethods ? f->real->pMethods->xClose(f->real) : SQLITE_OK;
}

/* What is handed on as it is. */
#define PASS(name, params, ...)                                            \
	static int x_##name params                                         \
	{                                                                  \
		return real(f)->pMethods->x##name(real(f), ##__VA_ARGS__); \
	}
PASS(Write, (sqlite3_file * f, const void *p, int n, sqlite3_int64 at), p, n, at)
PASS(Truncate, (sqlite3_file * f, sqlite3_int64 n), n)
PASS(Sync, (sqlite3_file * f, int flags), flags)
PASS(FileSize, (sqlite3_file * f, sqlite3_int64 *n), n)
PASS(Lock, (sqlite3_file * f, int level), level)
PASS(Unlock, (sqlite3_file * f, int level), level)
PASS(CheckReservedLock, (sqlite3_file * f, int *is), is)
PASS(FileControl, (sqlite3_file * f, int op, void *arg), op, arg)
PASS(SectorSize, (sqlite3_file * f))
PASS(DeviceCharacteristics, (sqlite3_file * f))
PASS(ShmMap, (sqlite3_file * f, int page, int size, int extend, void volatile **p), page, size,
     extend, p)
PASS(ShmLock, (sqlite3_file * f, int at, int n, int flags), at, n, flags)
PASS(ShmUnmap, (sqlite3_file * f, int gone), gone)

static void x_barrier(sqlite3_file *f)
{
	real(f)->pMethods->xShmBarrier(real(f));
}

/* Version 2: without xFetch, which would map pages and not read them. */
static const sqlite3_io_methods methods = {
	.iVersion = 2,
	.xClose = x_close,
	.xRead = x_read,
	.xWrite = x_Write,
	.xTruncate = x_Truncate,
	.xSync = x_Sync,
	.xFileSize = x_FileSize,
	.xLock = x_Lock,
	.xUnlock = x_Unlock,
	.xCheckReservedLock = x_CheckReservedLock,
	.xFileControl = x_FileControl,
	.xSectorSize = x_SectorSize,
	.xDeviceCharacteristics = x_DeviceCharacteristics,
	.xShmMap = x_ShmMap,
	.xShmLock = x_ShmLock,
	.xShmBarrier = x_barrier,
	.xShmUnmap = x_ShmUnmap,
};

/*
 * The descriptor that the default VFS has of the file. One of our own would not do: closing it
 * would release all locks of the process on the database.
 */
static int descriptor_of(const char *name)
{
	DIR *all = opendir("/proc/self/fd");
	struct stat of, st;
	struct dirent *e;
	int fd = -1;

	if (!all)
		return -1;
	while (!stat(name, &of) && (e = readdir(all)))
		if (!fstat(atoi(e->d_name), &st) && st.st_ino == of.st_ino &&
		    st.st_dev == of.st_dev)
			fd = atoi(e->d_name);
	closedir(all);
	return fd;
}

/* Without a handle the file is as the default VFS has it. */
static void start_hints(struct file *f, const char *name)
{
	f->inner = calloc(TREES, sizeof(*f->inner));
	if (f->inner)
		f->hints = pagehint_connect(NULL);
	f->id = pagehint_file(f->hints, descriptor_of(name));
	if (f->id < 0) {
		pagehint_close(f->hints);
		f->hints = NULL;
	}
}

static int x_open(sqlite3_vfs *v, const char *name, sqlite3_file *file, int flags, int *out)
{
	struct file *f = (struct file *)file;
	int err;

	memset(f, 0, sizeof(*f));
	err = below->xOpen(below, name, f->real, flags, out);
	f->base.pMethods = f->real->pMethods ? &methods : NULL;
	if (!err && name && flags & SQLITE_OPEN_MAIN_DB)
		start_hints(f, name);
	return err;
}

int sqlite3_extension_init(sqlite3 *db, char **why, const sqlite3_api_routines *api)
{
	int err;

	SQLITE_EXTENSION_INIT2(api);
	/* Loaded by another connection: what is registered stays as it is. */
	if (sqlite3_vfs_find("pagehint"))
		return SQLITE_OK_LOAD_PERMANENTLY;
	below = sqlite3_vfs_find(NULL);
	vfs = *below;
	vfs.zName = "pagehint";
	vfs.pNext = NULL;
	vfs.szOsFile = sizeof(struct file) + below->szOsFile;
	vfs.xOpen = x_open;
	err = sqlite3_vfs_register(&vfs, 0);
	return err ? err : SQLITE_OK_LOAD_PERMANENTLY;
}
