/* SPDX-License-Identifier: GPL-2.0-only */
/* Which file system it is, also after a reboot that gives devices other numbers. */
#ifndef PAGE2CACHE_UUID_H
#define PAGE2CACHE_UUID_H

#include <stdbool.h>
#include <stdint.h>

struct uuid {
	uint8_t bytes[16]; /* all zero: none */
};

/*
 * The UUID of the file system of an open file, whose statfs(2) has F_TYPE. The file system
 * itself is asked, by ioctl(2): no device is read, so that no privilege is needed. None where
 * neither the kernel nor the file system has such an ioctl.
 */
struct uuid uuid_of_fs(int fd, long f_type);

bool uuid_is_known(const struct uuid *u);

/* 8-4-4-4-12 hexadecimal digits. */
#define UUID_TEXT 37
void uuid_text(const struct uuid *u, char text[UUID_TEXT]);

#endif
