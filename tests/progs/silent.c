// SPDX-License-Identifier: GPL-2.0-only
/*
 * A FUSE file system of one file, `data`, that can be told to answer nothing more.
 *
 *	silent MOUNTPOINT SIZE [SAID]
 *
 * mounts it and serves it in the background, and prints the number of the process that does:
 * a page holds its number, and SAID is what stat(2) says of the size (default: SIZE). SIGUSR1
 * ends the answers, but not the mount, as a server that hangs does: who asks waits until the
 * process is killed. Files can be made and written, and are forgotten. What is known is valid
 * for no time at all, so that everybody asks.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROOT	 1
#define DATA	 2
#define NEW	 3
#define MAX_READ (128 << 10)
#define PAGE	 4096

static uint64_t size, said;
static char request[MAX_READ + 4096], reply[MAX_READ];
static volatile sig_atomic_t silent;

static void fall_silent(int sig)
{
	silent = 1;
}

static void answer(int fd, const struct fuse_in_header *in, int err, const void *data, size_t len)
{
	struct fuse_out_header out = { sizeof(out) + len, err, in->unique };
	static char all[sizeof(out) + sizeof(reply)];

	memcpy(all, &out, sizeof(out));
	if (data)
		memcpy(all + sizeof(out), data, len);
	/* ENOENT: who asked has been killed meanwhile. */
	if (write(fd, all, sizeof(out) + len) < 0 && errno != ENOENT)
		perror("silent: answer");
}

static struct fuse_attr attributes(uint64_t node)
{
	struct fuse_attr a = { .ino = node, .nlink = 1, .blksize = PAGE };

	a.mode = node == ROOT ? S_IFDIR | 0755 : S_IFREG | 0644;
	a.size = node == DATA ? said : 0;
	return a;
}

static void read_data(int fd, const struct fuse_in_header *in, const struct fuse_read_in *r)
{
	uint64_t at, n = r->offset >= size ? 0 : size - r->offset;

	if (n > r->size)
		n = r->size;
	memset(reply, 0, n);
	for (at = (r->offset + PAGE - 1) / PAGE * PAGE; at + sizeof(at) <= r->offset + n;
	     at += PAGE)
		memcpy(reply + (at - r->offset), &(uint64_t){ at / PAGE }, sizeof(at));
	answer(fd, in, 0, reply, n);
}

static void serve(int fd, const struct fuse_in_header *in)
{
	const void *arg = in + 1;
	struct fuse_init_out init = { .major = FUSE_KERNEL_VERSION,
				      .minor = FUSE_KERNEL_MINOR_VERSION };
	struct fuse_entry_out entry = { .nodeid = DATA, .attr = attributes(DATA) };
	struct fuse_attr_out attr = { .attr = attributes(in->nodeid) };
	struct fuse_statfs_out fs = { .st = { .bsize = PAGE, .namelen = 255, .frsize = PAGE } };
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out opened;
	} made = { .entry = { .nodeid = NEW, .attr = attributes(NEW) } };
	struct fuse_write_out written;
	struct fuse_open_out opened = { .open_flags = FOPEN_KEEP_CACHE };

	switch (in->opcode) {
	case FUSE_INIT:
		init.max_readahead = ((const struct fuse_init_in *)arg)->max_readahead;
		init.max_write = 4096;
		answer(fd, in, 0, &init, sizeof(init));
		break;
	case FUSE_LOOKUP:
		if (in->nodeid == ROOT && !strcmp(arg, "data"))
			answer(fd, in, 0, &entry, sizeof(entry));
		else
			answer(fd, in, -ENOENT, NULL, 0);
		break;
	case FUSE_GETATTR:
		answer(fd, in, 0, &attr, sizeof(attr));
		break;
	case FUSE_STATFS:
		answer(fd, in, 0, &fs, sizeof(fs));
		break;
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		answer(fd, in, 0, &opened, sizeof(opened));
		break;
	case FUSE_CREATE:
		answer(fd, in, 0, &made, sizeof(made));
		break;
	case FUSE_WRITE:
		written = (struct fuse_write_out){
			.size = ((const struct fuse_write_in *)arg)->size
		};
		answer(fd, in, 0, &written, sizeof(written));
		break;
	case FUSE_READ:
		read_data(fd, in, arg);
		break;
	case FUSE_READDIR:
	case FUSE_FLUSH:
	case FUSE_RELEASE:
	case FUSE_FSYNC:
	case FUSE_UNLINK:
	case FUSE_RENAME:
	case FUSE_RENAME2:
	case FUSE_RELEASEDIR:
		answer(fd, in, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		answer(fd, in, -ENOSYS, NULL, 0);
	}
}

int main(int argc, char **argv)
{
	char options[128];
	pid_t pid;
	int fd;

	if (argc < 3 || argc > 4) {
		fprintf(stderr, "usage: silent MOUNTPOINT SIZE [SAID]\n");
		return 2;
	}
	size = strtoull(argv[2], NULL, 10);
	said = argc > 3 ? strtoull(argv[3], NULL, 10) : size;
	fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40755,user_id=0,group_id=0,allow_other",
		 fd);
	if (fd < 0 || mount("silent", argv[1], "fuse.silent", MS_NOSUID | MS_NODEV, options)) {
		perror(argv[1]);
		return 1;
	}
	pid = fork();
	if (pid) {
		printf("%d\n", pid);
		close(fd);
		return pid < 0;
	}
	/* Whoever reads what was printed does not wait for us. */
	close(STDOUT_FILENO);
	signal(SIGUSR1, fall_silent);
	while (read(fd, request, sizeof(request)) > 0 || errno == EINTR || errno == ENOENT) {
		/* The request that comes next is left unanswered, and all that follow. */
		while (silent)
			pause();
		serve(fd, (const struct fuse_in_header *)request);
	}
	return 0;
}
