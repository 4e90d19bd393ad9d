/* An output buffer: bytes are appended, an overflow is remembered, one check at the end.
 *
 * A fixed buffer lives in memory of the caller and never allocates. A growing one doubles on the
 * heap up to a maximum and must be released with buf_finish(). After a failed append the buffer
 * keeps what it had, ignores every further append, and buf_failed() says so: formatters append
 * without looking and their caller checks once.
 */
#pragma once

#include <stdarg.h>

#include "base/span.h"

struct buf {
    char *data;
    size_t len;
    size_t capacity;
    size_t max; /* 0: fixed, memory of the caller */
    bool failed;
};

/* A buffer over `capacity` bytes of the caller's. */
void buf_init_fixed(struct buf *b, void *memory, size_t capacity);

/* An empty heap buffer that grows to at most `max` bytes (at least 1). Allocates on the first
 * append. */
void buf_init_growing(struct buf *b, size_t max);

/* Frees a growing buffer's memory; harmless on a fixed or zeroed one. */
void buf_finish(struct buf *b);

/* Room for `n` more bytes at data + len, to be filled by the caller, who then adds to len.
 * Returns NULL (and marks the buffer failed) where there is none. */
char *buf_reserve(struct buf *b, size_t n);

/* Inline, as a row of a listing has forty appends and most are of a constant. */
static inline void buf_append(struct buf *b, struct span s)
{
    if (s.len == 0)
        return;
    bool fits = !b->failed && s.len <= b->capacity - b->len;
    char *room = fits ? b->data + b->len : buf_reserve(b, s.len);
    if (!room)
        return;
    memcpy(room, s.data, s.len);
    b->len += s.len;
}

static inline void buf_append_char(struct buf *b, char c)
{
    buf_append(b, span_of(&c, 1));
}

static inline void buf_append_str(struct buf *b, const char *string)
{
    buf_append(b, span_str(string));
}

void buf_append_u64(struct buf *b, uint64_t value);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline bool buf_failed(const struct buf *b)
{
    return b->failed;
}

static inline struct span buf_span(const struct buf *b)
{
    return span_of(b->data, b->len);
}
