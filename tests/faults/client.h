/* The client's side of a conversation: sends what the script says, takes what comes, and compares
 * it with what is right.
 *
 * It works at its turns, without waiting, on a socket of its own; with session keys where the
 * connection has TLS.
 */
#pragma once

#include "base/span.h"
#include "script.h"
#include "tls/session.h"

enum { CLIENT_WRONG_BYTES = 200 };

/* An answer as it was without faults. */
struct client_golden {
    bool known;
    int status;
    struct span head, body;
};

struct client {
    const struct script_case *c;
    struct client_golden *golden; /* SCRIPT_LINES_MAX of them */
    int root_fd;
    int fd; /* -1: over */
    bool is_tls, shuffle;
    struct tls_session session;
    uint64_t random;

    unsigned line;    /* being sent */
    unsigned answers; /* complete */
    char *out;        /* of this line, sealed, and how much of it is sent */
    size_t out_len, out_sent;
    bool line_begun, sent_all, deaf; /* the server takes nothing any more */
    uint64_t begin_ms;
    uint64_t next_ms; /* earliest time to send or receive */
    uint64_t next_send_ms;

    uint8_t *sealed; /* received */
    size_t sealed_len;
    char *got; /* opened, and how much of it are complete answers */
    size_t got_len, parsed;
    bool during_done;
    bool failed_cleanly;            /* there was an answer that said that something failed */
    char wrong[CLIENT_WRONG_BYTES]; /* "": nothing */
};

/* Memory for `clients`, once. */
void client_prepare(struct client *clients, unsigned count);

/* `fd` becomes the client's. `keys`: the client's, NULL without TLS. */
void client_begin(struct client *client, const struct script_case *c, struct client_golden *golden,
                  int fd, const struct tls_keys keys[2]);

/* Moves. Returns when it wants to move again: now, later, or UINT64_MAX. */
uint64_t client_step(struct client *client, uint64_t now_ms);

/* Gives everything up. */
void client_end(struct client *client);
