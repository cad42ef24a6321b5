// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "hook/lockdown.h"

/* The first line of a file of the kernel; empty if there is none. */
static void read_line(const char *path, char *line, size_t size)
{
	FILE *f = fopen(path, "re");

	line[0] = 0;
	if (!f)
		return;
	if (!fgets(line, size, f))
		line[0] = 0;
	fclose(f);
}

bool lockdown_is(const char *mode)
{
	char line[128], chosen[64];

	/* none [integrity] confidentiality */
	read_line(LOCKDOWN_FILE, line, sizeof(line));
	snprintf(chosen, sizeof(chosen), "[%s]", mode);
	return strstr(line, chosen);
}

char *unsigned_module_refused(void)
{
	char line[8];

	read_line("/proc/sys/kernel/modules_disabled", line, sizeof(line));
	if (line[0] == '1')
		return xstrdup("this kernel loads no modules until it is booted again "
			       "(kernel.modules_disabled is 1)");
	if (lockdown_is("integrity") || lockdown_is("confidentiality"))
		return xstrdup("this kernel is in lockdown, as with Secure Boot, and loads only "
			       "modules that are signed with a key it trusts");
	read_line("/sys/module/module/parameters/sig_enforce", line, sizeof(line));
	if (line[0] == 'Y')
		return xstrdup("this kernel loads only modules that are signed with a key it "
			       "trusts (module.sig_enforce)");
	return NULL;
}
