// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files that a file system checks or decrypts as it reads them.
 *
 *   protect verity FILE     fs-verity: FILE can only be read from now on
 *   protect encrypt DIR     fscrypt: files made in DIR, which is empty, are encrypted
 *   protect forget DIR      and without the key of `encrypt` cannot be read any more
 *
 * Status 3: this kernel or file system cannot do it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fscrypt.h>
#include <linux/fsverity.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define KEY_BYTES 64

static int result(const char *path, int err)
{
	if (!err)
		return 0;
	perror(path);
	return errno == EOPNOTSUPP || errno == ENOTTY || errno == ENOPKG ? 3 : 1;
}

static int verity(const char *path, int fd)
{
	struct fsverity_enable_arg arg = {
		.version = 1,
		.hash_algorithm = FS_VERITY_HASH_ALG_SHA256,
		.block_size = 4096,
	};

	return result(path, ioctl(fd, FS_IOC_ENABLE_VERITY, &arg));
}

static int add_key(int fd, struct fscrypt_key_specifier *spec)
{
	struct {
		struct fscrypt_add_key_arg arg;
		uint8_t raw[KEY_BYTES];
	} key = {
		.arg.key_spec.type = FSCRYPT_KEY_SPEC_TYPE_IDENTIFIER,
		.arg.raw_size = KEY_BYTES,
	};

	memset(key.raw, 'k', sizeof(key.raw));
	if (ioctl(fd, FS_IOC_ADD_ENCRYPTION_KEY, &key))
		return -1;
	*spec = key.arg.key_spec;
	return 0;
}

static int encrypt(const char *path, int fd)
{
	struct fscrypt_key_specifier spec;
	struct fscrypt_policy_v2 policy = {
		.version = FSCRYPT_POLICY_V2,
		.contents_encryption_mode = FSCRYPT_MODE_AES_256_XTS,
		.filenames_encryption_mode = FSCRYPT_MODE_AES_256_CTS,
		.flags = FSCRYPT_POLICY_FLAGS_PAD_32,
	};

	if (add_key(fd, &spec))
		return result(path, -1);
	memcpy(policy.master_key_identifier, spec.u.identifier, sizeof(spec.u.identifier));
	return result(path, ioctl(fd, FS_IOC_SET_ENCRYPTION_POLICY, &policy));
}

static int forget(const char *path, int fd)
{
	struct fscrypt_remove_key_arg arg = { 0 };

	/* Adding the same key again tells its name. */
	if (add_key(fd, &arg.key_spec))
		return result(path, -1);
	return result(path, ioctl(fd, FS_IOC_REMOVE_ENCRYPTION_KEY_ALL_USERS, &arg));
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(const char *path, int fd);
	} commands[] = { { "verity", verity }, { "encrypt", encrypt }, { "forget", forget } };
	size_t i;
	int fd;

	for (i = 0; argc == 3 && i < sizeof(commands) / sizeof(*commands); i++) {
		if (strcmp(argv[1], commands[i].name))
			continue;
		fd = open(argv[2], O_RDONLY);
		if (fd < 0) {
			perror(argv[2]);
			return 1;
		}
		return commands[i].run(argv[2], fd);
	}
	fprintf(stderr, "usage: protect verity FILE | encrypt DIR | forget DIR\n");
	return 2;
}
