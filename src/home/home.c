#include "home/home.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "auth/digest.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "home/sandbox.h"
#include "net/boot.h"
#include "rt/offload.h"

struct home_process {
    struct boot boot;
    int fds[CHANNEL_FDS_MAX];
    size_t fd_count;
    struct root root;
    struct mime_table mime;
    struct home homes[CHANNEL_RINGS_MAX];
};

/* --- messages of the monitor --- */

static void take_connection(struct server *s, struct span payload, int fd)
{
    const struct handover *h = (const void *)payload.data;

    conn_adopt(s, fd, h, span_skip(payload, sizeof(*h)));
}

static bool is_meant(const struct message_revoke *m, const struct approval *approval)
{
    static const uint8_t nothing[DIGEST_BYTES];

    if (digest_equal(m->digest, nothing))
        return strcmp(m->user, approval->user) == 0;
    return digest_equal(m->digest, approval->digest);
}

static void revoke_among(struct list *conns, const struct message_revoke *m)
{
    for (struct list *node = conns->next, *next; node != conns; node = next) {
        struct conn *conn = container_of(node, struct conn, link);
        next = node->next;
        if (is_meant(m, &conn->approval)) {
            conn->ending = true;
            conn_abort(conn);
        }
    }
}

static void home_message(struct server *s, enum message_kind kind, struct span payload,
                         const int *fds, size_t fd_count)
{
    struct home *home = s->role_state;

    switch (kind) {
    case MESSAGE_CONNECTION:
        if (fd_count != 1)
            break;
        take_connection(s, payload, fds[0]);
        return;
    case MESSAGE_LOG:
        if (fd_count != 1)
            break;
        http_ring_reopen_log(&home->http, fds[0]);
        return;
    case MESSAGE_REVOKE:
        revoke_among(&s->busy, (const void *)payload.data);
        revoke_among(&s->idle, (const void *)payload.data);
        break;
    case MESSAGE_DRAIN:
        server_drain(s, LIMIT_DRAIN_MS);
        break;
    default:
        log_error("the monitor sent a message that home does not know");
        break;
    }
    for (size_t i = 0; i < fd_count; i++)
        close(fds[i]);
}

/* --- start --- */

static const struct conn_role home_role = {.serve = http_serve, .message = home_message};

/* The log is the last descriptor that came along. */
static int boot_log_fd(const struct home_process *p)
{
    return p->boot.access_log && p->fd_count > 0 ? p->fds[p->fd_count - 1] : -1;
}

static int start_ring(struct server *s, struct loop *loop, unsigned ring, void *context)
{
    struct home_process *p = context;
    const struct boot *boot = &p->boot;
    struct home *home = &p->homes[ring];

    server_init(s, loop, &home_role, ring == 0 ? CHANNEL_CHILD_FD : p->fds[ring - 1],
                boot->descriptors_max / boot->threads);
    s->role_state = home;
    s->ktls = boot->ktls;
    home->boot = boot;
    file_cache_init(&home->cache, &p->root, loop);
    home->site = (struct site){
        .root = &p->root, .cache = &home->cache, .mime = &p->mime, .read_only = boot->read_only};
    snprintf(home->cookie_name, sizeof(home->cookie_name), "__Host-fastfile-%u", boot->port);
    int r = http_ring_init(&home->http, s, boot, boot_log_fd(p), home_handle);
    return r < 0 ? r : server_watch_channel(s);
}

static void stop_ring(struct server *s, void *context)
{
    struct home *home = s->role_state;

    (void)context;
    http_ring_finish(&home->http);
    file_cache_finish(&home->cache);
    server_finish(s);
}

enum { MIME_TYPES_BYTES_MAX = 1024 * 1024 };

/* The system's types where it has them; there is a list of our own. */
static int load_mime_types(struct mime_table *table)
{
    _cleanup_close_ int fd = open("/etc/mime.types", O_RDONLY | O_CLOEXEC);
    _cleanup_free_ void *text = fd < 0 ? NULL : malloc(MIME_TYPES_BYTES_MAX);
    ssize_t length = text ? read(fd, text, MIME_TYPES_BYTES_MAX) : 0;

    return mime_init(table, span_of(text, length > 0 ? (size_t)length : 0));
}

static int start(struct home_process *p)
{
    const char *limited;
    int root_fd;

    int r = boot_receive(&p->boot, p->fds, &p->fd_count);
    if (r < 0)
        return r;
    tzset();
    r = load_mime_types(&p->mime);
    if (r < 0)
        return r;
    r = home_sandbox_enter(&p->boot, &root_fd, &limited);
    if (r == -EXDEV)
        log_error("cannot hide the configuration that lies below %s; move it elsewhere: %s",
                  p->boot.dir, limited ? limited : strerror(-r));
    else if (r < 0)
        log_error("cannot open the folder %s: %s", p->boot.dir, strerror(-r));
    if (r < 0)
        return r;
    if (limited)
        log_warning(
            "not everything that keeps this process inside its folder is to be had here: %s",
            limited);
    root_init(&p->root, root_fd);
    return 0;
}

static struct home_process process;

static int seal(void)
{
    if (boot_log_fd(&process) >= 0)
        close(boot_log_fd(&process)); /* each ring has its own */
    return home_sandbox_close(&process.boot);
}

enum {
    FAST_HELPERS = 4,
    /* So many requests may hang in file systems that do not answer before the next one waits. */
    SLOW_HELPERS = 16,
};

int home_main(void)
{
    struct ring_role role = {
        .start = start_ring, .seal = seal, .stop = stop_ring, .context = &process};

    log_init("home");
    int r = start(&process);
    role.io = process.boot.io;
    if (r == 0)
        r = offload_pool_create(FAST_HELPERS, SLOW_HELPERS, &role.offload);
    if (r == 0)
        r = rings_run(process.boot.threads, &role);
    if (r < 0) {
        log_error("cannot start: %s", strerror(-r));
        return EXIT_FAILURE;
    }
    offload_pool_destroy(role.offload);
    mime_finish(&process.mime);
    return EXIT_SUCCESS;
}
