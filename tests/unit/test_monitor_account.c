/* Questions about accounts in the monitor, good, bad and forged. The clerk is played here. */
#include "assert_span.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "monitor/account.h"

#define DIGITS "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"

enum { ANSWERS_MAX = LIMIT_ACCOUNT_CHANGES + 8 };

struct world {
    struct account account;
    struct verify_time now;
    struct credential alice, bob;
    const char *users; /* what the file has when it is read again; NULL: it cannot be read */
    struct clerk_job job;
    unsigned jobs, kills, reloads;
    int start_result;
    struct message_account_answer answers[ANSWERS_MAX];
    struct account_source to[ANSWERS_MAX];
    unsigned answer_count;
};

static int start_clerk(const struct clerk_job *job, void *context)
{
    struct world *w = context;

    w->job = *job;
    w->jobs++;
    return w->start_result;
}

static void kill_clerk(void *context)
{
    ((struct world *)context)->kills++;
}

static struct users users_of(const char *text)
{
    struct users users;
    struct users_error error;

    assert_int_equal(users_parse(span_str(text), &users, &error), 0);
    return users;
}

static int reload_users(void *context)
{
    struct world *w = context;

    w->reloads++;
    if (!w->users)
        return -EBADMSG;
    struct users users = users_of(w->users);
    verifier_users_changed(w->account.verifier, &users);
    return 0;
}

static void take_answer(struct account_source to, const struct message_account_answer *answer,
                        void *context)
{
    struct world *w = context;

    assert_true(w->answer_count < ANSWERS_MAX);
    w->to[w->answer_count] = to;
    w->answers[w->answer_count++] = *answer;
}

#define HASH "$y$j9T$0123456789012345678901$abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ"

static struct credential session_of(struct world *w, const char *user)
{
    char token[CREDENTIAL_TOKEN_CHARS + 1];
    uint8_t digest[DIGEST_BYTES];
    struct credential session;
    const struct user *u = users_find(verifier_users(w->account.verifier), span_str(user));

    assert_non_null(u);
    assert_int_equal(session_create(verifier_sessions(w->account.verifier), u->name, u->stamp,
                                    w->now.wall_s, token, digest),
                     0);
    assert_int_equal(credential_from_fields(span_of(NULL, 0), span_str(token), &session), 0);
    return session;
}

static int set_up(void **state)
{
    static const struct verifier_options options = {0};
    static const char text[] =
        "alice:" HASH "\nalice/tv:{SHA256}" DIGITS "1:ro\nalice/a b:{SHA256}" DIGITS "2\nbob:" HASH
        ":ro\nbob/x:{SHA256}" DIGITS "3\n";
    struct world *w = calloc(1, sizeof(*w));
    struct users users = users_of(text);

    assert_non_null(w);
    w->users = text;
    w->now = (struct verify_time){1000, 1000};
    w->account = (struct account){
        .users_path = "/etc/fastfile/users",
        .home_life = 7,
        .start_clerk = start_clerk,
        .kill_clerk = kill_clerk,
        .reload_users = reload_users,
        .answer = take_answer,
        .context = w,
    };
    assert_int_equal(verifier_create(&options, &users, &w->account.verifier), 0);
    account_init(&w->account);
    w->alice = session_of(w, "alice");
    w->bob = session_of(w, "bob");
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    account_finish(&w->account);
    verifier_destroy(w->account.verifier);
    free(w);
    return 0;
}

static struct message_account message(const struct credential *who, enum account_action action,
                                      const char *label)
{
    static uint64_t token = 100;
    struct message_account m = {.token = ++token, .action = (uint8_t)action};

    credential_digest(who, m.digest);
    memcpy(m.label, label, strlen(label));
    return m;
}

static int give(struct world *w, const struct message_account *m)
{
    const char *why = NULL;
    int r = account_message(&w->account, (struct account_source){1, 7}, span_of(m, sizeof(*m)),
                            w->now, &why);

    assert_true((r == 0) == (why == NULL));
    return r;
}

static uint64_t put(struct world *w, const struct credential *who, enum account_action action,
                    const char *label)
{
    struct message_account m = message(who, action, label);

    assert_int_equal(give(w, &m), 0);
    return m.token;
}

static void end_clerk(struct world *w, int result)
{
    struct clerk_answer answer = {.result = result, .password = "abcd-efgh"};

    account_clerk_ended(&w->account, &answer, w->now);
}

/* The next answer is this; returns it. */
static const struct message_account_answer *answered(struct world *w, unsigned number,
                                                     uint64_t token, int result)
{
    assert_int_equal(w->answer_count, number + 1);
    assert_int_equal(w->to[number].ring, 1);
    assert_int_equal(w->to[number].life, 7);
    assert_int_equal(w->answers[number].token, token);
    assert_int_equal(w->answers[number].result, result);
    return &w->answers[number];
}

static void each_sees_what_is_theirs(void **state)
{
    struct world *w = *state;
    const struct message_account_answer *a = answered(w, 0, put(w, &w->alice, ACCOUNT_LIST, ""), 0);

    assert_int_equal(a->app_count, 2);
    assert_string_equal(a->apps[0].label, "a b");
    assert_false(a->apps[0].read_only);
    assert_string_equal(a->apps[1].label, "tv");
    assert_true(a->apps[1].read_only);
    a = answered(w, 1, put(w, &w->bob, ACCOUNT_LIST, ""), 0);
    assert_int_equal(a->app_count, 1);
    assert_string_equal(a->apps[0].label, "x");
    assert_true(a->apps[0].read_only); /* as bob is */
    assert_int_equal(w->jobs + w->reloads, 0);
}

static void what_is_made_is_in_force_before_it_is_told(void **state)
{
    struct world *w = *state;
    uint64_t token = put(w, &w->bob, ACCOUNT_ADD, "phone");

    assert_int_equal(w->answer_count, 0);
    assert_int_equal(w->jobs, 1);
    assert_string_equal(w->job.path, "/etc/fastfile/users");
    assert_string_equal(w->job.user, "bob");
    assert_string_equal(w->job.label, "phone");
    assert_int_equal(w->job.action, CLERK_ADD_APP);
    assert_false(w->job.read_only);
    end_clerk(w, 0);
    assert_int_equal(w->reloads, 1);
    assert_string_equal(answered(w, 0, token, 0)->password, "abcd-efgh");
    assert_int_equal(account_run_due(&w->account, w->now), ACCOUNT_NOTHING_DUE);
}

static void what_is_removed_has_no_password(void **state)
{
    struct world *w = *state;
    uint64_t token = put(w, &w->alice, ACCOUNT_REMOVE, "tv");

    assert_int_equal(w->job.action, CLERK_REMOVE_APP);
    end_clerk(w, 0);
    assert_string_equal(answered(w, 0, token, 0)->password, "");
}

static void a_failure_is_told_without_a_password(void **state)
{
    struct world *w = *state;
    static const int results[] = {-EEXIST, -ENOENT, -E2BIG, -EACCES, -ENOSPC, -EIO};

    for (unsigned i = 0; i < COUNT(results); i++) {
        uint64_t token = put(w, &w->alice, ACCOUNT_ADD, "phone");
        end_clerk(w, results[i]);
        assert_string_equal(answered(w, i, token, results[i])->password, "");
    }
    w->users = NULL; /* written, but not to be read: who has the password could not use it */
    uint64_t token = put(w, &w->alice, ACCOUNT_ADD, "phone");
    end_clerk(w, 0);
    assert_string_equal(answered(w, COUNT(results), token, -EIO)->password, "");
    w->start_result = -ENOMEM;
    token = put(w, &w->alice, ACCOUNT_ADD, "phone");
    answered(w, COUNT(results) + 1, token, -ENOMEM);
}

static void only_a_session_says_who_it_is(void **state)
{
    struct world *w = *state;
    struct credential c;

    assert_int_equal(credential_from_login(SPAN("alice"), SPAN("sesame"), span_of(NULL, 0), &c), 0);
    c.kind = CREDENTIAL_BASIC;
    answered(w, 0, put(w, &c, ACCOUNT_LIST, ""), -ENOKEY);
    answered(w, 1, put(w, &c, ACCOUNT_ADD, "x"), -ENOKEY);
    answered(w, 2, put(w, &c, ACCOUNT_REMOVE, "tv"), -ENOKEY);
    assert_int_equal(w->jobs, 0);
}

static void changes_wait_for_each_other(void **state)
{
    struct world *w = *state;
    uint64_t first = put(w, &w->alice, ACCOUNT_ADD, "1");
    uint64_t second = put(w, &w->bob, ACCOUNT_ADD, "2");
    uint64_t third = put(w, &w->alice, ACCOUNT_ADD, "3");

    assert_int_equal(w->jobs, 1);
    answered(w, 0, put(w, &w->bob, ACCOUNT_LIST, ""), 0); /* this does not */
    end_clerk(w, 0);
    answered(w, 1, first, 0);
    assert_int_equal(w->jobs, 2);
    assert_string_equal(w->job.user, "bob");
    /* Alice logs out everywhere before it is her turn. */
    verifier_logout_everywhere(w->account.verifier, SPAN("alice"));
    end_clerk(w, 0);
    assert_int_equal(w->jobs, 2);
    assert_int_equal(w->answer_count, 4);
    assert_int_equal(w->answers[2].token, second);
    assert_int_equal(w->answers[3].token, third);
    assert_int_equal(w->answers[3].result, -ENOKEY);
}

static void their_number_is_bounded(void **state)
{
    struct world *w = *state;

    enum { OTHERS = LIMIT_ACCOUNT_CHANGES / LIMIT_ACCOUNT_CHANGES_OF_ONE };
    char text[OTHERS * 128] = {0};

    for (unsigned i = 0; i < OTHERS; i++)
        sprintf(text + strlen(text), "user%u:" HASH "\n", i);
    sprintf(text + strlen(text), "%s", w->users);
    w->users = text;
    assert_int_equal(reload_users(w), 0);
    for (unsigned i = 0; i < OTHERS * LIMIT_ACCOUNT_CHANGES_OF_ONE + 1; i++) {
        char name[16];
        sprintf(name, "user%u", i % OTHERS);
        struct credential who = session_of(w, name);
        put(w, &who, ACCOUNT_ADD, "phone");
    }
    assert_int_equal(w->answer_count, 0);
    answered(w, 0, put(w, &w->alice, ACCOUNT_ADD, "phone"), -EBUSY);
    for (unsigned i = 0; i < LIMIT_ACCOUNT_CHANGES + 1; i++)
        end_clerk(w, 0);
    assert_int_equal(w->jobs, LIMIT_ACCOUNT_CHANGES + 1);
    assert_int_equal(w->answer_count, LIMIT_ACCOUNT_CHANGES + 2);
}

static void nobody_takes_the_places_of_others(void **state)
{
    struct world *w = *state;

    for (unsigned i = 0; i < LIMIT_ACCOUNT_CHANGES_OF_ONE + 1; i++) /* one is under way */
        put(w, &w->alice, ACCOUNT_ADD, "phone");
    answered(w, 0, put(w, &w->alice, ACCOUNT_REMOVE, "tv"), -EBUSY);
    uint64_t bobs = put(w, &w->bob, ACCOUNT_ADD, "phone");
    for (unsigned i = 0; i < LIMIT_ACCOUNT_CHANGES_OF_ONE + 2; i++)
        end_clerk(w, 0);
    answered(w, LIMIT_ACCOUNT_CHANGES_OF_ONE + 2, bobs, 0);
    put(w, &w->alice, ACCOUNT_REMOVE, "tv");
    assert_string_equal(w->job.user, "alice");
}

static void who_is_logged_out_meanwhile_gets_no_password(void **state)
{
    struct world *w = *state;
    static const int results[] = {0, -EEXIST, -EIO};

    for (unsigned i = 0; i < COUNT(results); i++) {
        struct credential session = session_of(w, "alice");
        uint64_t token = put(w, &session, ACCOUNT_ADD, "phone");
        verifier_logout_everywhere(w->account.verifier, SPAN("alice"));
        end_clerk(w, results[i]);
        assert_string_equal(answered(w, i, token, -ENOKEY)->password, "");
    }
}

static void the_clerk_is_told_which_password_it_was(void **state)
{
    struct world *w = *state;
    const struct user *alice = users_find(verifier_users(w->account.verifier), SPAN("alice"));
    uint64_t stamp = alice->stamp, token = put(w, &w->alice, ACCOUNT_ADD, "phone");

    assert_true(w->job.stamp == stamp);
    end_clerk(w, -ENOKEY); /* it found another one */
    assert_string_equal(answered(w, 0, token, -ENOKEY)->password, "");
    assert_int_equal(w->reloads, 0);
}

static void what_a_dead_home_asked_for_is_not_begun(void **state)
{
    struct world *w = *state;

    put(w, &w->alice, ACCOUNT_ADD, "under way");
    put(w, &w->alice, ACCOUNT_ADD, "waits");
    put(w, &w->bob, ACCOUNT_ADD, "waits");
    w->account.home_life++;
    end_clerk(w, 0);
    assert_int_equal(w->jobs, 1);
    assert_int_equal(w->answer_count, 1); /* nobody hears the others' */
    assert_int_equal(account_run_due(&w->account, w->now), ACCOUNT_NOTHING_DUE);
}

/* How many lines failing changes write into the log. */
static unsigned complaints(struct world *w, unsigned changes)
{
    FILE *file = tmpfile();
    int log_fd = dup(STDERR_FILENO);
    unsigned lines = 0;

    assert_true(file && log_fd >= 0 && dup2(fileno(file), STDERR_FILENO) >= 0);
    for (unsigned i = 0; i < changes; i++) {
        put(w, &w->alice, ACCOUNT_ADD, "phone");
        end_clerk(w, -EROFS);
    }
    assert_true(dup2(log_fd, STDERR_FILENO) >= 0);
    close(log_fd);
    rewind(file);
    for (int c; (c = getc(file)) != EOF;)
        lines += c == '\n';
    fclose(file);
    return lines;
}

static void the_log_is_not_filled(void **state)
{
    struct world *w = *state;

    assert_int_equal(complaints(w, 5), 1);
    w->now.mono_ms += LIMIT_ACCOUNT_COMPLAINT_MS - 1;
    assert_int_equal(complaints(w, 1), 0);
    w->now.mono_ms++;
    assert_int_equal(complaints(w, 2), 1);
}

static void their_time_is_bounded(void **state)
{
    struct world *w = *state;
    uint64_t begun_ms = w->now.mono_ms;
    uint64_t first = put(w, &w->alice, ACCOUNT_ADD, "1");
    uint64_t second = put(w, &w->alice, ACCOUNT_ADD, "2");

    assert_int_equal(account_run_due(&w->account, w->now), begun_ms + LIMIT_ACCOUNT_TURN_MS);
    w->now.mono_ms += LIMIT_ACCOUNT_TURN_MS;
    (void)account_run_due(&w->account, w->now);
    answered(w, 0, second, -ETIMEDOUT); /* and is not made later */
    w->now.mono_ms = begun_ms + LIMIT_ACCOUNT_CHANGE_MS;
    assert_int_equal(account_run_due(&w->account, w->now), UINT64_MAX);
    assert_int_equal(w->kills, 1);
    end_clerk(w, -EIO);
    answered(w, 1, first, -ETIMEDOUT);
    assert_int_equal(w->jobs, 1);
    put(w, &w->alice, ACCOUNT_ADD, "3");
    end_clerk(w, -EIO);
    assert_int_equal(w->answers[2].result, -EIO);
}

/* --- forged and malformed messages --- */

static void assert_refused(struct world *w, struct span payload)
{
    const char *why = NULL;

    assert_int_equal(
        account_message(&w->account, (struct account_source){0, 7}, payload, w->now, &why),
        -EBADMSG);
    assert_non_null(why);
    assert_int_equal(w->answer_count + w->jobs, 0);
}

static void malformed_messages(void **state)
{
    struct world *w = *state;
    static const char *const labels[] = {"", " a", "a:b", "a\nb", "\xff", "\xc2\x85"};
    struct message_account m = message(&w->alice, ACCOUNT_ADD, "phone");
    char longer[sizeof(m) + 1];

    memcpy(longer, &m, sizeof(m));
    longer[sizeof(m)] = '\0';
    for (size_t len = 0; len <= sizeof(longer); len++)
        if (len != sizeof(m))
            assert_refused(w, span_of(longer, len));
    m.action = ACCOUNT_REMOVE + 1;
    assert_refused(w, span_of(&m, sizeof(m)));
    for (size_t i = 0; i < COUNT(labels); i++) {
        m = message(&w->alice, ACCOUNT_ADD, labels[i]);
        assert_refused(w, span_of(&m, sizeof(m)));
    }
    m = message(&w->alice, ACCOUNT_LIST, "a");
    assert_refused(w, span_of(&m, sizeof(m)));
    m = message(&w->alice, ACCOUNT_ADD, "");
    memset(m.label, 'a', sizeof(m.label)); /* without an end */
    assert_refused(w, span_of(&m, sizeof(m)));
}

#define ACCOUNT_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ACCOUNT_TEST(each_sees_what_is_theirs),
        ACCOUNT_TEST(what_is_made_is_in_force_before_it_is_told),
        ACCOUNT_TEST(what_is_removed_has_no_password),
        ACCOUNT_TEST(a_failure_is_told_without_a_password),
        ACCOUNT_TEST(only_a_session_says_who_it_is),
        ACCOUNT_TEST(changes_wait_for_each_other),
        ACCOUNT_TEST(their_number_is_bounded),
        ACCOUNT_TEST(nobody_takes_the_places_of_others),
        ACCOUNT_TEST(who_is_logged_out_meanwhile_gets_no_password),
        ACCOUNT_TEST(the_clerk_is_told_which_password_it_was),
        ACCOUNT_TEST(what_a_dead_home_asked_for_is_not_begun),
        ACCOUNT_TEST(the_log_is_not_filled),
        ACCOUNT_TEST(their_time_is_bounded),
        ACCOUNT_TEST(malformed_messages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
