/* The body of a request on its way into a file: what comes is written while more comes in.
 *
 *     receive_init()    memory, before the peer is asked for anything
 *     receive_body()    once there is a file
 *     receive_finish()  in any case
 */
#pragma once

#include "files/checksum.h"
#include "http/exchange.h"
#include "rt/io.h"

#define RECEIVE_LENGTH_UNKNOWN UINT64_MAX

enum {
    RECEIVE_BUFFERS = 2,
    /* What receive_whole() takes; and so much memory is there for everybody. */
    RECEIVE_WHOLE_MOST = 32 * 1024,
};

struct receive {
    /* set by the caller, before receive_init() */
    size_t first; /* the first piece that is written has at most so many bytes; 0: as all others */

    /* and before receive_body() */
    enum offload_lane lane; /* of the file */
    int fd;
    uint64_t offset; /* where in the file the body begins; moves on with what is written */
    uint64_t most;   /* bytes that the body may have: -EOVERFLOW */
    struct checksums *checksums; /* of this body; NULL: none */
    const _Atomic bool *stopped; /* whether to give up between two pieces: -EINTR; NULL: never */
    void (*written)(struct task *t, void *context); /* after each piece; NULL: nothing */
    void *context;
    bool keeps_rest; /* of a body that breaks off, also what does not fill a buffer is written */

    /* for receive.c */
    struct exchange *x;
    uint8_t *buffers[RECEIVE_BUFFERS];
    size_t buffer_bytes;
    bool is_large;

    /* the write in flight */
    struct io_op op;
    const uint8_t *piece;
    size_t piece_left;
    bool in_flight;
};

/* `length` is that of the body, or RECEIVE_LENGTH_UNKNOWN. Returns 0 or -ENOMEM. */
int receive_init(struct receive *r, struct exchange *x, uint64_t length);

/* Returns 0 when all of the body is in the file, an error of the connection (as
 * exchange_fill_body()), or an error of the file. `offset` says how far it got. */
int receive_body(struct task *t, struct receive *r);

/* The same for a body whose length is known and at most RECEIVE_WHOLE_MOST, and into no file:
 * `*ret_body` is there until receive_finish(). */
int receive_whole(struct task *t, struct receive *r, struct span *ret_body);

void receive_finish(struct receive *r);

/* Whether an error of receive_body() is the connection's: nobody is there to be told. */
bool receive_is_broken(int error);
