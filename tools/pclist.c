// SPDX-License-Identifier: GPL-2.0-only
/* pclist: show lists of pages, combine them, cut them, move them, and turn them into JSON. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/options.h"
#include "list/list_json.h"
#include "list/list_show.h"

enum verb_flag {
	TAKES_NEWEST = 1 << 0, /* several lists */
	TAKES_STRICT = 1 << 1, /* looks at the files */
	PRINTS = 1 << 2,       /* a table, or with -j records: no list */
};

struct verb {
	const char *name;
	const char *args;
	int least, most; /* arguments; most 0: any number */
	unsigned int flags;
	enum status (*run)(void);
};

static struct options {
	struct print_options print;
	const struct verb *verb;
	const char **args;
	size_t nr_args;
	uint64_t max_bytes;
	bool strict, newest;
} opt;

static struct output out;
static struct list_files files;
static struct page_runs pages;

enum {
	OPT_MAX_BYTES = 256,
	OPT_NEWEST,
	OPT_STRICT,
};

static const char doc[] =
	"Show, combine, cut and move lists of pages, and turn them into JSON and back.\v"
	"VERB is one of\n"
	"    show LIST               each file's pages, bytes, runs and state\n"
	"    check LIST              which files are stale or gone (status 4)\n"
	"    merge LIST LIST...      the pages of all lists, in the order of the first\n"
	"    intersect LIST LIST...  the pages of the first list that all others have\n"
	"    subtract LIST LIST...   the pages of the first list that no other has\n"
	"    trim --max-bytes SIZE LIST\n"
	"                            the first pages, up to SIZE bytes\n"
	"    rebase FROM TO LIST     names below FROM, moved below TO\n"
	"    export LIST             JSON: \"file\", \"offset\" and \"length\" of each run\n"
	"    import JSON             a list of such objects\n"
	"LIST is - for standard input. Lists are written to standard output only.\n"
	"\n"
	"EXAMPLES:\n"
	"    pclist show app.offsets\n"
	"    pclist merge first.offsets second.offsets >both.offsets\n"
	"    pclist trim --max-bytes 256M app.offsets >start.offsets\n"
	"    pclist rebase /srv/app /mnt/replica/app app.offsets >replica.offsets\n"
	"\n"
	"Status: 0 done, 1 failed, 2 bad usage or input, 4 files of check are stale or gone.";

static const struct argp_option argp_options[] = {
	{ "max-bytes", OPT_MAX_BYTES, "SIZE", 0, "trim: keep no more than SIZE (K, M, G, T)", 0 },
	{ "newest", OPT_NEWEST, NULL, 0,
	  "Of two files with the same name, take the one that was modified later (default: "
	  "fail with status 2)",
	  0 },
	{ "strict", OPT_STRICT, NULL, 0,
	  "Treat a file with a newer mtime as stale (default: ignore mtime)", 0 },
	{ "verbose", 'v', NULL, 0, "Say why a file is stale, and which names mean the same file",
	  0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static const struct argp_child argp_children[] = {
	{ &print_argp, 0, NULL, 0 },
	{ NULL, 0, NULL, 0 },
};

/* The verbs. */

static enum status read_list(const char *path, struct page_runs *runs)
{
	char *why = NULL;

	return list_files_read(&files, path, runs, &why) ? fail_with(why, STATUS_BAD_INPUT)
							 : STATUS_DONE;
}

static enum status write_list(void)
{
	list_files_write(&files, &pages, out.f);
	return STATUS_DONE;
}

static enum status show(void)
{
	enum status status = read_list(opt.args[0], &pages);

	if (!status)
		list_show(&files, &pages, opt.strict, &out);
	return status;
}

static enum status check(void)
{
	enum status status = read_list(opt.args[0], &pages);

	if (!status && !list_check(&files, &pages, opt.strict, &out))
		status = STATUS_PARTIAL;
	return status;
}

static void add_pages(const struct page_runs *more)
{
	size_t i;

	for (i = 0; i < more->nr; i++)
		page_runs_add(&pages, more->runs[i].file, more->runs[i].first, more->runs[i].last);
	page_runs_settle(&pages);
}

static void keep_pages(const struct page_runs *more)
{
	page_runs_keep(&pages, more, true);
}

static void drop_pages(const struct page_runs *more)
{
	page_runs_keep(&pages, more, false);
}

static enum status combine(void (*with)(const struct page_runs *more))
{
	struct page_runs more = { 0 };
	enum status status;
	size_t i;

	files.unify = true;
	files.newest = opt.newest;
	status = read_list(opt.args[0], &pages);
	for (i = 1; i < opt.nr_args && !status; i++) {
		status = read_list(opt.args[i], &more);
		if (!status)
			with(&more);
		page_runs_free(&more);
	}
	return status ? status : write_list();
}

static enum status merge(void)
{
	return combine(add_pages);
}

static enum status intersect(void)
{
	return combine(keep_pages);
}

static enum status subtract(void)
{
	return combine(drop_pages);
}

static enum status trim(void)
{
	enum status status = read_list(opt.args[0], &pages);

	if (status)
		return status;
	page_runs_trim(&pages, opt.max_bytes / page_size());
	return write_list();
}

static enum status rebase(void)
{
	enum status status = read_list(opt.args[2], &pages);
	char *why = NULL;
	ssize_t n;

	if (status)
		return status;
	n = list_files_rebase(&files, opt.args[0], opt.args[1], &why);
	if (n < 0)
		return fail_with(why, STATUS_BAD_INPUT);
	if (!n && files.nr)
		return fail_with(xasprintf("%s: the list has no file below this folder",
					   opt.args[0]),
				 STATUS_BAD_INPUT);
	return write_list();
}

static enum status export(void) {
	enum status status = read_list(opt.args[0], &pages); char *why = NULL;

		if (status) return status;
		return list_export(&files, &pages, &out, &why) ? fail_with(why, STATUS_BAD_INPUT)
							       : STATUS_DONE;
}

static enum status import(void)
{
	char *why = NULL;

	if (list_import(&files, opt.args[0], &pages, &why))
		return fail_with(why, STATUS_BAD_INPUT);
	return write_list();
}

static const struct verb verbs[] = {
	{ "show", "LIST", 1, 1, TAKES_STRICT | PRINTS, show },
	{ "check", "LIST", 1, 1, TAKES_STRICT | PRINTS, check },
	{ "merge", "LIST LIST...", 2, 0, TAKES_NEWEST, merge },
	{ "intersect", "LIST LIST...", 2, 0, TAKES_NEWEST, intersect },
	{ "subtract", "LIST LIST...", 2, 0, TAKES_NEWEST, subtract },
	{ "trim", "--max-bytes SIZE LIST", 1, 1, 0, trim },
	{ "rebase", "FROM TO LIST", 3, 3, 0, rebase },
	{ "export", "LIST", 1, 1, 0, export },
	{ "import", "JSON", 1, 1, 0, import },
};

/* Options. */

static const struct verb *find_verb(const char *name, const struct argp_state *state)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	}
	argp_error(
		state,
		"unknown verb '%s'; the verbs are show, check, merge, intersect, subtract, trim, "
		"rebase, export and import",
		name);
	return NULL;
}

static void check_usage(struct argp_state *state)
{
	static const struct table_layout *const tables[] = { &list_table };
	const struct print_options *print = &opt.print;
	const struct verb *verb = opt.verb;
	size_t i, from_stdin = 0;

	if (!verb)
		argp_error(state, "need a verb, such as show LIST");
	if (opt.nr_args < (size_t)verb->least || (verb->most && opt.nr_args > (size_t)verb->most))
		argp_error(state, "%s takes %s", verb->name, verb->args);
	for (i = 0; i < opt.nr_args; i++) {
		if (!*opt.args[i])
			argp_error(state, "%s takes %s, not an empty name", verb->name, verb->args);
		from_stdin += !strcmp(opt.args[i], "-");
	}
	if (from_stdin > 1)
		argp_error(state, "only one LIST can be - (standard input)");
	if ((opt.max_bytes != 0) != (verb->run == trim))
		argp_error(state, "--max-bytes SIZE goes with trim, which needs it");
	if (opt.newest && !(verb->flags & TAKES_NEWEST))
		argp_error(state, "--newest goes with merge, intersect and subtract");
	if (opt.strict && !(verb->flags & TAKES_STRICT))
		argp_error(state, "--strict goes with show and check");
	if ((print->json || print->tables.columns || print->tables.raw ||
	     print->tables.no_headings) &&
	    !(verb->flags & PRINTS))
		argp_error(state, "-j, --columns, --raw and -n go with show and check");
	check_columns(state, print, tables, ARRAY_SIZE(tables));
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case OPT_MAX_BYTES:
		if (parse_size(arg, &opt.max_bytes) || opt.max_bytes < page_size())
			argp_error(state,
				   "--max-bytes takes a size of a page or more, such as 512M, not "
				   "'%s'",
				   arg);
		break;
	case OPT_NEWEST:
		opt.newest = true;
		break;
	case OPT_STRICT:
		opt.strict = true;
		break;
	case 'v':
		verbose = true;
		break;
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &opt.print;
		break;
	case ARGP_KEY_ARG:
		if (!opt.verb) {
			opt.verb = find_verb(arg, state);
			break;
		}
		opt.args = xrealloc(opt.args, opt.nr_args + 1, sizeof(*opt.args));
		opt.args[opt.nr_args++] = arg;
		break;
	case ARGP_KEY_SUCCESS:
		check_usage(state);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp argp = {
	.options = argp_options,
	.parser = parse_option,
	.children = argp_children,
	.args_doc = "VERB LIST...",
	.doc = doc,
};

int main(int argc, char **argv)
{
	enum status status;

	program_begin("pclist", &argp, argc, argv);
	/* A list is written even with -q, as records are. */
	output_open(&out, NULL, opt.print.json || !(opt.verb->flags & PRINTS), false,
		    &opt.print.tables);
	out.json = opt.print.json;
	status = opt.verb->run();
	if (output_close(&out) && !status)
		status = STATUS_FAILED;
	page_runs_free(&pages);
	list_files_free(&files);
	free(opt.args);
	return out.broken_pipe ? end_by_signal(SIGPIPE) : (int)status;
}
