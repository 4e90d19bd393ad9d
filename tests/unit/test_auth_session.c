/* The session store over simulated time, and as text. */
#include "assert_span.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/session.h"

enum { DAY = 24 * 3600, START = 1700000000 };

struct opened {
    char token[CREDENTIAL_TOKEN_CHARS + 1];
    uint8_t digest[DIGEST_BYTES];
};

static int make_store(void **state)
{
    struct session_store *store = calloc(1, sizeof(*store));

    assert_int_equal(session_store_init(store), 0);
    *state = store;
    return 0;
}

static int free_store(void **state)
{
    session_store_finish(*state);
    free(*state);
    return 0;
}

static struct opened open_session(struct session_store *store, const char *user, int64_t now_s)
{
    struct opened o;

    assert_int_equal(session_create(store, span_str(user), 7, now_s, o.token, o.digest), 0);
    return o;
}

static void count_ended(const struct session *s, void *context)
{
    (void)s;
    ++*(int *)context;
}

static void a_token_finds_its_session(void **state)
{
    struct session_store *store = *state;
    struct opened o = open_session(store, "alice", START),
                  other = open_session(store, "bob", START);
    struct credential c;
    uint8_t digest[DIGEST_BYTES];

    assert_int_equal(strlen(o.token), CREDENTIAL_TOKEN_CHARS);
    assert_string_not_equal(o.token, other.token);
    assert_int_equal(credential_from_fields((struct span){0}, span_str(o.token), &c), 0);
    assert_int_equal(c.kind, CREDENTIAL_SESSION);
    credential_digest(&c, digest); /* what home knows */
    const struct session *s = session_find(store, digest, START);
    assert_non_null(s);
    assert_string_equal(s->user, "alice");
    assert_int_equal(s->stamp, 7);
    digest[31] ^= 1;
    assert_null(session_find(store, digest, START));
}

static void the_store_never_holds_a_token(void **state)
{
    struct session_store *store = *state;
    struct opened o = open_session(store, "alice", START);
    struct buf text;

    buf_init_growing(&text, 4096);
    session_store_print(store, &text);
    buf_append_char(&text, '\0');
    assert_null(strstr(text.data, o.token));
    buf_finish(&text);
}

static void sessions_expire(void **state)
{
    struct session_store *store = *state;
    int ended = 0;

    store->ended = count_ended;
    store->context = &ended;

    struct opened idle = open_session(store, "alice", START);
    assert_non_null(session_find(store, idle.digest, START + 7 * DAY - 1));
    assert_null(session_find(store, idle.digest, START + 14 * DAY - 1));
    assert_int_equal(ended, 1);

    struct opened busy = open_session(store, "alice", START);
    for (int64_t t = 0; t < 30 * DAY; t += DAY)
        assert_non_null(session_find(store, busy.digest, START + t));
    assert_null(session_find(store, busy.digest, START + 30 * DAY));

    open_session(store, "alice", START);
    open_session(store, "bob", START + DAY);
    assert_int_equal(session_expire(store, START + 7 * DAY), 1);
    assert_int_equal(session_expire(store, START + 8 * DAY), 1);
    assert_int_equal(store->count, 0);
    assert_int_equal(ended, 4);
}

static void a_clock_that_was_wrong_is_survived(void **state)
{
    struct session_store *store = *state;
    struct opened o = open_session(store, "alice", START + DAY);

    assert_non_null(session_find(store, o.digest, START)); /* the clock went back a day */
    assert_non_null(session_find(store, o.digest, START + 2 * DAY));
    o = open_session(store, "alice", START + 365 * DAY);
    assert_null(session_find(store, o.digest, START)); /* a year: no session for 13 months */
}

static void reading_dirties_the_store_once_a_minute(void **state)
{
    struct session_store *store = *state;
    struct opened o = open_session(store, "alice", START);

    assert_true(store->dirty);
    store->dirty = false;
    for (int64_t t = 0; t < 60; t++)
        session_find(store, o.digest, START + t);
    assert_false(store->dirty);
    session_find(store, o.digest, START + 60);
    assert_true(store->dirty);
    store->dirty = false;
    session_find(store, o.digest, START + 119);
    assert_false(store->dirty);
}

static void sessions_end(void **state)
{
    struct session_store *store = *state;
    struct opened a = open_session(store, "alice", START), a2 = open_session(store, "alice", START);
    struct opened b = open_session(store, "alic", START);

    assert_true(session_end(store, a.digest));
    assert_false(session_end(store, a.digest));
    assert_null(session_find(store, a.digest, START));
    assert_non_null(session_find(store, a2.digest, START));
    open_session(store, "alice", START);
    assert_int_equal(session_end_user(store, SPAN("alice")), 2);
    assert_int_equal(session_end_user(store, SPAN("alice")), 0);
    assert_non_null(session_find(store, b.digest, START));
}

static void a_user_loses_his_own_oldest(void **state)
{
    struct session_store *store = *state;
    struct opened bob = open_session(store, "bob", START),
                  first = open_session(store, "alice", START);
    struct opened second = open_session(store, "alice", START);

    for (int i = 2; i < LIMIT_SESSIONS_PER_USER; i++)
        open_session(store, "alice", START);
    assert_non_null(session_find(store, first.digest, START + 60)); /* used again: now the newest */
    open_session(store, "alice", START + 60);
    assert_null(session_find(store, second.digest, START + 60));
    assert_non_null(session_find(store, first.digest, START + 60));
    assert_non_null(session_find(store, bob.digest, START + 60));
    assert_int_equal(store->count, LIMIT_SESSIONS_PER_USER + 1);
}

static void the_store_is_bounded(void **state)
{
    struct session_store *store = *state;
    struct opened first = open_session(store, "first", START);
    char user[16];

    for (int i = 0; i < LIMIT_SESSIONS; i++) {
        snprintf(user, sizeof(user), "user%d", i % 1000);
        open_session(store, user, START + 1);
    }
    assert_int_equal(store->count, LIMIT_SESSIONS);
    assert_null(session_find(store, first.digest, START + 1));

    /* All of it fits into a file, and comes back in the same order. */
    struct buf text, again;
    struct session_store copy;
    buf_init_growing(&text, LIMIT_SESSIONS_FILE_BYTES);
    buf_init_growing(&again, LIMIT_SESSIONS_FILE_BYTES);
    session_store_print(store, &text);
    assert_false(buf_failed(&text));
    assert_int_equal(session_store_init(&copy), 0);
    assert_int_equal(session_store_parse(&copy, buf_span(&text), START + 1), 0);
    session_store_print(&copy, &again);
    assert_true(span_equal(buf_span(&text), buf_span(&again)));
    session_store_finish(&copy);
    buf_finish(&text);
    buf_finish(&again);
}

#define HEX "00112233445566778899aabbccddeeff00112233445566778899aabbccddeef"
#define HEAD "fastfile sessions 1\n"

static void damaged_lines_are_left_out(void **state)
{
    static const struct {
        const char *text;
        int result;
        size_t count;
    } cases[] = {
        {"", -EBADMSG, 0},
        {"fastfile sessions 2\n", -EBADMSG, 0},
        {HEAD, 0, 0},
        {HEAD HEX "0 1 1699999999 1700000000 alice b\n", 0, 1},
        {HEAD HEX "0 1 1699999999 1700000000 alice b", 0, 1},
        {HEAD HEX "0 1 1699999999 1700000000 alice\n" HEX "0 1 1699999999 1700000000 bob\n", 1, 1},
        {HEAD HEX "0 1 1600000000 1600000000 expired\n", 0, 0},
        {HEAD HEX "0 1 9000000000 9000000000 future\n", 0, 0},
        {HEAD HEX "0 1 1700000001 1700000000 backwards\n", 1, 0},
        {HEAD HEX "0 1 1700000000 99999999999999999999 alice\n", 1, 0},
        {HEAD HEX "0 1 1700000000 18446744073709551615 alice\n", 1, 0},
        {HEAD HEX " 1 1699999999 1700000000 alice\n", 1, 0},
        {HEAD HEX "0 1 1699999999 1700000000 \n", 1, 0},
        {HEAD HEX "0 1 1699999999 1700000000\n", 1, 0},
        {HEAD HEX "0 1 1699999999 1700000000 a:b\n", 1, 0},
        {HEAD "\n\nx\n" HEX "0 1 1699999999 1700000000 alice\n", 3, 1},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct session_store store;

        assert_int_equal(session_store_init(&store), 0);
        int r = session_store_parse(&store, span_str(cases[i].text), START);
        if (r != cases[i].result || store.count != cases[i].count)
            fail_msg("case %zu: %d, %zu sessions", i, r, store.count);
        session_store_finish(&store);
    }
}

static void the_store_survives_a_restart(void **state)
{
    struct session_store *store = *state, after;
    char folder[] = "/tmp/fastfile-sessions-XXXXXX", path[64];
    struct opened o = open_session(store, "J\xc3\xbcrgen M", START);
    struct stat st;

    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/sessions", folder);
    assert_int_equal(session_store_init(&after), 0);
    assert_int_equal(session_store_load(&after, path, START), 0); /* none yet */
    assert_true(store->dirty);
    assert_int_equal(session_store_save(store, path), 0);
    assert_false(store->dirty);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(session_store_save(store, path), 0);

    assert_int_equal(session_store_load(&after, path, START + 60), 0);
    const struct session *s = session_find(&after, o.digest, START + 60);
    assert_non_null(s);
    assert_string_equal(s->user, "J\xc3\xbcrgen M");
    assert_int_equal(s->created_s, START);
    session_store_finish(&after);

    unlink(path);
    assert_int_equal(rmdir(folder), 0); /* no temporary files left */
    assert_int_equal(session_store_save(store, "/proc/no/such/place"), -ENOENT);
    assert_int_equal(session_store_load(store, "/proc", START), -EINVAL);
}

int main(void)
{
#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, make_store, free_store)
    const struct CMUnitTest tests[] = {
        STORE_TEST(a_token_finds_its_session),
        STORE_TEST(the_store_never_holds_a_token),
        STORE_TEST(sessions_expire),
        STORE_TEST(a_clock_that_was_wrong_is_survived),
        STORE_TEST(reading_dirties_the_store_once_a_minute),
        STORE_TEST(sessions_end),
        STORE_TEST(a_user_loses_his_own_oldest),
        STORE_TEST(the_store_is_bounded),
        cmocka_unit_test(damaged_lines_are_left_out),
        STORE_TEST(the_store_survives_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
