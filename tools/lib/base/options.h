/* SPDX-License-Identifier: GPL-2.0-only */
/* Command line options that programs share, as argp parsers for their `children`. */
#ifndef PAGE2CACHE_OPTIONS_H
#define PAGE2CACHE_OPTIONS_H

#include <argp.h>
#include <sys/types.h>

#include "base/sd_unit.h"
#include "base/table.h"

/* Of every program: -j -q -h -V -n --columns --raw. */
struct print_options {
	bool json;
	struct table_options tables;
};

/* Of those that run COMMAND, which follows --: these, and -f --files0-from -d -O -v --tool-status. */
struct run_options {
	struct print_options print;
	const char **files; /* of -f, directories among them */
	size_t nr_files;
	const char *files0;    /* of --files0-from, NULL: none */
	uint64_t duration_us;  /* 0: no limit */
	const char *out;       /* NULL: stdout */
	bool tool_status;      /* exit with ours, not with COMMAND's */
	char **command;	       /* NULL: none */
	const char *file_help; /* what -f does in this program; NULL: it says what to watch */
};

/* Whose accesses count: -p -P -c --unit --uid -a. */
struct filter_options {
	uint64_t pid;		/* 0: any */
	uint64_t tree_pid;	/* with its descendants, 0: any */
	int pid_fd;		/* of either process, once it is looked for; -1: none */
	const char *cgroup_dir; /* NULL: any */
	struct sd_unit unit;	/* .nr 0: any */
	const char *user;	/* as given, NULL: any */
	uint32_t uid;		/* of that user */
	bool everybody;
};

/* Do the options say which files the run is about? It may find none below its directories. */
bool options_name_files(const struct run_options *run);

/*
 * The inputs of these parsers are the structures above. A program's own parser leaves COMMAND to
 * run_argp.
 */
extern const struct argp print_argp;
extern const struct argp run_argp; /* has print_argp's options, too */
extern const struct argp filter_argp;

/*
 * The first thing that a program does: say what it is called, settle the descriptors and
 * the locale, and parse. Ends the program on --help, --version and wrong usage: with
 * STATUS_BAD_INPUT, or where there is a COMMAND with EXIT_TOOL.
 */
void program_begin(const char *name, const struct argp *argp, int argc, char **argv);

/*
 * Take ARG as the value of an option that names one thing. If *TO has one already, that is a usage
 * error: of two files or processes none may be dropped in silence.
 */
void take_once(const struct argp_state *state, const char *option, const char **to,
	       const char *arg);

/* Do the options fit together? A usage error ends the program. */
bool has_filter(const struct filter_options *filter);
void check_filters(const struct argp_state *state, const struct run_options *run,
		   const struct filter_options *filter);

/* The names of --columns, given the tables that this run may print: one that none of them has
 * ends the program. */
void check_columns(const struct argp_state *state, const struct print_options *print,
		   const struct table_layout *const *tables, size_t n);

/* The argument being parsed is COMMAND's: it follows --. */
bool after_dashes(const struct argp_state *state);

#endif
