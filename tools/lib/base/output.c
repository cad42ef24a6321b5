// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/output.h"
#include "base/session.h"

int output_special(int at, const char *path, int flags)
{
	const struct timespec pause = { .tv_nsec = 20000000 };
	struct stat st;
	int fd;

	flags |= O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;

	/*
	 * A blocking open(2) would wait for a reader and not return on the signals that are held
	 * back.
	 */
	while ((fd = openat(at, path, flags)) < 0) {
		if (errno != ENXIO)
			return -errno;
		/* A socket, or a device that is not there, never has a reader. */
		if (fstatat(at, path, &st, 0) || !S_ISFIFO(st.st_mode))
			return -ENXIO;
		if (session_signal_pending())
			return -EINTR;
		nanosleep(&pause, NULL);
	}
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	return fd;
}

/* As fopen(3) for writing, but for FIFOs. */
static FILE *open_path(const char *path)
{
	struct stat st;
	int fd;

	if (stat(path, &st) || !S_ISFIFO(st.st_mode))
		return fopen(path, "we");
	fd = output_special(AT_FDCWD, path, 0);
	if (fd < 0) {
		errno = -fd;
		return NULL;
	}
	return fdopen(fd, "w");
}

int output_open(struct output *out, const char *path, bool json, bool command,
		const struct table_options *tables)
{
	out->path = path;
	out->json = json;
	out->error = 0;
	out->broken_pipe = false;
	out->tables = tables ? *tables : (struct table_options){ 0 };
	if (path)
		out->f = open_path(path);
	else if (quiet && !json)
		out->f = fopen("/dev/null", "we");
	else
		out->f = command && !json ? stderr : stdout;
	return out->f ? 0 : -errno;
}

static void note_error(struct output *out)
{
	/* The stream keeps that it failed, not why: later calls may have left another reason. */
	if (!out->error)
		out->error = errno ? errno : EIO;
	out->broken_pipe = out->error == EPIPE;
}

void output_flush(struct output *out)
{
	if (fflush(out->f) || ferror(out->f))
		note_error(out);
}

int output_close(struct output *out)
{
	if (!out->f)
		return 0;
	output_flush(out);
	if (out->f != stdout && out->f != stderr && fclose(out->f))
		note_error(out);
	/* A reader that has closed the pipe expects no more data: no message. */
	if (out->error && !out->broken_pipe)
		say("%s: write error: %s",
		    out->path	       ? out->path
		    : out->f == stderr ? "stderr"
				       : "stdout",
		    strerror(out->error));
	out->f = NULL;
	return out->error ? -EIO : 0;
}

void output_after_command(struct output *out)
{
	if (!out->path && !out->json && isatty(fileno(out->f)))
		fputc('\n', out->f);
}

void output_line(struct output *out, struct json_object *record)
{
	fputs(json_object_to_json_string_ext(record, JSON_C_TO_STRING_PLAIN |
							     JSON_C_TO_STRING_NOSLASHESCAPE),
	      out->f);
	fputc('\n', out->f);
	json_object_put(record);
}

void output_record(struct output *out, struct json_object *record)
{
	output_line(out, record);
	output_flush(out);
}

struct json_object *json_new(const char *kind)
{
	struct json_object *r = json_object_new_object();

	json_object_object_add(r, "record", json_object_new_string(kind));
	return r;
}

void json_u64(struct json_object *r, const char *key, uint64_t v)
{
	json_object_object_add(r, key, json_object_new_uint64(v));
}

void json_u64_if(struct json_object *r, const char *key, bool known, uint64_t v)
{
	json_object_object_add(r, key, known ? json_object_new_uint64(v) : NULL);
}

static struct json_object *decimal(double v, const char *fmt)
{
	char text[64];

	snprintf(text, sizeof(text), fmt, v);
	return json_object_new_double_s(v, text);
}

void json_ratio(struct json_object *r, const char *key, double v)
{
	json_object_object_add(r, key, v < 0 ? NULL : decimal(v, "%.6f"));
}

void json_us(struct json_object *r, const char *key, bool known, double us)
{
	json_object_object_add(r, key, known ? decimal(us, "%.1f") : NULL);
}

static void escaped(struct json_object *r, const char *key, const char *s, unsigned int what)
{
	char *text = s ? percent_escape(s, what) : NULL;

	json_object_object_add(r, key, text ? json_object_new_string(text) : NULL);
	free(text);
}

void json_text(struct json_object *r, const char *key, const char *s)
{
	escaped(r, key, s, 0);
}

void json_name(struct json_object *r, const char *key, const char *name)
{
	escaped(r, key, name, ESCAPE_PERCENT);
}

struct json_object *json_meta(const char *tool, struct json_object *hooks)
{
	struct json_object *r = json_new("meta");
	struct utsname u;

	uname(&u);
	json_text(r, "tool", tool);
	json_text(r, "version", VERSION);
	json_u64(r, "schema", OUTPUT_SCHEMA);
	json_text(r, "kernel", u.release);
	json_u64(r, "page_size", page_size());
	json_object_object_add(r, "hooks", hooks);
	return r;
}

struct json_object *json_command(const struct command *c)
{
	struct json_object *r = json_new("command");
	/* A process that is not a child of this one leaves no exit status. */
	bool known = c->ended && !c->detached;
	bool signaled = known && WIFSIGNALED(c->wait_status);

	json_u64_if(r, "status", known && !signaled, WEXITSTATUS(c->wait_status));
	json_u64_if(r, "signal", signaled, signaled ? WTERMSIG(c->wait_status) : 0);
	json_u64_if(r, "wall_us", c->ended, c->wall_us);
	return r;
}
