// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>

#include "learn/learn_options.h"

enum {
	OPT_LEARN = 768, /* behind those of base/options.c */
	OPT_LEARN_FOR,
	OPT_LEARN_STATUS,
	OPT_LEARN_KEEP,
	OPT_RELEARN_AFTER,
};

static const struct argp_option learn_option_table[] = {
	{ "learn", OPT_LEARN, NULL, 0,
	  "At each start, force the list of the last one, record, and renew the list", 0 },
	{ "learn-for", OPT_LEARN_FOR, "SECONDS", 0,
	  "Record for SECONDS; a program that still runs then has started well (default 30)", 0 },
	{ "learn-status", OPT_LEARN_STATUS, "LIST", 0,
	  "Statuses with which a program may end earlier, such as 0,1 (default 0)", 0 },
	{ "learn-keep", OPT_LEARN_KEEP, "N", 0,
	  "Keep a page that up to N starts in a row did not access (default 3)", 0 },
	{ "relearn-after", OPT_RELEARN_AFTER, "AGE", 0,
	  "Record only if the list is older than AGE (s, m, h, d, w), or if the kernel or more "
	  "than 5 % of its pages have changed (default: at each start)",
	  0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

/* Seconds, or a number with a unit behind it. Returns 0 or -EINVAL. */
static int parse_age(const char *s, uint64_t *us)
{
	static const struct {
		char name;
		uint64_t seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 }, { 'w', 604800 } };
	char *digits = xstrdup(s), *last = *s ? digits + strlen(s) - 1 : digits;
	uint64_t seconds = 1, v;
	size_t i;
	int err;

	for (i = 0; i < ARRAY_SIZE(units); i++) {
		if (*last != units[i].name)
			continue;
		seconds = units[i].seconds;
		*last = 0;
		break;
	}
	err = parse_u64(digits, &v);
	free(digits);
	if (err || !v || v > 36525ULL * 86400 / seconds)
		return -EINVAL;
	*us = v * seconds * 1000000;
	return 0;
}

/* Numbers up to 255 with commas between them. */
static int parse_statuses(const char *s, bool *good)
{
	char *text = xstrdup(s), *rest = text, *word;
	uint64_t status;
	int err = 0;

	memset(good, 0, 256 * sizeof(*good));
	while (!err && (word = strsep(&rest, ","))) {
		err = parse_u64(word, &status);
		if (!err && status > 255)
			err = -ERANGE;
		if (!err)
			good[status] = true;
	}
	free(text);
	return err;
}

static error_t parse_learn(int key, char *arg, struct argp_state *state)
{
	struct learn_options *opt = state->input;

	switch (key) {
	case OPT_LEARN:
		opt->on = true;
		return 0;
	case OPT_LEARN_FOR:
		if (parse_seconds(arg, &opt->for_us))
			argp_error(state, "--learn-for: must be 0.001 to 31536000 seconds: '%s'",
				   arg);
		break;
	case OPT_LEARN_STATUS:
		if (parse_statuses(arg, opt->good))
			argp_error(state, "--learn-status takes 0 to 255, such as 0,1, not '%s'",
				   arg);
		break;
	case OPT_LEARN_KEEP:
		if (parse_u64(arg, &opt->keep) || opt->keep > 1000)
			argp_error(state, "--learn-keep takes 0 to 1000 starts, not '%s'", arg);
		break;
	case OPT_RELEARN_AFTER:
		if (parse_age(arg, &opt->relearn_us))
			argp_error(state,
				   "--relearn-after takes an age such as 12h or 7d, not '%s'", arg);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	opt->given = true;
	return 0;
}

const struct argp learn_argp = {
	.options = learn_option_table,
	.parser = parse_learn,
};
