#include "monitor/forward.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/limits.h"

enum {
    /* How long gate may keep its copy of a connection that home has. */
    DEPARTURE_DELAY_MS = 50,
};

/* A connection on its way. `handover` and the bytes behind it lie in one piece. */
struct traveller {
    struct forward_source from;
    int descriptor;
    struct handover *handover;
    size_t len;
};

struct parked {
    struct list in_list;
    uint64_t job_id;
    struct traveller traveller;
    _Alignas(max_align_t) char bytes[];
};

void forward_init(struct forward *f)
{
    *f = (struct forward){0};
    list_init(&f->parked);
}

struct verify_time forward_now(void)
{
    struct timespec mono, wall;

    clock_gettime(CLOCK_MONOTONIC, &mono);
    clock_gettime(CLOCK_REALTIME, &wall);
    return (struct verify_time){(uint64_t)mono.tv_sec * 1000 + (uint64_t)mono.tv_nsec / 1000000,
                                wall.tv_sec};
}

/* --- checking --- */

struct handover *forward_check(struct span payload, const char **ret_why)
{
    struct handover *h = (struct handover *)(uintptr_t)payload.data;

    assert((uintptr_t)payload.data % _Alignof(struct handover) == 0);
    if (payload.len < sizeof(*h) || payload.len > CHANNEL_PAYLOAD_MAX)
        *ret_why = "a connection of impossible length";
    else if ((h->flags & ~(uint32_t)(HANDOVER_TLS | HANDOVER_KERNEL_TX)) ||
             h->flags == HANDOVER_KERNEL_TX)
        *ret_why = "a connection with unknown flags";
    else if (!handover_valid(h, span_skip(payload, sizeof(*h))))
        *ret_why = "a connection whose lengths, keys or credential cannot be";
    else
        return h;
    return NULL;
}

static int socket_option(int fd, int option)
{
    int value = -1;
    socklen_t size = sizeof(value);

    return getsockopt(fd, SOL_SOCKET, option, &value, &size) < 0 ? -1 : value;
}

/* Only what gate's listeners accept: home trusts the monitor not to give it anything else. Tells
 * who is at the other end: AF_UNSPEC if nobody is any more. */
static bool is_connection(int fd, struct sockaddr_storage *ret_peer)
{
    socklen_t size = sizeof(*ret_peer);

    if (socket_option(fd, SO_PROTOCOL) != IPPROTO_TCP || socket_option(fd, SO_TYPE) != SOCK_STREAM)
        return false;
    if (getpeername(fd, (struct sockaddr *)ret_peer, &size) == 0)
        return ret_peer->ss_family == AF_INET || ret_peer->ss_family == AF_INET6;
    ret_peer->ss_family = AF_UNSPEC;
    return socket_option(fd, SO_ACCEPTCONN) == 0;
}

/* Home would send in the clear what it leaves to a kernel that does not seal. */
static bool kernel_seals(int fd)
{
    char protocol[16] = "";
    socklen_t size = sizeof(protocol);

    return getsockopt(fd, IPPROTO_TCP, TCP_ULP, protocol, &size) == 0 &&
           strncmp(protocol, "tls", sizeof(protocol)) == 0;
}

/* --- sending on --- */

/* An answer for gate, which keeps its own descriptor of the connection until then. */
static void send_verdict(struct forward *f, const struct forward_source *to, uint64_t token,
                         const struct approval *approval)
{
    struct message_verdict verdict = {.token = token, .approval = *approval};

    if (to->life == f->gate_life)
        /* Without room gate has stopped reading; its connection ends by gate's own deadline. */
        (void)outbox_send(f->gate[to->ring], MESSAGE_VERDICT, span_of(&verdict, sizeof(verdict)),
                          span_of(NULL, 0), -1);
    explicit_bzero(&verdict, sizeof(verdict));
}

static void tell_departures(struct forward *f, unsigned ring)
{
    struct departures *d = &f->departures[ring];

    if (d->life == f->gate_life) /* without room: as above */
        (void)outbox_send(f->gate[ring], MESSAGE_DEPARTED, span_of(&d->message, sizeof(d->message)),
                          span_of(NULL, 0), -1);
    d->message.count = 0;
}

uint64_t forward_tell_departures(struct forward *f, uint64_t now_ms)
{
    uint64_t next_ms = FORWARD_NOTHING_DUE;

    for (unsigned ring = 0; ring < f->rings; ring++) {
        struct departures *d = &f->departures[ring];
        if (d->message.count > 0 && d->tell_ms <= now_ms)
            tell_departures(f, ring);
        if (d->message.count > 0 && d->tell_ms < next_ms)
            next_ms = d->tell_ms;
    }
    return next_ms;
}

static void note_departure(struct forward *f, const struct forward_source *from, uint64_t token)
{
    struct departures *d = &f->departures[from->ring];

    if (from->life != f->gate_life)
        return;
    if (d->life != from->life)
        d->message.count = 0;
    d->life = from->life;
    if (d->message.count == 0)
        d->tell_ms = forward_now().mono_ms + DEPARTURE_DELAY_MS;
    d->message.tokens[d->message.count++] = token;
    if (d->message.count == CHANNEL_DEPARTED_MAX)
        tell_departures(f, from->ring);
}

/* Sends the message itself to a ring, and the descriptor with it. */
static int send_connection(struct traveller *t, struct outbox *to)
{
    int r;

    credential_wipe(&t->handover->credential);
    r = outbox_send(to, MESSAGE_CONNECTION, span_of(t->handover, t->len), span_of(NULL, 0),
                    t->descriptor);
    if (r == 0)
        t->descriptor = -1;
    return r;
}

/* To whoever speaks with people who are not let in: gate. */
static void answer(struct forward *f, struct traveller *t)
{
    struct handover *h = t->handover;

    if (t->from.role == FORWARD_GATE) {
        send_verdict(f, &t->from, h->token, &h->approval);
        return;
    }
    h->token = 0;
    (void)send_connection(t, f->gate[f->next_gate++ % f->rings]); /* no room: closed */
}

static void turn_away(struct forward *f, struct traveller *t, enum approval_verdict verdict,
                      unsigned retry_after_s)
{
    t->handover->approval.verdict = (uint8_t)verdict;
    t->handover->approval.retry_after_s = retry_after_s;
    answer(f, t);
}

static void let_in(struct forward *f, struct traveller *t, const struct verdict_info *info)
{
    struct handover *h = t->handover;
    bool is_login = h->credential.kind == CREDENTIAL_LOGIN;
    uint64_t token = h->token;
    struct outbox *home = f->home[f->next_home % f->rings];

    h->approval.verdict = APPROVAL_ACCEPTED;
    h->approval.read_only = info->read_only;
    memcpy(h->approval.user, info->user, sizeof(h->approval.user));
    memcpy(h->approval.session_token, info->session_token, sizeof(h->approval.session_token));
    memcpy(h->approval.digest, info->digest, sizeof(h->approval.digest));
    h->approval.app = info->app;
    if (is_login) { /* the answer, a cookie, is gate's; the next request comes with it */
        answer(f, t);
        return;
    }
    f->next_home++;
    h->token = 0;
    if (send_connection(t, home) == 0) {
        if (t->from.role == FORWARD_GATE)
            note_departure(f, &t->from, token);
        return;
    }
    h->token = token;
    h->approval = (struct approval){.peer = h->approval.peer};
    turn_away(f, t, APPROVAL_BUSY, LIMIT_BUSY_RETRY_S);
}

/* Does what the verdict says; WAIT excepted. The descriptor is sent on or closed. */
static void act(struct forward *f, struct traveller *t, enum verdict verdict,
                const struct verdict_info *info)
{
    switch (verdict) {
    case VERDICT_ACCEPT:
        let_in(f, t, info);
        break;
    case VERDICT_REFUSE:
        turn_away(f, t, APPROVAL_REFUSED, 0);
        break;
    case VERDICT_THROTTLED:
        turn_away(f, t, APPROVAL_THROTTLED, info->retry_after_s);
        break;
    case VERDICT_BUSY:
    case VERDICT_WAIT:
        turn_away(f, t, APPROVAL_BUSY, info->retry_after_s);
        break;
    }
    if (t->descriptor >= 0)
        close(t->descriptor);
    t->descriptor = -1;
    explicit_bzero(t->handover, t->len);
}

/* --- parking --- */

static int park(struct forward *f, const struct traveller *t, uint64_t job_id)
{
    struct parked *p;

    if (f->parked_count >= LIMIT_PARKED || f->parked_bytes + t->len > LIMIT_PARKED_BYTES ||
        !(p = malloc(sizeof(*p) + t->len)))
        return -ENOBUFS;
    p->job_id = job_id;
    p->traveller = *t;
    p->traveller.handover = (struct handover *)p->bytes;
    memcpy(p->bytes, t->handover, t->len);
    list_append(&f->parked, &p->in_list);
    f->parked_count++;
    f->parked_bytes += t->len;
    return 0;
}

static void unpark(struct forward *f, struct parked *p)
{
    list_remove(&p->in_list);
    f->parked_count--;
    f->parked_bytes -= p->traveller.len;
}

static void resume_parked(struct forward *f, uint64_t job_id, const struct hash_result *result)
{
    struct verify_time now = forward_now();
    struct verdict_info info;
    struct list *next;

    for (struct list *node = f->parked.next; node != &f->parked; node = next) {
        struct parked *p = container_of(node, struct parked, in_list);
        next = node->next;
        if (p->job_id != job_id)
            continue;
        unpark(f, p);
        memset(&info, 0, sizeof(info));
        enum verdict verdict =
            verifier_resume(f->verifier, result, &p->traveller.handover->credential, now, &info);
        act(f, &p->traveller, verdict, &info);
        verdict_info_wipe(&info);
        free(p);
    }
}

void forward_hash_done(struct forward *f, uint64_t job_id, enum hash_outcome outcome)
{
    struct hash_result result;

    if (verifier_hash_done(f->verifier, job_id, outcome, forward_now(), &result) == 0)
        resume_parked(f, job_id, &result);
}

void forward_hash_lost(struct forward *f)
{
    struct hash_result result;
    uint64_t job_id;

    while (verifier_hash_lost(f->verifier, forward_now(), &job_id, &result) == 0)
        resume_parked(f, job_id, &result);
}

void forward_finish(struct forward *f)
{
    for (struct list *node; (node = list_pop_first(&f->parked));) {
        struct parked *p = container_of(node, struct parked, in_list);
        close(p->traveller.descriptor);
        explicit_bzero(p->bytes, p->traveller.len);
        free(p);
    }
    f->parked_count = f->parked_bytes = 0;
}

/* --- messages --- */

static void judge(struct forward *f, struct traveller *t, const struct sockaddr_storage *peer)
{
    struct handover *h = t->handover;
    struct verdict_info info = {0};

    /* Whatever the sender wrote there is gone. */
    h->approval = (struct approval){.peer = *peer};
    if (peer->ss_family == AF_UNSPEC) {
        /* Nobody is there any more; gate waits for a verdict all the same. */
        if (t->from.role == FORWARD_GATE)
            act(f, t, VERDICT_REFUSE, &info);
        else
            close(t->descriptor);
        return;
    }
    enum verdict verdict =
        verifier_check(f->verifier, &h->credential, &h->approval.peer, forward_now(), &info);
    if (verdict != VERDICT_WAIT) {
        act(f, t, verdict, &info);
    } else {
        uint64_t job_id = info.job_id;
        bool failed = info.start_hash && f->start_hash(&info.job, f->context) < 0;
        if (park(f, t, job_id) < 0) {
            info.retry_after_s = LIMIT_BUSY_RETRY_S;
            act(f, t, VERDICT_BUSY, &info);
        }
        if (failed)
            forward_hash_done(f, job_id, HASH_FAILED);
    }
    verdict_info_wipe(&info);
}

static int take_connection(struct forward *f, struct forward_source from, struct span payload,
                           const int *fds, size_t fd_count, const char **ret_why)
{
    struct handover *h = forward_check(payload, ret_why);
    struct sockaddr_storage peer = {0};

    if (h && fd_count != 1)
        *ret_why = "a connection without its one descriptor";
    else if (h && (!is_connection(fds[0], &peer) ||
                   ((h->flags & HANDOVER_KERNEL_TX) && !kernel_seals(fds[0]))))
        *ret_why = "a descriptor that is no connection";
    if (!h || *ret_why) {
        for (size_t i = 0; i < fd_count; i++)
            close(fds[i]);
        return -EBADMSG;
    }
    struct traveller t = {from, fds[0], h, payload.len};
    judge(f, &t, &peer);
    return 0;
}

static void log_out(struct forward *f, const struct message_logout *logout)
{
    char user[LIMIT_USER_NAME_BYTES + 1];
    const struct session *session =
        session_find(verifier_sessions(f->verifier), logout->digest, forward_now().wall_s);

    if (!session)
        return;
    memcpy(user, session->user, sizeof(user));
    if (logout->everywhere)
        verifier_logout_everywhere(f->verifier, span_str(user));
    else
        verifier_logout(f->verifier, logout->digest);
}

int forward_message(struct forward *f, struct forward_source from, enum message_kind kind,
                    struct span payload, const int *fds, size_t fd_count, const char **ret_why)
{
    assert(from.ring < f->rings);
    *ret_why = NULL;
    if (kind == MESSAGE_CONNECTION)
        return take_connection(f, from, payload, fds, fd_count, ret_why);
    for (size_t i = 0; i < fd_count; i++)
        close(fds[i]);
    if (kind != MESSAGE_LOGOUT || from.role != FORWARD_HOME)
        *ret_why = "a message of a kind that it has no business to send";
    else if (payload.len != sizeof(struct message_logout) || fd_count > 0)
        *ret_why = "a logout of impossible length";
    else
        log_out(f, (const struct message_logout *)payload.data);
    return *ret_why ? -EBADMSG : 0;
}

void forward_revoke(const struct revocation *revocation, void *context)
{
    struct forward *f = context;
    struct message_revoke message = {.app = revocation->app};
    bool stuck = false;

    assert(revocation->user.len < sizeof(message.user));
    if (revocation->user.len > 0)
        memcpy(message.user, revocation->user.data, revocation->user.len);
    if (revocation->digest)
        memcpy(message.digest, revocation->digest, sizeof(message.digest));
    for (unsigned ring = 0; ring < f->rings; ring++)
        stuck |= outbox_send(f->home[ring], MESSAGE_REVOKE, span_of(&message, sizeof(message)),
                             span_of(NULL, 0), -1) < 0;
    if (stuck)
        f->home_is_stuck(f->context);
}
