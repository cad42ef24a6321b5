/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Questions about paths that another process asks for us. Whoever asks a mount that hangs
 * waits until the mount is gone, deaf to every signal, and so does the end of its process.
 */
#ifndef PAGE2CACHE_ASK_H
#define PAGE2CACHE_ASK_H

#include <sys/stat.h>
#include <sys/types.h>

/* All zero: nobody was asked yet. */
struct asker {
	pid_t pid; /* of the process that asks; 0: none */
	int fd;	   /* questions and answers */
};

/* lstat(2). Returns 0, -errno, or -ETIMEDOUT when nothing is heard of it for a second. */
int ask_lstat(struct asker *a, const char *path, struct stat *st);
/* Can PATH be opened for reading, if it is a regular file? The same returns. */
int ask_open(struct asker *a, const char *path);
/* Of the file system that PATH is on, so that nothing that is cached answers. */
int ask_file_system(struct asker *a, const char *path);
void ask_end(struct asker *a);

#endif
