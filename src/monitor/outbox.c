#include "monitor/outbox.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/limits.h"

struct outbox_message {
    struct list in_box;
    enum message_kind kind;
    int descriptor;
    size_t len;
    char bytes[];
};

void outbox_init(struct outbox *o)
{
    *o = (struct outbox){.fd = -1};
    list_init(&o->waiting);
}

/* Takes a message out. Messages hold keys and sometimes tokens, so they are wiped. */
static void forget(struct outbox *o, struct outbox_message *m)
{
    list_remove(&m->in_box);
    assert(o->count > 0 && o->bytes >= m->len);
    o->count--;
    o->bytes -= m->len;
    if (m->descriptor >= 0)
        close(m->descriptor);
    explicit_bzero(m->bytes, m->len);
    free(m);
}

static struct outbox_message *first_message(struct outbox *o)
{
    return list_empty(&o->waiting) ? NULL
                                   : container_of(o->waiting.next, struct outbox_message, in_box);
}

void outbox_finish(struct outbox *o)
{
    for (struct outbox_message *m; (m = first_message(o));)
        forget(o, m);
    o->fd = -1;
}

bool outbox_has_room(const struct outbox *o, size_t bytes)
{
    return o->count < LIMIT_OUTBOX_MESSAGES && o->bytes + bytes <= LIMIT_OUTBOX_BYTES;
}

static int keep(struct outbox *o, enum message_kind kind, struct span first, struct span second,
                int descriptor)
{
    size_t len = first.len + second.len;
    struct outbox_message *m;

    if (!outbox_has_room(o, len))
        return -ENOBUFS;
    m = malloc(sizeof(*m) + len);
    if (!m)
        return -ENOMEM;
    m->kind = kind;
    m->descriptor = descriptor;
    m->len = len;
    if (first.len > 0)
        memcpy(m->bytes, first.data, first.len);
    if (second.len > 0)
        memcpy(m->bytes + first.len, second.data, second.len);
    list_append(&o->waiting, &m->in_box);
    o->count++;
    o->bytes += len;
    return 0;
}

static int send_now(struct outbox *o, enum message_kind kind, struct span first, struct span second,
                    int descriptor)
{
    int r = channel_send(o->fd, kind, first, second, &descriptor, descriptor >= 0);

    o->stalled = r == -ETOOMANYREFS;
    return r == -ENOBUFS || r == -ENOMEM || r == -ETOOMANYREFS ? -EAGAIN : r;
}

int outbox_send(struct outbox *o, enum message_kind kind, struct span first, struct span second,
                int descriptor)
{
    if (o->fd >= 0 && list_empty(&o->waiting)) {
        int r = send_now(o, kind, first, second, descriptor);
        if (r == 0 && descriptor >= 0)
            close(descriptor);
        /* A peer that died a moment ago: its next life gets the message. */
        if (r != -EAGAIN && r != -EPIPE && r != -ECONNRESET)
            return r;
    }
    return keep(o, kind, first, second, descriptor);
}

int outbox_flush(struct outbox *o)
{
    struct outbox_message *m;

    while (o->fd >= 0 && (m = first_message(o))) {
        int r = send_now(o, m->kind, span_of(m->bytes, m->len), span_of(NULL, 0), m->descriptor);
        if (r == -EAGAIN)
            return 0;
        if (r < 0)
            return r;
        forget(o, m);
    }
    return 0;
}

bool outbox_wants_write(const struct outbox *o)
{
    return o->fd >= 0 && !o->stalled && !list_empty(&o->waiting);
}

void outbox_drop(struct outbox *o, enum message_kind kind)
{
    struct list *next;

    for (struct list *node = o->waiting.next; node != &o->waiting; node = next) {
        struct outbox_message *m = container_of(node, struct outbox_message, in_box);
        next = node->next;
        if (m->kind == kind)
            forget(o, m);
    }
}
