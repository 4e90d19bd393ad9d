#include "monitor/children.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "base/log.h"

enum {
    /* Messages read from one ring before the others have their turn. */
    MESSAGES_PER_TURN = 32,
    MESSAGE_BYTES = sizeof(struct message_header) + CHANNEL_PAYLOAD_MAX,
    /* So that a burst of connections fits; the kernel grants what net.core.wmem_max allows. */
    CHANNEL_BUFFER_BYTES = 1024 * 1024,
};

const char *child_name(enum child_role role)
{
    static const char *const names[] = {"gate", "home", "hasher"};

    return names[role];
}

int children_open_binary(void)
{
    /* Without /proc the path that execve() was given: it is found from the folder of the start. */
    const char *path = (const char *)getauxval(AT_EXECFN); // NOLINT(performance-no-int-to-ptr)
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

    if (fd < 0 && path)
        fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* --- messages --- */

static void complain(struct child *child, const char *why)
{
    if (!child->complained)
        log_error("%s sent %s; it is ignored, and so are further ones.", child_name(child->role),
                  why);
    child->complained = true;
}

static void close_all(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        close(fds[i]);
}

static void set_ready(struct child *child)
{
    struct timespec now;

    if (child->ready)
        return;
    clock_gettime(CLOCK_MONOTONIC, &now);
    child->ready_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    child->ready = true;
    child->all->ready(child, child->all->context);
}

/* One message from gate or home. Returns 1, or 0 and less when there is no more. */
static int receive(struct child_ring *ring)
{
    struct children *c = ring->child->all;
    int fds[CHANNEL_FDS_MAX];
    size_t fd_count = 0;
    enum message_kind kind;
    struct span payload;
    const char *why = "a malformed message";

    int r =
        channel_receive(ring->outbox.fd, c->memory, MESSAGE_BYTES, &kind, &payload, fds, &fd_count);
    if (r == -EBADMSG)
        complain(ring->child, why);
    if (r <= 0)
        return r == -EBADMSG ? 1 : r;
    if (kind == MESSAGE_READY && payload.len == 0) {
        close_all(fds, fd_count);
        set_ready(ring->child);
    } else if (c->message(ring, kind, payload, fds, fd_count, &why, c->context) < 0) {
        complain(ring->child, why);
    }
    explicit_bzero(c->memory, sizeof(struct message_header) + payload.len);
    return 1;
}

static int receive_hash(struct child_ring *ring)
{
    struct children *c = ring->child->all;
    ssize_t n = recv(ring->outbox.fd, c->memory, MESSAGE_BYTES, MSG_DONTWAIT);

    if (n < 0)
        return errno == EINTR ? 1 : -errno;
    if (n > 0) { /* the first one is about no job: it says that it is there */
        set_ready(ring->child);
        c->hashed(c->memory, (size_t)n, c->context);
    }
    return n > 0;
}

/* End of file or an error: a child without its channel is of no use, so it goes, and comes again.
 */
static void ring_ready(struct watch *watch, uint32_t events)
{
    struct child_ring *ring = container_of(watch, struct child_ring, watch);
    struct child *child = ring->child;
    unsigned life = child->life;
    int r = 1;

    if (events & EPOLLOUT && outbox_flush(&ring->outbox) < 0)
        r = -EPIPE;
    for (int i = 0; r > 0 && i < MESSAGES_PER_TURN && events & ~(uint32_t)EPOLLOUT; i++)
        r = child->role == CHILD_HASHER ? receive_hash(ring) : receive(ring);
    if (r > 0 || r == -EAGAIN || life != child->life)
        return;
    watch_end(watch, child->all->epoll_fd);
    if (!child->all->stopping)
        child_kill(child);
}

static uint32_t wanted_events(const struct child_ring *ring)
{
    uint32_t events = ring->outbox.count < LIMIT_OUTBOX_PAUSE ? EPOLLIN : 0;

    return outbox_wants_write(&ring->outbox) ? events | EPOLLOUT : events;
}

bool children_flush(struct children *c)
{
    bool stalled = false;

    for (unsigned role = 0; role < CHILD_COUNT; role++)
        for (unsigned i = 0; i < c->child[role].ring_count; i++) {
            struct child_ring *ring = &c->child[role].rings[i];
            if (ring->watch.fd < 0)
                continue;
            if (ring->outbox.stalled)
                (void)outbox_flush(&ring->outbox); /* a dead peer is seen by its end of file */
            stalled |= ring->outbox.stalled;
            (void)watch_set(&ring->watch, c->epoll_fd, ring->outbox.fd, wanted_events(ring));
        }
    return stalled;
}

/* --- birth --- */

/* Between fork and exec: only what is safe there. */
static _Noreturn void become_child(int binary_fd, int channel_fd, const char *title)
{
    char *const argv[] = {(char *)(uintptr_t)title, NULL};
    const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGXFSZ};
    sigset_t none;

    /* A terminal sends its signals to all of us; the monitor decides what they mean. A file that
     * would be larger than this user may have is an error of the write. */
    for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
        signal(ignored[i], SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (binary_fd == CHANNEL_CHILD_FD)
        binary_fd = fcntl(binary_fd, F_DUPFD_CLOEXEC, CHANNEL_CHILD_FD + 1);
    /* dup2() onto itself would leave the descriptor to be closed by exec. */
    if (channel_fd == CHANNEL_CHILD_FD)
        fcntl(channel_fd, F_SETFD, 0);
    else
        dup2(channel_fd, CHANNEL_CHILD_FD);
    syscall(SYS_execveat, binary_fd, "", argv, environ, AT_EMPTY_PATH);
    _exit(127);
}

pid_t children_fork(int binary_fd, int channel_fd, const char *title)
{
    pid_t pid = fork();

    if (pid == 0)
        become_child(binary_fd, channel_fd, title);
    return pid < 0 ? -errno : pid;
}

static int open_channel(int ret_ends[2])
{
    int size = CHANNEL_BUFFER_BYTES;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ret_ends) < 0)
        return -errno;
    for (int i = 0; i < 2; i++)
        (void)setsockopt(ret_ends[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    return 0;
}

/* Opens the channels, forks, and tells the child what it has to know. */
static int start(struct child *child)
{
    static const char *const titles[] = {"fastfile: gate", "fastfile: home", "fastfile: hasher"};
    struct children *c = child->all;
    int theirs[CONFIG_THREADS_MAX] = {-1};
    int r = 0;
    unsigned open = 0;

    for (; open < child->ring_count; open++) {
        int ends[2];
        r = open_channel(ends);
        if (r < 0)
            break;
        struct child_ring *ring = &child->rings[open];
        ring->outbox.fd = ends[0];
        theirs[open] = ends[1];
        if (watch_set(&ring->watch, c->epoll_fd, ends[0], EPOLLIN) < 0)
            r = -ENOMEM;
    }
    if (r == 0)
        r = children_fork(c->binary_fd, theirs[0], titles[child->role]);
    if (r > 0) {
        child->pid = r;
        r = 0;
    }
    child->life++;
    child->ready = child->complained = false;
    if (r == 0)
        r = c->started(child, theirs + 1, c->context);
    for (unsigned i = 0; i < open; i++)
        close(theirs[i]);
    return r;
}

static void close_channels(struct child *child)
{
    for (unsigned i = 0; i < child->ring_count; i++) {
        struct child_ring *ring = &child->rings[i];
        watch_end(&ring->watch, child->all->epoll_fd);
        if (ring->outbox.fd >= 0)
            close(ring->outbox.fd);
        ring->outbox.fd = -1;
        ring->outbox.stalled = false;
        /* Meant for the life that is over: verdicts have its tokens, the others are sent anew. */
        outbox_drop(&ring->outbox, MESSAGE_VERDICT);
        outbox_drop(&ring->outbox, MESSAGE_DEPARTED);
        outbox_drop(&ring->outbox, MESSAGE_ACCOUNT_ANSWER);
        outbox_drop(&ring->outbox, MESSAGE_LOG);
        outbox_drop(&ring->outbox, MESSAGE_CERTIFICATE);
        outbox_drop(&ring->outbox, MESSAGE_TICKET_KEYS);
    }
}

static void plan_restart(struct child *child, uint64_t now_ms)
{
    if (child->ready && now_ms - child->ready_ms >= LIMIT_RESTART_HEALTHY_MS)
        child->back_off_ms = 0;
    child->restart_ms = now_ms + child->back_off_ms;
    child->back_off_ms = child->back_off_ms ? child->back_off_ms * 2 : LIMIT_RESTART_FIRST_MS;
    if (child->back_off_ms > LIMIT_RESTART_MS)
        child->back_off_ms = LIMIT_RESTART_MS;
}

uint64_t children_start_due(struct children *c, uint64_t now_ms)
{
    uint64_t next_ms = UINT64_MAX;

    if (c->stopping)
        return next_ms;
    for (unsigned role = 0; role < CHILD_COUNT; role++) {
        struct child *child = &c->child[role];
        if (child->pid != 0)
            continue;
        if (child->restart_ms <= now_ms) {
            int r = start(child);
            if (r < 0)
                log_error("%s could not be started: %s.", child_name(child->role), strerror(-r));
            if (r < 0 && child->pid != 0) /* reaped and planned anew as every dead child */
                child_kill(child);
            else if (r < 0) {
                close_channels(child);
                plan_restart(child, now_ms);
            }
        }
        if (child->pid == 0 && child->restart_ms < next_ms)
            next_ms = child->restart_ms;
    }
    return next_ms;
}

/* --- death --- */

void child_kill(struct child *child)
{
    if (child->pid != 0)
        kill(child->pid, SIGKILL);
}

static void say_why(const struct child *child, int status)
{
    const char *name = child_name(child->role);
    const char *then = child->all->stopping ? "" : "; it is started again";

    if (WIFSIGNALED(status) && child->all->stopping && WTERMSIG(status) == SIGKILL)
        return; /* by us */
    if (WIFSIGNALED(status))
        log_error("%s was ended by signal %d (%s)%s.", name, WTERMSIG(status),
                  strsignal(WTERMSIG(status)), then);
    else if (!child->all->stopping || WEXITSTATUS(status) != 0)
        log_error("%s ended with exit status %d%s.", name, WEXITSTATUS(status), then);
}

static void bury(struct child *child, int status, uint64_t now_ms)
{
    struct children *c = child->all;

    child->pid = 0;
    /* Not even the first one came up, by its own decision: it has said why, and so would the next.
     */
    if (child->life == 1 && !child->ready && WIFEXITED(status) && !c->stopping)
        c->hopeless = c->stopping = true;
    say_why(child, status);
    close_channels(child);
    plan_restart(child, now_ms);
    c->died(child, c->context);
}

void children_reap(struct children *c, uint64_t now_ms)
{
    int status;

    for (unsigned role = 0; role < CHILD_COUNT; role++) {
        struct child *child = &c->child[role];
        if (child->pid != 0 && waitpid(child->pid, &status, WNOHANG) == child->pid)
            bury(child, status, now_ms);
    }
}

bool child_alive(const struct child *child)
{
    return child->pid != 0;
}

/* --- all of them --- */

int children_init(struct children *c, unsigned rings)
{
    assert(rings >= 1 && rings <= CONFIG_THREADS_MAX);
    c->memory = malloc(MESSAGE_BYTES);
    if (!c->memory)
        return -ENOMEM;
    for (unsigned role = 0; role < CHILD_COUNT; role++) {
        struct child *child = &c->child[role];
        *child =
            (struct child){.all = c, .role = role, .ring_count = role == CHILD_HASHER ? 1 : rings};
        for (unsigned i = 0; i < child->ring_count; i++) {
            struct child_ring *ring = &child->rings[i];
            ring->child = child;
            ring->number = i;
            ring->watch = (struct watch){.fd = -1, .ready = ring_ready};
            outbox_init(&ring->outbox);
        }
    }
    return 0;
}

void children_finish(struct children *c)
{
    for (unsigned role = 0; role < CHILD_COUNT; role++) {
        close_channels(&c->child[role]);
        for (unsigned i = 0; i < c->child[role].ring_count; i++)
            outbox_finish(&c->child[role].rings[i].outbox);
    }
    free(c->memory);
    c->memory = NULL;
}
