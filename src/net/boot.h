/* The start of a child: what the monitor tells it first, and its rings. */
#pragma once

#include "net/server.h"

/* Receives BOOT from the channel that every child is born with, waiting for it. `ret_fds` are what
 * came along. Returns 0 or -errno. */
int boot_receive(struct boot *ret_boot, int ret_fds[CHANNEL_FDS_MAX], size_t *ret_fd_count);

/* Waits for one message of `kind` on `channel` and copies its payload. Returns its length or
 * -errno. */
ssize_t boot_await(int channel, enum message_kind kind, void *payload, size_t payload_bytes);

/* Tells the monitor that the child serves from now on. */
int boot_ready(void);

struct ring_role {
    /* On the ring's own thread: prepares server and loop. Returns 0 or -errno. */
    int (*start)(struct server *server, struct loop *loop, unsigned ring, void *context);
    /* When all rings are there, on one thread: takes away what is not needed any more. */
    int (*seal)(void);
    /* On the ring's own thread, after its loop has ended. */
    void (*stop)(struct server *server, void *context);
    void *context;
    enum loop_io io;
    struct offload_pool *offload;
};

/* Runs `threads` rings to their end. Returns 0, or -errno when one could not be started. */
int rings_run(unsigned threads, const struct ring_role *role);
