/* The answer to a PROPFIND on its way: with a length where it is short, else in pieces while it is
 * made, so that it takes no more memory however long it is. */
#pragma once

#include "dav/propfind_answer.h"
#include "http/exchange.h"

struct propfind_sender {
    struct exchange *x;
    struct propfind_format format;
    struct span location; /* for Content-Location; "" for none */
    bool is_minimal;      /* it was preferred so: RFC 8144 */

    /* for propfind_send.c */
    struct buf out;
    bool begun;
};

/* After the members above have been set; the format has been initialized. */
void propfind_send_init(struct propfind_sender *s);
void propfind_send_finish(struct propfind_sender *s);

/* All of these return 0 or -errno. When they have failed and nothing was `begun`, another answer
 * can be given; otherwise the connection is broken. */
int propfind_send_one(struct task *t, struct propfind_sender *s,
                      const struct propfind_resource *resource);
int propfind_send_end(struct task *t, struct propfind_sender *s);
