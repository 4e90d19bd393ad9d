/* Messages to one ring of a child, in order and without waiting: what the channel does not take is
 * kept, within limits. Between the death of a child and its next life the box has no channel and
 * everything waits.
 */
#pragma once

#include "base/list.h"
#include "net/channel.h"

struct outbox {
    int fd; /* -1: nobody there. Not owned. */
    struct list waiting;
    size_t count, bytes;
    bool stalled; /* too many descriptors in flight (ETOOMANYREFS): no event will tell when it is
                     over */
};

void outbox_init(struct outbox *o);
/* Closes and forgets everything that waits. */
void outbox_finish(struct outbox *o);

/* Sends or keeps one message. With `descriptor` ≥ 0 that goes along and becomes the box's. Returns
 * 0; -ENOBUFS where the box is full; or another -errno (the descriptor stays the caller's). */
int outbox_send(struct outbox *o, enum message_kind kind, struct span first, struct span second,
                int descriptor);

/* Whether a message of that size would be taken. */
bool outbox_has_room(const struct outbox *o, size_t bytes);

/* Sends what waits, as far as the channel takes it. Returns 0 or -errno (the peer is gone). */
int outbox_flush(struct outbox *o);

/* Whether it waits for the channel to become writable. */
bool outbox_wants_write(const struct outbox *o);

/* The peer has died: forgets all messages of that kind. */
void outbox_drop(struct outbox *o, enum message_kind kind);
