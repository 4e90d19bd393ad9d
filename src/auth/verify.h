/* The monitor's judgement of credentials: users, sessions, verified passwords, throttle, and the
 * passwords that are just being hashed. A state machine without sockets, processes or clocks.
 *
 *     verifier_check() ─► ACCEPT, REFUSE, BUSY, THROTTLED      the answer
 *                     └─► WAIT: park the connection under job_id; where start_hash is set, send the
 *                         job to the hasher ─► verifier_hash_done() once per job
 *                                            ─► verifier_resume() once per parked connection
 *
 * Many connections with one new password cost one hash. What must end at once on connections that
 * were let in earlier is told through `revoke`.
 */
#pragma once

#include <sys/socket.h>

#include "auth/credential.h"
#include "auth/password.h"
#include "auth/session.h"
#include "auth/users.h"

struct verifier;

enum verdict {
    VERDICT_ACCEPT,
    VERDICT_REFUSE,    /* 401 */
    VERDICT_WAIT,      /* a hash is under way: ask again when it is done */
    VERDICT_BUSY,      /* 503 with Retry-After */
    VERDICT_THROTTLED, /* 429 with Retry-After */
};

struct verify_time {
    uint64_t mono_ms; /* CLOCK_MONOTONIC (or _BOOTTIME): throttle and verified passwords */
    int64_t wall_s;   /* CLOCK_REALTIME: sessions */
};

/* What the hasher process gets. It answers with password_verify(password, setting). */
struct hash_job {
    uint64_t id;
    char setting[PASSWORD_HASH_BYTES];
    char password[LIMIT_CREDENTIAL_BYTES];
};

enum hash_outcome {
    HASH_MISMATCH,
    HASH_MATCH,
    HASH_FAILED, /* not computed: out of memory, or the hasher died */
};

struct verdict_info {
    /* ACCEPT */
    char user[LIMIT_USER_NAME_BYTES + 1];
    bool read_only;
    uint8_t digest[DIGEST_BYTES];                   /* what home binds the connection to */
    uint64_t app;                                   /* user_app_mark() of the app password, or 0 */
    char session_token[CREDENTIAL_TOKEN_CHARS + 1]; /* LOGIN: the cookie's value; otherwise empty */
    /* BUSY, THROTTLED */
    unsigned retry_after_s;
    /* WAIT */
    uint64_t job_id;
    bool start_hash; /* the job is new: send `job` */
    struct hash_job job;
};

/* Connections that must be closed (their next request is verified again): those bound to `digest`;
 * where that is NULL those of `user`, by the app password of that mark or, with 0, all. */
struct revocation {
    struct span user;
    const uint8_t *digest;
    uint64_t app;
};

struct verifier_options {
    /* Everybody is let in under this name; NULL: credentials are verified. */
    const char *no_auth_user;
    void (*revoke)(const struct revocation *, void *context); /* may be NULL */
    void *context;
};

/* The result of one job, for all connections parked on it. */
struct hash_result {
    enum verdict verdict;
    uint8_t mac[DIGEST_BYTES];
};

/* Takes over `users` (and empties it). Everything is allocated here. Returns 0 or -errno. */
int verifier_create(const struct verifier_options *options, struct users *users,
                    struct verifier **ret_verifier);
void verifier_destroy(struct verifier *v);

/* Judges. `ret_info` is filled as far as the verdict says; it may hold a password, so it is to be
 * wiped with verdict_info_wipe() after use. An unknown or locked user takes the same way as a known
 * one. */
enum verdict verifier_check(struct verifier *v, const struct credential *c,
                            const struct sockaddr_storage *peer, struct verify_time now,
                            struct verdict_info *ret_info);

/* The hasher's answer to a job. Returns 0, or -ENOENT for a job that is not under way. */
int verifier_hash_done(struct verifier *v, uint64_t job_id, enum hash_outcome outcome,
                       struct verify_time now, struct hash_result *ret_result);

/* The hasher died: takes out a job, with BUSY as its result; to be called until -ENOENT. */
int verifier_hash_lost(struct verifier *v, struct verify_time now, uint64_t *ret_job_id,
                       struct hash_result *ret_result);

/* The verdict for one connection that was parked with credential `c` on the job: ACCEPT (each LOGIN
 * with a session of its own), REFUSE or BUSY. */
enum verdict verifier_resume(struct verifier *v, const struct hash_result *result,
                             const struct credential *c, struct verify_time now,
                             struct verdict_info *ret_info);

/* The users file has changed. Takes over `users`. A user who is gone, locked or has another
 * password loses sessions, verified passwords and connections; a user whose rights were changed
 * loses connections only: the next request is verified again under the new rights. So do the
 * connections of an app password that was changed or removed. */
void verifier_users_changed(struct verifier *v, struct users *users);

/* Whose session has that digest, which is the one home knows; NULL where there is none. Valid until
 * the users or the sessions change. */
const struct user *verifier_session_user(struct verifier *v, const uint8_t digest[DIGEST_BYTES],
                                         struct verify_time now);

/* Ends the session with that digest; false where there is none. */
bool verifier_logout(struct verifier *v, const uint8_t digest[DIGEST_BYTES]);
/* All sessions of a user end, and all connections. */
void verifier_logout_everywhere(struct verifier *v, struct span user);

/* Forgets what has expired: to be called every few minutes. */
void verifier_expire(struct verifier *v, struct verify_time now);

/* For loading, saving and listing. */
struct session_store *verifier_sessions(struct verifier *v);
const struct users *verifier_users(const struct verifier *v);

void hash_job_wipe(struct hash_job *job);
void verdict_info_wipe(struct verdict_info *info);
