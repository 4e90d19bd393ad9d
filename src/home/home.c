#include "home/home.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "auth/digest.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "config.h"
#include "files/locks_file.h"
#include "files/undo.h"
#include "files/upload_info.h"
#include "home/journal.h"
#include "home/sandbox.h"
#include "home/state.h"
#include "home/trasher.h"
#include "net/boot.h"
#include "rt/offload.h"

struct home_process {
    struct boot boot;
    int fds[CHANNEL_FDS_MAX];
    size_t fd_count;
    struct root root;
    struct mime_table mime;
    struct trashing trash;
    struct undos *undos; /* NULL: nothing goes to the trash */
    char boot_id[BOOT_ID_CHARS + 1];
    struct locks *locks; /* NULL: read-only */
    struct locks_file locks_file;
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

    if (!digest_equal(m->digest, nothing))
        return digest_equal(m->digest, approval->digest);
    return strcmp(m->user, approval->user) == 0 && (m->app == 0 || m->app == approval->app);
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
    case MESSAGE_ACCOUNT_ANSWER:
        account_answered(&home->account_calls, (const void *)payload.data);
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

const struct conn_role home_role = {.serve = http_serve, .message = home_message};

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
    home->has_accounts = !boot->no_auth;
    account_calls_init(&home->account_calls);
    file_cache_init(&home->cache, &p->root, loop);
    folder_cache_init(&home->folders, &p->root, loop);
    home->site = (struct site){.root = &p->root,
                               .cache = &home->cache,
                               .folders = &home->folders,
                               .mime = &p->mime,
                               .trash = boot->trash ? &p->trash : NULL,
                               .undos = p->undos,
                               .locks = p->locks,
                               .locks_file = p->locks ? &p->locks_file : NULL,
                               .read_only = boot->read_only,
                               .durable = boot->durability == DURABILITY_FILE,
                               .boot = p->boot_id};
    snprintf(home->cookie_name, sizeof(home->cookie_name), "__Host-fastfile-%u", boot->port);
    int r = http_ring_init(&home->http, s, boot, boot_log_fd(p), home_handle);
    return r < 0 ? r : server_watch_channel(s);
}

static void stop_ring(struct server *s, void *context)
{
    struct home *home = s->role_state;

    (void)context;
    http_ring_finish(&home->http);
    folder_cache_finish(&home->folders);
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

/* Where it is not to be had, nothing is known to be of the same boot. */
static void load_boot_id(char ret_id[BOOT_ID_CHARS + 1])
{
    _cleanup_close_ int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    uint8_t random[DIGEST_BYTES];
    char hex[2 * DIGEST_BYTES];

    ret_id[BOOT_ID_CHARS] = '\0';
    if (fd >= 0 && read(fd, ret_id, BOOT_ID_CHARS) == BOOT_ID_CHARS)
        return;
    if (getrandom(random, sizeof(random), 0) != sizeof(random))
        abort();
    digest_to_hex(random, hex);
    memcpy(ret_id, hex, BOOT_ID_CHARS);
}

_Static_assert((int)BOOT_ID_CHARS == (int)LOCKS_TEXT_BOOT_CHARS, "both are the machine's");

/* Locks of the run before. That they cannot be kept or read keeps nobody from serving. */
static int load_locks(struct home_process *p, const int fds[2], const char *why_not_kept)
{
    int r = locks_create(&p->locks);

    if (r < 0) {
        log_error("there is no memory for locks: %s", strerror(-r));
        return r;
    }
    if (why_not_kept)
        log_warning("locks of WebDAV clients end when the server is restarted: %s", why_not_kept);
    r = locks_file_init(&p->locks_file, p->locks, fds, p->boot_id,
                        p->boot.durability == DURABILITY_FILE);
    if (r < 0)
        log_warning("locks of WebDAV clients from the run before cannot be read, so there are "
                    "none now: %s",
                    r == -EBADMSG ? "they are incomplete" : strerror(-r));
    return 0;
}

static int start(struct home_process *p)
{
    const char *limited, *why_not_kept = NULL;
    int state_fds[2] = {-1, -1};
    int root_fd;

    int r = boot_receive(&p->boot, p->fds, &p->fd_count);
    if (r < 0)
        return r;
    tzset();
    r = load_mime_types(&p->mime);
    if (r < 0)
        return r;
    load_boot_id(p->boot_id);
    bool ordered = journal_keeps_order(p->boot.dir);
    /* The last moment at which there is something outside. */
    r = p->boot.trash ? trasher_start(&p->boot, &p->trash) : 0;
    if (r == 0 && p->boot.trash)
        r = undos_create(&p->undos);
    if (r < 0) {
        log_error("--trash: there is no trash for %s: %s", p->boot.dir, strerror(-r));
        return r;
    }
    if (!p->boot.read_only)
        home_state_open(&p->boot, state_fds, &why_not_kept);
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
    p->root.ordered = ordered;
    p->trash.root = &p->root;
    return p->boot.read_only ? 0 : load_locks(p, state_fds, why_not_kept);
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
    /* So many changes wait for the disk at once, */
    SYNC_HELPERS = 16,
    /* and of those that do not, at least so many are made at once; otherwise one for each ring:
     * more of them only get into each other's way within the file system. */
    UNSYNCED_HELPERS = 2,
    /* So many requests may hang in file systems that do not answer before the next one waits. */
    SLOW_HELPERS = 16,
};

static int start_helpers(const struct boot *boot, struct offload_pool **ret_pool)
{
    unsigned unsynced = boot->threads > UNSYNCED_HELPERS ? boot->threads : UNSYNCED_HELPERS;
    const unsigned helpers[OFFLOAD_LANES] = {
        [OFFLOAD_FAST] = FAST_HELPERS,
        [OFFLOAD_SYNC] = boot->durability == DURABILITY_FILE ? SYNC_HELPERS : unsynced,
        [OFFLOAD_SLOW] = SLOW_HELPERS,
    };

    return offload_pool_create(helpers, ret_pool);
}

int home_main(void)
{
    struct ring_role role = {
        .start = start_ring, .seal = seal, .stop = stop_ring, .context = &process};

    log_init("home");
    int r = start(&process);
    role.io = process.boot.io;
    if (r == 0)
        r = start_helpers(&process.boot, &role.offload);
    if (r == 0)
        r = rings_run(process.boot.threads, &role);
    if (r < 0) {
        log_error("cannot start: %s", strerror(-r));
        return EXIT_FAILURE;
    }
    offload_pool_destroy(role.offload);
    if (process.locks)
        locks_file_finish(&process.locks_file);
    locks_destroy(process.locks);
    undos_destroy(process.undos);
    mime_finish(&process.mime);
    return EXIT_SUCCESS;
}
