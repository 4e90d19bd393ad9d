#include "http/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int http_ring_init(struct http_ring *ring, struct server *server, const struct boot *boot,
                   int log_fd, enum conn_after (*handle)(struct task *t, struct exchange *x))
{
    *ring = (struct http_ring){.http = {.handle = handle, .server_field = boot->server_field}};
    server->http = &ring->http;
    if (log_fd < 0)
        return 0;
    int fd = fcntl(log_fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    access_log_init(&ring->log, server->loop, fd, (enum access_log_format)boot->log_format);
    ring->http.log = &ring->log;
    return 0;
}

void http_ring_reopen_log(struct http_ring *ring, int fd)
{
    if (ring->http.log)
        access_log_reopen(ring->http.log, fd);
    else
        close(fd);
}

void http_ring_finish(struct http_ring *ring)
{
    if (ring->http.log)
        access_log_finish(ring->http.log);
    ring->http.log = NULL;
    free(ring->http.spare);
    ring->http.spare = NULL;
}
