#include "files/send.h"

#include <errno.h>
#include <sys/uio.h>

enum {
    /* How much is read and sent in one turn: it begins in the middle, doubles while the peer takes
     * it at once, and falls to the least when it does not, for slow peers hold what was read for
     * them. */
    STEP_LEAST = 2 * TLS_PLAINTEXT_MAX,
    STEP_FIRST = 4 * TLS_PLAINTEXT_MAX,
    STEP_MOST = CHUNK_LARGE_RECORDS * TLS_PLAINTEXT_MAX,
};

/* Reads `len` bytes into the chunk, from the page cache at once, the rest through the ring. */
static int read_into(struct task *t, struct chunk *c, const struct file *file, uint64_t offset,
                     size_t len)
{
    struct iovec iov[CHUNK_IOVECS];
    bool try_cache = file->fast;

    while (len > 0) {
        unsigned count = chunk_iovecs(c, len, iov);
        ssize_t r = -EAGAIN;
        if (try_cache) {
            r = preadv2(file->fd, iov, (int)count, (off_t)offset, RWF_NOWAIT);
            if (r < 0)
                r = errno == EAGAIN || errno == EOPNOTSUPP ? -EAGAIN : -errno;
            try_cache = r > 0;
        }
        if (r == -EAGAIN)
            r = io_readv(t, file->fd, iov, count, offset);
        if (r == 0)
            return -EIO; /* shorter than it was */
        if (r < 0)
            return (int)r;
        chunk_commit(c, (size_t)r);
        offset += (uint64_t)r;
        len -= (size_t)r;
    }
    return 0;
}

/* The response goes on in a large chunk; what waited in the small one comes first. */
static int use_large_chunk(struct exchange *x)
{
    struct chunk *large = conn_chunk(x->conn, CHUNK_LARGE);

    if (!large)
        return -ENOMEM;
    if (x->out) {
        chunk_move(large, x->out);
        chunk_give_back(&x->conn->server->chunks, x->out);
    }
    x->out = large;
    return 0;
}

int file_send(struct task *t, struct exchange *x, const struct file *file, uint64_t offset,
              uint64_t length)
{
    size_t step = STEP_FIRST;

    if (x->head_only) {
        x->body_sent += length;
        return 0;
    }
    if (!x->out && !(x->out = conn_chunk(x->conn, CHUNK_SMALL)))
        return -ENOMEM;
    if (length > chunk_room(x->out)) {
        int r = use_large_chunk(x);
        if (r < 0)
            return r;
    }
    while (length > 0) {
        size_t here = chunk_room(x->out) < step ? chunk_room(x->out) : step;
        if (here > length)
            here = (size_t)length;
        int r = read_into(t, x->out, file, offset, here);
        if (r < 0)
            return r;
        offset += here;
        length -= here;
        x->body_sent += here;
        if (length == 0)
            return 0;
        bool blocked = false;
        r = conn_send(t, x->conn, x->out, &blocked);
        if (r < 0)
            return r;
        step = blocked ? STEP_LEAST : step * 2 < STEP_MOST ? step * 2 : STEP_MOST;
    }
    return 0;
}
