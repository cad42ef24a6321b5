// SPDX-License-Identifier: GPL-2.0-only
/*
 * hinter SOCKET OP...: a program that pcforce --serve serves, well-behaved or not. It does one OP
 * after the other:
 *
 *   file PATH              names a file, and says so, or why not
 *   forget ID
 *   need ID OFFSET LENGTH  hints these bytes, whatever they are
 *   pages ID FIRST STEP N  hints N single pages
 *   stat ID                prints hits, misses, late, forced and used, - where that is not known
 *   cached PATH PAGE       says whether that page is cached, or being read
 *   cut PATH BYTES         makes a file shorter
 *   move PATH TO           renames a file
 *   look PATH N            looks page 0 of PATH up N times, by read(2)
 *   ahead PATH N           names PATH, reads N of its pages, scattered, and hints each 64 reads before
 *   halt PID               stops a process and waits until each of its threads has stopped
 *   go PID                 lets it go on
 *   child OP... parent     does these in a child and waits for its end
 *   over PAGE              puts memory of its own where the queue is, with hints for pages from
 *                          PAGE on of file 0
 *   exec PAGE OP...        executes itself anew, puts the same memory where the queue was, and
 *                          does what follows; its descriptors stay open
 *   scribble PATH SECONDS  writes anything over the queue, and looks PATH up meanwhile
 *   linger PATH            says so, then hints page 0 of file 0 and looks PATH up, for ever
 *   die                    kills itself
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "list.h"
#include "pagehint.h"
#include "protocol.h"

/* Linux 6.5: not in the headers of Debian 12. */
#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif

#define AHEAD	 64
#define PAGE	 4096UL
#define FORGED	 100 /* hints */
#define PAUSE_US 2000

static struct pagehint *hints;
static uint64_t hinted; /* ranges, each in a record of its own */
static char **arg;	/* what is left of the command line */

static char *next(void)
{
	if (!*arg)
		die("too few arguments", EINVAL);
	return *arg++;
}

static uint64_t number(void)
{
	return strtoull(next(), NULL, 0);
}

static int open_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die(path, errno);
	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	return fd;
}

static void read_page(int fd, uint64_t page)
{
	char byte;

	if (pread(fd, &byte, 1, page * PAGE) < 0)
		die("pread", errno);
}

static int name_file(const char *path)
{
	int fd = open_file(path), id = pagehint_file(hints, fd);

	close(fd);
	return id;
}

static void need(int id, uint64_t offset, uint64_t length)
{
	int err = pagehint_willneed(hints, id, offset, length);

	if (err)
		printf("need: %s\n", strerror(-err));
	hinted += !err;
}

/* --- ops */

static void do_file(void)
{
	int id = name_file(next());

	printf("%s\n", id < 0 ? strerror(-id) : "named");
}

static void do_forget(void)
{
	int err = pagehint_forget(hints, number());

	if (err)
		printf("forget: %s\n", strerror(-err));
}

static void do_need(void)
{
	int id = number();
	uint64_t offset = number();

	need(id, offset, number());
}

static void do_pages(void)
{
	int id = number();
	uint64_t first = number(), step = number(), n = number();

	for (; n; n--, first += step)
		need(id, first * PAGE, PAGE);
}

static void look(int fd, uint64_t n)
{
	for (; n; n--)
		read_page(fd, 0);
}

static void do_look(void)
{
	int fd = open_file(next());

	look(fd, number());
	close(fd);
}

static void print_count(uint64_t count, char end)
{
	if (count == PAGEHINT_UNKNOWN)
		printf("-%c", end);
	else
		printf("%lu%c", (unsigned long)count, end);
}

static void do_stat(void)
{
	struct pagehint_stat st;
	int err = pagehint_stat(hints, number(), &st);

	if (err)
		die("stat", -err);
	print_count(st.hits, ' ');
	print_count(st.misses, ' ');
	print_count(st.late, ' ');
	print_count(st.forced, ' ');
	print_count(st.used, '\n');
}

static void do_cached(void)
{
	int fd = open_file(next());
	const uint64_t range[2] = { number() * PAGE, PAGE };
	uint64_t counts[5];

	if (syscall(SYS_cachestat, fd, range, counts, 0))
		die("cachestat", errno);
	puts(counts[0] ? "cached" : "absent");
	close(fd);
}

static void do_cut(void)
{
	const char *path = next();

	if (truncate(path, number()))
		die(path, errno);
}

static void do_move(void)
{
	const char *path = next();

	if (rename(path, next()))
		die(path, errno);
}

/* The page of read I: no two of 16384 are the same, and none is beside the one before. */
static uint64_t scattered(uint64_t i)
{
	return i * 40503 % 16384;
}

static void do_ahead(void)
{
	const char *path = next();
	int fd = open_file(path), id = name_file(path);
	uint64_t n = number(), i;

	for (i = 0; i < n + AHEAD; i++) {
		if (i >= AHEAD)
			usleep(PAUSE_US);
		if (i < n)
			need(id, scattered(i) * PAGE, PAGE);
		if (i >= AHEAD)
			read_page(fd, scattered(i - AHEAD));
	}
	close(fd);
}

static bool is_stopped(const char *task)
{
	char line[512] = "", *end;
	FILE *f = fopen(task, "re");

	if (!f)
		return true; /* it has ended */
	end = fgets(line, sizeof(line), f) ? strrchr(line, ')') : NULL;
	fclose(f);
	return end && end[2] == 'T';
}

static bool are_stopped(const char *tasks)
{
	DIR *dir = opendir(tasks);
	struct dirent *d;
	char path[512];
	bool all = dir;

	while (all && (d = readdir(dir))) {
		snprintf(path, sizeof(path), "%s/%s/stat", tasks, d->d_name);
		all = d->d_name[0] == '.' || is_stopped(path);
	}
	if (dir)
		closedir(dir);
	return all;
}

static void do_halt(void)
{
	pid_t pid = number();
	char path[64];

	kill(pid, SIGSTOP);
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	while (!are_stopped(path))
		usleep(PAUSE_US);
}

static void do_go(void)
{
	kill(number(), SIGCONT);
}

static void run(void);

static void do_child(void)
{
	pid_t pid = fork();

	if (!pid) {
		run();
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	while (strcmp(next(), "parent"))
		;
}

static void do_parent(void)
{
	exit(0);
}

static char *queue_address(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	unsigned long at = 0;
	char line[512];

	while (f && !at && fgets(line, sizeof(line), f)) {
		if (strstr(line, "pagehint queue"))
			at = strtoul(line, NULL, 16);
	}
	if (f)
		fclose(f);
	if (!at)
		die("the queue", ENOENT);
	return (char *)at;
}

/* Memory like a queue, from which hints were taken as far as we have given some. */
static void forge(char *at, uint64_t page)
{
	struct ring *r = mmap(at, QUEUE_BYTES, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	uint64_t i, *w;

	if (r == MAP_FAILED)
		die("mmap", errno);
	for (i = 0; i < FORGED; i++) {
		w = &r->words[3 * (hinted + i)];
		w[0] = ring_head(0, 1);
		w[1] = (page + i) * PAGE;
		w[2] = PAGE;
	}
	r->tail = 3 * (hinted + FORGED);
}

static void do_over(void)
{
	forge(queue_address(), number());
}

static void do_exec(void)
{
	char at[32], given[32], *page = next(), *argv[200] = { "hinter", at, given, page };
	size_t n = 4;

	snprintf(at, sizeof(at), "@%p", (void *)queue_address());
	snprintf(given, sizeof(given), "%lu", (unsigned long)hinted);
	while (n < 199 && *arg)
		argv[n++] = *arg++;
	argv[n] = NULL;
	for (n = 3; n < 100; n++)
		fcntl(n, F_SETFD, 0);
	execv("/proc/self/exe", argv);
	die("exec", errno);
}

static uint64_t any(void)
{
	static uint64_t x = 88172645463325252ULL;

	x ^= x << 13;
	x ^= x >> 7;
	return x ^= x << 17;
}

/* By turns: nothing but noise, and records that are right, of ranges that are not. */
static void scribble_once(struct ring *r, size_t round)
{
	size_t i;

	for (i = 0; i < RING_WORDS; i++)
		r->words[i] = round % 2 && i % 3 == 0 ? ring_head(any() % 2, 1)
						      : any() >> any() % 64;
	for (i = 0; i < (char *)r->words - (char *)r; i += 8)
		*(uint64_t *)((char *)r + i) = any() >> any() % 64;
	r->tail = round % 4 ? round * 3 : any();
}

static void do_scribble(void)
{
	int fd = open_file(next());
	struct ring *r = (struct ring *)queue_address();
	uint64_t end = now_ns() + number() * 1000000000;
	size_t round;

	for (round = 0; now_ns() < end; round++) {
		scribble_once(r, round);
		look(fd, 3);
	}
	close(fd);
}

static void do_linger(void)
{
	int fd = open_file(next());

	puts("lingers");
	fflush(stdout);
	for (;;) {
		pagehint_willneed(hints, 0, 0, PAGE);
		look(fd, 1);
	}
}

static void do_die(void)
{
	fflush(stdout);
	kill(getpid(), SIGKILL);
}

static const struct {
	const char *name;
	void (*run)(void);
} ops[] = {
	{ "file", do_file },	 { "forget", do_forget },     { "stat", do_stat },
	{ "cached", do_cached }, { "cut", do_cut },	      { "move", do_move },
	{ "need", do_need },	 { "pages", do_pages },	      { "look", do_look },
	{ "ahead", do_ahead },	 { "halt", do_halt },	      { "go", do_go },
	{ "child", do_child },	 { "parent", do_parent },     { "over", do_over },
	{ "exec", do_exec },	 { "scribble", do_scribble }, { "linger", do_linger },
	{ "die", do_die },
};

static void run(void)
{
	const char *name;
	size_t i;

	while (*arg) {
		name = next();
		for (i = 0; i < sizeof(ops) / sizeof(ops[0]) && strcmp(ops[i].name, name); i++)
			;
		if (i == sizeof(ops) / sizeof(ops[0]))
			die(name, EINVAL);
		fflush(stdout);
		ops[i].run();
	}
}

int main(int argc, char **argv)
{
	const char *server;

	arg = argv + 1;
	server = next();
	if (server[0] == '@') {
		hinted = number();
		forge((char *)strtoul(server + 1, NULL, 16), number());
	} else {
		hints = pagehint_connect(server);
		if (!hints)
			die("pagehint_connect", errno);
	}
	run();
	if (hints)
		pagehint_close(hints);
	return 0;
}
