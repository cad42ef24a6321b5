/* SPDX-License-Identifier: GPL-2.0-only */
/* Data on stdout or in a file: JSON lines or tables, flushed as it comes. */
#ifndef PAGE2CACHE_OUTPUT_H
#define PAGE2CACHE_OUTPUT_H

#include <stdio.h>

#include <json-c/json.h>

#include "base/command.h"
#include "base/table.h"

/* 2: % in names is escaped. */
#define OUTPUT_SCHEMA 2

struct output {
	FILE *f;
	const char *path; /* of -O, NULL: a standard stream */
	bool json;
	struct table_options tables;
	int error;	  /* why something could not be written, 0: all was */
	bool broken_pipe; /* as its reader has gone away */
};

/*
 * With COMMAND, tables go to stderr, so that COMMAND's own output stays as it is, and
 * JSON to stdout, which was asked for; when quiet, tables go nowhere. TABLES may be NULL:
 * all columns, for people. Returns 0 or -errno.
 */
int output_open(struct output *out, const char *path, bool json, bool command,
		const struct table_options *tables);
/*
 * A descriptor to write to the device or FIFO at PATH, seen from the folder AT, opened with
 * FLAGS as well: a FIFO is waited for until it has a reader, or a signal that ends the run has
 * come. Returns it, or -errno.
 */
int output_special(int at, const char *path, int flags);
/* Returns 0, or -EIO when data was lost. */
int output_close(struct output *out);

/*
 * COMMAND may have left a line open on the terminal that the tables go to, too: they begin
 * on one of their own.
 */
void output_after_command(struct output *out);

/* One object a line, flushed; takes the object. */
void output_record(struct output *out, struct json_object *record);
/* The same, but not flushed: for many at once. */
void output_line(struct output *out, struct json_object *record);
/* Flush what was printed to out->f. */
void output_flush(struct output *out);

struct json_object *json_new(const char *kind);
void json_u64(struct json_object *r, const char *key, uint64_t v);
/* null unless known */
void json_u64_if(struct json_object *r, const char *key, bool known, uint64_t v);
/* null if v is negative; three decimals more than needed are cut */
void json_ratio(struct json_object *r, const char *key, double v);
void json_us(struct json_object *r, const char *key, bool known, double us);
/* null if s is NULL; bytes that are not UTF-8 become %XX */
void json_text(struct json_object *r, const char *key, const char *s);
/*
 * The name of a file or task, which may be any bytes; % becomes %25, so that the name can be had
 * back.
 */
void json_name(struct json_object *r, const char *key, const char *name);

/* The first record: what made this data. Takes HOOKS: event -> the hook that serves it. */
struct json_object *json_meta(const char *tool, struct json_object *hooks);
struct json_object *json_command(const struct command *c);

#endif
