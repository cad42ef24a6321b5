// SPDX-License-Identifier: GPL-2.0-only
#include <linux/btrfs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "file/uuid.h"

/* Linux 6.9, of any file system that has one; not in the headers of older kernels. */
struct any_uuid {
	uint8_t len;
	struct uuid uuid;
};
#define ANY_UUID _IOR(0x15, 0, struct any_uuid)

/* ext4, Linux 6.0; the UUID follows, and counts not for the ioctl's number. */
struct ext4_uuid {
	uint32_t len, flags;
	uint8_t bytes[];
};
#define EXT4_UUID _IOR('f', 44, struct ext4_uuid)

/* The first version of XFS_IOC_FSGEOMETRY, which every kernel has. */
struct xfs_geometry {
	uint32_t sizes[8];
	uint64_t blocks[4];
	struct uuid uuid;
	uint32_t rest[7];
};
#define XFS_GEOMETRY _IOR('X', 100, struct xfs_geometry)

/* statfs(2) has it, but no header of the kernel before 6.13. */
#define XFS_MAGIC 0x58465342

static bool ask_any(int fd, struct uuid *u)
{
	struct any_uuid any = { 0 };

	if (ioctl(fd, ANY_UUID, &any) || any.len != sizeof(any.uuid))
		return false;
	*u = any.uuid;
	return true;
}

static bool ask_ext4(int fd, struct uuid *u)
{
	union {
		struct ext4_uuid head;
		uint8_t room[sizeof(struct ext4_uuid) + sizeof(*u)];
	} ext4 = { .head.len = sizeof(*u) };

	if (ioctl(fd, EXT4_UUID, &ext4))
		return false;
	memcpy(u, ext4.room + sizeof(ext4.head), sizeof(*u));
	return true;
}

static bool ask_xfs(int fd, struct uuid *u)
{
	struct xfs_geometry geometry = { 0 };

	if (ioctl(fd, XFS_GEOMETRY, &geometry))
		return false;
	*u = geometry.uuid;
	return true;
}

static bool ask_btrfs(int fd, struct uuid *u)
{
	struct btrfs_ioctl_fs_info_args info = { 0 };

	if (ioctl(fd, BTRFS_IOC_FS_INFO, &info))
		return false;
	memcpy(u, info.fsid, sizeof(*u));
	return true;
}

struct uuid uuid_of_fs(int fd, long f_type)
{
	struct uuid none = { 0 }, u;

	if (ask_any(fd, &u))
		return u;
	switch (f_type) {
	case EXT4_SUPER_MAGIC:
		return ask_ext4(fd, &u) ? u : none;
	case XFS_MAGIC:
		return ask_xfs(fd, &u) ? u : none;
	case BTRFS_SUPER_MAGIC:
		return ask_btrfs(fd, &u) ? u : none;
	default:
		return none;
	}
}

bool uuid_is_known(const struct uuid *u)
{
	static const struct uuid none;

	return memcmp(u, &none, sizeof(none)) != 0;
}

void uuid_text(const struct uuid *u, char text[UUID_TEXT])
{
	size_t i;

	for (i = 0; i < sizeof(u->bytes); i++)
		text += sprintf(text, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
				u->bytes[i]);
}
