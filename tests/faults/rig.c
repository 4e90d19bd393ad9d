#include "rig.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/err.h>

#include "auth/hash.h"
#include "base/cleanup.h"
#include "files/locks_file.h"
#include "files/undo.h"
#include "home/home.h"
#include "home/trasher.h"
#include "rt/io_sim.h"
#include "script_tree.h"
#include "world.h"

enum {
    /* Beyond these a run does not come to an end. The slowest client takes minutes. */
    RUN_MS_MAX = 60 * 60 * 1000,
    RUN_TURNS_MAX = 400 * 1000,
    /* All deadlines but that of an idle connection are closer. */
    LATE_MS = 31 * 1000,
    CONNS_MAX = 1000,
    MESSAGE_BYTES = sizeof(struct message_header) + CHANNEL_PAYLOAD_MAX,
};

static struct rig {
    const struct rig_run *run;
    int root_fd, log_fd;
    struct mime_table mime;
    struct root root;
    struct boot boot;
    struct locks *locks;
    struct locks_file locks_file;
    bool locked_was_there; /* what the one lock is of */
    struct undos *undos;
    struct home home;
    struct server server;
    struct loop *loop;
    struct offload_pool *pool;
    int monitor; /* its end of the channel */
    struct client clients[RIG_CLIENTS_MAX + 1];
    unsigned begun;
    bool probing, drained;
    bool abort_due, late_due;
    unsigned turns;
    uint64_t begin_ms;
    char wrong[RIG_WRONG_BYTES];
} rig;

/* One of the processes of --trash, in this one. */
static struct trasher trasher = {.prefix = "/"};
static struct trashing trashing = {
    .root = &rig.root, .mutex = PTHREAD_MUTEX_INITIALIZER, .one_is_idle = PTHREAD_COND_INITIALIZER};
static int trasher_fd; /* its end of the channel */

/* A cookie is not the same with TLS. */
static struct client_golden golden[2][SCRIPT_CASES_MAX + 1][SCRIPT_LINES_MAX];

__attribute__((format(printf, 1, 2))) static void wrong(const char *format, ...)
{
    va_list args;

    if (rig.wrong[0])
        return;
    va_start(args, format);
    vsnprintf(rig.wrong, sizeof(rig.wrong), format, args);
    va_end(args);
}

/* --- OpenSSL's memory is ours --- */

static void *ssl_malloc(size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return malloc(size);
}

static void *ssl_realloc(void *memory, size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return realloc(memory, size);
}

static void ssl_free(void *memory, const char *file, int line)
{
    (void)file, (void)line;
    free(memory);
}

/* OpenSSL keeps what it has found out about each. */
static void warm_up_hashes(void)
{
    for (enum hash_algorithm i = 0; i < HASH_ALGORITHMS; i++) {
        struct hash hash;
        if (hash_init(&hash, i) < 0)
            abort();
        hash_finish(&hash);
    }
}

static void answer_as_trasher(void)
{
    bool armed = fault_arm(false);
    ssize_t len = recv(trasher_fd, &trasher.request, sizeof(trasher.request), MSG_DONTWAIT);

    fault_arm(armed);
    if (len != sizeof(trasher.request))
        abort();
    struct trash_answer answer = {0};
    answer.result = trasher_do(&trasher, &answer.item);
    fault_arm(false);
    if (send(trasher_fd, &answer, sizeof(answer), 0) != sizeof(answer))
        abort();
    fault_arm(armed);
}

static void prepare_trash(int root_fd)
{
    _cleanup_close_ int folder = openat(root_fd, "puts", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int ends[2];

    trasher.dir_fd = root_fd;
    if (trash_open(folder, "Trash", geteuid(), true, &trasher.trash) < 0 ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        abort();
    trashing.channel_fds[trashing.idle++] = ends[0];
    trashing.uid = geteuid();
    trashing.folder = trasher.trash.folder;
    trasher_fd = ends[1];
    world_set_answering(ends[0], answer_as_trasher);
}

void rig_prepare(int root_fd, int log_fd)
{
    if (CRYPTO_set_mem_functions(ssl_malloc, ssl_realloc, ssl_free) != 1 || record_warm_up() < 0 ||
        mime_init(&rig.mime, (struct span){0}) < 0)
        abort();
    warm_up_hashes();
    ERR_clear_error();
    tzset();
    script_prepare(root_fd);
    prepare_trash(root_fd);
    rig.root_fd = root_fd;
    rig.log_fd = log_fd;
    client_prepare(rig.clients, RIG_CLIENTS_MAX + 1);
    for (unsigned i = 0; i <= RIG_CLIENTS_MAX; i++)
        rig.clients[i].root_fd = root_fd;
}

/* --- clients come --- */

static struct client_golden *golden_of(const struct script_case *c)
{
    if (c == &script_probe)
        return golden[rig.run->variation->is_tls][SCRIPT_CASES_MAX];
    assert(c - script_cases < SCRIPT_CASES_MAX);
    return golden[rig.run->variation->is_tls][c - script_cases];
}

/* As the monitor does it: the connection comes as a message. */
static void begin_client(struct client *client, const struct script_case *c)
{
    const uint8_t secrets[2][32] = {{1}, {2}};
    struct tls_keys keys[2];
    int ends[2];
    struct handover h = {.approval.verdict = APPROVAL_ACCEPTED};

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0 ||
        keys_from_secret(TLS_CIPHER_AES_128_GCM, secrets[0], 32, &keys[0]) < 0 ||
        keys_from_secret(TLS_CIPHER_AES_128_GCM, secrets[1], 32, &keys[1]) < 0)
        abort();
    if (rig.run->variation->is_tls) {
        h.flags = HANDOVER_TLS;
        h.tls.rx = keys[1];
        h.tls.tx = keys[0];
        h.tls.max_fragment = TLS_PLAINTEXT_MAX;
    }
    if (c->traits & SCRIPT_SESSION) {
        struct credential session;
        if (credential_from_fields((struct span){0}, SPAN(SCRIPT_TOKEN), &session) < 0)
            abort();
        credential_digest(&session, h.approval.digest);
    }
    client->shuffle = rig.run->shuffle;
    client->random = rig.run->plan.seed + rig.begun;
    client_begin(client, c, golden_of(c), ends[0], rig.run->variation->is_tls ? keys : NULL);
    int r = channel_send(rig.monitor, MESSAGE_CONNECTION, span_of(&h, sizeof(h)), (struct span){0},
                         &ends[1], 1);
    if (r < 0)
        wrong("a connection cannot be handed over: %s", strerror(-r));
    close(ends[1]);
    rig.begun++;
}

static void answer_about_account(const struct message_account *m)
{
    struct message_account_answer answer = {
        .token = m->token,
        .result = strcmp(m->label, "none") == 0 ? -ENOENT : 0,
        .password = SCRIPT_APP_PASSWORD,
        .app_count = 1,
        .apps = {{.label = SCRIPT_APP, .read_only = true}},
    };

    int r = channel_send(rig.monitor, MESSAGE_ACCOUNT_ANSWER, span_of(&answer, sizeof(answer)),
                         (struct span){0}, NULL, 0);
    if (r < 0)
        wrong("an answer of the monitor cannot be sent: %s", strerror(-r));
}

/* Connections that home sends back are not our business any more. */
static bool hear_home(void)
{
    static char message[MESSAGE_BYTES];
    int fds[CHANNEL_FDS_MAX];
    size_t fd_count;
    enum message_kind kind;
    struct span payload;

    int r = channel_receive(rig.monitor, message, sizeof(message), &kind, &payload, fds, &fd_count);
    for (size_t i = 0; r == 1 && i < fd_count; i++)
        close(fds[i]);
    if (r == 1 && kind == MESSAGE_ACCOUNT)
        answer_about_account((const struct message_account *)payload.data);
    return r == 1;
}

static void interrupt(void)
{
    const struct message_revoke everybody = {0};

    if (rig.late_due)
        io_sim_pass(LATE_MS);
    if (rig.abort_due)
        home_role.message(&rig.server, MESSAGE_REVOKE, span_of(&everybody, sizeof(everybody)), NULL,
                          0);
    rig.late_due = rig.abort_due = false;
}

static void give_up_where_endless(void)
{
    if (++rig.turns < RUN_TURNS_MAX && io_sim_now_ms() - rig.begin_ms < RUN_MS_MAX)
        return;
    fprintf(stderr, "faults: it does not come to an end (%u turns, %u tasks, %u connections)\n",
            rig.turns, loop_task_count(rig.loop), rig.server.conn_count);
    abort();
}

/* The clients' turn. When they are through, one more is served without faults, and that is all. */
static uint64_t move_clients(uint64_t now_ms)
{
    uint64_t next_ms = UINT64_MAX;
    bool any = false;

    for (unsigned i = 0; i <= RIG_CLIENTS_MAX; i++) {
        uint64_t at_ms = client_step(&rig.clients[i], now_ms);
        next_ms = at_ms < next_ms ? at_ms : next_ms;
        any |= rig.clients[i].fd >= 0;
    }
    if (hear_home())
        next_ms = now_ms;
    if (any || next_ms <= now_ms)
        return next_ms;
    if (!rig.probing) {
        rig.probing = true;
        begin_client(&rig.clients[RIG_CLIENTS_MAX], &script_probe);
        return now_ms;
    }
    if (rig.drained)
        return UINT64_MAX;
    rig.drained = true;
    server_drain(&rig.server, 0);
    return now_ms;
}

static uint64_t outside(void *context)
{
    (void)context;
    bool armed = fault_arm(false);

    give_up_where_endless();
    if (rig.loop->stopped)
        return UINT64_MAX;
    for (unsigned i = 0; rig.begun == i && i < rig.run->case_count; i++)
        begin_client(&rig.clients[i], rig.run->cases[i]);
    interrupt();
    uint64_t next_ms = move_clients(io_sim_now_ms());
    fault_arm(armed && !rig.probing);
    return next_ms;
}

/* --- faults of the backend --- */

static enum fault_site site_of(enum io_kind kind)
{
    switch (kind) {
    case IO_RECV:
        return FAULT_RECV;
    case IO_RECV_LENT:
        return FAULT_RECV_LENT;
    case IO_SEND:
        return FAULT_SEND;
    case IO_READV:
        return FAULT_READ;
    case IO_WRITE:
        return FAULT_WRITE;
    case IO_POLL:
        return FAULT_POLL;
    default:
        return FAULT_WATCH;
    }
}

static enum io_sim_verdict suspended(void)
{
    enum fault_interruption interruption = fault_suspended();

    rig.abort_due |= interruption == FAULT_ABORT;
    rig.late_due |= interruption == FAULT_LATE;
    return interruption == FAULT_GO_ON ? IO_SIM_GO_ON : IO_SIM_HOLD;
}

static enum io_sim_verdict decide(void *context, enum io_sim_moment moment, enum io_kind kind,
                                  int *ret_result)
{
    (void)context;
    if (moment == IO_SIM_HELP)
        return suspended();
    /* A watch that begins again takes the place that it has just left, so no backend is short of
     * memory for it then; and at the beginning it fails in the runs with one fault. */
    if (moment == IO_SIM_START && kind == IO_POLL_MULTI && rig.run->plan.kind == FAULTS_MANY)
        return IO_SIM_GO_ON;
    int error = fault_at(moment == IO_SIM_START ? FAULT_START : site_of(kind));
    if (error != 0) {
        *ret_result = error == FAULT_NOTHING ? 0 : -error;
        return IO_SIM_FAIL;
    }
    if (moment == IO_SIM_START)
        return IO_SIM_GO_ON;
    return suspended();
}

/* --- the server --- */

static bool has_trait(enum script_trait trait)
{
    for (unsigned i = 0; i < rig.run->case_count; i++)
        if (rig.run->cases[i]->traits & trait)
            return true;
    return false;
}

static bool is_there(const char *path)
{
    return faccessat(rig.root_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* What the cases begin with; one of them, as no two change the folder. */
static void lock_what_is_locked(void)
{
    bool armed = fault_arm(false);

    for (unsigned i = 0; i < rig.run->case_count; i++) {
        struct lock lock = {.token = SCRIPT_LOCK, .user = SPAN(""), .is_infinite = true};
        if (!rig.run->cases[i]->locked)
            continue;
        lock.path = span_str(rig.run->cases[i]->locked);
        rig.locked_was_there = is_there(rig.run->cases[i]->locked);
        if (locks_restore(rig.locks, &lock, LIMIT_LOCK_S, io_sim_now_ms()) < 0)
            abort();
    }
    fault_arm(armed);
}

static void note_what_was_deleted(void)
{
    for (unsigned i = 0; i < rig.run->case_count; i++) {
        const struct script_case *c = rig.run->cases[i];
        struct undo undo = {.user = SPAN(""), .item.deleted_s = SCRIPT_DELETED_S};
        char token[UNDO_TOKEN_BYTES + 1];
        if (!c->deleted)
            continue;
        undo.path = span_str(c->deleted);
        memset(undo.item.key, WORLD_RANDOM_BYTE, sizeof(undo.item.key));
        snprintf(undo.item.name, sizeof(undo.item.name), "%s", strrchr(c->deleted, '/') + 1);
        if (undos_add(rig.undos, &undo, io_sim_now_ms(), token) < 0 ||
            strcmp(token, SCRIPT_UNDO) != 0)
            abort();
    }
}

static int start_trash(struct site *site)
{
    if (!has_trait(SCRIPT_TRASH))
        return 0;
    int r = undos_create(&rig.undos);
    if (r < 0)
        return r;
    bool armed = fault_arm(false);
    note_what_was_deleted();
    fault_arm(armed);
    site->trash = &trashing;
    site->undos = rig.undos;
    return 0;
}

static int start_locks(struct site *site)
{
    const int fds[2] = {memfd_create("locks a", MFD_CLOEXEC), memfd_create("locks b", MFD_CLOEXEC)};

    int r = fds[0] < 0 || fds[1] < 0 ? -errno : locks_create(&rig.locks);
    if (r < 0) {
        close(fds[0]);
        close(fds[1]);
        return r;
    }
    /* That they cannot be kept or read keeps nobody from serving. */
    (void)locks_file_init(&rig.locks_file, rig.locks, fds, SCRIPT_BOOT, true);
    lock_what_is_locked();
    site->locks = rig.locks;
    site->locks_file = &rig.locks_file;
    return 0;
}

/* When what has become of them has been looked at. */
static void stop_locks(void)
{
    if (!rig.locks)
        return;
    locks_file_finish(&rig.locks_file);
    locks_destroy(rig.locks); /* asserts that nothing is claimed any more */
    rig.locks = NULL;
}

/* As in home.c. */
static int start_home(int channel)
{
    struct home *home = &rig.home;

    rig.boot = (struct boot){.threads = 1, .no_auth = true, .access_log = true, .port = 8443};
    root_init(&rig.root, rig.root_fd);
    rig.root.ordered = rig.run->plan.kind == FAULTS_ABORT || (rig.run->plan.seed & 1);
    server_init(&rig.server, rig.loop, &home_role, channel, CONNS_MAX);
    rig.server.role_state = home;
    *home = (struct home){
        .boot = &rig.boot, .has_accounts = true, .cookie_name = "__Host-fastfile-8443"};
    account_calls_init(&home->account_calls);
    file_cache_init(&home->cache, &rig.root, rig.loop);
    folder_cache_init(&home->folders, &rig.root, rig.loop);
    home->site = (struct site){.root = &rig.root,
                               .cache = &home->cache,
                               .folders = &home->folders,
                               .mime = &rig.mime,
                               .durable = true,
                               .boot = SCRIPT_BOOT};
    int r = http_ring_init(&home->http, &rig.server, &rig.boot, rig.log_fd, home_handle);
    if (r == 0)
        r = server_watch_channel(&rig.server);
    if (r == 0)
        r = start_trash(&home->site);
    return r < 0 ? r : start_locks(&home->site);
}

static void stop_home(void)
{
    undos_destroy(rig.undos);
    rig.undos = NULL;
    http_ring_finish(&rig.home.http);
    folder_cache_finish(&rig.home.folders);
    file_cache_finish(&rig.home.cache);
    server_finish(&rig.server);
}

static int serve(int channel)
{
    struct loop_options options = {.backend = &io_sim_backend,
                                   .recv_buffers = SERVER_RECV_BUFFERS,
                                   .recv_buffer_bytes = SERVER_RECV_BUFFER_BYTES,
                                   .offload = rig.pool};

    fault_arm(true);
    int r = loop_create(&options, &rig.loop);
    if (r < 0)
        return r;
    r = start_home(channel);
    int started = r;
    if (r == 0)
        r = loop_run(rig.loop);
    if (r == 0)
        r = loop_run_out(rig.loop);
    fault_arm(false);
    if (started == 0 && r < 0)
        wrong("the loop ends with '%s' in turn %u, %u tasks, %u connections", strerror(-r),
              rig.turns, loop_task_count(rig.loop), rig.server.conn_count);
    if (loop_task_count(rig.loop) > 0 || (started == 0 && rig.server.conn_count > 0)) {
        fprintf(stderr, "faults: %s\n", rig.wrong);
        abort(); /* nothing can be taken down that is in use */
    }
    stop_home();
    loop_destroy(rig.loop);
    return started;
}

/* --- a run --- */

static void begin(const struct rig_run *run, int channel[2])
{
    struct world world = {.cold = run->variation->cold,
                          .slow = run->variation->slow,
                          .shuffle = run->shuffle,
                          .seed = run->plan.seed};
    struct io_sim_options options = {
        .seed = run->plan.seed, .shuffle = run->shuffle, .decide = decide, .outside = outside};

    rig.run = run;
    rig.begun = rig.turns = 0;
    rig.probing = rig.drained = rig.abort_due = rig.late_due = false;
    rig.wrong[0] = '\0';
    for (unsigned i = 0; i <= RIG_CLIENTS_MAX; i++) {
        rig.clients[i].wrong[0] = '\0';
        rig.clients[i].c = NULL;
    }
    world.across = has_trait(SCRIPT_ACROSS);
    world.below = has_trait(SCRIPT_BELOW);
    for (unsigned i = 0; i < run->case_count; i++)
        world.untyped |= world.slow && run->cases[i]->before == restore_trees;
    world_set(&world);
    fault_begin(&run->plan);
    for (unsigned i = 0; i < run->case_count; i++)
        if (run->cases[i]->before)
            run->cases[i]->before(rig.root_fd);
    script_settle(rig.root_fd);
    if (offload_pool_create((const unsigned[OFFLOAD_LANES]){0, 0, 0}, &rig.pool) < 0 ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) < 0)
        abort();
    rig.monitor = channel[0];
    options.pool = rig.pool;
    io_sim_configure(&options);
    rig.begin_ms = io_sim_now_ms();
}

/* A lock goes away with what it is of, and otherwise only when it is given back. */
static void check_lock(const struct script_case *c, bool acknowledged)
{
    bool unlocks = c->traits & SCRIPT_UNLOCKS;
    struct buf paths;

    if (rig.locks && (c->traits & SCRIPT_LOCKS) && acknowledged && !locks_any(rig.locks))
        wrong("%s: the lock that was acknowledged is not there", c->name);
    if (!rig.locks || !c->locked)
        return;
    buf_init_growing(&paths, LIMIT_LOCK_BYTES);
    locks_list(rig.locks, span_str(c->locked), &paths);
    if (unlocks && paths.len > 0 && acknowledged)
        wrong("%s: the lock is there still", c->name);
    if (is_there(c->locked) && paths.len == 0 && !unlocks)
        wrong("%s: the lock is gone, and what it was of is there", c->name);
    if (rig.locked_was_there && !is_there(c->locked) && paths.len > 0 && acknowledged)
        wrong("%s: what was locked is gone, and the lock is there", c->name);
    buf_finish(&paths);
}

static void check_clients(bool served)
{
    for (unsigned i = 0; i <= RIG_CLIENTS_MAX; i++) {
        const struct client *client = &rig.clients[i];
        if (client->c && client->wrong[0])
            wrong("%s: %s", client->c->name, client->wrong);
    }
    if (served &&
        (rig.clients[RIG_CLIENTS_MAX].c != &script_probe ||
         rig.clients[RIG_CLIENTS_MAX].answers != 1 || rig.clients[RIG_CLIENTS_MAX].failed_cleanly))
        wrong("the next connection is not served");
    for (unsigned i = 0; i < rig.run->case_count; i++) {
        const struct script_case *c = rig.run->cases[i];
        const struct client *client = &rig.clients[i];
        bool acknowledged = client->c == c && client->answers > 0 && !client->failed_cleanly;
        const char *what = c->after ? c->after(rig.root_fd, acknowledged) : NULL;
        if (what)
            wrong("%s: %s", c->name, what);
        check_lock(c, acknowledged);
    }
}

static void check_balance(const struct world_balance *before, unsigned wrong_closes,
                          unsigned late_syncs)
{
    struct world_balance after = world_balance();

    if (after.descriptors != before->descriptors)
        wrong("%u descriptors have become %u", before->descriptors, after.descriptors);
    if (after.memory != before->memory)
        wrong("%ld pieces of memory were not given back", after.memory - before->memory);
    if (after.mappings != before->mappings)
        wrong("%ld mappings were not given back", after.mappings - before->mappings);
    if (world_wrong_closes() != wrong_closes)
        wrong("a descriptor was closed that was not open");
    if (world_late_syncs() != late_syncs)
        wrong("what was copied was synced by a descriptor that was opened later");
}

const char *rig_run(const struct rig_run *run)
{
    struct world_balance before = world_balance();
    unsigned wrong_closes = world_wrong_closes(), late_syncs = world_late_syncs();
    int channel[2];

    begin(run, channel);
    int r = serve(channel[1]);
    fault_arm(false);
    if (r < 0 && fault_tally()->injected == 0)
        wrong("home does not start: %s", strerror(-r));
    for (unsigned i = 0; i <= RIG_CLIENTS_MAX; i++)
        client_end(&rig.clients[i]);
    for (unsigned lane = 0; lane < OFFLOAD_LANES; lane++) /* of which nobody wanted to hear */
        while (offload_run_one(rig.pool, (enum offload_lane)lane))
            continue;
    offload_pool_destroy(rig.pool);
    close(channel[0]);
    close(channel[1]);
    ERR_clear_error();
    check_clients(r == 0);
    stop_locks();
    check_balance(&before, wrong_closes, late_syncs);
    return rig.wrong[0] ? rig.wrong : NULL;
}
