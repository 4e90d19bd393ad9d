/* Connections as messages into the monitor: the bytes are the payload, the first one says who sends
 * it and which descriptor comes with it. Whatever they are, the monitor neither crashes nor loses a
 * descriptor, and what it passes on carries its own approval.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <netinet/in.h>

#include "monitor/forward.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct forward forward;
static struct outbox gate, home;
static int gate_end, home_end, connection, pipe_end;
static uint64_t job_id;

static int start_hash(const struct hash_job *job, void *context)
{
    (void)context;
    job_id = job->id;
    return 0;
}

static void home_is_stuck(void *context)
{
    (void)context;
    abort();
}

static void open_box(struct outbox *box, int *ret_end)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends) < 0)
        abort();
    outbox_init(box);
    box->fd = ends[0];
    *ret_end = ends[1];
}

static void open_connection(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);

    if (bind(listener, (struct sockaddr *)&address, length) < 0 || listen(listener, 1) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) < 0 ||
        connect(client, (struct sockaddr *)&address, length) < 0)
        abort();
    connection = accept(listener, NULL, NULL);
    close(listener);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    /* Of "wonderland"; nobody hashes here. */
    static const char text[] = "alice:$y$j9T$0123456789012345678901$"
                               "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ\n";
    struct verifier_options options = {.revoke = forward_revoke, .context = &forward};
    struct users_error error;
    struct users users;
    int pipes[2];

    (void)argc;
    (void)argv;
    forward_init(&forward);
    open_box(&gate, &gate_end);
    open_box(&home, &home_end);
    open_connection();
    forward.rings = 1;
    forward.gate[0] = &gate;
    forward.home[0] = &home;
    forward.start_hash = start_hash;
    forward.home_is_stuck = home_is_stuck;
    if (pipe(pipes) < 0 || users_parse(span_str(text), &users, &error) < 0 ||
        verifier_create(&options, &users, &forward.verifier) < 0)
        abort();
    pipe_end = pipes[0];
    return 0;
}

/* Takes everything out of a channel; returns how many descriptors came. */
static size_t drain(int end, bool is_home)
{
    static _Alignas(16) char memory[sizeof(struct message_header) + CHANNEL_PAYLOAD_MAX];
    int fds[CHANNEL_FDS_MAX];
    size_t count, total = 0;
    enum message_kind kind;
    struct span payload;

    while (channel_receive(end, memory, sizeof(memory), &kind, &payload, fds, &count) == 1) {
        const struct handover *h = (const struct handover *)payload.data;
        if (kind == MESSAGE_CONNECTION) {
            assert(count == 1 && h->token == 0 && h->credential.kind == CREDENTIAL_NONE);
            assert(h->approval.peer.ss_family == AF_INET);
            assert(payload.len == sizeof(*h) + h->plaintext_bytes + h->ciphertext_bytes);
            assert((h->approval.verdict == APPROVAL_ACCEPTED) || !is_home);
        }
        for (size_t i = 0; i < count; i++)
            close(fds[i]);
        total += count;
    }
    return total;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *why;

    if (size == 0)
        return 0;
    struct span bytes = span_skip(span_of(data, size), 1);
    char *payload = malloc(bytes.len ? bytes.len : 1);
    struct forward_source from = {data[0] & 1 ? FORWARD_HOME : FORWARD_GATE, 0, 0};
    enum message_kind kind = data[0] & 2 ? (enum message_kind)(data[0] >> 3) : MESSAGE_CONNECTION;
    int fd = dup(data[0] & 4 ? pipe_end : connection);

    if (!payload || fd < 0)
        abort();
    if (bytes.len)
        memcpy(payload, bytes.data, bytes.len);
    job_id = 0;
    int r = forward_message(&forward, from, kind, span_of(payload, bytes.len), &fd, 1, &why);
    assert((r < 0) == (why != NULL));
    if (job_id != 0)
        forward_hash_done(&forward, job_id, data[0] & 128 ? HASH_MATCH : HASH_MISMATCH);
    forward_hash_lost(&forward);
    assert(forward.parked_count == 0 && gate.count == 0 && home.count == 0);
    size_t passed = drain(gate_end, false) + drain(home_end, true);
    assert(passed <= 1 && fcntl(fd, F_GETFD) < 0); /* passed on or not: our copy is closed */
    free(payload);
    return 0;
}
