// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "list/list_json.h"

static bool fits(const struct page_run *run)
{
	/* What lies behind the last byte needs a number as well. */
	return run->last < UINT64_MAX / page_size();
}

int list_export(const struct list_files *l, const struct page_runs *runs, struct output *out,
		char **why)
{
	const struct page_run *run, *end = runs->runs + runs->nr;

	/* First, so that nothing is written of what cannot be written whole. */
	for (run = runs->runs; run < end; run++) {
		if (fits(run))
			continue;
		*why = xasprintf("%s: the bytes of page %" PRIu64 " have no number of 64 bits",
				 l->sections[run->file].file, run->last);
		return -EINVAL;
	}
	for (run = runs->runs; run < end && !ferror(out->f); run++) {
		struct json_object *o = json_new("extent");

		json_name(o, "file", l->sections[run->file].file);
		json_u64(o, "offset", run->first * page_size());
		json_u64(o, "length", (run->last - run->first + 1) * page_size());
		output_line(out, o);
	}
	return 0;
}

static const char *take_bytes(struct json_object *o, const char *key, uint64_t *v)
{
	struct json_object *value;

	/* json-c turns a number that is too large into the largest one. */
	if (!json_object_object_get_ex(o, key, &value) ||
	    !json_object_is_type(value, json_type_int) ||
	    parse_u64(json_object_get_string(value), v) || *v == UINT64_MAX)
		return "\"offset\" and \"length\" must be numbers of bytes, of 64 bits";
	return NULL;
}

static const char *take_object(struct list_files *l, struct page_runs *runs, struct json_object *o)
{
	uint64_t offset = 0, length = 0, last;
	struct json_object *name;
	const char *error;
	size_t len;
	char *path;

	/* Other records, as meta. */
	if (!json_object_object_get_ex(o, "file", &name))
		return NULL;
	if (!json_object_is_type(name, json_type_string))
		return "\"file\" must be a string";
	len = json_object_get_string_len(name);
	if (!len || strlen(json_object_get_string(name)) != len)
		return "\"file\": a path is expected, without NUL bytes";
	error = take_bytes(o, "offset", &offset);
	error = error ? error : take_bytes(o, "length", &length);
	if (error)
		return error;
	if (!length || __builtin_add_overflow(offset, length - 1, &last))
		return "\"length\" must be at least 1, and the last byte's number fit in 64 bits";
	error = offsets_decode_path(json_object_get_string(name), &path);
	if (error)
		return error;
	page_runs_add(runs, list_files_add(l, path), offset / page_size(), last / page_size());
	free(path);
	return NULL;
}

static const char *take_line(struct list_files *l, struct page_runs *runs,
			     struct json_tokener *parser, const char *line, size_t len)
{
	struct json_object *o;
	const char *error;

	if (memchr(line, 0, len))
		return "a NUL byte";
	if (!line[strspn(line, " \t\r\n")])
		return NULL;
	json_tokener_reset(parser);
	o = json_tokener_parse_ex(parser, line, len + 1);
	if (json_tokener_get_error(parser) != json_tokener_success ||
	    !json_object_is_type(o, json_type_object))
		error = "a JSON object a line is expected";
	else
		error = take_object(l, runs, o);
	json_object_put(o);
	return error;
}

int list_import(struct list_files *l, const char *path, struct page_runs *runs, char **why)
{
	bool from_stdin = !strcmp(path, "-");
	const char *name = from_stdin ? "standard input" : path, *error = NULL;
	FILE *f = from_stdin ? stdin : fopen(path, "re");
	struct json_tokener *parser;
	uint64_t at = 0;
	size_t room = 0;
	char *line = NULL;
	ssize_t len;

	*why = NULL;
	if (!f) {
		*why = xasprintf("%s: %s", path, strerror(errno));
		return -EINVAL;
	}
	parser = json_tokener_new();
	json_tokener_set_flags(parser, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	while (!error && (errno = 0, len = getline(&line, &room, f)) >= 0) {
		at++;
		error = take_line(l, runs, parser, line, len);
	}
	if (error)
		*why = xasprintf("%s:%" PRIu64 ": %s", name, at, error);
	else if (ferror(f))
		*why = xasprintf("%s: %s", name, strerror(errno));
	json_tokener_free(parser);
	free(line);
	if (!from_stdin)
		fclose(f);
	page_runs_settle(runs);
	return *why ? -EINVAL : 0;
}
