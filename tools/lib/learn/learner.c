// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "learn/learner.h"
#include "hook/cgroup.h"
#include "hook/filter.h"
#include "list/renew.h"

/* If more than this part of the pages are stale or gone, the list is recorded anew. */
#define OUTDATED_PERCENT 5
/* For pages of 2^24 places, as far apart as can be: the kernel takes 16 MiB for so many. */
#define MAX_CHUNKS (1 << 18)

/* The hooks of cachemiss, except those for late hits and removals. */
static struct hook hooks[] = {
	HOOK_EXIT,
	HOOK_READ_LOOKUP,
	HOOK_READ_MISS,
	HOOK_MMAP_ACCESS,
	HOOK_MMAP_FAULT_AROUND,
	HOOK_MMAP_MAPPED,
	HOOK_PAGE_FAULT,
	HOOK_INSERT,
	HOOK_TASK_START,
	HOOK_TASK_EXEC,
	HOOK_TASK_EXIT,
	HOOK_UNIT_START,
	HOOK_UNIT_STOP,
};

static const struct tool tool = {
	.name = "pcforce",
	.hooks = hooks,
	.nr_hooks = ARRAY_SIZE(hooks),
	.max_files = COUNTERS_NEAR_FILES,
	.open = recording_open,
	.configure = recording_configure,
	.bind = recording_bind,
	.begin = recording_begin,
	.event = recording_event,
};

static struct learner *learner_of(struct companion *c)
{
	return (struct learner *)c;
}

/* Has more than 5 % of the loaded list changed since it was recorded? */
static bool is_outdated(const struct list *l)
{
	uint64_t pages = 0, lost = 0;
	size_t i;

	for (i = 0; i < l->nr_files; i++) {
		const struct list_file *f = &l->files[i];

		pages += f->listed_pages + f->past_eof;
		lost += f->past_eof +
			(f->state == LIST_READY && !f->replaced ? 0 : f->listed_pages);
	}
	return !pages || lost > pages * (OUTDATED_PERCENT / 100.0);
}

/* Does this start learn, as far as the list file's age and header tell? */
static enum learner_state decide(const struct learner *l)
{
	uint64_t age_s = l->opt->relearn_us / 1000000;
	time_t now = time(NULL), was = l->file.was.st_mtime;

	if (!age_s || !l->file.was.st_size || !l->file.this_kernel)
		return LEARNER_WANTS;
	return was < now && (uint64_t)(now - was) > age_s ? LEARNER_WANTS : LEARNER_ASKS;
}

/* PID: COMMAND's process, which waits; 0: there is none. */
static bool record(struct learner *l, pid_t pid)
{
	struct trace_run *run = &l->rec.run;
	enum status status = trace_options(&tool, run);
	int err = 0;

	l->state = LEARNER_OFF;
	status = status ? status : trace_begin(&tool, run);
	if (!status && pid && run->options.tree)
		err = counters_add_task(&run->counters, pid);
	if (err) {
		trace_end(&tool, run);
		status = fail_with(xasprintf("cannot count COMMAND: %s", strerror(-err)),
				   STATUS_FAILED);
	}
	if (status) {
		say("%s: not learned: the start cannot be recorded", l->file.path);
		return false;
	}
	l->state = LEARNER_RECORDS;
	l->until_ns = now_ns() + l->opt->for_us * 1000;
	return true;
}

/* Write the list, unless it stays as it is. */
static void write_list(struct learner *l, struct offsets_section *sections, uint32_t nr,
		       bool changed)
{
	struct list_writer *w = &l->rec.writer;
	int err;

	if (!w->nr) {
		say_verbose("%s: not learned: no page was accessed", l->file.path);
		return;
	}
	if (!changed && l->file.this_kernel) {
		learned_file_touch(&l->file, true);
		say_verbose("%s: not rewritten: the same pages as before", l->file.path);
		return;
	}
	if (!learned_file_stays(&l->file, &w->place)) {
		say("%s: not learned: it was replaced meanwhile", l->file.path);
		return;
	}
	w->learned = true;
	w->place.like = &l->file.was;
	err = list_writer_write(w, sections, nr);
	if (err)
		say("%s: not learned: %s", l->file.path, strerror(-err));
	else
		say_verbose("%s: learned", l->file.path);
}

static void renew(struct learner *l)
{
	const struct list_options lo = { 0 };
	struct offsets_section *sections;
	struct list old;
	uint32_t nr;
	char *why = NULL;
	bool changed;

	report_read(&l->rec.report);
	recording_sections(&l->rec, &sections, &nr);
	if (list_load(&old, l->file.path, &lo, &why)) {
		say_verbose("%s: recorded anew: %s", l->file.path, why);
		free(why);
		list_free(&old);
	}
	changed = list_renew(&l->rec.writer, &sections, &nr, &old, l->opt->keep);
	write_list(l, sections, nr, changed);
	list_free(&old);
	report_sections_free(sections, nr);
	counters_complain(&l->rec.run.counters);
}

/* The recording is over. WHY: it does not count, to be freed; NULL: it does. */
static void finish(struct learner *l, char *why)
{
	trace_end(&tool, &l->rec.run);
	trace_take_events(&tool, &l->rec.run);
	l->state = LEARNER_OFF;
	if (why)
		say("%s: not learned: %s (see --learn-for)", l->file.path, why);
	else
		renew(l);
	free(why);
	learned_file_close(&l->file, &l->rec.writer.place);
}

static bool attach(struct companion *c, pid_t pid, bool loaded)
{
	struct learner *l = learner_of(c);

	if (l->state == LEARNER_ASKS && loaded)
		l->state = is_outdated(&l->hint->list) ? LEARNER_WANTS : LEARNER_OFF;
	if (l->state == LEARNER_WANTS)
		return record(l, pid);
	if (l->file.fd >= 0)
		learned_file_unlock(&l->file);
	return false;
}

static bool does_not_run(const struct learner *l)
{
	return l->rec.run.filter.unit.nr && !cgroup_unit_runs(&l->rec.run.counters);
}

/* A unit that was waited for is recorded from its start. */
static uint64_t end_ns(const struct learner *l)
{
	uint64_t start_ns = l->rec.run.counters.watch->unit_ns;

	return start_ns ? start_ns + l->opt->for_us * 1000 : l->until_ns;
}

static bool look(struct companion *c)
{
	struct learner *l = learner_of(c);
	const struct filter_options *filter = &l->rec.run.filter;
	pid_t pid = filter->pid ? filter->pid : filter->tree_pid;

	if (l->state != LEARNER_RECORDS)
		return false;
	trace_take_events(&tool, &l->rec.run);
	if (pid && filter_process_over(filter))
		finish(l, xasprintf("process %d has ended", pid));
	else if (cgroup_unit_over(&l->rec.run.counters))
		finish(l, xstrdup("the unit has stopped"));
	else if (now_ns() >= end_ns(l))
		finish(l, does_not_run(l) ? xstrdup("the unit has not started") : NULL);
	return l->state == LEARNER_RECORDS;
}

/* Why a COMMAND that has ended did not start well, to be freed; NULL: it did. */
static char *failure(const struct learner *l, const struct command *command)
{
	int status = command->wait_status;

	if (!command->ended)
		return xstrdup("pcforce was ended");
	if (command->detached)
		return xstrdup("the exit status of COMMAND is not known");
	if (WIFSIGNALED(status))
		return xasprintf("COMMAND was ended by signal %d", WTERMSIG(status));
	if (l->opt->good[WEXITSTATUS(status)])
		return NULL;
	return xasprintf("COMMAND has ended with status %d", WEXITSTATUS(status));
}

static void end(struct companion *c, const struct command *command, bool loaded)
{
	struct learner *l = learner_of(c);

	if (l->state == LEARNER_RECORDS)
		finish(l, command ? failure(l, command) : xstrdup("pcforce was ended"));
	/* A change that was found too late for this start makes the next one record. */
	if (l->state == LEARNER_ASKS && loaded && is_outdated(&l->hint->list))
		learned_file_touch(&l->file, false);
	learned_file_close(&l->file, &l->rec.writer.place);
}

void learner_init(struct learner *l, const struct learn_options *opt, struct hint *h,
		  const struct filter_options *filter, char **command)
{
	const char *list = h->opt.list;
	enum learned_state state;
	char *why = NULL;
	int err;

	*l = (struct learner){
		.companion = { attach, look, end, RECORD_POLL_US },
		.opt = opt,
		.hint = h,
		.file = { .path = list, .fd = -1 },
		.rec = { .list = true, .hits = true, .max_chunks = MAX_CHUNKS },
	};
	l->rec.run.filter = *filter;
	l->rec.run.run.command = command;
	l->rec.run.poll_us = RECORD_POLL_US;
	err = list_writer_open(&l->rec.writer, list, false, &why);
	if (err) {
		say("%s: not learned: %s", list, why);
		free(why);
		/* What is no regular file may never come to an end. */
		if (err == -EINVAL || access(list, F_OK))
			h->opt.list = NULL;
		return;
	}
	state = learned_file_open(&l->file, list, &l->rec.writer.place);
	if (state == LEARNED_UNUSED)
		h->opt.list = NULL;
	if (state == LEARNED_OURS)
		l->state = decide(l);
}

void learner_free(struct learner *l)
{
	if (l->state == LEARNER_RECORDS)
		trace_end(&tool, &l->rec.run);
	learned_file_close(&l->file, &l->rec.writer.place);
	trace_free(&l->rec.run);
	recording_free(&l->rec);
	list_writer_free(&l->rec.writer);
}
