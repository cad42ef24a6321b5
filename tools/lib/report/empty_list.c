// SPDX-License-Identifier: GPL-2.0-only
#include <inttypes.h>
#include <stdlib.h>

#include "report/empty_list.h"

/* Which tasks are counted, if they are of the user of --uid; to be freed. */
static char *counted_tasks(const struct trace_run *w)
{
	if (w->options.tree_pid)
		return xasprintf("process %d and its descendants", w->options.tree_pid);
	if (w->options.tree)
		return xstrdup("COMMAND and its descendants");
	if (w->options.pid)
		return xasprintf("process %d, which is counted alone,", w->options.pid);
	if (w->options.unit)
		return sd_unit_text(w->options.unit);
	return xstrdup(w->options.cgroup_dir ? w->options.cgroup_dir : "all processes");
}

/* Who is counted, to be freed. */
static char *counted(const struct trace_run *w)
{
	char *tasks = counted_tasks(w), *who;

	if (!w->filter.user)
		return tasks;
	who = xasprintf("%s as user %s", tasks, w->filter.user);
	free(tasks);
	return who;
}

/* Which options would count the tasks that are not counted. */
static const char *remedy(const struct trace_run *w)
{
	if (w->options.tree_pid)
		return "--unit NAME counts a whole service, and without -P everybody counts";
	if (w->options.tree)
		return "-a counts everybody; -P PID, without COMMAND, a running process with its "
		       "descendants; --unit NAME a whole service";
	if (w->options.pid)
		return "-P PID counts its descendants as well, --unit NAME a whole service";
	if (w->options.unit)
		return "without --unit everybody counts";
	return w->options.cgroup_dir ? "without -c everybody counts"
				     : "without --uid everybody counts";
}

void say_empty_list(const char *list, const struct trace_run *w, const struct report *r)
{
	uint64_t others = w->counters.watch->others_inserted, accesses = 0, misses = 0;
	char *who = counted(w);
	size_t i;

	for (i = 0; i < r->nr_files; i++) {
		accesses += r->files[i].a.accesses;
		misses += r->files[i].a.misses;
	}
	if (!accesses)
		say("%s: nothing to record: %s accessed no page%s", list, who,
		    r->auto_files ? "" : " of the files");
	else if (!misses)
		say("%s: nothing to record: all %" PRIu64 " accesses of %s hit the page cache "
		    "(to record a cold start, evict the files first)",
		    list, accesses, who);
	else
		say("%s: nothing to record: of what %s missed no page can be listed", list, who);
	if (others)
		say("other processes read %" PRIu64 " pages %s in meanwhile: %s", others,
		    r->auto_files ? "of files" : "of these files", remedy(w));
	free(who);
}
