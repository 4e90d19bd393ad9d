/* What http keeps per ring, as gate and home set it up alike. */
#pragma once

#include "http/exchange.h"

struct http_ring {
    struct http http;
    struct access_log log;
};

/* `log_fd` -1: no access log; otherwise it is duplicated, so that each ring has its own. Returns 0
 * or -errno. */
int http_ring_init(struct http_ring *ring, struct server *server, const struct boot *boot,
                   int log_fd, enum conn_after (*handle)(struct task *t, struct exchange *x));

/* LOG came: `fd` becomes the ring's. */
void http_ring_reopen_log(struct http_ring *ring, int fd);

void http_ring_finish(struct http_ring *ring);
