#include "files/put.h"

#include <errno.h>
#include <stdlib.h>

#include "files/receive.h"
#include "files/store_answer.h"

struct put {
    struct exchange *x;
    struct store store;
    struct checksums checksums;
    struct receive receive;
};

enum { WRONG_DIGEST = 1 };

static int check_digests(struct put *p)
{
    int r = p->checksums.count > 0 ? checksums_match(&p->checksums) : 1;

    return r < 0 ? r : r == 0 ? WRONG_DIGEST : 0;
}

static void note_written(struct task *t, void *context)
{
    struct put *p = context;

    store_reserve(t, &p->store, p->receive.offset);
}

/* Before the peer is asked for a body it is known whether the file may be; and what may not fit
 * into memory goes to the disk as it comes. */
static int put_large(struct task *t, struct put *p)
{
    int r = store_begin(t, &p->store);

    if (r != 0)
        return r;
    p->receive.lane = p->store.lane;
    p->receive.fd = store_fd(&p->store);
    p->receive.written = note_written;
    p->receive.context = p;
    r = receive_body(t, &p->receive);
    if (r == 0)
        r = check_digests(p);
    if (r == 0)
        r = store_commit(t, &p->store);
    store_finish(t, &p->store);
    return r;
}

static int put_small(struct task *t, struct put *p)
{
    struct span content;
    int r = receive_whole(t, &p->receive, &content);

    if (r == 0)
        r = check_digests(p);
    return r != 0 ? r : store_put(t, &p->store, content);
}

static bool is_small(const struct put *p)
{
    return p->store.length <= RECEIVE_WHOLE_MOST && !p->x->request.expect_continue;
}

static int check_fields(struct put *p)
{
    const struct request *q = &p->x->request;

    int r = store_check_fields(q);
    if (r == 0)
        r = store_take_mtime(&p->store, request_field(q, SPAN("X-OC-Mtime")));
    if (r == 0)
        r = checksums_init(&p->checksums, q);
    return r == -EINVAL ? 400 : r;
}

static int store_body(struct task *t, struct put *p)
{
    int r = check_fields(p);

    if (r == 0)
        r = receive_init(&p->receive, p->x, p->store.length);
    if (r == 0)
        r = is_small(p) ? put_small(t, p) : put_large(t, p);
    if (r == WRONG_DIGEST)
        return exchange_error(t, p->x, 400, SPAN("The content is not what its digest says."));
    if (r != 0)
        return store_refuse(t, p->x, p->store.guard, r, SPAN(""));
    /* What waits behind this request shall see the file as it is now. */
    loop_new_epoch(p->x->conn->server->loop);
    return store_respond(t, p->x, &p->store, SPAN(""));
}

int file_put(struct task *t, struct exchange *x, struct guard *guard, bool durable)
{
    const struct request *q = &x->request;
    struct put *p = calloc(1, sizeof(*p));

    if (!p)
        return exchange_error(t, x, 503, SPAN(""));
    p->x = x;
    p->store = (struct store){
        .root = guard->root,
        .guard = guard,
        .path = guard->path,
        .length = q->chunked ? STORE_LENGTH_UNKNOWN : q->content_length,
        .durable = durable,
    };
    p->receive.checksums = &p->checksums;
    int r = store_body(t, p);
    checksums_finish(&p->checksums);
    receive_finish(&p->receive);
    free(p);
    return r;
}
