/* The sender: each of its streams has a state machine, and all of them one ring. */
#include "datapath.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

static const uint8_t key[16] = "datapath's key!";
static const uint8_t nonce_base[NONCE_SIZE] = "its nonce..";

/* --- records --- */

void record_prepare(uint64_t sequence, size_t plain, uint8_t head[static RECORD_HEAD],
                    uint8_t nonce[static NONCE_SIZE])
{
    size_t length = plain + 1 + RECORD_TAG;
    uint64_t wire = htobe64(sequence);

    memcpy(head, (uint8_t[]){RECORD_DATA, 3, 3, (uint8_t)(length >> 8), (uint8_t)length},
           RECORD_HEAD);
    memcpy(nonce, nonce_base, sizeof(nonce_base));
    for (unsigned i = 0; i < sizeof(wire); i++)
        nonce[4 + i] ^= ((const uint8_t *)&wire)[i];
}

EVP_CIPHER_CTX *aead_create(bool seals)
{
    EVP_CIPHER_CTX *aead = EVP_CIPHER_CTX_new();

    if (!aead || EVP_CipherInit_ex(aead, EVP_aes_128_gcm(), NULL, key, NULL, seals) != 1)
        die("AES-128-GCM");
    return aead;
}

/* `record` has the plaintext behind RECORD_HEAD bytes, and room behind it. */
static void record_seal(EVP_CIPHER_CTX *aead, uint64_t sequence, uint8_t *record, size_t plain)
{
    uint8_t nonce[sizeof(nonce_base)], *end = record + RECORD_HEAD + plain + 1;
    int n;

    record_prepare(sequence, plain, record, nonce);
    end[-1] = RECORD_DATA;
    if (EVP_EncryptInit_ex(aead, NULL, NULL, NULL, nonce) != 1 ||
        EVP_EncryptUpdate(aead, NULL, &n, record, RECORD_HEAD) != 1 ||
        EVP_EncryptUpdate(aead, record + RECORD_HEAD, &n, record + RECORD_HEAD, (int)plain + 1) !=
            1 ||
        EVP_EncryptFinal_ex(aead, end, &n) != 1 ||
        EVP_CIPHER_CTX_ctrl(aead, EVP_CTRL_AEAD_GET_TAG, RECORD_TAG, end) != 1)
        die("sealing a record");
}

/* The kernel seals with the same key from sequence number 0 on. Returns 0 or -errno. */
int ktls_start(int fd)
{
    struct tls12_crypto_info_aes_gcm_128 info = {
        .info = {.version = TLS_1_3_VERSION, .cipher_type = TLS_CIPHER_AES_GCM_128}};

    memcpy(info.key, key, sizeof(info.key));
    memcpy(info.salt, nonce_base, sizeof(info.salt));
    memcpy(info.iv, nonce_base + sizeof(info.salt), sizeof(info.iv));
    if (setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) < 0 ||
        setsockopt(fd, SOL_TLS, TLS_TX, &info, sizeof(info)) < 0)
        return -errno;
    return 0;
}

/* --- the sender --- */

enum op { OP_POLL, OP_READ, OP_SEND, OP_NOTIFY, OP_FILL, OP_DRAIN, OPS };

struct buffer {
    uint8_t *data;
    uint64_t offset;       /* in the file */
    size_t wanted, filled; /* of the file; wanted 0: unused */
    size_t length, sent;   /* on the wire; length 0: not ready to be sent */
};

struct stream {
    const struct plan *plan;
    unsigned index;
    enum { AWAITING, SENDING, CLOSING, DONE } stage;
    bool ready;         /* to go on */
    unsigned in_flight; /* 1 << op */
    int socket, file, pipe[2];
    uint64_t responses;          /* begun */
    uint64_t begin, offset, end; /* of this one in the file; offset: what has not been taken yet */
    size_t in_pipe;
    struct buffer buffers[2], *current, *reading;
    uint8_t *map;
    EVP_CIPHER_CTX *aead;
    uint64_t sequence;
};

static struct io_uring ring;
static int report_to;

static _Noreturn void fail(const char *what, int error)
{
    struct report report = {0};

    snprintf(report.failure, sizeof(report.failure), "%s: %s", what, strerror(error));
    if (write(report_to, &report, sizeof(report)) < 0)
        die("report");
    _exit(1);
}

static struct io_uring_sqe *operation(struct stream *s, enum op op)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

    if (!sqe)
        fail("ring full", EAGAIN);
    s->in_flight |= 1U << op;
    return sqe;
}

/* After the preparation, which resets it. */
static void operation_tag(struct io_uring_sqe *sqe, const struct stream *s, enum op op)
{
    io_uring_sqe_set_data64(sqe, s->index * OPS + op);
}

static void wait_for(struct stream *s, unsigned events)
{
    struct io_uring_sqe *sqe = operation(s, OP_POLL);

    io_uring_prep_poll_add(sqe, s->socket, events);
    operation_tag(sqe, s, OP_POLL);
}

static void response_end(struct stream *s)
{
    if (s->map && munmap(s->map, s->plan->size) < 0)
        fail("munmap", errno);
    s->map = NULL;
    s->stage = AWAITING;
    if (s->responses == plan_responses(s->plan, s->index)) {
        s->stage = CLOSING;
        shutdown(s->socket, SHUT_WR);
    }
}

/* To the next border of chunks, also after less was taken: records shall end at these too. */
static size_t chunk_left(const struct stream *s)
{
    uint64_t chunk = s->plan->chunk;

    return MIN(chunk - (s->offset - s->begin) % chunk, s->end - s->offset);
}

/* What an inline call took. False: the socket is full, and awaited. */
static bool took(struct stream *s, ssize_t result, const char *call)
{
    if (result < 0 && errno == EAGAIN) {
        wait_for(s, POLLOUT);
        return false;
    }
    if (result <= 0)
        fail(call, result < 0 ? errno : ENODATA);
    return true;
}

static void step_sendfile(struct stream *s)
{
    off_t at = (off_t)s->offset;
    ssize_t n = sendfile(s->socket, s->file, &at, chunk_left(s));

    if (took(s, n, "sendfile"))
        s->offset += (uint64_t)n;
    if (s->offset == s->end)
        response_end(s);
}

static void step_splice(struct stream *s)
{
    loff_t at = (loff_t)s->offset;
    ssize_t n;

    if (s->in_pipe == 0) {
        n = splice(s->file, &at, s->pipe[1], NULL, chunk_left(s), SPLICE_F_MOVE);
        if (n <= 0)
            fail("splice from the file", n < 0 ? errno : ENODATA);
        s->in_pipe = (size_t)n;
        s->offset += (uint64_t)n;
    }
    n = splice(s->pipe[0], NULL, s->socket, NULL, s->in_pipe,
               SPLICE_F_MOVE | SPLICE_F_NONBLOCK | (s->offset < s->end ? SPLICE_F_MORE : 0));
    if (took(s, n, "splice to the socket"))
        s->in_pipe -= (size_t)n;
    if (s->in_pipe == 0 && s->offset == s->end)
        response_end(s);
}

/* The ring hands every splice to a worker, where it may wait. If the file gives less than asked,
 * the second of the two is cancelled, and made anew. */
static void step_uring_splice(struct stream *s)
{
    size_t len = s->in_pipe > 0 ? s->in_pipe : chunk_left(s);
    bool more = s->in_pipe > 0 ? s->offset < s->end : s->offset + len < s->end;
    struct io_uring_sqe *sqe;

    if (s->in_flight != 0)
        return;
    if (len == 0) {
        response_end(s);
        return;
    }
    if (s->in_pipe == 0) {
        sqe = operation(s, OP_FILL);
        io_uring_prep_splice(sqe, s->file, (int64_t)s->offset, s->pipe[1], -1, (unsigned)len,
                             SPLICE_F_MOVE);
        sqe->flags |= IOSQE_IO_LINK;
        operation_tag(sqe, s, OP_FILL);
    }
    sqe = operation(s, OP_DRAIN);
    io_uring_prep_splice(sqe, s->pipe[0], -1, s->socket, -1, (unsigned)len,
                         SPLICE_F_MOVE | (more ? SPLICE_F_MORE : 0));
    operation_tag(sqe, s, OP_DRAIN);
}

/* Where the rest of a buffer goes: into records, with gaps for what sealing adds. */
static unsigned buffer_iovecs(const struct stream *s, const struct buffer *b, struct iovec *ret)
{
    unsigned count = 0;

    if (!s->aead) {
        ret[0] = (struct iovec){b->data + b->filled, b->wanted - b->filled};
        return 1;
    }
    for (size_t at = b->filled; at < b->wanted; count++) {
        size_t here = MIN(RECORD - at % RECORD, b->wanted - at);
        ret[count] = (struct iovec){
            b->data + at / RECORD * (RECORD + RECORD_MORE) + RECORD_HEAD + at % RECORD, here};
        at += here;
    }
    return count;
}

static void buffer_begin(struct stream *s, struct buffer *b)
{
    b->offset = s->offset;
    b->wanted = chunk_left(s);
    b->filled = b->length = b->sent = 0;
    s->offset += b->wanted;
}

/* Takes what the page cache has. */
static void buffer_read_cached(struct stream *s, struct buffer *b)
{
    struct iovec iov[CHUNK_MAX / RECORD];

    if (s->map) {
        b->data = s->map + (b->offset - s->begin);
        b->filled = b->wanted;
    }
    while (b->filled < b->wanted) {
        unsigned count = buffer_iovecs(s, b, iov);
        ssize_t n = preadv2(s->file, iov, (int)count, (off_t)(b->offset + b->filled), RWF_NOWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EOPNOTSUPP))
            return;
        if (n <= 0)
            fail("preadv2", n < 0 ? errno : ENODATA);
        b->filled += (size_t)n;
    }
}

/* Submits at once, so that the disk works while we seal. */
static void buffer_read_start(struct stream *s, struct buffer *b)
{
    struct iovec iov[CHUNK_MAX / RECORD];
    unsigned count = buffer_iovecs(s, b, iov);
    struct io_uring_sqe *sqe = operation(s, OP_READ);

    s->reading = b;
    io_uring_prep_readv(sqe, s->file, iov, count, b->offset + b->filled);
    operation_tag(sqe, s, OP_READ);
    int r = io_uring_submit(&ring);
    if (r < 0)
        fail("submit", -r);
}

static void buffer_seal(struct stream *s, struct buffer *b)
{
    uint8_t *record = b->data;

    b->length = b->wanted;
    if (!s->aead)
        return;
    for (size_t at = 0; at < b->wanted; at += RECORD) {
        record_seal(s->aead, s->sequence++, record, MIN(RECORD, b->wanted - at));
        record += RECORD + RECORD_MORE;
        b->length += RECORD_MORE;
    }
}

static void buffer_send(struct stream *s, struct buffer *b)
{
    const uint8_t *data = b->data + b->sent;
    size_t len = b->length - b->sent;

    if (s->plan->strategy->sends_inline) {
        ssize_t n = send(s->socket, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (took(s, n, "send"))
            b->sent += (size_t)n;
        return;
    }
    struct io_uring_sqe *sqe = operation(s, OP_SEND);
    if (s->plan->strategy->zero_copy)
        io_uring_prep_send_zc(sqe, s->socket, data, len, MSG_NOSIGNAL, 0);
    else
        io_uring_prep_send(sqe, s->socket, data, len, MSG_NOSIGNAL);
    operation_tag(sqe, s, OP_SEND);
}

/* Through user space: a buffer is filled, perhaps sealed, sent. Ahead: the next one is being filled
 * meanwhile. */
static void step_copy(struct stream *s)
{
    bool ahead = s->plan->strategy->ahead;
    struct buffer *b = s->current;

    if (s->in_flight & (1U << OP_SEND | 1U << OP_NOTIFY | 1U << OP_POLL))
        return;
    if (b->sent < b->length) {
        buffer_send(s, b);
        return;
    }
    if (b->length > 0)
        *b = (struct buffer){.data = b->data};

    struct buffer *next = ahead ? &s->buffers[b == &s->buffers[0]] : b;
    if (next->wanted == 0) {
        if (s->offset == s->end) {
            response_end(s);
            return;
        }
        buffer_begin(s, next);
        if (!ahead)
            buffer_read_cached(s, next);
    }
    if (next->filled < next->wanted) {
        if (!(s->in_flight & 1U << OP_READ))
            buffer_read_start(s, next);
        return;
    }
    s->current = next;
    if (ahead && s->offset < s->end) {
        buffer_begin(s, b);
        buffer_read_start(s, b);
    }
    buffer_seal(s, next);
    buffer_send(s, next);
}

/* The receiver asks for a response, or is through. */
static void step_await(struct stream *s)
{
    char byte;
    ssize_t n = recv(s->socket, &byte, 1, MSG_DONTWAIT);

    if (n < 0 && errno == EAGAIN) {
        wait_for(s, POLLIN);
        return;
    }
    if (n != (s->stage == AWAITING))
        fail("request", n < 0 ? errno : EPROTO);
    if (n == 0) {
        s->stage = DONE;
        return;
    }
    s->stage = SENDING;
    s->begin = s->offset = plan_offset(s->plan, s->index, s->responses++);
    s->end = s->begin + s->plan->size;
    if (s->plan->strategy->maps) {
        s->map = mmap(NULL, s->plan->size, PROT_READ, MAP_SHARED, s->file, (off_t)s->begin);
        if (s->map == MAP_FAILED)
            fail("mmap", errno);
    }
}

static void complete(struct stream *s, enum op op, int result, unsigned flags)
{
    s->ready = true;
    if (flags & IORING_CQE_F_NOTIF) {
        s->in_flight &= ~(1U << OP_NOTIFY);
        return;
    }
    s->in_flight &= ~(1U << op);
    if (op == OP_DRAIN && result == -ECANCELED)
        return;
    if (result <= 0) {
        static const char *const names[OPS] = {"poll", "read", "send", "", "splice", "splice"};
        fail(names[op], result < 0 ? -result : ENODATA);
    }
    size_t n = (size_t)result;
    if (op == OP_READ)
        s->reading->filled += n;
    if (op == OP_SEND)
        s->current->sent += n;
    if (op == OP_SEND && flags & IORING_CQE_F_MORE)
        s->in_flight |= 1U << OP_NOTIFY;
    if (op == OP_FILL) {
        s->in_pipe += n;
        s->offset += n;
    }
    if (op == OP_DRAIN)
        s->in_pipe -= n;
}

static void reap(struct stream *streams)
{
    struct io_uring_cqe *cqe;
    unsigned head, count = 0;

    io_uring_for_each_cqe(&ring, head, cqe)
    {
        uint64_t tag = io_uring_cqe_get_data64(cqe);
        complete(&streams[tag / OPS], (enum op)(tag % OPS), cqe->res, cqe->flags);
        count++;
    }
    io_uring_cq_advance(&ring, count);
}

/* Who can go on has one step; then what has completed is looked at. */
static void serve(struct stream *streams, unsigned count)
{
    for (unsigned open = count; open > 0;) {
        bool any_ready = false, any_in_flight = false;
        for (struct stream *s = streams; s < streams + count; s++) {
            if (s->ready && s->stage != DONE) {
                if (s->stage == SENDING)
                    s->plan->strategy->step(s);
                else
                    step_await(s);
                s->ready = s->in_flight == 0;
                open -= s->stage == DONE;
            }
            any_ready |= s->ready && s->stage != DONE;
            any_in_flight |= s->in_flight != 0;
        }
        if (!any_in_flight)
            continue;
        int r =
            any_ready ? io_uring_submit_and_get_events(&ring) : io_uring_submit_and_wait(&ring, 1);
        if (r < 0 && r != -EINTR)
            fail("ring", -r);
        reap(streams);
    }
}

static void stream_prepare(struct stream *s, const struct plan *p, unsigned index, int fd)
{
    const struct strategy *how = p->strategy;
    size_t size = p->chunk + (p->chunk / RECORD + 1) * RECORD_MORE;
    char name[40];

    /* A file description of its own: read-ahead is remembered there. */
    snprintf(name, sizeof(name), "/proc/self/fd/%d", the_file);
    *s = (struct stream){.plan = p, .index = index, .ready = true, .socket = fd};
    s->current = &s->buffers[0];
    s->file = open(name, O_RDONLY | O_CLOEXEC);
    if (s->file < 0 || pipe2(s->pipe, O_CLOEXEC) < 0)
        fail("open", errno);
    if (fcntl(s->pipe[1], F_SETPIPE_SZ, (int)p->chunk) < 0)
        fail("F_SETPIPE_SZ", errno);
    if (how->nonblocking && fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) < 0)
        fail("O_NONBLOCK", errno);
    int r = how->ktls ? ktls_start(fd) : 0;
    if (r < 0)
        fail("kernel TLS", -r);
    if (how->seals)
        s->aead = aead_create(true);
    for (unsigned i = 0; i < 2 && how->step == step_copy && !how->maps; i++) {
        s->buffers[i].data = aligned_alloc(4 * KIB, (size + 4 * KIB - 1) / (4 * KIB) * (4 * KIB));
        if (!s->buffers[i].data)
            fail("memory", ENOMEM);
        memset(s->buffers[i].data, 1, size); /* a server's are there already */
    }
}

static int64_t clock_ns(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

_Noreturn void send_all(const struct plan *p, const int *fds, int report_fd)
{
    static struct stream streams[STREAMS_MAX];
    static const unsigned flag_sets[] = {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
                                         0}; /* before 6.1 */
    int r = -1;

    report_to = report_fd;
    for (unsigned i = 0; i < 2 && r < 0; i++)
        r = io_uring_queue_init(4 * STREAMS_MAX, &ring, flag_sets[i]);
    if (r < 0)
        fail("io_uring", -r);
    for (unsigned i = 0; i < p->streams; i++)
        stream_prepare(&streams[i], p, i, fds[i]);

    struct report report = {.wall_ns = -clock_ns(CLOCK_MONOTONIC),
                            .cpu_ns = -clock_ns(CLOCK_PROCESS_CPUTIME_ID),
                            .thread_ns = -clock_ns(CLOCK_THREAD_CPUTIME_ID)};
    serve(streams, p->streams);
    report.wall_ns += clock_ns(CLOCK_MONOTONIC);
    report.thread_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID);
    report.cpu_ns += clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    if (write(report_to, &report, sizeof(report)) < 0)
        die("report");
    _exit(0);
}

/* --- the ways --- */

const struct strategy strategies[] = {
    {"sendfile", "sendfile(2)", .step = step_sendfile, .nonblocking = true},
    {"splice", "splice(2) into a pipe and from it", .step = step_splice, .nonblocking = true},
    {"uring-splice", "the same as two linked IORING_OP_SPLICE", .step = step_uring_splice},
    {"read-send", "preadv2(RWF_NOWAIT), IORING_OP_SEND", .step = step_copy},
    {"read-send2", "the same with send(2)", .step = step_copy, .sends_inline = true},
    {"mmap-send", "mmap, IORING_OP_SEND", .step = step_copy, .maps = true},
    {"send-zc", "only if named: preadv2, IORING_OP_SEND_ZC", .step = step_copy, .zero_copy = true,
     .by_name = true},
    {"seal-send", "read-send, sealed by OpenSSL", .step = step_copy, .seals = true},
    {"seal-ahead", "the same, the next IORING_OP_READV meanwhile", .step = step_copy, .seals = true,
     .ahead = true},
    {"ktls-sendfile", "sendfile, sealed by the kernel", .step = step_sendfile, .nonblocking = true,
     .ktls = true},
    {"ktls-splice", "splice, sealed by the kernel", .step = step_splice, .nonblocking = true,
     .ktls = true},
    {"ktls-uring-splice", "uring-splice, sealed by the kernel", .step = step_uring_splice,
     .ktls = true},
    {"ktls-read-send", "read-send, sealed by the kernel", .step = step_copy, .ktls = true},
};
const unsigned strategy_count = sizeof(strategies) / sizeof(strategies[0]);
