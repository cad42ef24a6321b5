// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/sd_unit.h"

/* The longest that systemd takes. */
#define MAX_NAME 255

static bool ends_with(const char *s, const char *end)
{
	size_t len = strlen(s), end_len = strlen(end);

	return len > end_len && !strcmp(s + len - end_len, end);
}

/* Units of all other types run nothing. */
static bool has_type(const char *name)
{
	static const char *const types[] = { ".service", ".slice", ".scope",
					     ".socket",	 ".mount", ".swap" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		if (ends_with(name, types[i]))
			return true;
	}
	return false;
}

/* Add the one name in TEXT to the unit. Returns why it is no name of a unit, to be freed. */
static char *parse_name(struct sd_unit *u, const char *text)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789:-_.\\@";
	char *name = xasprintf("%s%s", text, has_type(text) ? "" : ".service");
	const char *why = NULL;

	if (!*text || text[strspn(text, letters)])
		why = "not a unit's name (systemd-escape makes one)";
	else if (strlen(name) > MAX_NAME)
		why = "longer than a unit's name can be";
	else if (strstr(name, "@."))
		why = "a template, which does not run itself: name an instance of it";
	u->names[u->nr++] = name;
	return why ? xasprintf("%s: '%s'", why, text) : NULL;
}

char *sd_unit_parse(struct sd_unit *u, const char *text)
{
	char *all = xstrdup(text), *rest = all, *name, *why = NULL;

	u->nr = 0;
	while (!why && (name = strsep(&rest, "/"))) {
		if (u->nr == SD_UNIT_NAMES)
			why = xasprintf("more than %d names: '%s'", SD_UNIT_NAMES, text);
		else
			why = parse_name(u, name);
	}
	free(all);
	return why;
}

char *sd_unit_text(const struct sd_unit *u)
{
	char *text = xstrdup(u->names[0]), *longer;
	size_t i;

	for (i = 1; i < u->nr; i++) {
		longer = xasprintf("%s/%s", text, u->names[i]);
		free(text);
		text = longer;
	}
	return text;
}

/*
 * The unit's names from I on are looked for in a folder of cgroups. Returns from which name on they
 * are looked for in its subfolder FOLDER; negative: none can be there. systemd puts a _ before
 * names that the kernel has a use for.
 */
static int step(const struct sd_unit *u, size_t i, const char *folder)
{
	folder += *folder == '_';
	if (!strcmp(folder, u->names[i]))
		return i + 1;
	return ends_with(folder, ".slice") ? (int)i : -1;
}

bool sd_unit_has(const struct sd_unit *u, const char *path)
{
	char *all = xstrdup(path), *rest = all, *folder;
	int at = 0;

	while (at >= 0 && at < (int)u->nr && (folder = strsep(&rest, "/"))) {
		if (*folder)
			at = step(u, at, folder);
	}
	free(all);
	return at == (int)u->nr;
}

static char *find_below(const struct sd_unit *u, size_t i, const char *folder)
{
	char *found = NULL, *below;
	struct dirent *entry;
	DIR *dir;
	int at;

	if (i == u->nr)
		return xstrdup(folder);
	dir = opendir(folder);
	while (dir && !found && (entry = readdir(dir))) {
		at = entry->d_type == DT_DIR ? step(u, i, entry->d_name) : -1;
		if (at < 0)
			continue;
		below = xasprintf("%s/%s", folder, entry->d_name);
		found = find_below(u, at, below);
		free(below);
	}
	if (dir)
		closedir(dir);
	return found;
}

char *sd_unit_find(const struct sd_unit *u, const char *top)
{
	return find_below(u, 0, top);
}
