#include "net/boot.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"

enum {
    /* The monitor sends everything at once; one that does not is gone. */
    BOOT_WAIT_MS = 10 * 1000,
};

static int receive(int channel, void *memory, size_t size, enum message_kind *ret_kind,
                   struct span *ret_payload, int *ret_fds, size_t *ret_fd_count)
{
    struct pollfd p = {.fd = channel, .events = POLLIN};
    int r;

    do {
        r = poll(&p, 1, BOOT_WAIT_MS);
    } while (r < 0 && errno == EINTR);
    if (r == 0)
        return -ETIMEDOUT;
    if (r < 0)
        return -ENOMEM; /* poll(2) knows no other reason here */
    r = channel_receive(channel, memory, size, ret_kind, ret_payload, ret_fds, ret_fd_count);
    return r == 0 ? -EPIPE : r < 0 ? r : 0;
}

int boot_receive(struct boot *ret_boot, int ret_fds[CHANNEL_FDS_MAX], size_t *ret_fd_count)
{
    size_t size = sizeof(struct message_header) + CHANNEL_PAYLOAD_MAX;
    _cleanup_free_ void *memory = malloc(size);
    enum message_kind kind;
    struct span payload;

    if (!memory)
        return -ENOMEM;
    int r = receive(CHANNEL_CHILD_FD, memory, size, &kind, &payload, ret_fds, ret_fd_count);
    if (r < 0)
        return r;
    if (kind != MESSAGE_BOOT || payload.len != sizeof(*ret_boot))
        return -EBADMSG;
    memcpy(ret_boot, payload.data, sizeof(*ret_boot));
    return 0;
}

ssize_t boot_await(int channel, enum message_kind kind, void *payload, size_t payload_bytes)
{
    size_t size = sizeof(struct message_header) + CHANNEL_PAYLOAD_MAX;
    _cleanup_free_ void *memory = malloc(size);
    enum message_kind got = 0;
    struct span bytes = {0};
    int fds[CHANNEL_FDS_MAX];
    size_t fd_count = 0;

    if (!memory)
        return -ENOMEM;
    int r = receive(channel, memory, size, &got, &bytes, fds, &fd_count);
    if (r < 0)
        return r;
    if (got != kind || fd_count != 0 || bytes.len > payload_bytes)
        return -EBADMSG;
    memcpy(payload, bytes.data, bytes.len);
    explicit_bzero(memory, size);
    return (ssize_t)bytes.len;
}

int boot_ready(void)
{
    return channel_send(CHANNEL_CHILD_FD, MESSAGE_READY, (struct span){0}, (struct span){0}, NULL,
                        0);
}

/* --- the rings --- */

struct rings {
    const struct ring_role *role;
    pthread_barrier_t barrier;
    int error; /* the first of any ring; between the barriers only */
};

struct ring {
    struct rings *rings;
    unsigned index;
    pthread_t thread;
    struct server server;
};

static void fail(struct rings *rings, int error)
{
    int none = 0;

    __atomic_compare_exchange_n(&rings->error, &none, error, false, __ATOMIC_SEQ_CST,
                                __ATOMIC_SEQ_CST);
}

static void run_ring(struct ring *ring)
{
    struct rings *rings = ring->rings;
    const struct ring_role *role = rings->role;
    struct loop_options options = {.io = role->io,
                                   .recv_buffers = SERVER_RECV_BUFFERS,
                                   .recv_buffer_bytes = SERVER_RECV_BUFFER_BYTES,
                                   .offload = role->offload};
    struct loop *loop = NULL;

    int r = loop_create(&options, &loop);
    if (r == 0)
        r = role->start(&ring->server, loop, ring->index, role->context);
    if (r < 0)
        fail(rings, r);
    pthread_barrier_wait(&rings->barrier);
    if (ring->index == 0 && rings->error == 0 && (r = role->seal()) < 0)
        fail(rings, r);
    pthread_barrier_wait(&rings->barrier);
    if (rings->error == 0) {
        if (ring->index == 0)
            boot_ready();
        r = loop_run(loop);
        if (r == 0)
            r = loop_run_out(loop); /* no connection is left, but the access log may be writing */
        if (r < 0) {
            log_error("the ring failed: %s", strerror(-r));
            _exit(EXIT_FAILURE); /* the monitor starts the process again, with all its rings */
        }
        role->stop(&ring->server, role->context);
        loop_destroy(loop);
    }
}

static void *ring_main(void *arg)
{
    run_ring(arg);
    return NULL;
}

int rings_run(unsigned threads, const struct ring_role *role)
{
    struct rings rings = {.role = role};
    struct ring *ring = calloc(threads, sizeof(*ring));

    if (!ring)
        return -ENOMEM;
    /* Helper threads share the rings' heaps: one of its own would keep what a helper once needed.
     */
    mallopt(M_ARENA_MAX, (int)threads);
    pthread_barrier_init(&rings.barrier, NULL, threads);
    for (unsigned i = 0; i < threads; i++) {
        ring[i] = (struct ring){.rings = &rings, .index = i};
        int r = i == 0 ? 0 : pthread_create(&ring[i].thread, NULL, ring_main, &ring[i]);
        if (r != 0)
            return -r; /* the process ends: the threads that wait at the barrier with it */
    }
    run_ring(&ring[0]);
    for (unsigned i = 1; i < threads; i++)
        pthread_join(ring[i].thread, NULL);
    pthread_barrier_destroy(&rings.barrier);
    free(ring);
    return rings.error;
}
