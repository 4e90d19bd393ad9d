/* The chunked transfer coding (RFC 9112 section 7.1), decoded in place and piece by piece. */
#pragma once

#include "base/span.h"

enum {
    LIMIT_CHUNK_EXTENSION_BYTES = 256, /* per chunk; nobody uses them */
    LIMIT_TRAILER_BYTES = 4 * 1024,    /* all trailer fields; they are discarded */
};

enum chunked_step {
    CHUNKED_SIZE, /* also the initial state */
    CHUNKED_SIZE_BLANK,
    CHUNKED_EXTENSION,
    CHUNKED_SIZE_LF,
    CHUNKED_DATA,
    CHUNKED_DATA_CR,
    CHUNKED_DATA_LF,
    CHUNKED_TRAILER_START,
    CHUNKED_TRAILER,
    CHUNKED_TRAILER_LF,
    CHUNKED_END_LF,
    CHUNKED_DONE,
    CHUNKED_BAD,
};

/* Starts zeroed for each body. */
struct chunked {
    enum chunked_step step;
    unsigned digits;        /* of the current chunk-size */
    unsigned line_bytes;    /* of the current extensions */
    unsigned trailer_bytes; /* so far */
    uint64_t left;          /* of the current chunk's data */
};

/* Reads on in `in`. `*ret_data` is the next run of data, a span of `in`, possibly empty;
 * `*ret_consumed` how much of `in` is done with, including that data.
 *
 * Returns 1 when the body is complete (what follows in `in` is the next request; further calls
 * change nothing), 0 when there is more to come: call again with the rest of `in`, and with new
 * bytes when nothing is left of it; or -400, for good. Without data a result of 0 means that all of
 * `in` was consumed. */
int chunked_decode(struct chunked *state, struct span in, size_t *ret_consumed,
                   struct span *ret_data);
