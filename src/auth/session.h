/* Browser sessions: who holds which cookie.
 *
 * A token is 32 random bytes, known to the browser only. The store keeps its digest, and that is
 * exactly credential_digest() of the SESSION credential: home, which knows a connection's digest
 * and nothing else, can name the session to log out. Times are wall-clock seconds, because sessions
 * outlive the process. Whether a session is read-only is looked up in the users file at each use.
 *
 */
#pragma once

#include "auth/credential.h"
#include "base/buf.h"
#include "base/limits.h"
#include "base/list.h"

struct session {
    struct list by_use;
    struct session *next_in_bucket;
    uint8_t digest[DIGEST_BYTES];
    uint64_t stamp; /* the user's (users.h) at login: another one now, and the session is void */
    int64_t created_s, used_s;
    char user[LIMIT_USER_NAME_BYTES + 1];
};

struct session_store {
    struct session **buckets; /* by digest */
    struct list by_use;       /* the longest unused first */
    size_t count;
    bool dirty; /* differs from what was saved last; the caller decides when to save */
    /* Called for each session that ends, for whatever reason, while it is still whole; or NULL. */
    void (*ended)(const struct session *, void *context);
    void *context;
};

int session_store_init(struct session_store *store);
void session_store_finish(struct session_store *store);

/* Opens a session. The user's longest unused one makes room beyond LIMIT_SESSIONS_PER_USER, the
 * longest unused of all beyond LIMIT_SESSIONS. Returns 0 or -errno. */
int session_create(struct session_store *store, struct span user, uint64_t stamp, int64_t now_s,
                   char ret_token[CREDENTIAL_TOKEN_CHARS + 1], uint8_t ret_digest[DIGEST_BYTES]);

/* The session with that digest, marked as used now (to the minute); NULL where there is none or it
 * has expired. Valid until the next call that changes the store. */
const struct session *session_find(struct session_store *store, const uint8_t digest[DIGEST_BYTES],
                                   int64_t now_s);

/* Ends one session; false where there is none. */
bool session_end(struct session_store *store, const uint8_t digest[DIGEST_BYTES]);
/* Ends all sessions of a user and returns their number. */
size_t session_end_user(struct session_store *store, struct span user);
/* Ends what has expired and returns the number: to be called now and then. */
size_t session_expire(struct session_store *store, int64_t now_s);

/* The store as text: a first line with the version, then a line per session, the longest unused
 * first. */
void session_store_print(const struct session_store *store, struct buf *out);

/* Adds the sessions of such a text to an empty store, without those expired. A damaged line is left
 * out: all it costs is a login. Returns the number of lines left out, or -EBADMSG for a text of
 * another kind or version. */
int session_store_parse(struct session_store *store, struct span text, int64_t now_s);

/* Writes the store (mode 0600, temporary file, fsync, rename) and clears `dirty`; blocks. */
int session_store_save(struct session_store *store, const char *path);
/* Reads it; a file that does not exist is an empty store. Returns as session_store_parse(). */
int session_store_load(struct session_store *store, const char *path, int64_t now_s);
