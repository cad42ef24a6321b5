/* SPDX-License-Identifier: GPL-2.0-only */
/* The offsets format, page2cache-offsets(5): its parser, fed in pieces, and the writing of lines. */
#ifndef PAGE2CACHE_OFFSETS_H
#define PAGE2CACHE_OFFSETS_H

#include <stdio.h>

#include "file/target.h"
#include "list/numbers.h"

/* Versions of the format: in the second one, extents may say by number whose they are. */
#define OFFSETS_PLAIN	 1
#define OFFSETS_NUMBERED 2

/* How a file was accessed while its list was recorded. */
enum offsets_pattern {
	PATTERN_UNKNOWN, /* the list does not say */
	PATTERN_SEQ,	 /* by reads, nearly all in order */
	PATTERN_MMAP,	 /* through page faults, nearly all in order */
	PATTERN_RANDOM,	 /* in any other order, or in one that was not seen */
	NR_PATTERNS,
};

/* A `# file=` line. Which fields it has is in `has`. */
struct offsets_section {
	char *file; /* decoded: any bytes but NUL */
	struct identity id;
	uint64_t page_size;
	uint64_t misses;
	enum offsets_pattern pattern;
	unsigned int has;
};

enum offsets_field {
	OFFSETS_FSID = 1 << 0,
	OFFSETS_INO = 1 << 1,
	OFFSETS_GEN = 1 << 2,
	OFFSETS_SIZE = 1 << 3,
	OFFSETS_MTIME = 1 << 4,
	OFFSETS_PAGE_SIZE = 1 << 5,
	OFFSETS_MISSES = 1 << 6,
};
#define OFFSETS_ALL_FIELDS (OFFSETS_MISSES * 2 - 1)

/* The file of extents before the first section. */
#define OFFSETS_NO_FILE UINT32_MAX

/* Each returns NULL, or what is wrong (static text): the parser then stops. */
struct offsets_sink {
	/* The section's extents will be handed over with what *FILE is set to. */
	const char *(*section)(void *ctx, const struct offsets_section *section, uint32_t *file);
	const char *(*extent)(void *ctx, uint32_t file, uint64_t index, uint64_t nr_pages);
	/* A line that begins with #, up to END, and is no header. NULL: comments are skipped. */
	const char *(*comment)(void *ctx, const char *text, const char *end);
	void *ctx;
	/* So many starts did without the extents that follow (0: none did). May be NULL. */
	void (*unused)(void *ctx, uint64_t starts);
};

struct offsets_parser {
	struct offsets_sink sink;
	uint64_t line;
	uint64_t version;	/* of the latest version line */
	uint32_t file;		/* of the latest section since that line */
	struct numbers numbers; /* of the files since that line */
	char *partial;		/* a line that goes on in the next piece */
	size_t partial_len;
	const char *error; /* what is wrong with `line`; static text */
};

void offsets_parser_init(struct offsets_parser *p, const struct offsets_sink *sink);
/* Returns 0, or -EINVAL with p->error and p->line set. */
int offsets_parser_feed(struct offsets_parser *p, const char *buf, size_t len);
/* The end of the text: its last line may lack a newline. */
int offsets_parser_finish(struct offsets_parser *p);
void offsets_parser_free(struct offsets_parser *p);

/* The path that TEXT, with its %XX, stands for, to be freed. Returns NULL, or what is wrong. */
const char *offsets_decode_path(const char *text, char **path);

/* Does a comment say that pages may be missing in the list? */
bool offsets_says_incomplete(const char *text, const char *end);

/*
 * The writer of lines: errors are the stream's, asked once at its end. A section has those fields
 * that are in `has`. NUMBER 0: none.
 */
void offsets_write_version(FILE *f, int version);
/* That pages may be missing in the list. */
void offsets_write_incomplete(FILE *f);
void offsets_write_unused(FILE *f, uint64_t starts);
void offsets_write_section(FILE *f, const struct offsets_section *section, uint32_t number);
void offsets_write_extent(FILE *f, uint64_t index, uint64_t nr_pages, uint32_t number);

#endif
