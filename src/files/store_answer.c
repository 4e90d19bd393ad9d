#include "files/store_answer.h"

#include <errno.h>

#include "files/etag.h"
#include "files/receive.h"
#include "http/allow.h"
#include "http/uri.h"

static struct span detail_of(int status)
{
    switch (status) {
    case 405:
        return SPAN("A folder has this name.");
    case 409:
        return SPAN("The folder for this file does not exist.");
    case 412:
        return SPAN("The file is not the one that was asked for.");
    default:
        return SPAN("");
    }
}

int store_refuse(struct task *t, struct exchange *x, const struct guard *g, int result,
                 struct span fields)
{
    bool malformed = result == -EBADMSG || result == -EPIPE;

    if (result == -ETIMEDOUT) { /* the body came too slowly */
        task_revive(t);
        x->close = true;
        return exchange_error(t, x, 408, SPAN(""));
    }
    if (receive_is_broken(result))
        return result;
    int status = malformed ? 400 : result < 0 ? status_from_errno(result) : result;
    exchange_status(x, status);
    exchange_fields(x, fields);
    if (status == 423 && guard_is_blocked(g))
        return guard_respond(t, x, g);
    if (status == 405)
        exchange_field(x, SPAN("Allow"), allow_methods(ALLOW_FOLDER, true));
    struct span detail = result == -EBADMSG ? SPAN("The chunks of the body are malformed.")
                         : result == -EPIPE ? SPAN("The body ended before its end.")
                                            : detail_of(status);
    return exchange_error(t, x, status, detail);
}

int store_respond(struct task *t, struct exchange *x, const struct store *s, struct span fields)
{
    char tag[ETAG_BYTES];
    /* Long after: nothing but what we wrote has this tag. */
    struct timespec later = {.tv_sec = s->st.st_ctim.tv_sec + 60};
    struct buf location;

    exchange_status(x, s->created ? 201 : 204);
    exchange_fields(x, fields);
    if (s->own)
        exchange_field(x, SPAN("ETag"), etag_format(&s->st, &later, tag));
    if (s->has_mtime)
        exchange_field(x, SPAN("X-OC-Mtime"), SPAN("accepted"));
    if (s->created) {
        buf_init_growing(&location, EXCHANGE_LOCATION_BYTES);
        buf_append_char(&location, '/');
        uri_encode_path(&location, s->path);
        if (!buf_failed(&location))
            exchange_field(x, SPAN("Location"), buf_span(&location));
        buf_finish(&location);
    }
    int r = exchange_begin(t, x, 0);
    return r < 0 ? r : exchange_end(t, x);
}
