/* What has come in on a connection and is not used yet: opened bytes first, sealed ones behind.
 *
 *     memory:  [ used | plain … | opened records' leftovers | sealed … | free ]
 *
 * Records are opened where they lie and their payload is moved down to the plain bytes before them,
 * if there are any. An idle connection has no memory here.
 */
#pragma once

#include "base/limits.h"
#include "base/span.h"
#include "tls/record.h"

struct input {
    uint8_t *memory;
    uint32_t capacity;
    uint32_t plain, plain_end;   /* opened bytes */
    uint32_t sealed, sealed_end; /* received bytes; without TLS always empty */
};

enum {
    INPUT_FIRST_BYTES = 4 * 1024,
    /* What is only a small request gets as much as malloc() has at hand without a search. */
    INPUT_SMALL_BYTES = 1000,
    /* A request head, a login form behind it, and a whole record to be opened. */
    INPUT_MAX_BYTES = LIMIT_HEAD_BYTES + LIMIT_FORM_BYTES + TLS_RECORD_MAX + 1024,
    /* For the sealed bytes of a long body: a system call for sixteen records. */
    INPUT_BULK_BYTES = 17 * TLS_RECORD_MAX,
};

static inline struct span input_plain(const struct input *in)
{
    return span_of(in->memory + in->plain, in->plain_end - in->plain);
}

static inline struct span input_sealed(const struct input *in)
{
    return span_of(in->memory + in->sealed, in->sealed_end - in->sealed);
}

static inline bool input_empty(const struct input *in)
{
    return in->plain == in->plain_end && in->sealed == in->sealed_end;
}

/* Frees the memory; what was in it is gone. */
void input_finish(struct input *in);

/* Gives the memory back where nothing is left in it. */
void input_rest(struct input *in);

/* Room for more received bytes, at least one: moves what is there to the front, and grows the
 * memory when that is not enough. Returns 0, -ENOBUFS when it is full, or -ENOMEM. `is_tls` decides
 * whether received bytes are sealed or plain. */
int input_make_room(struct input *in, bool is_tls, uint8_t **ret_data, size_t *ret_len);

/* The same for a body of which at least `left` more bytes are to be received: up to
 * INPUT_BULK_BYTES of memory, and never more room than `left`, so that nothing but the body comes
 * in. */
int input_make_bulk_room(struct input *in, bool is_tls, uint64_t left, uint8_t **ret_data,
                         size_t *ret_len);

/* `len` bytes were received into that room. */
void input_received(struct input *in, bool is_tls, size_t len);

/* Copies bytes in that have been received elsewhere. Returns 0, -ENOBUFS or -ENOMEM. */
int input_append(struct input *in, bool is_tls, struct span bytes);

/* Fills an empty input with bytes that another process had received, opened and sealed ones.
 * Returns 0, -ENOBUFS or -ENOMEM. */
int input_restore(struct input *in, struct span plain, struct span sealed);

/* The record at the front of the sealed bytes took `consumed` of them and its payload, which lies
 * inside them, joins the plain ones. */
void input_opened(struct input *in, size_t consumed, struct span payload);

/* The first `len` plain bytes are used up. */
void input_consume(struct input *in, size_t len);

/* Moves plain and sealed bytes together, so that one span holds both. */
void input_close_gap(struct input *in);
