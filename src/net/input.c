#include "net/input.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

void input_finish(struct input *in)
{
    if (in->memory)
        explicit_bzero(in->memory, in->sealed_end); /* passwords pass through here */
    free(in->memory);
    *in = (struct input){0};
}

void input_rest(struct input *in)
{
    if (in->memory && input_empty(in))
        input_finish(in);
}

static void move_to_front(struct input *in)
{
    uint32_t plain_len = in->plain_end - in->plain;
    uint32_t sealed_len = in->sealed_end - in->sealed;

    if (in->plain == 0 && in->sealed == plain_len)
        return;
    memmove(in->memory, in->memory + in->plain, plain_len);
    memmove(in->memory + plain_len, in->memory + in->sealed, sealed_len);
    in->plain = 0;
    in->plain_end = in->sealed = plain_len;
    in->sealed_end = plain_len + sealed_len;
}

/* What may be used of the memory: all that a long body needed is too much for a hand-over. */
static uint32_t usable(const struct input *in, size_t max)
{
    return in->capacity < max ? in->capacity : (uint32_t)max;
}

static bool has_room(const struct input *in, size_t len, size_t max)
{
    return in->memory && in->sealed_end + len <= usable(in, max);
}

/* `first`: how much memory an input gets that has none. */
static int reserve(struct input *in, size_t len, size_t first, size_t max)
{
    if (has_room(in, len, max))
        return 0;
    if (in->memory)
        move_to_front(in);
    if (has_room(in, len, max))
        return 0;
    size_t capacity = in->capacity ? in->capacity : first;
    while (capacity < in->sealed_end + len)
        capacity *= 2;
    if (capacity > max)
        capacity = max;
    if (capacity < in->sealed_end + len)
        return -ENOBUFS;
    uint8_t *memory = realloc(in->memory, capacity);
    if (!memory)
        return -ENOMEM;
    in->memory = memory;
    in->capacity = (uint32_t)capacity;
    return 0;
}

int input_make_room(struct input *in, bool is_tls, uint8_t **ret_data, size_t *ret_len)
{
    /* A record that is only partly there wants room for all of it. */
    size_t sealed = in->sealed_end - in->sealed;
    size_t wanted = 1;

    if (is_tls && sealed >= TLS_RECORD_HEADER) {
        const uint8_t *header = in->memory + in->sealed;
        size_t record = TLS_RECORD_HEADER + ((size_t)header[3] << 8 | header[4]);
        if (record > sealed && record <= TLS_RECORD_MAX)
            wanted = record - sealed;
    } else if (in->capacity > 0 && in->sealed_end - in->plain >= in->capacity / 2) {
        wanted = in->capacity / 2;
    }
    int r = reserve(in, wanted, INPUT_FIRST_BYTES, INPUT_MAX_BYTES);
    if (r == -ENOBUFS)
        r = reserve(in, 1, INPUT_FIRST_BYTES, INPUT_MAX_BYTES);
    if (r < 0)
        return r;
    *ret_data = in->memory + in->sealed_end;
    *ret_len = usable(in, INPUT_MAX_BYTES) - in->sealed_end;
    return 0;
}

int input_make_bulk_room(struct input *in, bool is_tls, uint64_t left, uint8_t **ret_data,
                         size_t *ret_len)
{
    if (left <= INPUT_MAX_BYTES)
        return input_make_room(in, is_tls, ret_data, ret_len);
    /* From the front, in one piece. */
    if (in->memory)
        move_to_front(in);
    size_t wanted = INPUT_BULK_BYTES - in->sealed_end;
    int r = reserve(in, wanted < left ? wanted : (size_t)left, INPUT_FIRST_BYTES, INPUT_BULK_BYTES);
    if (r < 0)
        return r;
    *ret_data = in->memory + in->sealed_end;
    *ret_len = in->capacity - in->sealed_end;
    if (*ret_len > left)
        *ret_len = (size_t)left;
    return 0;
}

void input_received(struct input *in, bool is_tls, size_t len)
{
    assert(len <= in->capacity - in->sealed_end);
    in->sealed_end += (uint32_t)len;
    if (!is_tls)
        in->plain_end = in->sealed = in->sealed_end;
}

int input_append(struct input *in, bool is_tls, struct span bytes)
{
    if (bytes.len == 0)
        return 0;
    int r = reserve(in, bytes.len, INPUT_SMALL_BYTES, INPUT_MAX_BYTES);
    if (r < 0)
        return r;
    memcpy(in->memory + in->sealed_end, bytes.data, bytes.len);
    input_received(in, is_tls, bytes.len);
    return 0;
}

int input_restore(struct input *in, struct span plain, struct span sealed)
{
    assert(input_empty(in));
    int r = input_append(in, false, plain);
    return r < 0 ? r : input_append(in, true, sealed);
}

void input_opened(struct input *in, size_t consumed, struct span payload)
{
    assert(consumed <= in->sealed_end - in->sealed);
    if (payload.len > 0) {
        uint32_t at = (uint32_t)((const uint8_t *)payload.data - in->memory);
        if (in->plain == in->plain_end) {
            in->plain = at;
            in->plain_end = at + (uint32_t)payload.len;
        } else {
            memmove(in->memory + in->plain_end, payload.data, payload.len);
            in->plain_end += (uint32_t)payload.len;
        }
    }
    in->sealed += (uint32_t)consumed;
}

void input_consume(struct input *in, size_t len)
{
    assert(len <= in->plain_end - in->plain);
    in->plain += (uint32_t)len;
    if (in->plain == in->plain_end && in->sealed == in->sealed_end)
        in->plain = in->plain_end = in->sealed = in->sealed_end = 0;
}

void input_close_gap(struct input *in)
{
    if (in->memory)
        move_to_front(in);
}
