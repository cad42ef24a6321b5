/* SPDX-License-Identifier: GPL-2.0-only */
/* Three ways of having absent pages read in, by the length of their run. */
#ifndef PAGE2CACHE_SUBMIT_H
#define PAGE2CACHE_SUBMIT_H

#include <sys/types.h>

#include "base/util.h"
#include "file/residency.h"

/*
 * Requests of one thread, so many of which are in flight at most, as far as they arrive in the order
 * in which they were made. In a control group whose reads are limited, all that is in flight is read
 * before what others of the group ask for later. Begins with nr 0 and map.fd -1.
 */
#define SUBMIT_IN_FLIGHT 256
struct submit_queue {
	uint64_t nr; /* requests made */
	struct submit_request {
		int fd;
		uint64_t index; /* of its last page */
	} requests[SUBMIT_IN_FLIGHT];
	struct residency_map map;
};

void submit_queue_free(struct submit_queue *q);

/* Of a device. */
struct submit_limits {
	dev_t dev;
	bool known;	       /* else the limits are those that any device keeps */
	uint64_t chunk_pages;  /* largest request that readahead(2) does not truncate */
	uint64_t window_pages; /* the kernel's own readahead reads at most that far ahead */
};

struct submit_file {
	int fd;		   /* FADV_RANDOM: reads nothing that was not asked for */
	uint64_t nr_pages; /* of the file */
	struct submit_limits limits;
	struct submit_queue *queue;
};

/* Pages from which a run is long: one PMD-sized folio of 4 KiB pages. */
#define SUBMIT_LONG_PAGES 512

/*
 * Have NR pages from INDEX read in; they lie in a listed run that ends before
 * page RUN_END. Errors show when the pages are verified. Stops early when *stop
 * is set.
 */
void submit_pages(const struct submit_file *f, uint64_t index, uint64_t nr, uint64_t run_end,
		  const volatile bool *stop);

/* Wait for submitted pages, SUBMIT_AWAIT_BYTES at most: nothing of them is in flight any more. */
#define SUBMIT_AWAIT_BYTES (128 << 10)
void submit_await(int fd, uint64_t index, uint64_t nr);

/* The limits of DEV, on which the file of FD lies. */
void submit_limits(int fd, dev_t dev, struct submit_limits *limits);

#endif
