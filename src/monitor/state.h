/* What the monitor keeps on disk: the users file, which it reads and watches, and the sessions,
 * which it writes. Everything blocks, but briefly.
 */
#pragma once

#include "auth/verify.h"
#include "config.h"
#include "monitor/watch.h"

struct state {
    const struct config *config;
    struct verifier *verifier; /* set before the first event; not owned */
    int epoll_fd;
    char *sessions_path;
    int inotify_fd; /* -1: the folder of the users file could not be watched */
    struct watch watch;
    uint64_t saved_ms;
};

/* Makes the folders of the sessions and, where nobody named a users file, of that: what is to be
 * hidden from clients (boot.h) must be there. Returns 0, or -errno after having said what is wrong.
 */
int state_init(struct state *s, const struct config *config, int epoll_fd);
void state_finish(struct state *s);

/* Reads the users file. At the first start (no file, and nobody named one) makes it, with one user
 * and a random password, which is shown on the terminal or stored. Returns 0 or -errno, having said
 * why. */
int state_load_users(const struct config *config, struct users *ret_users);

/* Reads the users file again whenever it changes. Where that cannot be, says so. */
void state_watch_users(struct state *s);

/* Reads the users file again. Returns 0, or -errno after having said what is wrong with it; then
 * the users stay as they are. */
int state_reload_users(struct state *s);

/* Sessions of the run before. Cannot fail: all it costs is a login. */
void state_load_sessions(struct state *s);

/* Writes the sessions where they have changed and it was not just done, or is asked for `at_once`.
 * Returns when it has to be called again, or UINT64_MAX. */
uint64_t state_save_sessions(struct state *s, uint64_t now_ms, bool at_once);
