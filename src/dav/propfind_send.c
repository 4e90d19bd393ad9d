#include "dav/propfind_send.h"

#include <errno.h>

enum {
    /* What is shorter gets a length, which some clients want. */
    WHOLE_BYTES = 64 * 1024,
    /* What is written at once. */
    PIECE_BYTES = 12 * 1024,
    /* And one resource more, with the longest path and all names that can be asked for. */
    OUT_BYTES = WHOLE_BYTES + 1024 * 1024,
};

void propfind_send_init(struct propfind_sender *s)
{
    s->begun = false;
    buf_init_growing(&s->out, OUT_BYTES);
    propfind_answer_begin(&s->out);
}

void propfind_send_finish(struct propfind_sender *s)
{
    buf_finish(&s->out);
}

static int begin(struct task *t, struct propfind_sender *s, uint64_t length)
{
    s->begun = true;
    exchange_status(s->x, 207);
    exchange_field(s->x, SPAN("Content-Type"), SPAN("application/xml; charset=utf-8"));
    if (s->location.len > 0)
        exchange_field(s->x, SPAN("Content-Location"), s->location);
    if (s->is_minimal)
        exchange_field(s->x, SPAN("Preference-Applied"), SPAN("return=minimal"));
    return exchange_begin(t, s->x, length);
}

/* In pieces, so that other connections get their turns. */
static int write_all(struct task *t, struct propfind_sender *s)
{
    struct span rest = buf_span(&s->out);

    while (rest.len > 0) {
        struct span piece = span_first(rest, rest.len < PIECE_BYTES ? rest.len : PIECE_BYTES);
        int r = exchange_write(t, s->x, piece);
        if (r < 0)
            return r;
        rest = span_skip(rest, piece.len);
    }
    s->out.len = 0;
    return 0;
}

int propfind_send_one(struct task *t, struct propfind_sender *s,
                      const struct propfind_resource *resource)
{
    propfind_answer_one(&s->out, &s->format, resource);
    if (buf_failed(&s->out))
        return -ENOMEM;
    if (s->out.len < (s->begun ? PIECE_BYTES : WHOLE_BYTES))
        return 0;
    int r = s->begun ? 0 : begin(t, s, EXCHANGE_CHUNKED);
    return r < 0 ? r : write_all(t, s);
}

int propfind_send_end(struct task *t, struct propfind_sender *s)
{
    propfind_answer_end(&s->out);
    if (buf_failed(&s->out))
        return -ENOMEM;
    int r = s->begun ? 0 : begin(t, s, s->out.len);
    if (r == 0)
        r = write_all(t, s);
    return r < 0 ? r : exchange_end(t, s->x);
}
