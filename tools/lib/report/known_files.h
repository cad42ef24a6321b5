/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which files the slots of a watch stand for: files that were named, or found at their first
 * access.
 */
#ifndef PAGE2CACHE_KNOWN_FILES_H
#define PAGE2CACHE_KNOWN_FILES_H

#include "file/mounts.h"
#include "base/output.h"
#include "hook/counters.h"

struct known_file {
	uint32_t slot; /* SLOT_OTHERS: all that no longer had one */
	struct p2c_file_key key;
	char *path;		     /* NULL: it could not be resolved */
	const struct target *target; /* NULL: found at its first access */
};

/* Was the file found, and not named? Such a file is shown only if it was accessed. */
bool known_file_found(const struct known_file *f);

struct known_files {
	struct known_file *files;
	size_t nr;
	size_t nr_beyond; /* found when the table was full: SLOT_OTHERS stands for them */
};

/* All of them, at the end of a run; named ones in their order. */
void known_files_read(struct known_files *f, const struct counters *w, const struct target *targets,
		      size_t n, bool auto_files);
void known_files_free(struct known_files *f);

/* The file of one slot now, to be freed by known_file_free(). */
void known_file_read(struct known_file *f, const struct counters *w, const struct mounts *m,
		     uint32_t slot);
void known_file_free(struct known_file *f);

/* How tables call a file, to be freed. */
char *known_file_cell(const struct known_file *f);
/* file, dev and ino of a record. */
void json_file_name(struct json_object *o, const struct known_file *f);

#endif
