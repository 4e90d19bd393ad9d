/* A monitor's forwarding without processes: the ends of the channels that gate's and home's rings
 * would have, a verifier with one user (alice), and a hasher that waits to be told its result.
 */
#pragma once

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "assert_span.h"
#include "monitor/forward.h"

enum { RIG_RINGS = 2 };

struct rig {
    struct forward forward;
    struct outbox gate[RIG_RINGS], home[RIG_RINGS];
    int gate_ends[RIG_RINGS], home_ends[RIG_RINGS]; /* the children's */
    int client, server;                             /* a TCP connection */
    uint64_t job;
    unsigned jobs, stuck;
};

/* What came out of a channel. */
struct rig_message {
    _Alignas(16) char memory[sizeof(struct message_header) + CHANNEL_PAYLOAD_MAX];
    enum message_kind kind;
    struct span payload;
    int fd;
};

static inline int rig_start_hash(const struct hash_job *job, void *context)
{
    struct rig *rig = context;

    rig->job = job->id;
    rig->jobs++;
    return 0;
}

static inline void rig_stuck(void *context)
{
    ((struct rig *)context)->stuck++;
}

static inline void rig_open_box(struct outbox *box, int *ret_end)
{
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends),
                     0);
    outbox_init(box);
    box->fd = ends[0];
    *ret_end = ends[1];
}

static inline void rig_connect(struct rig *rig)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    rig->client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(rig->client, (struct sockaddr *)&address, sizeof(address)), 0);
    rig->server = accept(listener, NULL, NULL);
    assert_true(rig->server >= 0);
    close(listener);
}

static inline void rig_verifier(struct rig *rig)
{
    struct verifier_options options = {.revoke = forward_revoke, .context = &rig->forward};
    char hash[PASSWORD_HASH_BYTES], text[PASSWORD_HASH_BYTES + 16];
    struct users_error error;
    struct users users;

    assert_int_equal(password_hash(SPAN("wonderland"), hash), 0);
    snprintf(text, sizeof(text), "alice:%s\n", hash);
    assert_int_equal(users_parse(span_str(text), &users, &error), 0);
    assert_int_equal(verifier_create(&options, &users, &rig->forward.verifier), 0);
}

static inline struct rig *rig_create(void)
{
    struct rig *rig = calloc(1, sizeof(*rig));

    assert_non_null(rig);
    forward_init(&rig->forward);
    rig->forward.rings = RIG_RINGS;
    rig->forward.start_hash = rig_start_hash;
    rig->forward.home_is_stuck = rig_stuck;
    rig->forward.context = rig;
    rig->forward.gate_life = 1;
    for (int i = 0; i < RIG_RINGS; i++) {
        rig_open_box(&rig->gate[i], &rig->gate_ends[i]);
        rig_open_box(&rig->home[i], &rig->home_ends[i]);
        rig->forward.gate[i] = &rig->gate[i];
        rig->forward.home[i] = &rig->home[i];
    }
    rig_connect(rig);
    rig_verifier(rig);
    return rig;
}

static inline void rig_destroy(struct rig *rig)
{
    for (int i = 0; i < RIG_RINGS; i++) {
        close(rig->gate[i].fd);
        close(rig->home[i].fd);
        outbox_finish(&rig->gate[i]);
        outbox_finish(&rig->home[i]);
        close(rig->gate_ends[i]);
        close(rig->home_ends[i]);
    }
    close(rig->client);
    close(rig->server);
    forward_finish(&rig->forward);
    verifier_destroy(rig->forward.verifier);
    free(rig);
}

static inline int rig_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = 0;

    if (!folder)
        return 0; /* no /proc: nothing to compare */
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

/* A plain connection with a request and, where `password` is not NULL, alice's credential. */
static inline size_t rig_message(char *memory, enum credential_kind kind, const char *password)
{
    struct handover *h = (struct handover *)memory;
    static const char request[] = "GET / HTTP/1.1\r\n\r\n";

    memset(h, 0, sizeof(*h));
    h->token = 77;
    h->plaintext_bytes = sizeof(request) - 1;
    memcpy(h + 1, request, sizeof(request) - 1);
    if (password) {
        assert_int_equal(credential_from_login(SPAN("alice"), span_str(password), span_of(NULL, 0),
                                               &h->credential),
                         0);
        h->credential.kind = (uint8_t)kind;
    }
    return sizeof(*h) + sizeof(request) - 1;
}

static inline int rig_send(struct rig *rig, enum forward_role role, unsigned life,
                           enum message_kind kind, char *memory, size_t len, int fd)
{
    struct forward_source from = {role, 1, life};
    const char *why = NULL;
    int r = forward_message(&rig->forward, from, kind, span_of(memory, len), &fd, fd >= 0, &why);

    assert_true((r == 0) == (why == NULL));
    return r;
}

/* Gives alice's connection to the monitor. */
static inline int rig_connection(struct rig *rig, enum forward_role role, enum credential_kind kind,
                                 const char *password)
{
    _Alignas(16) static char memory[sizeof(struct handover) + 64];
    size_t len = rig_message(memory, kind, password);

    return rig_send(rig, role, 1, MESSAGE_CONNECTION, memory, len, dup(rig->server));
}

/* The next message of a channel; false where there is none. */
static inline bool rig_receive(int end, struct rig_message *m)
{
    int fds[CHANNEL_FDS_MAX];
    size_t count = 0;
    int r = channel_receive(end, m->memory, sizeof(m->memory), &m->kind, &m->payload, fds, &count);

    if (r == -EAGAIN)
        return false;
    assert_int_equal(r, 1);
    assert_true(count <= 1);
    m->fd = count ? fds[0] : -1;
    return true;
}

/* The next message of either ring. */
static inline bool rig_receive_any(const int *ends, struct rig_message *m)
{
    return rig_receive(ends[0], m) || rig_receive(ends[1], m);
}
