#include "base/buf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_CAPACITY = 256 };

void buf_init_fixed(struct buf *b, void *memory, size_t capacity)
{
    *b = (struct buf){.data = memory, .capacity = capacity};
}

void buf_init_growing(struct buf *b, size_t max)
{
    assert(max > 0);
    *b = (struct buf){.max = max};
}

void buf_finish(struct buf *b)
{
    if (b->max > 0)
        free(b->data);
    *b = (struct buf){0};
}

static bool grow(struct buf *b, size_t needed)
{
    size_t capacity = b->capacity ? b->capacity : FIRST_CAPACITY;

    if (needed > b->max)
        return false;
    while (capacity < needed)
        capacity *= 2;
    if (capacity > b->max)
        capacity = b->max;
    char *data = realloc(b->data, capacity);
    if (!data)
        return false;
    b->data = data;
    b->capacity = capacity;
    return true;
}

char *buf_reserve(struct buf *b, size_t n)
{
    if (b->failed)
        return NULL;
    if (n > b->capacity - b->len && !(n <= SIZE_MAX - b->len && grow(b, b->len + n))) {
        b->failed = true;
        return NULL;
    }
    return b->data + b->len;
}

void buf_append_u64(struct buf *b, uint64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    buf_append(b, span_of(digits + at, sizeof(digits) - at));
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    /* vsnprintf writes a NUL behind the text, which the buffer does not count. */
    char *room = length < 0 ? NULL : buf_reserve(b, (size_t)length + 1);
    if (!room) {
        b->failed = true;
        return;
    }
    va_start(args, format);
    vsnprintf(room, (size_t)length + 1, format, args);
    va_end(args);
    b->len += (size_t)length;
}
