#include "auth/verify.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "auth/throttle.h"

/* A password that matched a moment ago. Valid while its user still has that password. */
struct verified {
    uint8_t mac[DIGEST_BYTES];
    uint64_t stamp;
    uint64_t since_ms, used_ms;
};

/* A password that is being hashed. */
struct pending {
    uint64_t id; /* 0: no job */
    uint8_t mac[DIGEST_BYTES];
    bool is_for_nobody; /* the user is unknown or locked: no match counts */
    uint64_t stamp;     /* otherwise the user's */
    bool is_outdated;   /* the user has another password now, or has come or gone */
    char user[LIMIT_USER_NAME_BYTES + 1]; /* "" where nobody can have such a name */
    struct throttle_attempt attempt;
};

struct verifier {
    struct verifier_options options;
    struct digest_key key;
    struct users users;
    struct session_store sessions;
    struct throttle throttle;
    char dummy_setting[PASSWORD_HASH_BYTES];
    uint64_t verified_keys[LIMIT_VERIFIED]; /* the start of each MAC; 0: no entry */
    struct verified verified[LIMIT_VERIFIED];
    struct pending jobs[LIMIT_HASH_QUEUE];
    unsigned job_count;
    uint64_t last_job_id;
};

/* --- life --- */

static void revoke(struct verifier *v, const struct revocation *revocation)
{
    if (v->options.revoke)
        v->options.revoke(revocation, v->options.context);
}

static void revoke_user(struct verifier *v, struct span user)
{
    revoke(v, &(struct revocation){.user = user});
}

static void session_ended(const struct session *s, void *context)
{
    revoke(context, &(struct revocation){.user = span_str(s->user), .digest = s->digest});
}

int verifier_create(const struct verifier_options *options, struct users *users,
                    struct verifier **ret_verifier)
{
    struct verifier *v = calloc(1, sizeof(*v));

    if (!v)
        return -ENOMEM;
    v->options = *options;
    int r = session_store_init(&v->sessions);
    if (r == 0)
        r = throttle_init(&v->throttle);
    if (r == 0)
        r = digest_key_init(&v->key);
    if (r == 0)
        r = password_dummy_setting(v->dummy_setting);
    if (r < 0) {
        verifier_destroy(v);
        return r;
    }
    v->sessions.ended = session_ended;
    v->sessions.context = v;
    v->users = *users;
    *users = (struct users){0};
    *ret_verifier = v;
    return 0;
}

void verifier_destroy(struct verifier *v)
{
    if (!v)
        return;
    users_finish(&v->users);
    session_store_finish(&v->sessions);
    throttle_finish(&v->throttle);
    explicit_bzero(v, sizeof(*v));
    free(v);
}

/* --- users --- */

/* The user of that name who may log in at all. */
static const struct user *find_user(const struct verifier *v, struct span name)
{
    const struct user *user = users_find(&v->users, name);

    return user && !user->locked ? user : NULL;
}

/* What a password for nobody is hashed with: the setting of a user chosen by the name, always the
 * same one. So unknown names cost what known ones do, whatever methods the file mixes. */
static struct span borrowed_setting(const struct verifier *v, struct span name)
{
    size_t count = v->users.count;
    uint64_t start = digest_hmac_u64(&v->key, 'b', name);

    for (size_t i = 0; i < count; i++) {
        const struct user *user = &v->users.users[(start + i) % count];

        if (!user->locked)
            return user->hash;
    }
    return span_str(v->dummy_setting);
}

static void credential_mac(const struct verifier *v, const struct credential *c,
                           uint8_t ret_mac[DIGEST_BYTES])
{
    /* Without the kind: the login form and Basic share what is known about a password. */
    digest_hmac(&v->key, 'c', span_of(c->bytes, c->len), ret_mac);
}

/* --- passwords verified a moment ago --- */

static uint64_t verified_key(const uint8_t mac[DIGEST_BYTES])
{
    uint64_t key;

    memcpy(&key, mac, sizeof(key));
    return key ? key : 1;
}

static bool is_outdated(const struct verified *e, uint64_t now_ms)
{
    return now_ms - e->used_ms >= LIMIT_VERIFIED_IDLE_S * UINT64_C(1000) ||
           now_ms - e->since_ms >= LIMIT_VERIFIED_S * UINT64_C(1000);
}

/* Whether this credential is known to be right for `user` (NULL: for nobody, and it is not). */
static bool is_verified(struct verifier *v, const uint8_t mac[DIGEST_BYTES],
                        const struct user *user, uint64_t now_ms)
{
    uint64_t key = verified_key(mac);
    size_t hit = LIMIT_VERIFIED;

    for (size_t i = 0; i < LIMIT_VERIFIED; i++) /* to the end, whether it is there or not */
        hit = v->verified_keys[i] == key ? i : hit;
    if (hit == LIMIT_VERIFIED || !user)
        return false;
    struct verified *e = &v->verified[hit];
    if (!digest_equal(e->mac, mac) || e->stamp != user->stamp || is_outdated(e, now_ms))
        return false;
    e->used_ms = now_ms;
    return true;
}

static void remember_verified(struct verifier *v, const uint8_t mac[DIGEST_BYTES], uint64_t stamp,
                              uint64_t now_ms)
{
    uint64_t key = verified_key(mac);
    size_t at = 0;

    for (size_t i = 0; i < LIMIT_VERIFIED; i++) {
        if (v->verified_keys[i] == key || !v->verified_keys[i]) {
            at = i;
            break;
        }
        if (v->verified[i].used_ms < v->verified[at].used_ms)
            at = i;
    }
    v->verified_keys[at] = key;
    v->verified[at] = (struct verified){.stamp = stamp, .since_ms = now_ms, .used_ms = now_ms};
    memcpy(v->verified[at].mac, mac, DIGEST_BYTES);
}

/* --- verdicts --- */

static enum verdict busy(struct verdict_info *ret_info, unsigned retry_after_s)
{
    ret_info->retry_after_s = retry_after_s;
    return VERDICT_BUSY;
}

/* Lets in; a LOGIN gets a new session and loses the one it came with, whoever's that was. */
static enum verdict let_in(struct verifier *v, const struct credential *c, const struct user *user,
                           bool read_only, struct verify_time now, struct verdict_info *ret_info)
{
    if (c->kind == CREDENTIAL_LOGIN) {
        if (session_create(&v->sessions, user->name, user->stamp, now.wall_s,
                           ret_info->session_token, ret_info->digest) < 0)
            return busy(ret_info, 1);
        session_end(&v->sessions, c->previous);
    } else {
        credential_digest(c, ret_info->digest);
    }
    memcpy(ret_info->user, user->name.data, user->name.len);
    ret_info->read_only = read_only;
    return VERDICT_ACCEPT;
}

static enum verdict accept_without_auth(struct verifier *v, const struct credential *c,
                                        struct verdict_info *ret_info)
{
    struct span name = span_str(v->options.no_auth_user);

    memcpy(ret_info->user, name.data,
           name.len < LIMIT_USER_NAME_BYTES ? name.len : LIMIT_USER_NAME_BYTES);
    if (c->kind != CREDENTIAL_LOGIN)
        credential_digest(c, ret_info->digest);
    return VERDICT_ACCEPT;
}

const struct user *verifier_session_user(struct verifier *v, const uint8_t digest[DIGEST_BYTES],
                                         struct verify_time now)
{
    const struct session *s = session_find(&v->sessions, digest, now.wall_s);
    const struct user *user = s ? find_user(v, span_str(s->user)) : NULL;

    if (s && (!user || user->stamp != s->stamp)) {
        session_end(&v->sessions, digest); /* the password was changed while nobody looked */
        return NULL;
    }
    return user;
}

static enum verdict check_session(struct verifier *v, const struct credential *c,
                                  struct verify_time now, struct verdict_info *ret_info)
{
    uint8_t digest[DIGEST_BYTES];

    credential_digest(c, digest);
    const struct user *user = verifier_session_user(v, digest, now);
    return user ? let_in(v, c, user, user->read_only, now, ret_info) : VERDICT_REFUSE;
}

/* --- passwords to be hashed --- */

static struct pending *find_job(struct verifier *v, const uint8_t mac[DIGEST_BYTES])
{
    for (size_t i = 0; i < LIMIT_HASH_QUEUE; i++)
        if (v->jobs[i].id && digest_equal(v->jobs[i].mac, mac))
            return &v->jobs[i];
    return NULL;
}

static struct pending *find_job_by_id(struct verifier *v, uint64_t id)
{
    for (size_t i = 0; i < LIMIT_HASH_QUEUE; i++)
        if (v->jobs[i].id == id)
            return &v->jobs[i];
    return NULL;
}

static void copy_string(char *to, size_t size, struct span from)
{
    assert(from.len < size);
    memcpy(to, from.data, from.len);
    to[from.len] = '\0';
}

/* Takes a free job and describes it to the hasher. */
static void start_job(struct verifier *v, const struct credential *c, const struct user *user,
                      const uint8_t mac[DIGEST_BYTES], const struct throttle_attempt *attempt,
                      struct verdict_info *ret_info)
{
    struct pending *job = find_job_by_id(v, 0);
    struct hash_job *hash = &ret_info->job;

    assert(job);
    *job = (struct pending){
        .id = ++v->last_job_id,
        .is_for_nobody = !user,
        .stamp = user ? user->stamp : 0,
        .attempt = *attempt,
    };
    if (credential_user(c).len <= LIMIT_USER_NAME_BYTES)
        copy_string(job->user, sizeof(job->user), credential_user(c));
    memcpy(job->mac, mac, DIGEST_BYTES);
    v->job_count++;

    hash->id = job->id;
    copy_string(hash->setting, sizeof(hash->setting),
                user ? user->hash : borrowed_setting(v, credential_user(c)));
    copy_string(hash->password, sizeof(hash->password), credential_password(c));
    ret_info->job_id = job->id;
    ret_info->start_hash = true;
}

/* Asks the throttle and takes a place in the queue. When that is half full, every address has one
 * at most. */
static enum verdict begin_try(struct verifier *v, const struct throttle_attempt *attempt,
                              uint64_t now_ms, struct verdict_info *ret_info)
{
    int wait_s = throttle_check(&v->throttle, attempt, now_ms);

    if (wait_s == -EALREADY)
        return VERDICT_REFUSE;
    if (wait_s == -EBUSY)
        return busy(ret_info, 1);
    if (wait_s > 0) {
        ret_info->retry_after_s = (unsigned)wait_s;
        return VERDICT_THROTTLED;
    }
    if (v->job_count == LIMIT_HASH_QUEUE ||
        (v->job_count >= LIMIT_HASH_QUEUE / 2 && throttle_pending(&v->throttle, attempt) > 1)) {
        throttle_abandon(&v->throttle, attempt, now_ms);
        return busy(ret_info, 2); /* a full queue takes 1.3 s */
    }
    return VERDICT_WAIT;
}

static enum verdict check_password(struct verifier *v, const struct credential *c,
                                   const struct sockaddr_storage *peer, struct verify_time now,
                                   struct verdict_info *ret_info)
{
    const struct user *user = find_user(v, credential_user(c)); /* NULL goes the same way */
    uint8_t mac[DIGEST_BYTES], app_digest[DIGEST_BYTES];

    credential_mac(v, c, mac);
    if (is_verified(v, mac, user, now.mono_ms))
        return let_in(v, c, user, user->read_only, now, ret_info);
    /* Not for the login form: a session would outlive the app password's revocation. */
    if (password_app_digest(credential_password(c), app_digest) && user &&
        c->kind == CREDENTIAL_BASIC) {
        const struct app_password *app = user_find_app(user, app_digest);

        if (app) {
            ret_info->app = user_app_mark(app);
            return let_in(v, c, user, user->read_only || app->read_only, now, ret_info);
        }
    }

    const struct pending *job = find_job(v, mac);
    if (job) {
        ret_info->job_id = job->id;
        return VERDICT_WAIT;
    }
    struct throttle_attempt attempt =
        throttle_attempt(&v->throttle, peer, credential_user(c), span_of(mac, sizeof(mac)));
    enum verdict verdict = begin_try(v, &attempt, now.mono_ms, ret_info);
    if (verdict == VERDICT_WAIT)
        start_job(v, c, user, mac, &attempt, ret_info);
    return verdict;
}

enum verdict verifier_check(struct verifier *v, const struct credential *c,
                            const struct sockaddr_storage *peer, struct verify_time now,
                            struct verdict_info *ret_info)
{
    *ret_info = (struct verdict_info){0};
    if (!credential_valid(c))
        return VERDICT_REFUSE;
    if (v->options.no_auth_user)
        return accept_without_auth(v, c, ret_info);
    switch ((enum credential_kind)c->kind) {
    case CREDENTIAL_BASIC:
    case CREDENTIAL_LOGIN:
        return check_password(v, c, peer, now, ret_info);
    case CREDENTIAL_SESSION:
        return check_session(v, c, now, ret_info);
    case CREDENTIAL_NONE:
        break;
    }
    return VERDICT_REFUSE;
}

/* A result about what the user's password was is none: the client asks again. */
static enum verdict judge(const struct pending *job, enum hash_outcome outcome)
{
    if (outcome == HASH_FAILED || job->is_outdated)
        return VERDICT_BUSY;
    return outcome == HASH_MATCH && !job->is_for_nobody ? VERDICT_ACCEPT : VERDICT_REFUSE;
}

static void finish_job(struct verifier *v, struct pending *job, enum hash_outcome outcome,
                       struct verify_time now, struct hash_result *ret_result)
{
    ret_result->verdict = judge(job, outcome);
    memcpy(ret_result->mac, job->mac, DIGEST_BYTES);
    if (ret_result->verdict == VERDICT_ACCEPT) {
        remember_verified(v, job->mac, job->stamp, now.mono_ms);
        throttle_success(&v->throttle, &job->attempt, now.mono_ms);
    } else if (ret_result->verdict == VERDICT_REFUSE) {
        throttle_failure(&v->throttle, &job->attempt, now.mono_ms);
    } else {
        throttle_abandon(&v->throttle, &job->attempt, now.mono_ms);
    }
    *job = (struct pending){0};
    v->job_count--;
}

int verifier_hash_done(struct verifier *v, uint64_t job_id, enum hash_outcome outcome,
                       struct verify_time now, struct hash_result *ret_result)
{
    struct pending *job = job_id ? find_job_by_id(v, job_id) : NULL;

    if (!job)
        return -ENOENT;
    finish_job(v, job, outcome, now, ret_result);
    return 0;
}

int verifier_hash_lost(struct verifier *v, struct verify_time now, uint64_t *ret_job_id,
                       struct hash_result *ret_result)
{
    for (size_t i = 0; i < LIMIT_HASH_QUEUE; i++) {
        if (!v->jobs[i].id)
            continue;
        *ret_job_id = v->jobs[i].id;
        finish_job(v, &v->jobs[i], HASH_FAILED, now, ret_result);
        return 0;
    }
    return -ENOENT;
}

enum verdict verifier_resume(struct verifier *v, const struct hash_result *result,
                             const struct credential *c, struct verify_time now,
                             struct verdict_info *ret_info)
{
    uint8_t mac[DIGEST_BYTES];

    *ret_info = (struct verdict_info){0};
    credential_mac(v, c, mac);
    assert(digest_equal(mac, result->mac)); /* parked on the right job */
    if (result->verdict == VERDICT_REFUSE)
        return VERDICT_REFUSE;
    const struct user *user = find_user(v, credential_user(c));
    if (result->verdict != VERDICT_ACCEPT || !is_verified(v, mac, user, now.mono_ms))
        return busy(ret_info, 1);
    return let_in(v, c, user, user->read_only, now, ret_info);
}

/* --- changes --- */

/* App passwords of `old` that are gone from `new` or have other rights. */
static void revoke_lost_apps(struct verifier *v, const struct user *old, const struct user *new)
{
    for (size_t i = 0; i < old->app_count; i++) {
        const struct app_password *was = &old->apps[i], *is = user_find_app(new, was->digest);

        if (!is || is->read_only != was->read_only)
            revoke(v, &(struct revocation){.user = old->name, .app = user_app_mark(was)});
    }
}

/* What was found out about a password is of no use where its user has another one now, and nowhere
 * else: somebody who makes app passwords keeps nobody from logging in. */
static void outdate(struct verifier *v, const struct users *old)
{
    for (size_t i = 0; i < LIMIT_HASH_QUEUE; i++) {
        struct pending *job = &v->jobs[i];
        const struct user *user = find_user(v, span_str(job->user));

        if (user ? job->is_for_nobody || user->stamp != job->stamp : !job->is_for_nobody)
            job->is_outdated = true; /* also one that is free: it is made anew */
    }
    for (const struct user *is = v->users.users; is < v->users.users + v->users.count; is++) {
        const struct user *was = users_find(old, is->name);

        if (!was || was->stamp != is->stamp) {
            throttle_forget_wrong(&v->throttle);
            return;
        }
    }
}

void verifier_users_changed(struct verifier *v, struct users *users)
{
    struct users old = v->users;

    v->users = *users;
    *users = (struct users){0};
    outdate(v, &old);
    for (const struct user *was = old.users; was < old.users + old.count; was++) {
        const struct user *is = find_user(v, was->name);

        if (was->locked)
            continue;
        if (!is || is->stamp != was->stamp) {
            session_end_user(&v->sessions, was->name);
            revoke_user(v, was->name);
        } else if (is->read_only != was->read_only) {
            revoke_user(v, was->name);
        } else {
            revoke_lost_apps(v, was, is);
        }
    }
    users_finish(&old);
}

bool verifier_logout(struct verifier *v, const uint8_t digest[DIGEST_BYTES])
{
    return session_end(&v->sessions, digest);
}

void verifier_logout_everywhere(struct verifier *v, struct span user)
{
    session_end_user(&v->sessions, user);
    revoke_user(v, user);
}

void verifier_expire(struct verifier *v, struct verify_time now)
{
    session_expire(&v->sessions, now.wall_s);
    for (size_t i = 0; i < LIMIT_VERIFIED; i++) {
        if (v->verified_keys[i] && is_outdated(&v->verified[i], now.mono_ms)) {
            v->verified_keys[i] = 0;
            explicit_bzero(&v->verified[i], sizeof(v->verified[i]));
        }
    }
}

struct session_store *verifier_sessions(struct verifier *v)
{
    return &v->sessions;
}

const struct users *verifier_users(const struct verifier *v)
{
    return &v->users;
}

void hash_job_wipe(struct hash_job *job)
{
    explicit_bzero(job, sizeof(*job));
}

void verdict_info_wipe(struct verdict_info *info)
{
    explicit_bzero(info, sizeof(*info));
}
