#include "monitor/state.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "auth/statefile.h"
#include "auth/users_file.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/log.h"
#include "monitor/forward.h"

/* --- the first start --- */

static const char *first_user_name(const struct config *config)
{
    const struct passwd *self = config->run_as ? NULL : getpwuid(geteuid());
    const char *name = config->run_as ? config->run_as : self ? self->pw_name : "admin";

    return users_name_valid(span_str(name)) ? name : "admin";
}

/* Without a terminal nobody would see it: it goes to a file. */
static int store_password(const struct config *config, const char *name, const char *password)
{
    _cleanup_free_ char *path = NULL;
    char text[256];

    if (asprintf(&path, "%s/first-password", config->state_dir) < 0)
        return -ENOMEM;
    snprintf(text, sizeof(text), "user: %s\npassword: %s\n", name, password);
    int r = statefile_replace(path, span_str(text), NULL);
    explicit_bzero(text, sizeof(text));
    if (r < 0)
        log_error("The password of the first user cannot be stored as %s: %s.", path, strerror(-r));
    else
        log_info("This is the first start. User and password are in %s; delete that file when you "
                 "have read it.",
                 path);
    return r;
}

static int make_first_user(const struct config *config)
{
    const char *name = first_user_name(config);
    char password[PASSWORD_RANDOM_BYTES];
    struct users_error error = {0};
    bool has_terminal = isatty(STDERR_FILENO) == 1;

    int r = password_random(password);
    if (r == 0 && !has_terminal)
        r = store_password(config, name, password);
    if (r < 0)
        return r;
    r = users_file_set(config->users_path, span_str(name), span_str(password), false, &error);
    if (r < 0)
        log_error("The users file %s cannot be made: %s.", config->users_path, strerror(-r));
    else if (has_terminal)
        log_info(
            "This is the first start. Log in as %s with the password %s (it is not shown again; "
            "`fastfile passwd %s` changes it).",
            name, password, name);
    explicit_bzero(password, sizeof(password));
    return r;
}

/* --- users --- */

static void explain(const char *path, int r, const struct users_error *error)
{
    if (r == -EBADMSG && error->line > 0)
        log_error("The users file %s, line %u: %s.", path, error->line, error->what);
    else if (r == -EBADMSG)
        log_error("The users file %s: %s.", path, error->what);
    else
        log_error("The users file %s cannot be read: %s.%s", path, strerror(-r),
                  r == -ENOENT ? " `fastfile passwd --users FILE NAME` makes it." : "");
}

int state_load_users(const struct config *config, struct users *ret_users)
{
    struct users_error error = {0};

    if (config->no_auth) {
        *ret_users = (struct users){0};
        return users_parse(span_of("", 0), ret_users, &error);
    }
    int r = users_file_load(config->users_path, ret_users, &error);
    if (r == -ENOENT && config->users_by_default) {
        r = make_first_user(config);
        if (r < 0)
            return r;
        r = users_file_load(config->users_path, ret_users, &error);
    }
    if (r < 0) {
        explain(config->users_path, r, &error);
        return r;
    }
    if (ret_users->others_can_read)
        log_warning("Others can read the users file %s; `chmod 600` keeps the hashes private.",
                    config->users_path);
    if (ret_users->count == 0)
        log_warning("Nobody can log in: %s names no user; `fastfile passwd NAME` adds one.",
                    config->users_path);
    return 0;
}

int state_reload_users(struct state *s)
{
    struct users_error error = {0};
    struct users users;

    if (s->config->no_auth)
        return 0;
    int r = users_file_load(s->config->users_path, &users, &error);
    if (r < 0) {
        explain(s->config->users_path, r, &error);
        log_warning("The users stay as they were.");
        return r;
    }
    verifier_users_changed(s->verifier, &users);
    return 0;
}

/* --- watching --- */

static void folder_changed(struct watch *watch, uint32_t events)
{
    struct state *s = container_of(watch, struct state, watch);
    _Alignas(struct inotify_event) char memory[4096];
    const char *name = strrchr(s->config->users_path, '/') + 1;
    bool changed = false;
    ssize_t n;

    (void)events;
    while ((n = read(s->inotify_fd, memory, sizeof(memory))) > 0)
        for (const char *p = memory; p < memory + n;) {
            const struct inotify_event *e = (const struct inotify_event *)p;
            changed |= e->mask & IN_Q_OVERFLOW || (e->len > 0 && strcmp(e->name, name) == 0);
            if (e->mask & IN_IGNORED)
                log_warning(
                    "The folder of %s is gone; changes of users are seen after SIGHUP only.",
                    s->config->users_path);
            p += sizeof(*e) + e->len;
        }
    if (changed)
        (void)state_reload_users(s);
}

/* The folder, not the file, which is replaced by rename. A file that is gone for a moment is no
 * change: some editors write so. */
static int watch_users(struct state *s)
{
    const uint32_t mask = IN_CLOSE_WRITE | IN_MOVED_TO | IN_ONLYDIR;
    _cleanup_free_ char *folder = strdup(s->config->users_path);

    if (!folder)
        return -ENOMEM;
    *strrchr(folder, '/') = '\0';
    s->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (s->inotify_fd < 0 || inotify_add_watch(s->inotify_fd, *folder ? folder : "/", mask) < 0)
        return -errno;
    return watch_set(&s->watch, s->epoll_fd, s->inotify_fd, EPOLLIN);
}

static int make_folder_of(const char *path, const char *advice)
{
    int fd = statefile_open_folder(path);

    if (fd < 0) {
        log_error("The folder for %s cannot be made: %s. %s", path, strerror(-fd), advice);
        return fd;
    }
    close(fd);
    return 0;
}

int state_init(struct state *s, const struct config *config, int epoll_fd)
{
    *s = (struct state){.config = config,
                        .epoll_fd = epoll_fd,
                        .inotify_fd = -1,
                        .watch = {.fd = -1, .ready = folder_changed}};
    if (asprintf(&s->sessions_path, "%s/sessions", config->state_dir) < 0) {
        s->sessions_path = NULL;
        return -ENOMEM;
    }
    int r = make_folder_of(s->sessions_path, "Set XDG_STATE_HOME to a folder where it can be.");
    if (r == 0 && config->users_path && config->users_by_default)
        r = make_folder_of(config->users_path, "Name a users file with --users.");
    if (r < 0)
        return r;
    return 0;
}

void state_watch_users(struct state *s)
{
    int r = s->config->no_auth ? 0 : watch_users(s);

    if (r < 0)
        log_warning("Changes of %s are seen after SIGHUP only: its folder cannot be watched (%s).",
                    s->config->users_path, strerror(-r));
}

void state_finish(struct state *s)
{
    watch_end(&s->watch, s->epoll_fd);
    if (s->inotify_fd >= 0)
        close(s->inotify_fd);
    s->inotify_fd = -1;
    free(s->sessions_path);
    s->sessions_path = NULL;
}

/* --- sessions --- */

void state_load_sessions(struct state *s)
{
    struct session_store *store = verifier_sessions(s->verifier);
    int r = session_store_load(store, s->sessions_path, forward_now().wall_s);

    if (r > 0)
        log_warning("%d damaged lines of %s were left out; those people log in again.", r,
                    s->sessions_path);
    else if (r < 0)
        log_warning("The sessions in %s cannot be used (%s); everybody logs in again.",
                    s->sessions_path, strerror(-r));
}

uint64_t state_save_sessions(struct state *s, uint64_t now_ms, bool at_once)
{
    struct session_store *store = verifier_sessions(s->verifier);

    if (!store->dirty)
        return UINT64_MAX;
    if (!at_once && now_ms < s->saved_ms + LIMIT_SESSIONS_SAVE_MS)
        return s->saved_ms + LIMIT_SESSIONS_SAVE_MS;
    int r = session_store_save(store, s->sessions_path);
    /* Tried again after the same time, not in a hurry. */
    s->saved_ms = now_ms;
    if (r < 0)
        log_error("The sessions cannot be stored as %s: %s.", s->sessions_path, strerror(-r));
    return store->dirty ? s->saved_ms + LIMIT_SESSIONS_SAVE_MS : UINT64_MAX;
}
