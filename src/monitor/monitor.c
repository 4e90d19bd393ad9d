#include "monitor/monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "base/log.h"
#include "monitor/account.h"
#include "monitor/banner.h"
#include "monitor/boot.h"
#include "monitor/certificates.h"
#include "monitor/children.h"
#include "monitor/forward.h"
#include "monitor/hasher.h"
#include "monitor/io_choice.h"
#include "monitor/listen.h"
#include "monitor/rights.h"
#include "monitor/state.h"
#include "tls/context.h"

enum {
    EXPIRE_EVERY_MS = 60 * 1000,
    CERTIFICATE_CHECK_EVERY_MS = 12 * 3600 * 1000,
    STALLED_RETRY_MS = 20,
};

struct monitor {
    struct config config;
    int epoll_fd, signal_fd;
    struct watch signals;
    struct listeners listeners;
    struct boot gate_boot, home_boot;
    struct certificates certificates;
    struct ticket_keys ticket_keys;
    struct verifier *verifier;
    struct forward forward;
    struct account account;
    struct clerk clerk;
    struct state state;
    struct children children;
    int log_fd; /* the access log; -1: none */
    bool announced;
    unsigned stop_signals;
    uint64_t drain_end_ms, expire_ms, certificate_check_ms;
};

static uint64_t now_ms(void)
{
    return forward_now().mono_ms;
}

/* Counts the time that the machine sleeps: ticket keys age then too. */
static int64_t boot_time_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return now.tv_sec > 0 ? now.tv_sec : 1;
}

/* --- what children are told --- */

static struct child *child_of(struct monitor *m, enum child_role role)
{
    return &m->children.child[role];
}

static int send_boot(struct monitor *m, struct child *child, const int *ring_fds)
{
    int fds[CHANNEL_FDS_MAX];
    size_t count = child->ring_count - 1;
    struct boot *boot = child->role == CHILD_GATE ? &m->gate_boot : &m->home_boot;

    memcpy(fds, ring_fds, count * sizeof(int));
    if (child->role == CHILD_GATE) {
        size_t listening = m->listeners.rings * m->listeners.address_count;
        memcpy(fds + count, m->listeners.fds, listening * sizeof(int));
        count += listening;
    }
    boot->access_log = m->log_fd >= 0;
    if (m->log_fd >= 0)
        fds[count++] = m->log_fd;
    return channel_send(child->rings[0].outbox.fd, MESSAGE_BOOT, span_of(boot, sizeof(*boot)),
                        span_of(NULL, 0), fds, count);
}

/* The certificate message's payload: struct, chain, key. */
static int print_certificate(const struct certificates *c, struct buf *out)
{
    struct message_certificate head = {(uint32_t)c->chain.len, (uint32_t)c->key.len};

    buf_append(out, span_of(&head, sizeof(head)));
    buf_append(out, buf_span(&c->chain));
    buf_append(out, buf_span(&c->key));
    return buf_failed(out) ? -ENOMEM : 0;
}

static void wipe_buf(struct buf *b)
{
    if (b->data)
        explicit_bzero(b->data, b->capacity);
    buf_finish(b);
}

/* To a ring that was just opened and has room, past what waits from before. */
static int send_secrets(struct monitor *m, struct child *gate)
{
    _cleanup_(wipe_buf) struct buf certificate = {0};
    int r = 0;

    buf_init_growing(&certificate, sizeof(struct message_certificate) + LIMIT_CERTIFICATE_BYTES);
    if (m->config.plain || print_certificate(&m->certificates, &certificate) < 0)
        return m->config.plain ? 0 : -ENOMEM;
    for (unsigned i = 0; r == 0 && i < gate->ring_count; i++) {
        int fd = gate->rings[i].outbox.fd;
        r = channel_send(fd, MESSAGE_CERTIFICATE, buf_span(&certificate), span_of(NULL, 0), NULL,
                         0);
        if (r == 0)
            r = channel_send(fd, MESSAGE_TICKET_KEYS,
                             span_of(&m->ticket_keys, sizeof(m->ticket_keys)), span_of(NULL, 0),
                             NULL, 0);
    }
    return r;
}

/* To a child that lives, in order behind what waits. One that is dead gets it at its next start. A
 * descriptor is duplicated for each ring. */
static void tell(struct child *child, enum message_kind kind, struct span payload, int descriptor)
{
    for (unsigned i = 0; child_alive(child) && i < child->ring_count; i++) {
        int copy = descriptor < 0 ? -1 : fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
        if (outbox_send(&child->rings[i].outbox, kind, payload, span_of(NULL, 0), copy) < 0) {
            if (copy >= 0)
                close(copy);
            log_error("%s does not take messages any more; it is ended.", child_name(child->role));
            child_kill(child);
        }
    }
}

static int child_started(struct child *child, const int *ring_fds, void *context)
{
    struct monitor *m = context;

    if (child->role == CHILD_HASHER)
        return 0;
    int r = send_boot(m, child, ring_fds);
    if (child->role == CHILD_HOME)
        m->account.home_life = child->life;
    if (r == 0 && child->role == CHILD_GATE) {
        m->forward.gate_life = child->life;
        r = send_secrets(m, child);
    }
    return r;
}

/* --- what children say --- */

static int child_message(struct child_ring *ring, enum message_kind kind, struct span payload,
                         const int *fds, size_t fd_count, const char **ret_why, void *context)
{
    struct monitor *m = context;

    if (kind == MESSAGE_ACCOUNT && ring->child->role == CHILD_HOME && fd_count == 0)
        return account_message(&m->account,
                               (struct account_source){ring->number, ring->child->life}, payload,
                               forward_now(), ret_why);
    struct forward_source from = {
        .role = ring->child->role == CHILD_GATE ? FORWARD_GATE : FORWARD_HOME,
        .ring = ring->number,
        .life = ring->child->life,
    };

    return forward_message(&m->forward, from, kind, payload, fds, fd_count, ret_why);
}

static void child_ready(struct child *child, void *context)
{
    struct monitor *m = context;

    (void)child;
    if (m->announced || !child_of(m, CHILD_GATE)->ready || !child_of(m, CHILD_HOME)->ready)
        return;
    m->announced = true;
    banner_print(&m->config, m->config.plain ? NULL : m->certificates.fingerprint,
                 m->certificates.self_signed);
}

static void child_died(struct child *child, void *context)
{
    struct monitor *m = context;

    if (child->role == CHILD_HASHER)
        forward_hash_lost(&m->forward);
    /* Verdicts for the dead one's tokens are not for the next one. */
    if (child->role == CHILD_GATE)
        m->forward.gate_life = child->life + 1;
    /* Nor are changes made for connections that are gone. */
    if (child->role == CHILD_HOME)
        m->account.home_life = child->life + 1;
}

static int start_hash(const struct hash_job *job, void *context)
{
    struct monitor *m = context;
    int fd = child_of(m, CHILD_HASHER)->rings[0].outbox.fd;

    return send(fd, job, sizeof(*job), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static void hashed(const void *bytes, size_t len, void *context)
{
    struct monitor *m = context;
    struct hash_answer answer;

    if (len != sizeof(answer))
        return;
    memcpy(&answer, bytes, sizeof(answer));
    if (answer.job_id == 0 || answer.outcome > HASH_FAILED)
        return;
    forward_hash_done(&m->forward, answer.job_id, (enum hash_outcome)answer.outcome);
}

static void home_is_stuck(void *context)
{
    struct monitor *m = context;

    log_error("home does not take the news that somebody was logged out; it is ended.");
    child_kill(child_of(m, CHILD_HOME));
}

/* --- accounts --- */

static int start_clerk(const struct clerk_job *job, void *context)
{
    struct monitor *m = context;

    return clerk_start(&m->clerk, m->children.binary_fd, job);
}

static void kill_clerk(void *context)
{
    struct monitor *m = context;

    clerk_kill(&m->clerk);
}

static int reload_users(void *context)
{
    struct monitor *m = context;

    return state_reload_users(&m->state);
}

static void answer_account(struct account_source to, const struct message_account_answer *answer,
                           void *context)
{
    struct monitor *m = context;
    struct child *home = child_of(m, CHILD_HOME);

    /* Without room home has stopped reading; whoever waits there does not wait for ever. */
    if (child_alive(home) && home->life == to.life)
        (void)outbox_send(&home->rings[to.ring].outbox, MESSAGE_ACCOUNT_ANSWER,
                          span_of(answer, sizeof(*answer)), span_of(NULL, 0), -1);
}

static void look_at_clerk(struct monitor *m)
{
    struct clerk_answer answer;

    if (clerk_ended(&m->clerk, &answer))
        account_clerk_ended(&m->account, &answer, forward_now());
    explicit_bzero(&answer, sizeof(answer));
}

static void prepare_account(struct monitor *m)
{
    m->account = (struct account){
        .verifier = m->verifier,
        .users_path = m->config.users_path,
        .start_clerk = start_clerk,
        .kill_clerk = kill_clerk,
        .reload_users = reload_users,
        .answer = answer_account,
        .context = m,
    };
    account_init(&m->account);
}

/* --- signals --- */

static int open_access_log(const struct config *config, int *ret_fd)
{
    if (!config->access_log) {
        *ret_fd = -1;
        return 0;
    }
    int fd = strcmp(config->access_log, "-") == 0
                 ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0)
                 : open(config->access_log,
                        O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
    if (fd < 0) {
        log_error("The access log %s cannot be opened: %s. Its folder must exist.",
                  config->access_log, strerror(errno));
        return -errno;
    }
    *ret_fd = fd;
    return 0;
}

static void reload_certificate(struct monitor *m)
{
    _cleanup_(wipe_buf) struct buf payload = {0};

    if (m->config.plain)
        return;
    if (certificates_load(&m->certificates, &m->config) < 0) {
        log_warning("The certificate stays as it was.");
        return;
    }
    buf_init_growing(&payload, sizeof(struct message_certificate) + LIMIT_CERTIFICATE_BYTES);
    if (print_certificate(&m->certificates, &payload) < 0)
        return;
    tell(child_of(m, CHILD_GATE), MESSAGE_CERTIFICATE, buf_span(&payload), -1);
    log_info("Certificate, SHA-256: %s", m->certificates.fingerprint);
}

static void reload(struct monitor *m)
{
    int fd = -1;

    reload_certificate(m);
    (void)state_reload_users(&m->state);
    if (open_access_log(&m->config, &fd) < 0 || fd < 0)
        return;
    close(m->log_fd);
    m->log_fd = fd;
    tell(child_of(m, CHILD_GATE), MESSAGE_LOG, span_of(NULL, 0), fd);
    tell(child_of(m, CHILD_HOME), MESSAGE_LOG, span_of(NULL, 0), fd);
}

static void kill_all(struct monitor *m)
{
    for (unsigned role = 0; role < CHILD_COUNT; role++)
        child_kill(child_of(m, role));
}

static void stop(struct monitor *m)
{
    m->children.stopping = true;
    if (m->stop_signals++ > 0) {
        kill_all(m);
        return;
    }
    log_info("Finishing what runs (at most %d seconds; a second signal ends at once).",
             LIMIT_DRAIN_MS / 1000);
    m->drain_end_ms = now_ms() + LIMIT_DRAIN_MS + 1000;
    listeners_close(&m->listeners);
    tell(child_of(m, CHILD_GATE), MESSAGE_DRAIN, span_of(NULL, 0), -1);
    tell(child_of(m, CHILD_HOME), MESSAGE_DRAIN, span_of(NULL, 0), -1);
}

static void signal_came(struct watch *watch, uint32_t events)
{
    struct monitor *m = container_of(watch, struct monitor, signals);
    struct signalfd_siginfo info;

    (void)events;
    while (read(m->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        switch (info.ssi_signo) {
        case SIGCHLD:
            children_reap(&m->children, now_ms());
            look_at_clerk(m);
            break;
        case SIGHUP:
            reload(m);
            break;
        default:
            stop(m);
        }
}

static int watch_signals(struct monitor *m)
{
    sigset_t set;

    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* the log may be a file */
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    m->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    m->signals = (struct watch){.fd = -1, .ready = signal_came};
    return m->signal_fd < 0 ? -errno : watch_set(&m->signals, m->epoll_fd, m->signal_fd, EPOLLIN);
}

/* --- the loop --- */

static void rotate_ticket_keys(struct monitor *m)
{
    int64_t now_s = boot_time_s();

    if (now_s < m->ticket_keys.current.created_s + TICKET_ROTATE_S)
        return;
    if (ticket_keys_rotate(&m->ticket_keys, now_s) < 0)
        log_error("No random numbers for new session tickets; old ones expire.");
    else
        tell(child_of(m, CHILD_GATE), MESSAGE_TICKET_KEYS,
             span_of(&m->ticket_keys, sizeof(m->ticket_keys)), -1);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Does what the clock asks for. Returns when to look at it again. */
static uint64_t run_due(struct monitor *m)
{
    uint64_t now = now_ms();

    if (now >= m->expire_ms) { /* often enough for the ticket keys too */
        m->expire_ms = now + EXPIRE_EVERY_MS;
        verifier_expire(m->verifier, forward_now());
        rotate_ticket_keys(m);
    }
    if (now >= m->certificate_check_ms) {
        m->certificate_check_ms = now + CERTIFICATE_CHECK_EVERY_MS;
        if (m->announced && certificates_due(&m->certificates))
            reload_certificate(m);
    }
    if (m->children.stopping && now >= m->drain_end_ms)
        kill_all(m);
    uint64_t next = earlier(m->expire_ms, m->certificate_check_ms);
    next = earlier(next, state_save_sessions(&m->state, now, false));
    next = earlier(next, children_start_due(&m->children, now));
    next = earlier(next, account_run_due(&m->account, forward_now()));
    next = earlier(next, forward_tell_departures(&m->forward, now));
    return m->children.stopping && m->drain_end_ms > now ? earlier(next, m->drain_end_ms) : next;
}

static bool is_over(const struct monitor *m)
{
    return m->children.hopeless ||
           (m->children.stopping && !child_alive(&m->children.child[CHILD_GATE]) &&
            !child_alive(&m->children.child[CHILD_HOME]));
}

static int run(struct monitor *m)
{
    while (!is_over(m)) {
        uint64_t next = run_due(m);
        if (children_flush(&m->children))
            next = earlier(next, now_ms() + STALLED_RETRY_MS);
        uint64_t now = now_ms();
        int r = watch_wait(m->epoll_fd, next > now ? (int)(next - now) : 0);
        if (r < 0) {
            log_error("Waiting for events failed: %s.", strerror(-r));
            return r;
        }
    }
    return m->children.hopeless ? -ENOEXEC : 0;
}

/* --- the start --- */

static int load(struct monitor *m)
{
    struct verifier_options options = {.revoke = forward_revoke, .context = &m->forward};
    struct users users;
    int r = state_load_users(&m->config, &users);

    if (r < 0)
        return r;
    if (m->config.no_auth)
        options.no_auth_user = "everybody";
    r = verifier_create(&options, &users, &m->verifier);
    if (r < 0) {
        users_finish(&users);
        log_error("Out of memory.");
        return r;
    }
    m->forward.verifier = m->state.verifier = m->verifier;
    prepare_account(m);
    state_watch_users(&m->state);
    state_load_sessions(&m->state);
    r = open_access_log(&m->config, &m->log_fd);
    if (r == 0 && !m->config.plain)
        r = certificates_load(&m->certificates, &m->config);
    if (r == 0)
        r = ticket_keys_rotate(&m->ticket_keys, boot_time_s());
    return r;
}

static int prepare_children(struct monitor *m)
{
    struct children *c = &m->children;

    c->epoll_fd = m->epoll_fd;
    c->started = child_started;
    c->message = child_message;
    c->hashed = hashed;
    c->ready = child_ready;
    c->died = child_died;
    c->context = m;
    c->binary_fd = children_open_binary();
    if (c->binary_fd < 0) {
        log_error("The program cannot find itself: mount /proc, or start it by its full path.");
        return c->binary_fd;
    }
    int r = children_init(c, m->config.threads);
    if (r < 0)
        return r;
    m->forward.rings = m->config.threads;
    m->forward.start_hash = start_hash;
    m->forward.home_is_stuck = home_is_stuck;
    m->forward.context = m;
    for (unsigned i = 0; i < m->config.threads; i++) {
        m->forward.gate[i] = &child_of(m, CHILD_GATE)->rings[i].outbox;
        m->forward.home[i] = &child_of(m, CHILD_HOME)->rings[i].outbox;
    }
    return 0;
}

/* What gate does not need to know. */
static void copy_boot_for_gate(struct monitor *m)
{
    m->gate_boot = m->home_boot;
    m->gate_boot.uid = m->gate_boot.gid = (uint32_t)-1;
    memset(m->gate_boot.dir, 0, sizeof(m->gate_boot.dir));
    memset(m->gate_boot.data_dir, 0, sizeof(m->gate_boot.data_dir));
    memset(m->gate_boot.state_dir, 0, sizeof(m->gate_boot.state_dir));
    memset(m->gate_boot.covered, 0, sizeof(m->gate_boot.covered));
}

/* Binds first: a port that is taken must not leave a first user behind whose password nobody saw.
 */
static int start(struct monitor *m)
{
    m->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (m->epoll_fd < 0 || watch_signals(m) < 0) {
        log_error("The event loop could not be made: %s.", strerror(errno));
        return -errno;
    }
    int r = listeners_open(&m->config, &m->listeners);
    if (r == 0)
        r = state_init(&m->state, &m->config, m->epoll_fd);
    if (r == 0)
        r = boot_init(&m->home_boot, &m->config, m->listeners.port);
    if (r == 0)
        r = prepare_children(m);
    if (r == 0)
        r = load(m);
    if (r == 0)
        r = rights_give_up(&m->config);
    if (r == 0)
        r = io_choose(&m->config, &m->home_boot);
    if (r == 0)
        copy_boot_for_gate(m);
    return r;
}

static void finish(struct monitor *m)
{
    kill_all(m);
    clerk_kill(&m->clerk); /* and is not waited for: it may hang where its file is */
    if (m->verifier)
        state_save_sessions(&m->state, now_ms(), true);
    for (unsigned role = 0; role < CHILD_COUNT; role++)
        if (child_alive(child_of(m, role)))
            waitpid(child_of(m, role)->pid, NULL, 0);
    listeners_close(&m->listeners);
    if (m->children.memory)
        children_finish(&m->children);
    forward_finish(&m->forward);
    if (m->verifier)
        account_finish(&m->account);
    verifier_destroy(m->verifier);
    state_finish(&m->state);
    certificates_finish(&m->certificates);
    config_finish(&m->config);
    explicit_bzero(m, sizeof(*m));
}

int monitor_main(int argc, char **argv)
{
    rights_hold_standard_descriptors();
    struct monitor *m = calloc(1, sizeof(*m));
    if (!m)
        return 1;
    m->log_fd = m->epoll_fd = m->signal_fd = m->clerk.fd = -1;
    m->state.inotify_fd = -1;
    m->state.watch.fd = -1;
    forward_init(&m->forward);
    int r = config_read(argc, argv, &m->config);
    if (r != 0) {
        free(m);
        return r < 0 ? 2 : 0;
    }
    rights_set_limits();
    rights_do_not_preempt();
    r = start(m);
    if (r == 0)
        r = run(m);
    finish(m);
    free(m);
    return r < 0 ? 1 : 0;
}
