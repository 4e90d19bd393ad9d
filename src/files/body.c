#include "files/body.h"

#include <errno.h>

#include "files/receive.h"
#include "files/root.h"

enum { STEP_BYTES = 8 * 1024 };

static int read_all(struct task *t, struct exchange *x, size_t limit, struct buf *body)
{
    const size_t most = limit + 1; /* one is enough to know that there is more */
    int r = 1;

    while (r > 0) {
        size_t step = most - body->len < STEP_BYTES ? most - body->len : STEP_BYTES;
        size_t len;
        char *room = buf_reserve(body, step + CONN_OUT_SLACK);
        if (!room)
            return -ENOMEM;
        r = exchange_fill_body(t, x, (uint8_t *)room, step, &len);
        body->len += len;
        if (body->len == most)
            return -E2BIG;
    }
    return r;
}

int body_read(struct task *t, struct exchange *x, size_t most, struct buf *ret_body)
{
    struct buf body;

    if (x->request.content_length > most)
        return -E2BIG;
    buf_init_growing(&body, most + 1 + CONN_OUT_SLACK);
    int r = x->request.has_body ? read_all(t, x, most, &body) : 0;
    if (r < 0)
        buf_finish(&body);
    else
        *ret_body = body;
    return r;
}

int body_refuse(struct task *t, struct exchange *x, int error)
{
    switch (error) {
    case -ETIMEDOUT: /* it came too slowly */
        task_revive(t);
        x->close = true;
        return exchange_error(t, x, 408, SPAN(""));
    case -EBADMSG:
        return exchange_error(t, x, 400, SPAN("The chunks of the body are malformed."));
    case -EPIPE:
        return exchange_error(t, x, 400, SPAN("The body ended before its end."));
    case -E2BIG:
        return exchange_error(t, x, 413, SPAN("There is too much in the body."));
    default:
        return receive_is_broken(error) ? error
                                        : exchange_error(t, x, status_from_errno(error), SPAN(""));
    }
}
