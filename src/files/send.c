#include "files/send.h"

#include <errno.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "files/crc32.h"

enum {
    /* How much is read and sent in one turn: it begins in the middle, doubles for a quick peer, and
     * falls to the least for a slow one, who holds what was read for it. */
    STEP_LEAST = 2 * TLS_PLAINTEXT_MAX,
    STEP_FIRST = 8 * TLS_PLAINTEXT_MAX,
    STEP_MOST = CHUNK_LARGE_RECORDS * TLS_PLAINTEXT_MAX,
    /* Where the kernel can send the file by itself, from this size on: so much a turn. Without TLS
     * less is better, until the peer has been waited for; a turn of sealing costs more around it.
     */
    DIRECT_STEP = 16 * TLS_PLAINTEXT_MAX,
    DIRECT_SEALED_STEP = 64 * TLS_PLAINTEXT_MAX,
    DIRECT_LEAST = 4 * TLS_PLAINTEXT_MAX,
};

/* --- reading --- */

/* A piece of a file on its way into a chunk. */
struct reading {
    const struct file *file;
    struct chunk *chunk;
    uint64_t offset;
    size_t left;
    uint32_t *crc; /* of what was read; NULL: nobody asks */
    bool waited;   /* for the disk: it was not all in the page cache */
    struct iovec iov[CHUNK_IOVECS];
    struct io_op op;
    bool in_flight;
};

static void sum(struct reading *r, size_t len)
{
    for (const struct iovec *v = r->iov; len > 0; v++) {
        size_t here = len < v->iov_len ? len : v->iov_len;
        *r->crc = crc32_update(*r->crc, span_of(v->iov_base, here));
        len -= here;
    }
}

static int take_result(struct reading *r, ssize_t result)
{
    if (result == 0)
        return -EIO; /* shorter than it was */
    if (result < 0)
        return (int)result;
    if (r->crc)
        sum(r, (size_t)result);
    chunk_commit(r->chunk, (size_t)result);
    r->offset += (uint64_t)result;
    r->left -= (size_t)result;
    return 0;
}

/* Takes what the page cache has, at once. */
static int read_cached(struct reading *r)
{
    while (r->left > 0 && r->file->fast) {
        unsigned count = chunk_iovecs(r->chunk, r->left, r->iov);
        ssize_t result = preadv2(r->file->fd, r->iov, (int)count, (off_t)r->offset, RWF_NOWAIT);
        if (result < 0 && (errno == EAGAIN || errno == EOPNOTSUPP))
            return 0;
        int error = take_result(r, result < 0 ? -errno : result);
        if (error < 0)
            return error;
    }
    return 0;
}

static void read_start(struct task *t, struct reading *r)
{
    unsigned count = chunk_iovecs(r->chunk, r->left, r->iov);

    r->waited = true;
    r->in_flight = true;
    io_readv_start(t, &r->op, r->file->lane, r->file->fd, r->iov, count, r->offset);
}

/* Waits until all of it is there. */
static int read_finish(struct task *t, struct reading *r)
{
    int error = 0;

    while (error == 0 && (r->in_flight || r->left > 0)) {
        if (!r->in_flight)
            read_start(t, r);
        int result = io_await(t, &r->op);
        r->in_flight = false;
        /* By the end of a window of time in which the peer kept its pace: once more. */
        if (io_was_interrupted(result) && !task_cancelled(t))
            continue;
        error = take_result(r, result);
        if (error == 0)
            error = read_cached(r);
    }
    return error;
}

/* --- the chunk of the response --- */

/* The response goes on in a new chunk; what waited in the old one comes first. */
static int change_chunk(struct exchange *x, enum chunk_size size)
{
    struct chunk *chunk = conn_chunk(x->conn, size);

    if (!chunk)
        return -ENOMEM;
    if (x->out) {
        chunk_move(chunk, x->out);
        chunk_give_back(&x->conn->server->chunks, x->out);
    }
    x->out = chunk;
    return 0;
}

/* A chunk for `len` bytes; a medium one also where a large one would be better but too many are in
 * use, if the `least` bytes fit, which wait already. Records may be small. */
static enum chunk_size size_for(const struct exchange *x, size_t len, size_t least)
{
    const size_t medium = CHUNK_MEDIUM_RECORDS * x->out->record_payload;

    if (len <= medium || (least <= medium && !chunk_pool_has_large(&x->conn->server->chunks)))
        return CHUNK_MEDIUM;
    return CHUNK_LARGE;
}

/* --- the ways of a file --- */

/* What is left to send of it. */
struct transfer {
    struct exchange *x;
    const struct file *file;
    uint64_t offset, length;
    uint32_t *crc; /* or NULL */
};

static void advance(struct transfer *f, size_t len)
{
    f->offset += len;
    f->length -= len;
    f->x->body_sent += len;
}

/* Into the response's chunk, where it waits. */
static int keep_piece(struct task *t, struct transfer *f, size_t len, bool *ret_waited)
{
    struct reading reading = {
        .file = f->file,
        .chunk = f->x->out,
        .offset = f->offset,
        .left = len,
        .crc = f->crc,
    };
    int r = 0;

    if (f->file->content) {
        struct span piece = span_of(f->file->content + f->offset, len);
        chunk_append(f->x->out, piece);
        if (f->crc)
            *f->crc = crc32_update(*f->crc, piece);
    } else {
        r = read_cached(&reading);
        if (r == 0)
            r = read_finish(t, &reading);
        *ret_waited = reading.waited;
    }
    if (r == 0)
        advance(f, len);
    return r;
}

/* Whether sending it will not wait for a disk: its pages are there (cachestat, 6.5), and not only
 * on their way, of which the last one tells. */
static bool is_cached(const struct file *file, uint64_t offset, size_t len)
{
    enum { CACHESTAT = 451 };
    struct {
        uint64_t offset, len;
    } range = {offset, len};
    struct {
        uint64_t cached, dirty, writeback, evicted, recently_evicted;
    } stat;
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t pages = (offset + len - 1) / page - offset / page + 1;
    char byte;
    struct iovec iov = {&byte, 1};

    return file->fast && syscall(CACHESTAT, file->fd, &range, &stat, 0) == 0 &&
           stat.cached >= pages &&
           preadv2(file->fd, &iov, 1, (off_t)(offset + len - 1), RWF_NOWAIT) == 1;
}

/* How much of the file fills the record that has been begun up to the end of a page; 0 if none ends
 * in it. */
static size_t until_page_ends(const struct chunk *c, uint64_t offset)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t room = TLS_PLAINTEXT_MAX - c->payload % TLS_PLAINTEXT_MAX;

    if (room > chunk_room(c))
        room = chunk_room(c);
    size_t over = (size_t)((offset + room) % page);
    return over < room ? room - over : 0;
}

/* The kernel seals page by page, and what is no multiple of a cipher's block at the end of a page
 * by itself (6.12). So the first record, which the head is in, is made to end with a page, and
 * those that follow are of whole ones. Where pages are as large as records nothing is gained by a
 * record for the head alone. */
static int send_until_page(struct task *t, struct transfer *f)
{
    size_t here = until_page_ends(f->x->out, f->offset);
    bool waited;

    if (here == 0)
        return 0;
    int r = keep_piece(t, f, here, &waited);
    return r < 0 ? r : conn_send(t, f->x->conn, f->x->out, NULL);
}

/* From the page cache into the socket, no byte through us. What is not cached is read for this once
 * and sent from here; reading brings what follows into the cache too. */
static int send_direct(struct task *t, struct transfer *f)
{
    struct conn *conn = f->x->conn;
    bool waited;

    int r = conn->kernel_tx ? send_until_page(t, f) : 0;
    if (r < 0)
        return r;
    size_t begun = f->x->out->payload % TLS_PLAINTEXT_MAX; /* of a record, by the head */
    while (f->length > TLS_PLAINTEXT_MAX) {
        size_t here = (conn->kernel_tx ? DIRECT_SEALED_STEP : DIRECT_STEP) - begun;
        if (here > f->length - TLS_PLAINTEXT_MAX)
            here = (size_t)(f->length - TLS_PLAINTEXT_MAX);
        if (is_cached(f->file, f->offset, here)) {
            r = conn_send_more(t, conn, f->x->out);
            if (r == 0)
                r = conn_send_file(t, conn, f->file->fd, f->offset, here);
            if (r == 0)
                advance(f, here);
        } else {
            here = here < STEP_MOST ? here : STEP_MOST;
            size_t waiting = f->x->out->payload;
            r = chunk_room(f->x->out) < here
                    ? change_chunk(f->x, size_for(f->x, waiting + here, waiting))
                    : 0;
            if (here > chunk_room(f->x->out))
                here = chunk_room(f->x->out);
            if (r == 0)
                r = keep_piece(t, f, here, &waited);
            if (r == 0)
                r = conn_send_more(t, conn, f->x->out);
        }
        if (r < 0)
            return r;
        begun = 0;
    }
    return keep_piece(t, f, (size_t)f->length, &waited);
}

/* The next piece is read while this one is being sent, where the disk is slower than the page
 * cache; otherwise it would only wear the processor's cache out. */
static int send_and_read(struct task *t, struct transfer *f, bool *ret_slow)
{
    struct reading next = {.file = f->file, .offset = f->offset, .crc = f->crc};

    next.chunk = conn_chunk(f->x->conn, size_for(f->x, STEP_MOST, 0));
    if (!next.chunk)
        return -ENOMEM;
    size_t len = chunk_room(next.chunk);
    if (len > f->length)
        len = (size_t)f->length;
    next.left = len;
    read_start(t, &next);
    int sent = conn_send(t, f->x->conn, f->x->out, ret_slow);
    int r = read_finish(t, &next);
    chunk_give_back(&f->x->conn->server->chunks, f->x->out);
    f->x->out = next.chunk;
    if (sent == 0 && r == 0)
        advance(f, len);
    return sent < 0 ? sent : r;
}

static size_t next_step(size_t step, bool slow)
{
    return slow ? STEP_LEAST : step * 2 < STEP_MOST ? step * 2 : STEP_MOST;
}

/* The empty chunk may be too small for the next step, or larger than a slow peer shall hold. */
static int fit_chunk(struct exchange *x, size_t step)
{
    enum chunk_size now = chunk_size_of(x->out), wanted = size_for(x, step, 0);

    if (now == wanted || (now == CHUNK_LARGE && step > STEP_LEAST))
        return 0;
    return change_chunk(x, wanted);
}

static int send_copied(struct task *t, struct transfer *f)
{
    size_t step = STEP_FIRST;
    bool waited = false;

    while (f->length > 0) {
        bool slow = false;
        size_t here = chunk_room(f->x->out) < step ? chunk_room(f->x->out) : step;
        if (here > f->length)
            here = (size_t)f->length;
        int r = keep_piece(t, f, here, &waited);
        /* A slow peer shall not hold two chunks. */
        while (r == 0 && waited && step > STEP_LEAST && f->length > 0) {
            r = send_and_read(t, f, &slow);
            waited = !slow;
        }
        if (r < 0 || f->length == 0)
            return r;
        r = conn_send(t, f->x->conn, f->x->out, &slow);
        step = next_step(step, slow);
        if (r == 0)
            r = fit_chunk(f->x, f->length < step ? (size_t)f->length : step);
        if (r < 0)
            return r;
    }
    return 0;
}

int file_send_summed(struct task *t, struct exchange *x, const struct file *file, uint64_t offset,
                     uint64_t length, uint32_t *crc)
{
    struct transfer f = {.x = x, .file = file, .offset = offset, .length = length, .crc = crc};
    bool waited;

    if (x->head_only) {
        x->body_sent += length;
        return 0;
    }
    if (!x->out && !(x->out = conn_chunk(x->conn, CHUNK_SMALL)))
        return -ENOMEM;
    if (length <= chunk_room(x->out))
        return keep_piece(t, &f, (size_t)length, &waited);
    if (!crc && length >= DIRECT_LEAST && conn_use_kernel(x->conn, length)) {
        /* What waits from before may be more than a record. */
        int r = change_chunk(x, x->out->payload > TLS_PLAINTEXT_MAX ? CHUNK_LARGE : CHUNK_SMALL);
        return r < 0 ? r : send_direct(t, &f);
    }
    size_t waiting = x->out->payload;
    size_t first = length < STEP_FIRST ? (size_t)length : STEP_FIRST;
    int r = change_chunk(x, size_for(x, waiting + first, waiting));
    return r < 0 ? r : send_copied(t, &f);
}

int file_send(struct task *t, struct exchange *x, const struct file *file, uint64_t offset,
              uint64_t length)
{
    return file_send_summed(t, x, file, offset, length, NULL);
}
