/* SPDX-License-Identifier: GPL-2.0-only */
/* The options of `access`: how, where and in what order it accesses its file. */
#ifndef ACCESS_H
#define ACCESS_H

#include <getopt.h>

#include "oracle.h"

enum mode {
	PREAD,
	NOWAIT,	      /* preadv2(RWF_NOWAIT), again once the page is there */
	NOWAIT_ONCE,  /* never again */
	NOWAIT_PREAD, /* a blocking read follows at once */
	URING,
	URING_ASYNC, /* in a worker of the kernel's, which may block */
	SPLICE,
	SENDFILE,
	MMAP,
	MMAP_EXEC,
	MMAP_WRITE,    /* private: copied on write */
	MMAP_SHARED,   /* shared and written */
	MMAP_KERNEL,   /* write(2) from the mapping: the kernel faults */
	MMAP_POPULATE, /* MADV_POPULATE_READ: no fault exception at all */
	NR_MODES,
};

static const char *const mode_names[] = {
	"pread",	  "preadv2-nowait", "nowait-once", "nowait-pread",  "io_uring",
	"io_uring-async", "splice",	    "sendfile",	   "mmap",	    "mmap-exec",
	"mmap-write",	  "mmap-shared",    "mmap-kernel", "mmap-populate",
};

static struct options {
	const char *file, *pattern, *list, *all, *ready, *wait;
	enum mode mode;
	int fadvise, madvise;
	uint64_t count, block, offset, length, stride, seed, rounds, rate, load, load_of, create;
	unsigned int threads, depth;
	bool evict, blind, no_fault_around;
} opt = {
	.pattern = "sequential",
	.fadvise = -1,
	.madvise = -1,
	.count = UINT64_MAX,
	.block = 4096,
	.stride = 7,
	.seed = 1,
	.rounds = 1,
	.threads = 1,
	.depth = 1,
};

/* How the file is accessed decides which counts there are. */
static bool is_mmap(void)
{
	return opt.mode >= MMAP;
}

static uint64_t rnd(void)
{
	/* xorshift64*: the same sequence everywhere */
	opt.seed ^= opt.seed >> 12;
	opt.seed ^= opt.seed << 25;
	opt.seed ^= opt.seed >> 27;
	return opt.seed * 2685821657736338717ULL;
}

static uint64_t number(const char *s)
{
	static const char units[] = "kmgt";
	const char *unit;
	char *end;
	uint64_t n;

	errno = 0;
	n = strtoull(s, &end, 0);
	unit = *end ? strchr(units, *end | 0x20) : NULL;
	if (errno || end == s || *s == '-' || (*end && (!unit || end[1])))
		die("%s: not a number", s);
	return unit ? n << 10 * (unit - units + 1) : n;
}

static int advice(const char *s, bool mapped)
{
	if (!strcmp(s, "random"))
		return mapped ? MADV_RANDOM : POSIX_FADV_RANDOM;
	if (!strcmp(s, "sequential"))
		return mapped ? MADV_SEQUENTIAL : POSIX_FADV_SEQUENTIAL;
	if (!strcmp(s, "hugepage") && mapped)
		return MADV_HUGEPAGE;
	die("%s: unknown advice", s);
}

static void usage(FILE *out)
{
	fprintf(out, "access [OPTION]... FILE\n"
		     "  -m MODE        how (default pread); one of:");
	for (int i = 0; i < NR_MODES; i++)
		fprintf(out, " %s", mode_names[i]);
	fprintf(out,
		"\n  -p PATTERN     sequential, reverse, random (each block once), strided, repeat (blocks by lot),\n"
		"                 @FILE (block numbers, one thread)\n"
		"  -n COUNT       so many blocks of the pattern in all (0: none); -b BYTES a block\n"
		"  -o OFF -l LEN  this part of the file; -S BLOCKS stride; -s SEED; -T THREADS; -q io_uring depth\n"
		"  -r LIST        the pages that were absent, one a line, in order; -a LIST all pages\n"
		"  --create SIZE  write the file first; --evict it; --load N/M the first N of each M pages\n"
		"  --fadvise, --madvise random|sequential|hugepage; --no-fault-around\n"
		"  --ready PATH   made when all is open; --wait stdin|usr1 before each of --rounds N\n"
		"  --blind        ask nothing; --rate N accesses a second for each thread\n");
}

enum {
	CREATE = 256,
	EVICT,
	LOAD,
	FADVISE,
	MADVISE,
	NOFA,
	READY,
	WAIT,
	ROUNDS,
	BLIND,
	RATE
};

static void parse(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "create", 1, 0, CREATE },   { "evict", 0, 0, EVICT },
		{ "load", 1, 0, LOAD },	      { "fadvise", 1, 0, FADVISE },
		{ "madvise", 1, 0, MADVISE }, { "no-fault-around", 0, 0, NOFA },
		{ "ready", 1, 0, READY },     { "wait", 1, 0, WAIT },
		{ "rounds", 1, 0, ROUNDS },   { "blind", 0, 0, BLIND },
		{ "rate", 1, 0, RATE },	      { 0 },
	};
	char *slash;
	int c;

	while ((c = getopt_long(argc, argv, "m:p:n:b:o:l:S:s:T:q:r:a:h", longs, NULL)) != -1) {
		switch (c) {
		case 'm':
			for (opt.mode = 0;
			     opt.mode < NR_MODES && strcmp(optarg, mode_names[opt.mode]);)
				opt.mode++;
			if (opt.mode == NR_MODES)
				die("%s: unknown mode", optarg);
			break;
		case 'p':
			opt.pattern = optarg;
			break;
		case 'n':
			opt.count = number(optarg);
			break;
		case 'b':
			opt.block = number(optarg);
			break;
		case 'o':
			opt.offset = number(optarg);
			break;
		case 'l':
			opt.length = number(optarg);
			break;
		case 'S':
			opt.stride = number(optarg);
			break;
		case 's':
			opt.seed = number(optarg);
			break;
		case 'T':
			opt.threads = number(optarg);
			break;
		case 'q':
			opt.depth = number(optarg);
			break;
		case 'r':
			opt.list = optarg;
			break;
		case 'a':
			opt.all = optarg;
			break;
		case CREATE:
			opt.create = number(optarg);
			break;
		case EVICT:
			opt.evict = true;
			break;
		case LOAD:
			slash = strchr(optarg, '/');
			if (!slash)
				die("%s: N/M expected", optarg);
			*slash = 0;
			opt.load = number(optarg);
			opt.load_of = number(slash + 1);
			break;
		case FADVISE:
			opt.fadvise = advice(optarg, false);
			break;
		case MADVISE:
			opt.madvise = advice(optarg, true);
			break;
		case NOFA:
			opt.no_fault_around = true;
			break;
		case READY:
			opt.ready = optarg;
			break;
		case WAIT:
			opt.wait = optarg;
			break;
		case ROUNDS:
			opt.rounds = number(optarg);
			break;
		case BLIND:
			opt.blind = true;
			break;
		case RATE:
			opt.rate = number(optarg);
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			usage(stderr);
			exit(2);
		}
	}
	if (argc - optind != 1 || !opt.block || !opt.threads || !opt.seed || !opt.depth ||
	    opt.depth > 64 || !opt.stride || (opt.load && !opt.load_of)) {
		usage(stderr);
		exit(2);
	}
	opt.file = argv[optind];
}

#endif
