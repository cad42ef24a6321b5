// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <zlib.h>

#include "base/util.h"
#include "hook/preempt.h"

enum answer {
	NO,
	YES,
	UNTOLD
};

/* The answer that a file's first line with one of two texts gives; it may be compressed. */
static enum answer ask_file(const char *path, const char *const *no, const char *const *yes)
{
	enum answer answer = UNTOLD;
	char line[4096]; /* as long as a kernel's command line gets */
	gzFile f = gzopen(path, "re");
	size_t i;

	while (f && answer == UNTOLD && gzgets(f, line, sizeof(line))) {
		for (i = 0; no[i] && answer == UNTOLD; i++)
			answer = strstr(line, no[i]) ? NO : UNTOLD;
		for (i = 0; yes[i] && answer == UNTOLD; i++)
			answer = strstr(line, yes[i]) ? YES : UNTOLD;
	}
	if (f)
		gzclose(f);
	return answer;
}

/* Of a kernel that chooses at boot or later (CONFIG_PREEMPT_DYNAMIC): what it has chosen. */
static enum answer chosen_mode(void)
{
	/* clang-format off */
	static const char *const now_no[] = { "(none)", "(voluntary)", NULL },
				 *const now_yes[] = { "(full)", "(lazy)", NULL },
				 *const boot_no[] = { "preempt=none", "preempt=voluntary", NULL },
				 *const boot_yes[] = { "preempt=full", "preempt=lazy", NULL };
	/* clang-format on */
	enum answer answer = ask_file("/sys/kernel/debug/sched/preempt", now_no, now_yes);

	return answer == UNTOLD ? ask_file("/proc/cmdline", boot_no, boot_yes) : answer;
}

/* What the kernel was built to do where nobody chooses. */
static enum answer configured(const char *release)
{
	static const char *const no[] = { "CONFIG_PREEMPT_NONE=y", "CONFIG_PREEMPT_VOLUNTARY=y",
					  NULL };
	static const char *const yes[] = { "CONFIG_PREEMPT=y", "CONFIG_PREEMPT_LAZY=y",
					   "CONFIG_PREEMPT_RT=y", NULL };
	static const char *const places[] = { "/proc/config.gz", "/boot/config-%s",
					      "/lib/modules/%s/config" };
	enum answer answer = UNTOLD;
	char path[256];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(places) && answer == UNTOLD; i++) {
		snprintf(path, sizeof(path), places[i], release);
		answer = ask_file(path, no, yes);
	}
	return answer;
}

bool kernel_preempts(void)
{
	enum answer answer;
	struct utsname u;

	if (uname(&u))
		return true;
	/* Such as '#1 SMP PREEMPT_DYNAMIC Debian 6.12.117-1 (2026-10-30)'. */
	if (!strstr(u.version, "PREEMPT"))
		return false;
	if (!strstr(u.version, "PREEMPT_DYNAMIC"))
		return true;
	answer = chosen_mode();
	if (answer == UNTOLD)
		answer = configured(u.release);
	return answer != NO;
}
