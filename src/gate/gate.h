/* The role "gate": the process that strangers talk to. A child of the monitor, found by its
 * argv[0].
 *
 * It accepts, shakes hands, reads the first request, and hands the connection to the monitor as
 * soon as a request shows a credential. What comes without one is answered here: the login page,
 * 401, health. It has no file system and cannot make sockets.
 */
#pragma once

#include "http/ring.h"
#include "tls/context.h"

/* Serves until the monitor says DRAIN or its channel ends. Returns the exit status. */
int gate_main(void);

/* What gate keeps per ring. */
struct gate {
    struct http_ring http;
    struct server *server;
    const struct boot *boot;
    struct ticket_keys tickets;
    char cookie_name[32]; /* __Host-fastfile-PORT */
};

/* request.c: answers a request or hands its connection over. */
enum conn_after gate_handle(struct task *t, struct exchange *x);
