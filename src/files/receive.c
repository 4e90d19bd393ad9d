#include "files/receive.h"

#include <errno.h>
#include <stdlib.h>

enum {
    /* What is received while as much is being written; and where a body is smaller, that. */
    BUFFER_BYTES = 256 * 1024,
    /* Uploads at once that get so much; whoever comes then makes do with less. */
    LARGE_MOST = 32,
};

static _Atomic unsigned large_bodies;

static void write_start(struct task *t, struct receive *r)
{
    r->in_flight = true;
    io_write_start(t, &r->op, r->lane, r->fd, r->piece, r->piece_left, r->offset);
}

/* Waits until the piece is written, all of it. */
static int write_finish(struct task *t, struct receive *r)
{
    int n = 0;

    while (r->in_flight || (n >= 0 && r->piece_left > 0)) {
        if (!r->in_flight)
            write_start(t, r);
        n = io_await(t, &r->op);
        r->in_flight = false;
        /* The end of a window of time ends all that the task has started, this too, although the
         * peer kept its pace: once more. */
        if (io_was_interrupted(n) && !task_cancelled(t)) {
            n = 0;
            continue;
        }
        if (n == 0)
            n = -EIO;
        if (n < 0)
            break;
        r->piece += n;
        r->piece_left -= (size_t)n;
        r->offset += (uint64_t)n;
    }
    return n < 0 ? n : 0;
}

static int take(struct receive *r, const uint8_t *piece, size_t len, uint64_t received)
{
    if (received > r->most)
        return -EOVERFLOW;
    if (r->stopped && *r->stopped)
        return -EINTR;
    return r->checksums ? checksums_update(r->checksums, span_of(piece, len)) : 0;
}

int receive_body(struct task *t, struct receive *r)
{
    int more = 1, error = 0;
    uint64_t received = 0;

    for (unsigned i = 0; more > 0 && error == 0; i = (i + 1) % RECEIVE_BUFFERS) {
        size_t len, room = r->buffer_bytes;
        if (received == 0 && r->first > 0 && r->first < room)
            room = r->first;
        more = exchange_fill_body(t, r->x, r->buffers[i], room, &len);
        received += len;
        if (len > 0)
            error = take(r, r->buffers[i], len, received);
        int written = write_finish(t, r);
        if (error == 0)
            error = written;
        if (error == 0 && r->written)
            r->written(t, r->context);
        if (error < 0 || len == 0 || (more < 0 && !r->keeps_rest))
            continue;
        if (more == -ETIMEDOUT)
            task_revive(t);
        r->piece = r->buffers[i];
        r->piece_left = len;
        write_start(t, r);
    }
    int written = write_finish(t, r);
    if (error == -EINTR)
        return error;
    if (more < 0)
        return more;
    return error < 0 ? error : written;
}

int receive_whole(struct task *t, struct receive *r, struct span *ret_body)
{
    size_t len;
    int more = exchange_fill_body(t, r->x, r->buffers[0], r->buffer_bytes, &len);

    if (more < 0)
        return more;
    *ret_body = span_of(r->buffers[0], len);
    return take(r, r->buffers[0], len, len);
}

int receive_init(struct receive *r, struct exchange *x, uint64_t length)
{
    r->x = x;
    r->most = UINT64_MAX;
    r->is_large = length > RECEIVE_WHOLE_MOST;
    if (r->is_large && large_bodies++ >= LARGE_MOST) {
        large_bodies--;
        r->is_large = false;
    }
    r->buffer_bytes = r->is_large ? BUFFER_BYTES : RECEIVE_WHOLE_MOST;
    if (length < r->buffer_bytes)
        r->buffer_bytes = (size_t)length;
    /* The second one is for what comes while the first is being written. */
    for (unsigned i = 0;
         i < RECEIVE_BUFFERS && (i == 0 || r->first > 0 || length > r->buffer_bytes); i++)
        if (!(r->buffers[i] = malloc(r->buffer_bytes + CONN_OUT_SLACK)))
            return -ENOMEM;
    return 0;
}

void receive_finish(struct receive *r)
{
    for (unsigned i = 0; i < RECEIVE_BUFFERS; i++)
        free(r->buffers[i]);
    large_bodies -= r->is_large;
}

bool receive_is_broken(int error)
{
    return error == -ECANCELED || error == -ETIMEDOUT || error == -ECONNRESET || error == -EPROTO;
}
