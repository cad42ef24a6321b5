// SPDX-License-Identifier: GPL-2.0-only
/*
 * answer: all that runs in the guest of scripts/snapshot. It is init, holds data whose
 * content service.py knows, and answers requests on the console:
 *
 *	< answer: ready PAGES
 *	> sum N SPAN SEED
 *	< answer: begin
 *	< answer: sum S
 *
 * S is made of one word in each of N pages of a stretch of SPAN pages. SEED picks the stretch, the
 * pages and their order. PAGES comes from the kernel's command line: its answer_pages=PAGES is put
 * into init's environment.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <termios.h>
#include <unistd.h>

#define PAGE_SIZE   4096
#define WORDS	    (PAGE_SIZE / sizeof(uint64_t))
#define CONSOLE_OFF 6 /* of syslog(2) */

static uint64_t *data;
static uint64_t pages;

/* the last step of splitmix64 */
static uint64_t mix(uint64_t z)
{
	z += 0x9e3779b97f4a7c15ULL;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static _Noreturn void give_up(const char *why)
{
	printf("\nanswer: failed: %s\n", why);
	exit(1); /* the kernel panics without an init */
}

static void fill(void)
{
	const char *text = getenv("answer_pages");
	uint64_t i;

	pages = text ? strtoull(text, NULL, 10) : 0;
	if (!pages)
		give_up("no answer_pages=PAGES on the kernel's command line");
	data = mmap(NULL, pages * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		    -1, 0);
	if (data == MAP_FAILED)
		give_up("not enough memory for the data");
	for (i = 0; i < pages * WORDS; i++)
		data[i] = mix(i);
}

/*
 * The I-th page of a stretch in the order of SEED. Each step can be undone within MASK, so no page
 * comes twice; what is beyond the end goes round again. So the order takes no memory of its own.
 */
static uint64_t page_at(uint64_t i, uint64_t span, uint64_t mask, uint64_t seed)
{
	int turn;

	do {
		for (turn = 0; turn < 3; turn++) {
			i = (i * (mix(seed + turn) | 1) + seed) & mask;
			i ^= i >> 7;
		}
	} while (i >= span);
	return i;
}

static uint32_t sum(uint64_t n, uint64_t span, uint64_t seed)
{
	uint64_t first = mix(seed) % (pages - span + 1), mask = 1, i, page;
	uint32_t s = 0;

	while (mask < span)
		mask <<= 1;
	mask--;
	for (i = 0; i < n; i++) {
		page = first + page_at(i, span, mask, seed);
		s = s * 31 + (uint32_t)data[page * WORDS + mix(seed ^ page) % WORDS];
	}
	return s;
}

/* A line is a line: no echo, no carriage returns. */
static void set_terminal(void)
{
	struct termios t;

	if (tcgetattr(STDIN_FILENO, &t))
		give_up("the console is no terminal");
	t.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
	t.c_oflag &= ~(tcflag_t)OPOST;
	tcsetattr(STDIN_FILENO, TCSANOW, &t);
}

int main(void)
{
	uint64_t n, span, seed;
	char line[128];

	setvbuf(stdout, NULL, _IOLBF, 0);
	set_terminal();
	fill();
	/* From now on only answers are wanted there. */
	klogctl(CONSOLE_OFF, NULL, 0);
	/* Others may have left a line unfinished. */
	printf("\nanswer: ready %" PRIu64 "\n", pages);
	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "sum %" SCNu64 " %" SCNu64 " %" SCNu64, &n, &span, &seed) != 3 ||
		    n > span || span > pages) {
			puts("answer: what?");
			continue;
		}
		puts("answer: begin");
		printf("answer: sum %" PRIu32 "\n", sum(n, span, seed));
	}
	give_up("the console is closed");
}
