/* SPDX-License-Identifier: GPL-2.0-only */
/* The offsets format, page2cache-offsets(5): its parser, fed in pieces, and its writer. */
#ifndef PAGE2CACHE_OFFSETS_H
#define PAGE2CACHE_OFFSETS_H

#include <stdio.h>

#include "file/target.h"

#define OFFSETS_VERSION 1

/* How a file was accessed while its list was recorded. */
enum offsets_pattern {
	PATTERN_UNKNOWN, /* the list does not say */
	PATTERN_SEQ,	 /* by reads, nearly all in order */
	PATTERN_MMAP,	 /* through page faults, nearly all in order */
	PATTERN_RANDOM,	 /* in any other order, or in one that was not seen */
	NR_PATTERNS,
};

/* A `# file=` line. Which fields it had is in `has`. */
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

/* Each returns NULL, or what is wrong (static text): the parser then stops. */
struct offsets_sink {
	const char *(*section)(void *ctx, const struct offsets_section *section);
	const char *(*extent)(void *ctx, uint64_t index, uint64_t nr_pages);
	void *ctx;
};

struct offsets_parser {
	struct offsets_sink sink;
	uint64_t line;
	char *partial; /* a line that goes on in the next piece */
	size_t partial_len;
	const char *error; /* what is wrong with `line`; static text */
};

void offsets_parser_init(struct offsets_parser *p, const struct offsets_sink *sink);
/* Returns 0, or -EINVAL with p->error and p->line set. */
int offsets_parser_feed(struct offsets_parser *p, const char *buf, size_t len);
/* The end of the text: its last line may lack a newline. */
int offsets_parser_finish(struct offsets_parser *p);
void offsets_parser_free(struct offsets_parser *p);

/* The writer: errors are the stream's, asked once at its end. */
void offsets_write_version(FILE *f);
void offsets_write_section(FILE *f, const struct offsets_section *section);
void offsets_write_extent(FILE *f, uint64_t index, uint64_t nr_pages);

#endif
