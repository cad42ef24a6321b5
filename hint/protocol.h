/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The messages between a program and its server (pcforce --serve), and the memory they share.
 *
 * They talk over a UNIX socket of type SOCK_SEQPACKET, in the machine's own byte order. The
 * program sends a hello, the server answers with a welcome, and with two descriptors if that has
 * no error:
 *
 * - the queue, which both write: a ring of RING_WORDS words, and behind it room for the weights of
 *   the program's predictions, QUEUE_WEIGHTS_BYTES from QUEUE_WEIGHTS on;
 * - the results, which the program can map for reading only: a struct result for each file.
 *
 * Both are memory files whose size is sealed, so neither side can have the other run into memory
 * that is no longer there. After that the program sends asks, one with a descriptor (SCM_RIGHTS)
 * for each file that it names, and waits for the answer to each. Hints take the queue.
 *
 * Layout and meaning are of version RING_LAYOUT and RING_PROTOCOL: both sides have the same.
 */
#ifndef PAGEHINT_PROTOCOL_H
#define PAGEHINT_PROTOCOL_H

#include "perceptron.h"
#include "result.h"
#include "ring.h"

#define RING_MAGIC    0x746e696865676170ULL /* "pagehint" */
#define RING_PROTOCOL 1			    /* which records there are, and what they mean */
#define RING_LAYOUT   2			    /* where what lies in the queue and the results */

/* 5,461 hints of one range. */
#define RING_WORDS 16384

/* Of a page's size on any machine, so that the weights begin a page where pages are as large. */
#define QUEUE_ALIGN	    65536UL
#define QUEUE_WEIGHTS	    ((ring_size(RING_WORDS) + QUEUE_ALIGN - 1) / QUEUE_ALIGN * QUEUE_ALIGN)
#define QUEUE_WEIGHTS_BYTES PERCEPTRON_BYTES
#define QUEUE_BYTES	    (QUEUE_WEIGHTS + QUEUE_WEIGHTS_BYTES)
#define RESULTS_BYTES	    (PAGEHINT_MAX_FILES * sizeof(struct result))

struct hello {
	uint64_t magic;
	uint32_t protocol;
	uint32_t layout;
};

struct welcome {
	struct hello hello; /* the server's, with its own version if it speaks another one */
	int32_t error;	    /* 0, or -errno: then the server hangs up */
	uint32_t zero;
};

enum ask_what {
	ASK_FILE = 1,	/* with a descriptor; answered by an id */
	ASK_FORGET = 2, /* ID */
};

struct ask {
	uint32_t what;
	int32_t id;
};

struct answer {
	int32_t result; /* or -errno */
};

static inline struct hello hello_own(void)
{
	return (struct hello){ RING_MAGIC, RING_PROTOCOL, RING_LAYOUT };
}

/* 0, or -errno: why the sender of this hello cannot be talked to. */
int hello_check(const struct hello *other);

/*
 * Send LEN bytes as one message, with descriptors: NR_FDS of them, 2 at most. Returns 0 or -errno.
 */
int protocol_send(int sock, const void *message, size_t len, const int *fds, size_t nr_fds);

/*
 * Receive a message of LEN bytes, and MAX_FDS descriptors at most; there are *nr_fds. Returns 0,
 * -ECONNRESET (the other side has hung up), -EBADMSG (another length, or descriptors that had
 * no room: none is left open then), or -errno.
 */
int protocol_receive(int sock, void *message, size_t len, int *fds, size_t max_fds, size_t *nr_fds);

#endif
