// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/command.h"
#include "base/options.h"
#include "base/progress.h"

enum {
	OPT_EXIT_COMMAND = 512, /* the programs' own begin at 256 */
	OPT_TOOL_STATUS,
	OPT_USAGE,
	OPT_COLUMNS,
	OPT_RAW,
	OPT_FILES0,
	OPT_UID,
	OPT_UNIT,
};

static bool runs_command(const struct argp *argp)
{
	const struct argp_child *child = argp->children;

	while (child->argp && child->argp != &run_argp)
		child++;
	return child->argp;
}

/*
 * Errors of usage end the program with EXIT_TOOL where there is a COMMAND, so that its own
 * statuses stay apart.
 */
static int usage_status(const struct argp *argp, int argc, char **argv)
{
	int i;

	for (i = 1; i < argc - 1 && runs_command(argp); i++) {
		if (!strcmp(argv[i], "--"))
			return EXIT_TOOL;
	}
	return STATUS_BAD_INPUT;
}

void program_begin(const char *name, const struct argp *argp, int argc, char **argv)
{
	program_name = name;
	argp_err_exit_status = usage_status(argp, argc, argv);
	command_inherit();
	raise_descriptors();
	/* Tables show names in the user's encoding. Numbers stay those of the C locale. */
	setlocale(LC_CTYPE, "");
	/* argp's own --help has no -h, and is there with its --version or not at all. */
	argp_parse(argp, argc, argv, ARGP_IN_ORDER | ARGP_NO_HELP, NULL, NULL);
}

static const struct argp_option print_option_table[] = {
	{ "json", 'j', NULL, 0, "Print one JSON object a line (default: tables)", 0 },
	{ "columns", OPT_COLUMNS, "LIST", 0,
	  "Print only these columns, in this order (default: all)", 0 },
	{ "raw", OPT_RAW, NULL, 0, "Separate cells by one blank, with no blanks within cells", 0 },
	{ "noheadings", 'n', NULL, 0, "Print tables without headings", 0 },
	{ "quiet", 'q', NULL, 0, "Print no messages and no tables, only usage errors", 0 },
	{ "help", 'h', NULL, 0, "Give this help list", -1 },
	{ NULL, '?', NULL, OPTION_ALIAS, NULL, 0 },
	{ "usage", OPT_USAGE, NULL, 0, "Give a short usage message", -1 },
	{ "version", 'V', NULL, 0, "Print program version", -1 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

/* After what was asked for instead of a run: it may not have come out. */
static void end_words(void) __attribute__((noreturn));

static void end_words(void)
{
	if (!fflush(stdout) && !ferror(stdout))
		exit(STATUS_DONE);
	say("stdout: write error: %s", strerror(errno));
	exit(STATUS_FAILED);
}

static error_t parse_print(int key, char *arg, struct argp_state *state)
{
	struct print_options *opt = state->input;

	switch (key) {
	case 'j':
		opt->json = true;
		break;
	case 'q':
		quiet = true;
		break;
	case OPT_COLUMNS:
		opt->tables.columns = arg;
		break;
	case OPT_RAW:
		opt->tables.raw = true;
		break;
	case 'n':
		opt->tables.no_headings = true;
		break;
	case 'h':
	case '?':
		argp_state_help(state, stdout, ARGP_HELP_STD_HELP & ~ARGP_HELP_EXIT_OK);
		end_words();
	case OPT_USAGE:
		argp_state_help(state, stdout, ARGP_HELP_USAGE);
		end_words();
	case 'V':
		printf("%s (page2cache) %s\n", program_name, VERSION);
		end_words();
	case ARGP_KEY_END:
		if (opt->json &&
		    (opt->tables.columns || opt->tables.raw || opt->tables.no_headings))
			argp_error(state, "--columns, --raw and -n are for tables: not with -j");
		if (opt->json && isatty(STDOUT_FILENO))
			progress_forbid();
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

const struct argp print_argp = {
	.options = print_option_table,
	.parser = parse_print,
};

static const struct argp_option run_option_table[] = {
	{ "file", 'f', "FILE", 0,
	  "Watch only FILE, or all files below a directory (repeatable; default: all files)", 0 },
	{ "files0-from", OPT_FILES0, "F", 0,
	  "Take names as for -f from the file F (-: standard input), each ended by NUL", 0 },
	{ "duration", 'd', "SECONDS", 0,
	  "Stop after SECONDS (default: no limit; COMMAND keeps running)", 0 },
	{ "output", 'O', "OUT", 0,
	  "Write tables or JSON to OUT (default: standard output; tables with COMMAND: standard error)",
	  0 },
	{ "tool-status", OPT_TOOL_STATUS, NULL, 0,
	  "Exit with this program's own status (default: COMMAND's)", 0 },
	{ "exit-command", OPT_EXIT_COMMAND, NULL, OPTION_HIDDEN, NULL, 0 },
	{ "verbose", 'v', NULL, 0, "Print details, such as which hooks are used and why", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static const struct argp_child run_children[] = {
	{ &print_argp, 0, NULL, 0 },
	{ NULL, 0, NULL, 0 },
};

bool after_dashes(const struct argp_state *state)
{
	return state->quoted && state->next > state->quoted;
}

static error_t parse_run(int key, char *arg, struct argp_state *state)
{
	struct run_options *opt = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &opt->print;
		break;
	case 'f':
		opt->files = xrealloc(opt->files, opt->nr_files + 1, sizeof(*opt->files));
		opt->files[opt->nr_files++] = arg;
		break;
	case OPT_FILES0:
		take_once(state, "--files0-from", &opt->files0, arg);
		break;
	case 'd':
		if (parse_seconds(arg, &opt->duration_us))
			argp_error(state, "-d: must be 0.001 to 31536000 seconds: '%s'", arg);
		break;
	case 'O':
		take_once(state, "-O", &opt->out, arg);
		break;
	case 'v':
		verbose = true;
		break;
	case OPT_TOOL_STATUS:
		opt->tool_status = true;
		break;
	case OPT_EXIT_COMMAND:
		/* COMMAND's status is the default now; older scripts still ask for it. */
		break;
	case ARGP_KEY_ARG:
		if (!after_dashes(state))
			argp_error(state, "unexpected argument '%s'; put COMMAND after --", arg);
		opt->command = &state->argv[state->next - 1];
		state->next = state->argc;
		break;
	case ARGP_KEY_END:
		if (opt->files0 && opt->nr_files)
			argp_error(state, "-f and --files0-from exclude each other");
		if (state->quoted && !opt->command)
			argp_error(state, "COMMAND is missing after --");
		if (opt->command)
			progress_forbid();
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

void take_once(const struct argp_state *state, const char *option, const char **to, const char *arg)
{
	if (*to)
		argp_error(state, "%s is given twice: '%s' and '%s'", option, *to, arg);
	*to = arg;
}

bool options_name_files(const struct run_options *run)
{
	return run->nr_files || run->files0;
}

void check_columns(const struct argp_state *state, const struct print_options *print,
		   const struct table_layout *const *tables, size_t n)
{
	char *wrong = NULL;

	if (print->tables.columns)
		wrong = table_columns_wrong(print->tables.columns, tables, n);
	if (wrong)
		argp_error(state, "--columns: %s", wrong);
}

/* A text that is not the table's own is freed by argp. */
static char *run_help(int key, const char *text, void *input)
{
	const struct run_options *opt = input;

	return key == 'f' && opt && opt->file_help ? xstrdup(opt->file_help) : (char *)text;
}

const struct argp run_argp = {
	.options = run_option_table,
	.parser = parse_run,
	.children = run_children,
	.help_filter = run_help,
};

static const struct argp_option filter_option_table[] = {
	{ "pid", 'p', "PID", 0, "Count only this process, without its children", 0 },
	{ "tree", 'P', "PID", 0, "Count only this process and its descendants", 0 },
	{ "cgroup", 'c', "CGROUP_DIR", 0, "Count only tasks in or below this cgroup v2 directory",
	  0 },
	{ "unit", OPT_UNIT, "UNIT", 0,
	  "Count only this systemd unit, such as nginx.service; waits for its start", 0 },
	{ "uid", OPT_UID, "USER", 0, "Count only processes of this user, a name or a number", 0 },
	{ "all", 'a', NULL, 0, "Count all processes (default: only COMMAND and its descendants)",
	  0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static void parse_pid(uint64_t *to, int key, const char *arg, const struct argp_state *state)
{
	uint64_t pid = 0;

	if (*to)
		argp_error(state, "-%c is given twice: '%" PRIu64 "' and '%s'", key, *to, arg);
	if (parse_u64(arg, &pid) || !pid || pid > INT32_MAX)
		argp_error(state, "-%c takes a process number, not '%s'", key, arg);
	*to = pid;
}

/* A number needs no entry in passwd: a container's user has none here. */
static uint32_t parse_user(const char *arg, const struct argp_state *state)
{
	const struct passwd *user = getpwnam(arg);
	uint64_t uid = user ? user->pw_uid : UINT64_MAX;

	/* System calls take the largest number as "no user". */
	if (!user && (parse_u64(arg, &uid) || uid >= UINT32_MAX))
		argp_error(state, "--uid: no such user: '%s'", arg);
	return uid;
}

static void parse_unit(struct sd_unit *unit, const char *arg, const struct argp_state *state)
{
	char *why;

	if (unit->nr)
		argp_error(state, "--unit is given twice; it takes one unit");
	why = sd_unit_parse(unit, arg);
	if (why)
		argp_error(state, "--unit: %s", why);
}

static error_t parse_filter(int key, char *arg, struct argp_state *state)
{
	struct filter_options *opt = state->input;

	switch (key) {
	case 'p':
		parse_pid(&opt->pid, key, arg, state);
		break;
	case 'P':
		parse_pid(&opt->tree_pid, key, arg, state);
		break;
	case 'c':
		take_once(state, "-c", &opt->cgroup_dir, arg);
		break;
	case ARGP_KEY_INIT:
		opt->pid_fd = -1;
		break;
	case OPT_UNIT:
		parse_unit(&opt->unit, arg, state);
		break;
	case OPT_UID:
		take_once(state, "--uid", &opt->user, arg);
		opt->uid = parse_user(arg, state);
		break;
	case 'a':
		opt->everybody = true;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

const struct argp filter_argp = {
	.options = filter_option_table,
	.parser = parse_filter,
};

bool has_filter(const struct filter_options *filter)
{
	return filter->pid || filter->tree_pid || filter->cgroup_dir || filter->unit.nr ||
	       filter->user || filter->everybody;
}

void check_filters(const struct argp_state *state, const struct run_options *run,
		   const struct filter_options *filter)
{
	if (!!run->command + !!filter->pid + !!filter->tree_pid > 1)
		argp_error(state, "-p, -P and COMMAND exclude each other");
	if (filter->unit.nr && (filter->pid || filter->tree_pid || filter->cgroup_dir))
		argp_error(state, "--unit and -p, -P or -c exclude each other: it counts all "
				  "processes of the unit's own cgroup");
	if (filter->everybody && !run->command)
		argp_error(state, "-a goes with COMMAND");
}
