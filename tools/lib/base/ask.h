/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Questions about paths, asked by another process. A system call on a mount that hangs does not
 * return until the mount is gone, and its process cannot be killed until then.
 */
#ifndef PAGE2CACHE_ASK_H
#define PAGE2CACHE_ASK_H

#include <sys/stat.h>
#include <sys/types.h>

/*
 * Seconds that a question may sleep in the kernel: on a mount whose server may be gone, and on any
 * other one, whose disk may be slow. A process that only waits for a CPU has all the time it needs.
 */
enum {
	ASK_REMOTE = 1,
	ASK_ANY = 10,
};

/* All zero: no process was started yet. */
struct asker {
	pid_t pid; /* of the process that asks; 0: none */
	int fd;	   /* questions and answers */
};

/* lstat(2). Returns 0, -errno, or -ETIMEDOUT when it has slept for so many SECONDS. */
int ask_lstat(struct asker *a, const char *path, struct stat *st, unsigned int seconds);
/* Can PATH be opened for reading, if it is a regular file? Returns as above. */
int ask_open(struct asker *a, const char *path, unsigned int seconds);
/* Asks the server of the file system that PATH is on, so that no cached answer is given. */
int ask_file_system(struct asker *a, const char *path, unsigned int seconds);
void ask_end(struct asker *a);

#endif
