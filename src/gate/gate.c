#include "gate/gate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "gate/sandbox.h"
#include "net/boot.h"
#include "rt/offload.h"
#include "tls/context.h"

/* What the monitor gave at the start, and each ring's part of it. */
struct gate_process {
    struct boot boot;
    int fds[CHANNEL_FDS_MAX];
    size_t fd_count;
    struct tls_context *contexts[CHANNEL_RINGS_MAX]; /* one each: share nothing */
    struct ticket_keys tickets;
    struct gate gates[CHANNEL_RINGS_MAX];
};

/* --- messages of the monitor --- */

static void take_certificate(struct server *s, struct span payload)
{
    struct gate *gate = s->role_state;
    const struct message_certificate *m = (const void *)payload.data;
    struct span texts = span_skip(payload, sizeof(*m));
    struct tls_context *context;
    const char *why;

    int r = context_create(span_first(texts, m->chain_bytes),
                           span_of(texts.data + m->chain_bytes, m->key_bytes), &context, &why);
    if (r < 0) {
        log_error("the new certificate cannot be used, the old one stays: %s", why);
        return;
    }
    context_set_ticket_keys(context, &gate->tickets);
    context_unref(s->tls);
    s->tls = context;
}

static void take_verdict(struct server *s, const struct message_verdict *m)
{
    struct conn *conn = conn_by_token(s, m->token);

    if (!conn)
        return;
    conn->approval = m->approval;
    conn->reviewed = true;
    conn_resume(conn);
}

static void let_go(struct server *s, const struct message_departed *m)
{
    for (uint64_t i = 0; i < m->count; i++) {
        struct conn *conn = conn_by_token(s, m->tokens[i]);
        if (conn)
            conn_release(conn);
    }
}

static void take_connection(struct server *s, struct span payload, int fd)
{
    const struct handover *h = (const void *)payload.data;

    conn_adopt(s, fd, h, span_skip(payload, sizeof(*h)));
}

static void gate_message(struct server *s, enum message_kind kind, struct span payload,
                         const int *fds, size_t fd_count)
{
    struct gate *gate = s->role_state;

    switch (kind) {
    case MESSAGE_CERTIFICATE:
        take_certificate(s, payload);
        break;
    case MESSAGE_TICKET_KEYS:
        memcpy(&gate->tickets, payload.data, sizeof(gate->tickets));
        if (s->tls)
            context_set_ticket_keys(s->tls, &gate->tickets);
        break;
    case MESSAGE_VERDICT:
        take_verdict(s, (const void *)payload.data);
        break;
    case MESSAGE_DEPARTED:
        let_go(s, (const void *)payload.data);
        break;
    case MESSAGE_CONNECTION:
        if (fd_count != 1)
            break;
        take_connection(s, payload, fds[0]);
        return;
    case MESSAGE_LOG:
        if (fd_count != 1)
            break;
        http_ring_reopen_log(&gate->http, fds[0]);
        return;
    case MESSAGE_DRAIN:
        server_drain(s, LIMIT_DRAIN_MS);
        break;
    default:
        log_error("the monitor sent a message that gate does not know");
        break;
    }
    for (size_t i = 0; i < fd_count; i++)
        close(fds[i]);
}

/* --- start --- */

static const struct conn_role gate_role = {.serve = http_serve, .message = gate_message};

static int channel_of(const struct gate_process *p, unsigned ring)
{
    return ring == 0 ? CHANNEL_CHILD_FD : p->fds[ring - 1];
}

static int receive_secrets(struct gate_process *p, unsigned ring)
{
    size_t size = CHANNEL_PAYLOAD_MAX;
    struct message_certificate *m = malloc(size);
    const char *why = "out of memory";

    if (!m)
        return -ENOMEM;
    ssize_t length = boot_await(channel_of(p, ring), MESSAGE_CERTIFICATE, m, size);
    int r = (int)length;
    if (length >= 0) {
        const char *texts = (const char *)(m + 1);
        r = context_create(span_of(texts, m->chain_bytes),
                           span_of(texts + m->chain_bytes, m->key_bytes), &p->contexts[ring], &why);
        if (r < 0)
            log_error("the certificate cannot be used: %s", why);
    }
    explicit_bzero(m, size);
    free(m);
    if (r < 0)
        return r;
    length = boot_await(channel_of(p, ring), MESSAGE_TICKET_KEYS, &p->tickets, sizeof(p->tickets));
    if (length < 0)
        return (int)length;
    context_set_ticket_keys(p->contexts[ring], &p->tickets);
    return 0;
}

/* The log is the last descriptor that came along. */
static int boot_log_fd(const struct gate_process *p)
{
    return p->boot.access_log && p->fd_count > 0 ? p->fds[p->fd_count - 1] : -1;
}

static int start_ring(struct server *s, struct loop *loop, unsigned ring, void *context)
{
    struct gate_process *p = context;
    const struct boot *boot = &p->boot;
    struct gate *gate = &p->gates[ring];
    size_t first_listener = boot->threads - 1 + (size_t)ring * boot->listen_count;

    server_init(s, loop, &gate_role, channel_of(p, ring), boot->descriptors_max / boot->threads);
    s->role_state = gate;
    s->before_login = true;
    s->idle_ms = LIMIT_HEAD_MS;
    s->tls = p->contexts[ring];
    gate->server = s;
    gate->boot = boot;
    gate->tickets = p->tickets;
    snprintf(gate->cookie_name, sizeof(gate->cookie_name), "__Host-fastfile-%u", boot->port);
    int r = http_ring_init(&gate->http, s, boot, boot_log_fd(p), gate_handle);
    for (unsigned i = 0; i < boot->listen_count && r == 0; i++)
        r = server_listen(s, p->fds[first_listener + i]);
    return r < 0 ? r : server_watch_channel(s);
}

static void stop_ring(struct server *s, void *context)
{
    struct gate *gate = s->role_state;

    (void)context;
    http_ring_finish(&gate->http);
    context_unref(s->tls);
    s->tls = NULL;
    server_finish(s);
}

static int start(struct gate_process *p)
{
    const char *limited;

    int r = boot_receive(&p->boot, p->fds, &p->fd_count);
    if (r < 0)
        return r;
    tzset();
    for (unsigned i = 0; i < p->boot.threads && !p->boot.plain; i++)
        if ((r = receive_secrets(p, i)) < 0)
            return r;
    if (!p->boot.plain && (r = context_warm_up(p->contexts[0])) < 0)
        return r;
    r = gate_sandbox_enter(&limited);
    if (r == 0 && limited)
        log_warning("not everything that keeps strangers from files is to be had here: %s",
                    limited);
    return r;
}

static struct gate_process process;

static int seal(void)
{
    if (boot_log_fd(&process) >= 0)
        close(boot_log_fd(&process)); /* each ring has its own */
    return gate_sandbox_close(process.boot.io);
}

enum { LOG_THREADS = 1 };

int gate_main(void)
{
    struct ring_role role = {
        .start = start_ring, .seal = seal, .stop = stop_ring, .context = &process};

    log_init("gate");
    int r = start(&process);
    role.io = process.boot.io;
    /* With io_uring the kernel writes the log by itself. */
    if (r == 0 && role.io == LOOP_IO_EPOLL && process.boot.access_log)
        r = offload_pool_create((const unsigned[OFFLOAD_LANES]){[OFFLOAD_FAST] = LOG_THREADS},
                                &role.offload);
    if (r == 0)
        r = rings_run(process.boot.threads, &role);
    if (r < 0) {
        log_error("cannot start: %s", strerror(-r));
        return EXIT_FAILURE;
    }
    if (role.offload)
        offload_pool_destroy(role.offload);
    return EXIT_SUCCESS;
}
