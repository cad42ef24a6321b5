// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ioprio.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "file/uuid.h"
#include "force/idle.h"

/* Interval at which a busy device is checked. */
#define LOOK_NS 1000000ULL
/*
 * A device that is never idle gets one of our requests per so many of others. So one in so many of
 * theirs has waited, too few to show in their 99th percentile.
 */
#define OTHERS 200
/*
 * Submit after this time anyway, so that forcing makes progress on a slow device with few requests.
 */
#define WAIT_NS 100000000ULL

void idle_begin(void)
{
	if (syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0)))
		say("--idle: the kernel refuses the idle class of I/O: %s", strerror(errno));
}

static void add_disk(struct idle *d, const char *dir);

/* The devices that DIR has links to. Returns how many these are. */
static size_t add_links(struct idle *d, const char *dir)
{
	char path[PATH_MAX];
	struct dirent *e;
	DIR *links = opendir(dir);
	size_t n = 0;

	while (links && (e = readdir(links))) {
		if (*e->d_name == '.')
			continue;
		n++;
		if (snprintf(path, sizeof(path), "%s/%s", dir, e->d_name) < (int)sizeof(path))
			add_disk(d, path);
	}
	if (links)
		closedir(links);
	return n;
}

/* Find the disks below a block device: others use them through more devices than this one. */
static void add_disk(struct idle *d, const char *dir)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/partition", dir) >= (int)sizeof(path))
		return;
	if (!access(path, F_OK)) {
		/* A link to a folder within that of its disk. */
		snprintf(path, sizeof(path), "%s/..", dir);
		add_disk(d, path);
		return;
	}
	snprintf(path, sizeof(path), "%s/slaves", dir);
	if (add_links(d, path) || d->nr == IDLE_DISKS)
		return;
	snprintf(path, sizeof(path), "%s/stat", dir);
	d->fd[d->nr] = open(path, O_RDONLY | O_CLOEXEC);
	if (d->fd[d->nr] >= 0)
		d->nr++;
}

static void find_disks(struct idle *d, int fd, dev_t dev)
{
	char path[128], text[UUID_TEXT];
	struct uuid uuid;

	idle_free(d);
	d->dev = dev;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major(dev), minor(dev));
	if (!access(path, F_OK)) {
		add_disk(d, path);
	} else {
		uuid = uuid_of_fs(fd, BTRFS_SUPER_MAGIC);
		uuid_text(&uuid, text);
		snprintf(path, sizeof(path), "/sys/fs/btrfs/%s/devices", text);
		add_links(d, path);
	}
	say_verbose("--idle: one request at a time to device %u:%u, %s", major(dev), minor(dev),
		    d->nr ? "when it has no other request"
			  : "beside any others: /sys shows no count of its requests");
}

/* Add up the requests that the disks have been given. */
struct look {
	uint64_t in_flight;
	uint64_t done;
};

static struct look look_at(const struct idle *d)
{
	unsigned long long reads, writes, in_flight;
	struct look l = { 0 };
	char text[512];
	ssize_t len;
	size_t i;

	for (i = 0; i < d->nr; i++) {
		len = pread(d->fd[i], text, sizeof(text) - 1, 0);
		text[len > 0 ? len : 0] = 0;
		if (sscanf(text, "%llu %*u %*u %*u %llu %*u %*u %*u %llu", &reads, &writes,
			   &in_flight) != 3)
			continue;
		l.in_flight += in_flight;
		l.done += reads + writes;
	}
	return l;
}

void idle_wait(struct idle *d, int fd, dev_t dev, const volatile bool *stop)
{
	const struct timespec pause = { .tv_nsec = LOOK_NS };
	uint64_t end = now_ns() + WAIT_NS;
	struct look first, last, now;
	bool idle;

	if (d->dev != dev)
		find_disks(d, fd, dev);
	first = now = look_at(d);
	/*
	 * A reader of single pages leaves short gaps. So after a busy look, wait for a longer gap.
	 */
	for (idle = !now.in_flight;
	     !idle && !*stop && now_ns() < end && now.done - first.done < OTHERS;) {
		last = now;
		nanosleep(&pause, NULL);
		now = look_at(d);
		idle = !now.in_flight && now.done == last.done;
	}
}

void idle_free(struct idle *d)
{
	while (d->nr)
		close(d->fd[--d->nr]);
}
