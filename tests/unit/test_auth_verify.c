/* The monitor's verdicts over simulated time, with a hasher that is played by the test. */
#include "assert_span.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "auth/verify.h"

/* Settings are never hashed here, only handed out; stands_for() is what a hasher would find out. */
#define HASH_ALICE "$y$j9T$alicealicealicealicea$"
#define HASH_ALICE2 "$y$j9T$alicealicealicealiceb$"
#define HASH_BOB "$6$bobbobbob$"
#define APP "abcd-efgh-ijkl-mnop-qrst-uvwx-yz23"

static const struct {
    const char *setting, *password;
} secrets[] = {
    {HASH_ALICE, "sesame"},
    {HASH_ALICE2, "new sesame"},
    {HASH_BOB, "builder"},
};

struct world {
    struct verifier *v;
    struct verify_time now;
    struct verdict_info info;
    uint64_t revoked_app; /* of the last one */
    unsigned hashes;      /* jobs started */
    char revoked[4096];   /* for each: "user ", "user# " (a session), "user/ " (an app password) */
};

static void note_revocation(const struct revocation *r, void *context)
{
    struct world *w = context;
    size_t len = strlen(w->revoked);

    w->revoked_app = r->app;
    snprintf(w->revoked + len, sizeof(w->revoked) - len, "%.*s%s ", SPAN_ARG(r->user),
             r->digest ? "#"
             : r->app  ? "/"
                       : "");
}

static struct users users_of(const char *text)
{
    struct users users;
    struct users_error error;

    if (users_parse(span_str(text), &users, &error) < 0)
        fail_msg("line %u: %s", error.line, error.what);
    return users;
}

/* The usual users: alice with an app password that may only read, bob who may only read, locked
 * carl. */
static const char *usual_users(void)
{
    static char text[512];
    uint8_t digest[DIGEST_BYTES];
    char hex[2 * DIGEST_BYTES];

    password_app_digest(SPAN(APP), digest);
    digest_to_hex(digest, hex);
    snprintf(text, sizeof(text),
             "alice:" HASH_ALICE "\nalice/tv:{SHA256}%.64s:ro\nbob:" HASH_BOB ":ro\n"
             "carl:!" HASH_BOB "\n",
             hex);
    return text;
}

static struct world *world_with(const char *text, const char *no_auth_user)
{
    struct world *w = calloc(1, sizeof(*w));
    struct users users = users_of(text);
    struct verifier_options options = {no_auth_user, note_revocation, w};

    assert_int_equal(verifier_create(&options, &users, &w->v), 0);
    assert_null(users.text);
    w->now = (struct verify_time){1000, 1700000000};
    return w;
}

static int make_world(void **state)
{
    *state = world_with(usual_users(), NULL);
    return 0;
}

static int free_world(void **state)
{
    struct world *w = *state;

    verifier_destroy(w->v);
    free(w);
    return 0;
}

static void pass_time(struct world *w, unsigned seconds)
{
    w->now.mono_ms += seconds * 1000ul;
    w->now.wall_s += seconds;
}

static struct sockaddr_storage peer_number(uint32_t i)
{
    struct sockaddr_storage ss = {.ss_family = AF_INET};

    ((struct sockaddr_in *)&ss)->sin_addr.s_addr = htonl(0x0a000000 + i);
    return ss;
}

static struct credential password_of(enum credential_kind kind, const char *user,
                                     const char *password)
{
    struct credential c;

    assert_int_equal(
        credential_from_login(span_str(user), span_str(password), (struct span){0}, &c), 0);
    c.kind = (uint8_t)kind;
    return c;
}

static struct credential session_of(const char *token)
{
    struct credential c;

    assert_int_equal(credential_from_fields((struct span){0}, span_str(token), &c), 0);
    assert_int_equal(c.kind, CREDENTIAL_SESSION);
    return c;
}

static enum verdict check(struct world *w, const struct credential *c, uint32_t peer)
{
    struct sockaddr_storage ss = peer_number(peer);
    enum verdict verdict = verifier_check(w->v, c, &ss, w->now, &w->info);

    w->hashes += w->info.start_hash;
    if (verdict == VERDICT_BUSY || verdict == VERDICT_THROTTLED)
        assert_true(w->info.retry_after_s > 0);
    return verdict;
}

static enum hash_outcome stands_for(const struct hash_job *job)
{
    for (size_t i = 0; i < COUNT(secrets); i++)
        if (strcmp(job->setting, secrets[i].setting) == 0)
            return strcmp(job->password, secrets[i].password) == 0 ? HASH_MATCH : HASH_MISMATCH;
    return HASH_MISMATCH;
}

/* A check with a hasher that answers at once. */
static enum verdict ask(struct world *w, const struct credential *c, uint32_t peer)
{
    struct hash_result result;
    enum verdict verdict = check(w, c, peer);

    if (verdict != VERDICT_WAIT)
        return verdict;
    assert_true(w->info.start_hash);
    assert_int_equal(w->info.job.id, w->info.job_id);
    enum hash_outcome outcome = stands_for(&w->info.job);
    assert_int_equal(verifier_hash_done(w->v, w->info.job_id, outcome, w->now, &result), 0);
    return verifier_resume(w->v, &result, c, w->now, &w->info);
}

static enum verdict ask_basic(struct world *w, const char *user, const char *password,
                              uint32_t peer)
{
    struct credential c = password_of(CREDENTIAL_BASIC, user, password);

    return ask(w, &c, peer);
}

static struct credential log_in(struct world *w, const char *user, const char *password)
{
    struct credential c = password_of(CREDENTIAL_LOGIN, user, password);

    assert_int_equal(ask(w, &c, 1), VERDICT_ACCEPT);
    return session_of(w->info.session_token);
}

static void change_users(struct world *w, const char *text)
{
    struct users users = users_of(text);

    w->revoked[0] = '\0';
    verifier_users_changed(w->v, &users);
}

/* --- what is let in --- */

static void a_right_password_is_hashed_once(void **state)
{
    struct world *w = *state;
    struct credential c = password_of(CREDENTIAL_BASIC, "alice", "sesame");
    uint8_t digest[DIGEST_BYTES];

    credential_digest(&c, digest);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(ask(w, &c, 1 + (uint32_t)i), VERDICT_ACCEPT);
        assert_string_equal(w->info.user, "alice");
        assert_false(w->info.read_only);
        assert_true(digest_equal(w->info.digest, digest));
        assert_string_equal(w->info.session_token, "");
    }
    assert_int_equal(w->hashes, 1);
    assert_int_equal(ask_basic(w, "bob", "builder", 1), VERDICT_ACCEPT);
    assert_true(w->info.read_only);
}

static void verified_passwords_are_forgotten(void **state)
{
    struct world *w = *state;

    assert_int_equal(ask_basic(w, "alice", "sesame", 1), VERDICT_ACCEPT);
    pass_time(w, LIMIT_VERIFIED_IDLE_S);
    assert_int_equal(ask_basic(w, "alice", "sesame", 1), VERDICT_ACCEPT);
    assert_int_equal(w->hashes, 2);
    for (int i = 0; i < LIMIT_VERIFIED_S; i += 60) {
        assert_int_equal(ask_basic(w, "alice", "sesame", 1), VERDICT_ACCEPT);
        assert_int_equal(w->hashes, 2);
        pass_time(w, 60);
        verifier_expire(w->v, w->now);
    }
    assert_int_equal(ask_basic(w, "alice", "sesame", 1), VERDICT_ACCEPT);
    assert_int_equal(w->hashes, 3);
}

static void what_is_wrong_is_refused(void **state)
{
    static const struct {
        const char *user, *password;
    } cases[] = {
        {"alice", "Sesame"},    {"alice", ""},        {"", ""},
        {"alic", "sesame"},     {"alice2", "sesame"}, {"bob", "sesame"},
        {"carl", "builder"},   /* locked */
        {"mallory", "sesame"}, /* unknown: borrowed settings must never let in */
        {"mallory", "builder"}, {"x", "sesame"},      {"y", "sesame"},
        {"z", "sesame"},        {"x", "builder"},     {"y", "builder"},
        {"z", "builder"},
    };
    struct world *w = *state;

    for (size_t i = 0; i < COUNT(cases); i++)
        if (ask_basic(w, cases[i].user, cases[i].password, (uint32_t)i) != VERDICT_REFUSE)
            fail_msg("%s:%s", cases[i].user, cases[i].password);
    assert_int_equal(w->hashes, COUNT(cases));

    struct credential none = {.kind = CREDENTIAL_NONE}, nonsense = {.kind = 99};
    assert_int_equal(check(w, &none, 1), VERDICT_REFUSE);
    assert_int_equal(check(w, &nonsense, 1), VERDICT_REFUSE);
}

/* Known, unknown and locked users go through the same steps, and their hashes cost the same. */
static void an_unknown_user_looks_like_a_known_one(void **state)
{
    static const char *const names[] = {"alice", "mallory", "carl", "", "nobody"};
    struct world *w = *state;
    struct hash_result result;

    for (size_t i = 0; i < COUNT(names); i++) {
        struct credential c = password_of(CREDENTIAL_BASIC, names[i], "x");

        for (int turn = 0; turn < 2; turn++) { /* the second from elsewhere */
            assert_int_equal(check(w, &c, (uint32_t)(2 * i) + (uint32_t)turn), VERDICT_WAIT);
            assert_true(w->info.start_hash);
            assert_string_equal(w->info.job.password, "x");
            assert_true(strcmp(w->info.job.setting, HASH_ALICE) == 0 ||
                        strcmp(w->info.job.setting, HASH_BOB) == 0);
            assert_int_equal(
                verifier_hash_done(w->v, w->info.job_id, HASH_MISMATCH, w->now, &result), 0);
            assert_int_equal(verifier_resume(w->v, &result, &c, w->now, &w->info), VERDICT_REFUSE);
        }
        assert_int_equal(check(w, &c, (uint32_t)(2 * i)), VERDICT_REFUSE); /* known to be wrong */
    }
}

static void without_users_the_dummy_is_hashed(void **state)
{
    struct world *w = world_with("", NULL);
    struct credential c = password_of(CREDENTIAL_BASIC, "alice", "x");

    (void)state;
    assert_int_equal(check(w, &c, 1), VERDICT_WAIT);
    assert_int_equal(strncmp(w->info.job.setting, "$y$", 3), 0);
    assert_int_equal(password_verify(w->info.job.password, w->info.job.setting), 0);
    void *world = w;
    free_world(&world);
}

static void app_passwords_need_no_hash(void **state)
{
    struct world *w = *state;

    assert_int_equal(ask_basic(w, "alice", APP, 1), VERDICT_ACCEPT);
    assert_true(w->info.read_only);
    assert_int_equal(w->hashes, 0);
    assert_int_equal(ask_basic(w, "bob", APP, 1), VERDICT_REFUSE);
    assert_int_equal(ask_basic(w, "mallory", APP, 1), VERDICT_REFUSE);
    struct credential login = password_of(CREDENTIAL_LOGIN, "alice", APP);
    assert_int_equal(ask(w, &login, 1), VERDICT_REFUSE); /* the form wants the real one */
    assert_int_equal(w->hashes, 3);
}

static void without_auth_everybody_is_let_in(void **state)
{
    struct world *w = world_with("", "anonymous");
    struct credential none = {.kind = CREDENTIAL_NONE}, nonsense = {.kind = 99};
    uint8_t zero[DIGEST_BYTES] = {0};

    (void)state;
    assert_int_equal(check(w, &none, 1), VERDICT_ACCEPT);
    assert_string_equal(w->info.user, "anonymous");
    assert_true(digest_equal(w->info.digest, zero));
    assert_int_equal(ask_basic(w, "a", "b", 1), VERDICT_ACCEPT);
    assert_false(digest_equal(w->info.digest, zero));
    assert_int_equal(check(w, &nonsense, 1), VERDICT_REFUSE);
    assert_int_equal(w->hashes, 0);
    void *world = w;
    free_world(&world);
}

/* --- hash jobs --- */

static void a_thousand_connections_cost_one_hash(void **state)
{
    struct world *w = *state;
    struct credential basic = password_of(CREDENTIAL_BASIC, "alice", "sesame");
    struct credential login = password_of(CREDENTIAL_LOGIN, "alice", "sesame");
    struct hash_result result;

    assert_int_equal(check(w, &basic, 0), VERDICT_WAIT);
    uint64_t id = w->info.job_id;
    for (uint32_t i = 1; i < 1000; i++) {
        assert_int_equal(check(w, i % 2 ? &login : &basic, i % 3), VERDICT_WAIT);
        assert_int_equal(w->info.job_id, id);
        assert_false(w->info.start_hash);
    }
    assert_int_equal(verifier_hash_done(w->v, id, HASH_MATCH, w->now, &result), 0);
    assert_int_equal(verifier_hash_done(w->v, id, HASH_MATCH, w->now, &result), -ENOENT);
    assert_int_equal(verifier_resume(w->v, &result, &basic, w->now, &w->info), VERDICT_ACCEPT);
    char first[CREDENTIAL_TOKEN_CHARS + 1];
    assert_int_equal(verifier_resume(w->v, &result, &login, w->now, &w->info), VERDICT_ACCEPT);
    memcpy(first, w->info.session_token, sizeof(first));
    assert_int_equal(verifier_resume(w->v, &result, &login, w->now, &w->info), VERDICT_ACCEPT);
    assert_string_not_equal(first, w->info.session_token); /* each has a session of its own */
    assert_int_equal(w->hashes, 1);
}

static void a_full_queue_is_busy(void **state)
{
    struct world *w = *state;
    char password[16];
    unsigned started = 0;

    /* One address gets its free tries, others still get in, and one place each when it is half
     * full. */
    for (uint32_t i = 0; i < 1000; i++) {
        snprintf(password, sizeof(password), "p%u", i);
        struct credential c = password_of(CREDENTIAL_BASIC, "alice", password);
        enum verdict verdict = check(w, &c, 1);
        assert_true(verdict == VERDICT_WAIT || verdict == VERDICT_BUSY);
        started += verdict == VERDICT_WAIT;
    }
    assert_int_equal(started, LIMIT_THROTTLE_FREE);
    for (uint32_t i = 1000; started < LIMIT_HASH_QUEUE / 2; i++, started++) {
        snprintf(password, sizeof(password), "p%u", i);
        struct credential c = password_of(CREDENTIAL_BASIC, "alice", password);
        assert_int_equal(check(w, &c, i / 4), VERDICT_WAIT);
    }
    struct credential a = password_of(CREDENTIAL_BASIC, "x", "a");
    struct credential b = password_of(CREDENTIAL_BASIC, "x", "b");
    assert_int_equal(check(w, &a, 5000), VERDICT_WAIT);
    assert_int_equal(check(w, &b, 5000), VERDICT_BUSY);
    for (uint32_t i = 0; i < LIMIT_HASH_QUEUE / 2 - 1; i++) {
        snprintf(password, sizeof(password), "q%u", i);
        struct credential c = password_of(CREDENTIAL_BASIC, "x", password);
        assert_int_equal(check(w, &c, 6000 + i), VERDICT_WAIT);
    }
    struct credential owner = password_of(CREDENTIAL_BASIC, "alice", "sesame");
    assert_int_equal(check(w, &owner, 7000), VERDICT_BUSY);

    /* The hasher dies: every job is given back, nothing counts as a failure. */
    struct hash_result result;
    uint64_t id;
    unsigned lost = 0;
    for (; verifier_hash_lost(w->v, w->now, &id, &result) == 0; lost++)
        assert_int_equal(result.verdict, VERDICT_BUSY);
    assert_int_equal(lost, LIMIT_HASH_QUEUE);
}

static void a_hash_that_failed_is_no_failure(void **state)
{
    struct world *w = *state;
    struct credential c = password_of(CREDENTIAL_BASIC, "alice", "sesame");
    struct hash_result result;

    for (int i = 0; i < 100; i++) {
        assert_int_equal(check(w, &c, 1), VERDICT_WAIT);
        assert_int_equal(verifier_hash_done(w->v, w->info.job_id, HASH_FAILED, w->now, &result), 0);
        assert_int_equal(verifier_resume(w->v, &result, &c, w->now, &w->info), VERDICT_BUSY);
        assert_true(w->info.retry_after_s > 0);
    }
    assert_int_equal(ask(w, &c, 1), VERDICT_ACCEPT);
}

static void a_change_while_hashing_voids_the_result(void **state)
{
    struct world *w = *state;
    struct credential old = password_of(CREDENTIAL_BASIC, "alice", "sesame");
    struct credential new = password_of(CREDENTIAL_BASIC, "dora", "sesame");
    struct hash_result result;

    assert_int_equal(check(w, &old, 1), VERDICT_WAIT);
    uint64_t old_id = w->info.job_id;
    assert_int_equal(check(w, &new, 2), VERDICT_WAIT);
    uint64_t new_id = w->info.job_id;
    change_users(w, "alice:" HASH_ALICE2 "\ndora:" HASH_ALICE "\n");
    assert_int_equal(verifier_hash_done(w->v, old_id, HASH_MATCH, w->now, &result), 0);
    assert_int_equal(verifier_resume(w->v, &result, &old, w->now, &w->info), VERDICT_BUSY);
    assert_int_equal(ask(w, &old, 1), VERDICT_REFUSE);
    /* dora did not exist when her password was hashed: nothing is remembered against it. */
    assert_int_equal(verifier_hash_done(w->v, new_id, HASH_MISMATCH, w->now, &result), 0);
    assert_int_equal(verifier_resume(w->v, &result, &new, w->now, &w->info), VERDICT_BUSY);
    assert_int_equal(ask(w, &new, 2), VERDICT_ACCEPT);
}

static void a_change_of_others_does_not_disturb_a_hash(void **state)
{
    struct world *w = *state;
    struct credential alice = password_of(CREDENTIAL_BASIC, "alice", "sesame");
    struct credential nobody = password_of(CREDENTIAL_BASIC, "nobody", "sesame");
    struct hash_result result;

    assert_int_equal(check(w, &alice, 1), VERDICT_WAIT);
    uint64_t alices_id = w->info.job_id;
    assert_int_equal(check(w, &nobody, 2), VERDICT_WAIT);
    uint64_t nobodys_id = w->info.job_id;
    change_users(w, "alice:" HASH_ALICE "\nbob:" HASH_ALICE2 "\ndora:" HASH_BOB "\n");
    assert_int_equal(verifier_hash_done(w->v, alices_id, HASH_MATCH, w->now, &result), 0);
    assert_int_equal(verifier_resume(w->v, &result, &alice, w->now, &w->info), VERDICT_ACCEPT);
    assert_int_equal(verifier_hash_done(w->v, nobodys_id, HASH_MISMATCH, w->now, &result), 0);
    assert_int_equal(verifier_resume(w->v, &result, &nobody, w->now, &w->info), VERDICT_REFUSE);
}

/* --- throttle --- */

static void guessing_is_held_back_but_not_who_is_known(void **state)
{
    struct world *w = *state;
    struct credential session = log_in(w, "alice", "sesame");
    unsigned refused = 0, throttled = 0;
    char password[16];

    for (int i = 0; i < 600; i++, w->now.mono_ms += 100) {
        snprintf(password, sizeof(password), "guess%d", i);
        enum verdict verdict = ask_basic(w, "alice", password, 1);

        refused += verdict == VERDICT_REFUSE;
        throttled += verdict == VERDICT_THROTTLED;
        assert_int_equal(ask_basic(w, "alice", "sesame", 1), VERDICT_ACCEPT); /* verified before */
        assert_int_equal(ask_basic(w, "alice", APP, 1), VERDICT_ACCEPT);
        assert_int_equal(check(w, &session, 1), VERDICT_ACCEPT);
    }
    assert_in_range(refused, 5, 10);
    assert_int_equal(refused + throttled, 600);
    assert_int_equal(ask_basic(w, "bob", "builder", 1), VERDICT_THROTTLED); /* same address */
    assert_int_equal(ask_basic(w, "bob", "builder", 2), VERDICT_ACCEPT);
}

static void a_phone_with_an_old_password_locks_nobody_out(void **state)
{
    struct world *w = *state;

    for (int i = 0; i < 1000; i++, pass_time(w, 5))
        assert_int_equal(ask_basic(w, "alice", "old sesame", 1), VERDICT_REFUSE);
    assert_int_equal(w->hashes, 1);
    assert_int_equal(ask_basic(w, "alice", "sesame", 1), VERDICT_ACCEPT);
}

static void a_password_that_becomes_right_is_accepted(void **state)
{
    struct world *w = *state;

    assert_int_equal(ask_basic(w, "alice", "new sesame", 1), VERDICT_REFUSE);
    change_users(w, "alice:" HASH_ALICE2 "\n");
    assert_int_equal(ask_basic(w, "alice", "new sesame", 1), VERDICT_ACCEPT);
}

/* --- sessions --- */

static void a_login_opens_a_session(void **state)
{
    struct world *w = *state;
    struct credential session = log_in(w, "bob", "builder");
    uint8_t digest[DIGEST_BYTES];

    assert_string_equal(w->info.user, "bob");
    assert_true(w->info.read_only);
    credential_digest(&session, digest);
    assert_true(
        digest_equal(w->info.digest, digest)); /* home binds to the session, not the password */
    assert_int_equal(check(w, &session, 9), VERDICT_ACCEPT);
    assert_string_equal(w->info.user, "bob");
    assert_true(w->info.read_only);
    assert_true(digest_equal(w->info.digest, digest));

    assert_true(verifier_logout(w->v, digest));
    assert_string_equal(w->revoked, "bob# ");
    assert_false(verifier_logout(w->v, digest));
    assert_int_equal(check(w, &session, 9), VERDICT_REFUSE);
}

static void a_login_ends_the_session_it_came_with(void **state)
{
    struct world *w = *state;
    struct credential first = log_in(w, "alice", "sesame");
    struct credential login;
    struct span token = span_of(first.bytes, first.len);

    assert_int_equal(credential_from_login(SPAN("alice"), SPAN("wrong"), token, &login), 0);
    assert_int_equal(ask(w, &login, 1), VERDICT_REFUSE);
    assert_int_equal(check(w, &first, 1), VERDICT_ACCEPT);
    assert_int_equal(credential_from_login(SPAN("alice"), SPAN("sesame"), token, &login), 0);
    assert_int_equal(ask(w, &login, 1), VERDICT_ACCEPT);
    struct credential second = session_of(w->info.session_token);
    assert_string_equal(w->revoked, "alice# ");
    assert_int_equal(check(w, &first, 1), VERDICT_REFUSE);
    assert_int_equal(check(w, &second, 1), VERDICT_ACCEPT);
}

static void logging_out_everywhere_ends_all_sessions(void **state)
{
    struct world *w = *state;
    struct credential a = log_in(w, "alice", "sesame"), b = log_in(w, "alice", "sesame");
    struct credential bob = log_in(w, "bob", "builder");

    verifier_logout_everywhere(w->v, SPAN("alice"));
    assert_string_equal(w->revoked, "alice# alice# alice ");
    assert_int_equal(check(w, &a, 1), VERDICT_REFUSE);
    assert_int_equal(check(w, &b, 1), VERDICT_REFUSE);
    assert_int_equal(check(w, &bob, 1), VERDICT_ACCEPT);
}

static void a_session_says_whose_it_is(void **state)
{
    struct world *w = *state;
    struct credential alice = log_in(w, "alice", "sesame"), bob = log_in(w, "bob", "builder");
    struct credential basic = password_of(CREDENTIAL_BASIC, "alice", "sesame");
    uint8_t digest[DIGEST_BYTES];

    credential_digest(&alice, digest);
    const struct user *user = verifier_session_user(w->v, digest, w->now);
    assert_non_null(user);
    assert_span(user->name, "alice");
    assert_int_equal(user->app_count, 1);
    credential_digest(&bob, digest);
    assert_span(verifier_session_user(w->v, digest, w->now)->name, "bob");
    assert_true(verifier_logout(w->v, digest));
    assert_null(verifier_session_user(w->v, digest, w->now));
    credential_digest(&basic, digest); /* verified, but no session */
    assert_int_equal(check(w, &basic, 1), VERDICT_ACCEPT);
    assert_null(verifier_session_user(w->v, digest, w->now));
    credential_digest(&alice, digest);
    change_users(w, "alice:" HASH_ALICE2 "\n");
    assert_null(verifier_session_user(w->v, digest, w->now));
}

static void a_session_of_an_old_password_is_void_after_a_restart(void **state)
{
    struct world *w = *state,
                 *after = world_with("alice:" HASH_ALICE2 "\nbob:" HASH_BOB "\n", NULL);
    struct credential alice = log_in(w, "alice", "sesame"), bob = log_in(w, "bob", "builder");
    struct buf text;

    buf_init_growing(&text, 4096);
    session_store_print(verifier_sessions(w->v), &text);
    assert_int_equal(
        session_store_parse(verifier_sessions(after->v), buf_span(&text), w->now.wall_s), 0);
    buf_finish(&text);
    assert_int_equal(check(after, &alice, 1), VERDICT_REFUSE);
    assert_int_equal(check(after, &bob, 1), VERDICT_ACCEPT);
    assert_false(after->info.read_only); /* looked up, not stored */
    void *world = after;
    free_world(&world);
}

/* --- changes of the users file --- */

static void changes_revoke_what_they_must(void **state)
{
    static const struct {
        const char *before, *after, *revoked;
        bool session_lives;
    } cases[] = {
        {"alice:" HASH_ALICE "\n", "alice:" HASH_ALICE "\n", "", true},
        {"alice:" HASH_ALICE "\n", "# x\nbob:" HASH_BOB "\nalice:" HASH_ALICE "\n", "", true},
        {"alice:" HASH_ALICE "\n", "alice:" HASH_ALICE ":ro\n", "alice ", true},
        {"alice:" HASH_ALICE "\n", "alice:" HASH_ALICE2 "\n", "alice# alice ", false},
        {"alice:" HASH_ALICE "\n", "", "alice# alice ", false},
        {"alice:" HASH_ALICE "\n", "alice:!" HASH_ALICE "\n", "alice# alice ", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct world *w = world_with(cases[i].before, NULL);
        struct credential session = log_in(w, "alice", "sesame");
        unsigned hashes = w->hashes;

        change_users(w, cases[i].after);
        assert_string_equal(w->revoked, cases[i].revoked);
        assert_int_equal(check(w, &session, 1),
                         cases[i].session_lives ? VERDICT_ACCEPT : VERDICT_REFUSE);
        ask_basic(w, "alice", "sesame", 1);
        assert_int_equal(w->hashes - hashes, cases[i].session_lives ? 0 : 1);
        void *world = w;
        free_world(&world);
    }
}

static void a_revoked_app_password_closes_connections_only(void **state)
{
    struct world *w = *state;
    struct credential session = log_in(w, "alice", "sesame");

    assert_int_equal(ask_basic(w, "alice", "sesame", 1), VERDICT_ACCEPT);
    assert_int_equal(w->info.app, 0);
    assert_int_equal(ask_basic(w, "alice", APP, 1), VERDICT_ACCEPT);
    uint64_t app = w->info.app;
    assert_int_not_equal(app, 0);
    change_users(w, "alice:" HASH_ALICE "\nbob:" HASH_BOB ":ro\n");
    assert_string_equal(w->revoked, "alice/ ");
    assert_int_equal(w->revoked_app, app);
    assert_int_equal(ask_basic(w, "alice", APP, 1), VERDICT_REFUSE);
    assert_int_equal(check(w, &session, 1), VERDICT_ACCEPT);
    change_users(w, usual_users()); /* a new one disturbs nobody */
    assert_string_equal(w->revoked, "");
    assert_int_equal(ask_basic(w, "alice", APP, 1), VERDICT_ACCEPT);
}

static void secrets_are_wiped(void **state)
{
    struct world *w = *state;
    struct credential c = password_of(CREDENTIAL_BASIC, "alice", "sesame");
    static const struct verdict_info zero;

    assert_int_equal(check(w, &c, 1), VERDICT_WAIT);
    assert_string_equal(w->info.job.password, "sesame");
    verdict_info_wipe(&w->info);
    assert_memory_equal(&w->info, &zero, sizeof(zero));
    credential_wipe(&c);
    assert_int_equal(c.len, 0);
}

int main(void)
{
#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, make_world, free_world)
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_right_password_is_hashed_once),
        WORLD_TEST(verified_passwords_are_forgotten),
        WORLD_TEST(what_is_wrong_is_refused),
        WORLD_TEST(an_unknown_user_looks_like_a_known_one),
        cmocka_unit_test(without_users_the_dummy_is_hashed),
        WORLD_TEST(app_passwords_need_no_hash),
        cmocka_unit_test(without_auth_everybody_is_let_in),
        WORLD_TEST(a_thousand_connections_cost_one_hash),
        WORLD_TEST(a_full_queue_is_busy),
        WORLD_TEST(a_hash_that_failed_is_no_failure),
        WORLD_TEST(a_change_while_hashing_voids_the_result),
        WORLD_TEST(a_change_of_others_does_not_disturb_a_hash),
        WORLD_TEST(guessing_is_held_back_but_not_who_is_known),
        WORLD_TEST(a_phone_with_an_old_password_locks_nobody_out),
        WORLD_TEST(a_password_that_becomes_right_is_accepted),
        WORLD_TEST(a_login_opens_a_session),
        WORLD_TEST(a_login_ends_the_session_it_came_with),
        WORLD_TEST(logging_out_everywhere_ends_all_sessions),
        WORLD_TEST(a_session_says_whose_it_is),
        WORLD_TEST(a_session_of_an_old_password_is_void_after_a_restart),
        cmocka_unit_test(changes_revoke_what_they_must),
        WORLD_TEST(a_revoked_app_password_closes_connections_only),
        WORLD_TEST(secrets_are_wiped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
