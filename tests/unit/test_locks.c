/* The lock table: who gets a lock, what locks forbid, that changes and locks exclude each other,
 * that it is bounded, and that locks end. */
#include "assert_span.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "files/locks.h"

static int set_up(void **state)
{
    struct locks *locks;

    assert_int_equal(locks_create(&locks), 0);
    *state = locks;
    return 0;
}

static int tear_down(void **state)
{
    locks_destroy(*state);
    return 0;
}

enum { NOW = 1000 * 1000 };

/* "path", shared where the scope begins with 's', infinite where it ends with '*'. */
static struct lock make_wish(const char *user, const char *path, const char *scope)
{
    return (struct lock){
        .user = span_str(user),
        .path = span_str(path),
        .owner = SPAN("<D:href>me</D:href>"),
        .is_shared = scope[0] == 's',
        .is_infinite = scope[1] == '*',
    };
}

static int try(struct locks *locks, const char *user, const char *path, const char *scope)
{
    struct lock wish = make_wish(user, path, scope);

    return locks_grant(locks, &wish, 0, NOW, NULL);
}

/* Where it must succeed: the token, in memory of this function's. */
static struct span grant(struct locks *locks, const char *user, const char *path, const char *scope)
{
    static char tokens[16][LOCK_TOKEN_BYTES + 1];
    static unsigned next;
    struct lock wish = make_wish(user, path, scope);
    char *token = tokens[next++ % COUNT(tokens)];

    assert_int_equal(locks_grant(locks, &wish, 0, NOW, NULL), 0);
    memcpy(token, wish.token, sizeof(wish.token));
    return span_of(token, LOCK_TOKEN_BYTES);
}

/* The paths in it, with a blank behind each; the root is "-". */
static void assert_paths(struct buf *b, const char *expected)
{
    char text[512] = "";

    for (size_t at = 0; at < b->len; at += strlen(b->data + at) + 1)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s ",
                 b->data[at] ? b->data + at : "-");
    assert_string_equal(text, expected);
    buf_finish(b);
}

static void tokens(void **state)
{
    struct locks *locks = *state;
    struct lock wish = make_wish("alice", "a", "x0");

    assert_false(locks_any(locks));
    assert_int_equal(locks_grant(locks, &wish, 0, NOW, NULL), 0);
    assert_true(locks_any(locks));
    assert_int_equal(strlen(wish.token), LOCK_TOKEN_BYTES);
    assert_memory_equal(wish.token, "opaquelocktoken:", 16);
    assert_int_equal(wish.token[16 + 14], '4'); /* the version */
    assert_non_null(strchr("89ab", wish.token[16 + 19]));
    struct span a = grant(locks, "alice", "b", "x0"), b = grant(locks, "alice", "c", "x0");
    assert_false(span_equal(a, b));
}

/* What is there; what is wished; whether it is granted. */
static void conflicts(void **state)
{
    static const struct {
        const char *path, *scope, *wish, *wish_scope;
        int result;
    } cases[] = {
        {"a", "x0", "a", "x0", 423},     {"a", "x0", "a", "s0", 423},
        {"a", "s0", "a", "x0", 423},     {"a", "s0", "a", "s0", 0},
        {"a", "s*", "a", "s0", 0},       {"a", "s*", "a", "x*", 423},
        {"a", "x0", "b", "x0", 0},       {"a", "x0", "ab", "x0", 0},
        {"ab", "x0", "a", "x*", 0},      {"a", "x*", "ab", "x0", 0},
        {"a", "x0", "a/b", "x0", 0},     {"a", "x0", "a/b", "x*", 0},
        {"a", "x*", "a/b", "x0", 423},   {"a", "x*", "a/b/c", "x0", 423},
        {"a", "x*", "a/b", "s0", 423},   {"a", "s*", "a/b", "s0", 0},
        {"a", "s*", "a/b", "x0", 423},   {"a/b", "x0", "a", "x0", 0},
        {"a/b", "x0", "a", "x*", 423},   {"a/b/c", "x0", "a", "x*", 423},
        {"a/b/c", "x0", "a", "s*", 423}, {"a/b/c", "s0", "a", "s*", 0},
        {"a/b/c", "s0", "a", "x*", 423}, {"", "x*", "a/b", "x0", 423},
        {"", "x0", "a", "x0", 0},        {"", "x*", "", "s0", 423},
        {"a/b", "x0", "", "x*", 423},    {"a/b", "x0", "", "x0", 0},
        {"a/b", "s0", "", "s*", 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct locks *locks;
        assert_int_equal(locks_create(&locks), 0);
        grant(locks, "alice", cases[i].path, cases[i].scope);
        /* Of the same user or another: two locks are two locks. */
        const char *user = i % 2 ? "alice" : "bob";
        int r = try(locks, user, cases[i].wish, cases[i].wish_scope);
        if (r != cases[i].result)
            fail_msg("%zu: %d", i, r);
        locks_destroy(locks);
    }
}

static void conflicts_are_named(void **state)
{
    struct locks *locks = *state;
    struct lock wish = make_wish("bob", "a", "x*");
    struct buf paths;

    grant(locks, "alice", "a/b", "s0");
    grant(locks, "carol", "a/b", "s0");
    grant(locks, "alice", "a/c/d", "x0");
    grant(locks, "alice", "b", "x*");
    grant(locks, "alice", "", "s0");
    buf_init_growing(&paths, 4096);
    assert_int_equal(locks_grant(locks, &wish, 0, NOW, &paths), 423);
    assert_string_equal(wish.token, "");
    assert_paths(&paths, "a/b a/c/d ");
    wish = make_wish("bob", "b/x/y", "s0");
    buf_init_growing(&paths, 4096);
    assert_int_equal(locks_grant(locks, &wish, 0, NOW, &paths), 423);
    assert_paths(&paths, "b ");
    wish = make_wish("bob", "", "x0");
    buf_init_growing(&paths, 4096);
    assert_int_equal(locks_grant(locks, &wish, 0, NOW, &paths), 423);
    assert_paths(&paths, "- ");
}

static void release_and_refresh(void **state)
{
    struct locks *locks = *state;
    struct span file = grant(locks, "alice", "a/file", "x0");
    struct span tree = grant(locks, "alice", "t", "x*");
    struct span alice = SPAN("alice"), bob = SPAN("bob");
    uint64_t version = locks_version(locks);

    assert_int_equal(locks_release(locks, file, bob, SPAN("a/file"), NOW), -EPERM);
    assert_int_equal(locks_release(locks, file, alice, SPAN("a"), NOW), -ENOENT);
    assert_int_equal(locks_release(locks, file, alice, SPAN("a/file/x"), NOW), -ENOENT);
    assert_int_equal(locks_release(locks, tree, alice, SPAN("a/file"), NOW), -ENOENT);
    assert_int_equal(locks_release(locks, SPAN("opaquelocktoken:"), alice, SPAN("t"), NOW),
                     -ENOENT);
    assert_int_equal(locks_refresh(locks, tree, bob, SPAN("t/x"), 0, NOW), -EPERM);
    assert_int_equal(locks_refresh(locks, tree, alice, SPAN("tx"), 0, NOW), -ENOENT);
    assert_true(locks_version(locks) == version);
    assert_int_equal(locks_refresh(locks, tree, alice, SPAN("t/x/y"), 0, NOW), 0);
    assert_true(locks_version(locks) > version);
    version = locks_version(locks);
    assert_int_equal(locks_release(locks, tree, alice, SPAN("t/x"), NOW), 0);
    assert_int_equal(locks_release(locks, tree, alice, SPAN("t/x"), NOW), -ENOENT);
    assert_int_equal(locks_release(locks, file, alice, SPAN("a/file"), NOW), 0);
    assert_true(locks_version(locks) > version);
    assert_false(locks_any(locks));
    assert_int_equal(try(locks, "bob", "", "x*"), 0);
}

static void remember_seconds(void *context, const struct lock *lock, uint32_t seconds)
{
    (void)lock;
    *(uint32_t *)context = seconds;
}

static uint32_t seconds_of(struct locks *locks, const char *path, uint64_t now)
{
    uint32_t seconds = 0;

    locks_show(locks, span_str(path), now, remember_seconds, &seconds);
    return seconds;
}

static void they_end(void **state)
{
    static const struct {
        uint32_t asked, given;
    } cases[] = {{0, LIMIT_LOCK_DEFAULT_S},
                 {1, LIMIT_LOCK_LEAST_S},
                 {LIMIT_LOCK_LEAST_S + 1, LIMIT_LOCK_LEAST_S + 1},
                 {LIMIT_LOCK_S - 1, LIMIT_LOCK_S - 1},
                 {LIMIT_LOCK_S + 1, LIMIT_LOCK_S},
                 {UINT32_MAX, LIMIT_LOCK_S}};
    struct locks *locks = *state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct lock wish = make_wish("alice", "a", "x*");
        uint64_t end = NOW + cases[i].given * UINT64_C(1000);
        assert_int_equal(locks_grant(locks, &wish, cases[i].asked, NOW, NULL), 0);
        assert_true(wish.ends_ms == end);
        assert_int_equal(seconds_of(locks, "a/b", NOW), cases[i].given);
        assert_int_equal(seconds_of(locks, "a", end - 1), 1);
        wish = make_wish("bob", "a", "x0");
        assert_int_equal(locks_grant(locks, &wish, 0, end - 1, NULL), 423);
        assert_int_equal(seconds_of(locks, "a", end), 0);
        assert_false(locks_any(locks));
    }
    /* Each of them by itself; a refreshed one later. */
    struct lock one = make_wish("alice", "1", "x0"), two = make_wish("alice", "2", "x0");
    assert_int_equal(locks_grant(locks, &one, 100, NOW, NULL), 0);
    assert_int_equal(locks_grant(locks, &two, 200, NOW, NULL), 0);
    assert_int_equal(locks_refresh(locks, span_str(one.token), one.user, one.path, 300, NOW + 50),
                     0);
    assert_int_equal(seconds_of(locks, "1", NOW + 200 * 1000), 101);
    assert_int_equal(seconds_of(locks, "2", NOW + 200 * 1000), 0);
    assert_int_equal(
        locks_release(locks, span_str(one.token), one.user, one.path, NOW + 400 * 1000), -ENOENT);
}

static void count_one(void *context, const struct lock *lock, uint32_t seconds)
{
    (void)lock;
    assert_true(seconds > 0);
    ++*(unsigned *)context;
}

static unsigned count_covering(struct locks *locks, const char *path)
{
    unsigned count = 0;

    locks_show(locks, span_str(path), NOW, count_one, &count);
    return count;
}

static void what_covers(void **state)
{
    struct locks *locks = *state;
    struct span folder = grant(locks, "alice", "f", "s0");
    struct span tree = grant(locks, "alice", "f", "s*");
    struct span file = grant(locks, "alice", "f/a/b", "s0");
    struct span root = grant(locks, "alice", "", "s0");

    assert_int_equal(count_covering(locks, "f"), 2);
    assert_int_equal(count_covering(locks, "f/a"), 1);
    assert_int_equal(count_covering(locks, "f/a/b"), 2);
    assert_int_equal(count_covering(locks, "f/a/b/c"), 1);
    assert_int_equal(count_covering(locks, ""), 1);
    assert_int_equal(count_covering(locks, "fa"), 0);
    assert_true(locks_covers(locks, folder, SPAN("f"), false, NOW));
    assert_false(locks_covers(locks, folder, SPAN("f/new"), false, NOW));
    assert_true(locks_covers(locks, folder, SPAN("f/new"), true, NOW));
    assert_false(locks_covers(locks, folder, SPAN("f/a/new"), true, NOW));
    assert_true(locks_covers(locks, tree, SPAN("f/a/new"), false, NOW));
    assert_false(locks_covers(locks, file, SPAN("f/a"), true, NOW));
    assert_true(locks_covers(locks, root, SPAN("new"), true, NOW));
    assert_false(locks_covers(locks, root, SPAN("new"), false, NOW));
    assert_true(locks_covers(locks, root, SPAN(""), true, NOW));
    assert_false(locks_covers(locks, SPAN("DAV:no-lock"), SPAN("f"), true, NOW));
}

/* --- changes --- */

static int ask(struct locks *locks, const char *path, unsigned touch, const char *user,
               struct span token, struct buf *blocked)
{
    struct lock_claim claim = {.path = span_str(path), .touch = touch};
    struct lock_shown shown = {.user = span_str(user), .tokens = {SPAN("x:y"), token}};

    shown.count = token.data ? 2 : 0;
    int asked = locks_claim(locks, &claim, 1, &shown, true, NOW, NULL);
    int r = locks_claim(locks, &claim, 1, &shown, false, NOW, blocked);
    if (r == 0)
        locks_unclaim(locks, &claim, 1, false);
    assert_int_equal(asked, r);
    return r;
}

enum {
    PUT = TOUCH_STATE,
    MAKE = TOUCH_STATE | TOUCH_NAME,
    DELETE = TOUCH_STATE | TOUCH_NAME | TOUCH_BELOW | TOUCH_GONE,
    REPLACE = TOUCH_STATE | TOUCH_BELOW,
};

/* A lock, and a change of somebody who has shown nothing. */
static void what_locks_forbid(void **state)
{
    static const struct {
        const char *path, *scope, *changed;
        unsigned touch;
        int result;
    } cases[] = {
        {"a", "x0", "a", PUT, 423},          {"a", "s0", "a", PUT, 423},
        {"a", "x0", "b", DELETE, 0},         {"a", "x0", "ab", DELETE, 0},
        {"a/b", "x0", "a", PUT, 0},          {"a/b", "x0", "a", MAKE, 0},
        {"a/b", "x0", "a", DELETE, 423},     {"a/b/c", "x0", "a", DELETE, 423},
        {"a/b/c", "x0", "a", REPLACE, 423},  {"a/b/c", "x0", "a/c", REPLACE, 0},
        {"a", "x0", "a/b", PUT, 0},          {"a", "x0", "a/b", REPLACE, 0},
        {"a", "x0", "a/b", MAKE, 423},       {"a", "x0", "a/b", DELETE, 423},
        {"a", "x0", "a/b", TOUCH_NAME, 423}, {"a", "x0", "a/b/c", DELETE, 0},
        {"a", "x*", "a/b", PUT, 423},        {"a", "x*", "a/b/c", TOUCH_NAME, 423},
        {"", "x0", "a", MAKE, 423},          {"", "x0", "a/b", MAKE, 0},
        {"", "x*", "a/b", PUT, 423},         {"", "x0", "", PUT, 423},
        {"a", "x0", "", TOUCH_BELOW, 423},   {"a", "x0", "", MAKE, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct locks *locks;
        struct buf blocked;
        buf_init_growing(&blocked, 4096);
        assert_int_equal(locks_create(&locks), 0);
        assert_int_equal(ask(locks, cases[i].changed, cases[i].touch, "bob", SPAN("x:z"), NULL), 0);
        struct span token = grant(locks, "alice", cases[i].path, cases[i].scope);
        int r = ask(locks, cases[i].changed, cases[i].touch, "bob", (struct span){0}, &blocked);
        if (r != cases[i].result)
            fail_msg("%zu: %d", i, r);
        if (r == 423) { /* both the token and its user are needed */
            char expected[16];
            snprintf(expected, sizeof(expected), "%s ", cases[i].path[0] ? cases[i].path : "-");
            assert_paths(&blocked, expected);
            assert_int_equal(ask(locks, cases[i].changed, cases[i].touch, "bob", token, NULL), 423);
            assert_int_equal(
                ask(locks, cases[i].changed, cases[i].touch, "alice", (struct span){0}, NULL), 423);
        }
        assert_int_equal(ask(locks, cases[i].changed, cases[i].touch, "alice", token, NULL), 0);
        locks_destroy(locks);
    }
}

static void several_locks(void **state)
{
    struct locks *locks = *state;
    struct buf blocked;

    /* One of those that cover it is enough. */
    struct span alice = grant(locks, "alice", "a", "s*");
    struct span bob = grant(locks, "bob", "a/b", "s0");
    grant(locks, "carol", "a/b", "s0");
    assert_int_equal(ask(locks, "a/b", PUT, "alice", alice, NULL), 0);
    assert_int_equal(ask(locks, "a/b", PUT, "bob", bob, NULL), 0);
    assert_int_equal(ask(locks, "a/b", PUT, "dave", bob, NULL), 423);
    assert_int_equal(ask(locks, "a", DELETE, "alice", alice, NULL), 0);
    buf_init_growing(&blocked, 4096);
    assert_int_equal(ask(locks, "a", DELETE, "bob", bob, &blocked), 423);
    assert_paths(&blocked, "a ");
    /* But each resource needs one. */
    struct span other = grant(locks, "alice", "c", "x0");
    grant(locks, "bob", "c/d", "x0");
    buf_init_growing(&blocked, 4096);
    assert_int_equal(ask(locks, "c", DELETE, "alice", other, &blocked), 423);
    assert_paths(&blocked, "c/d ");
    /* All paths, each once. */
    buf_init_growing(&blocked, 4096);
    assert_int_equal(ask(locks, "", TOUCH_BELOW, "dave", (struct span){0}, &blocked), 423);
    assert_paths(&blocked, "a a/b c c/d ");
}

static void as_if_shown(void **state)
{
    struct locks *locks = *state;
    struct lock_claim claim = {.path = SPAN("a"), .touch = TOUCH_STATE};
    struct lock_shown alice = {.user = SPAN("alice"), .any_own = true};
    struct lock_shown bob = {.user = SPAN("bob"), .any_own = true};

    grant(locks, "alice", "a", "x0");
    assert_int_equal(locks_claim(locks, &claim, 1, &alice, true, NOW, NULL), 0);
    assert_int_equal(locks_claim(locks, &claim, 1, &bob, true, NOW, NULL), 423);
    grant(locks, "bob", "b", "x0");
    assert_int_equal(locks_claim(locks, &claim, 1, &bob, true, NOW, NULL), 423);
}

/* A change, and a lock that is wished meanwhile. */
static void claims(void **state)
{
    static const struct {
        const char *changed;
        unsigned touch;
        const char *wish, *scope;
        int result;
    } cases[] = {
        {"a", PUT, "a", "x0", -EBUSY},
        {"a", PUT, "a", "s0", -EBUSY},
        {"a", PUT, "b", "x*", 0},
        {"a/b", PUT, "a", "x0", 0},
        {"a/b", PUT, "a", "x*", -EBUSY},
        {"a/b", MAKE, "a", "x0", -EBUSY},
        {"a/b/c", MAKE, "a", "x0", 0},
        {"a/b/c", PUT, "", "x*", -EBUSY},
        {"a", PUT, "a/b", "x0", 0},
        {"a", DELETE, "a/b", "x0", -EBUSY},
        {"a", DELETE, "a/b/c", "x0", -EBUSY},
        {"a", DELETE, "ab", "x0", 0},
        {"a", MAKE, "", "x0", -EBUSY},
        {"a", PUT, "", "x0", 0},
        {"", TOUCH_BELOW, "a", "x0", -EBUSY},
    };
    const struct lock_shown shown = {.user = SPAN("alice")};

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct locks *locks;
        struct lock_claim c[2] = {{.path = SPAN("other"), .touch = PUT},
                                  {.path = span_str(cases[i].changed), .touch = cases[i].touch}};
        assert_int_equal(locks_create(&locks), 0);
        assert_int_equal(locks_claim(locks, c, 2, &shown, false, NOW, NULL), 0);
        int r = try(locks, "alice", cases[i].wish, cases[i].scope);
        if (r != cases[i].result)
            fail_msg("%zu: %d", i, r);
        /* Claims do not look at each other, but for the next test's. */
        struct lock_claim d = c[1];
        assert_int_equal(locks_claim(locks, &d, 1, &shown, false, NOW, NULL), 0);
        locks_unclaim(locks, &d, 1, false);
        locks_unclaim(locks, c, 2, false);
        if (cases[i].result < 0)
            assert_int_equal(try(locks, "alice", cases[i].wish, cases[i].scope), 0);
        locks_destroy(locks);
    }
}

enum {
    MOVE = DELETE | TOUCH_MOVED,
    MOVE_FILE = MOVE & ~TOUCH_BELOW,
};

/* What one does, and what another one wants to do meanwhile. */
static void claims_of_folders(void **state)
{
    static const struct {
        const char *first;
        unsigned first_touch;
        const char *second;
        unsigned second_touch;
        int result;
    } cases[] = {
        {"a/b", DELETE, "a/b", MOVE, -EEXIST}, {"a/b", DELETE, "a", MOVE, -EEXIST},
        {"a/b", DELETE, "", MOVE, -EEXIST},    {"a/b", DELETE, "a/b/c/d", MOVE, -EEXIST},
        {"a/b", REPLACE, "a", MOVE, -EEXIST},  {"a/b", MOVE, "a/b/c", MOVE, -EEXIST},
        {"a/b", DELETE, "a/bc", MOVE, 0},      {"a/b", DELETE, "a/c", MOVE, 0},
        {"ab", DELETE, "a", MOVE, 0},          {"a/b", DELETE, "a/b/c", MOVE_FILE, 0},
        {"a/b", DELETE, "a/b", DELETE, 0},     {"a/b", DELETE, "a", DELETE, 0},
        {"a/b", REPLACE, "a/b/c", DELETE, 0},  {"a/b", PUT, "a", MOVE, 0},
        {"a/b", MAKE, "a", MOVE, 0},
    };
    const struct lock_shown shown = {.user = SPAN("alice")};
    struct locks *locks = *state;

    for (size_t i = 0; i < 2 * COUNT(cases); i++) {
        struct lock_claim a = {.path = span_str(cases[i / 2].first),
                               .touch = cases[i / 2].first_touch};
        struct lock_claim b = {.path = span_str(cases[i / 2].second),
                               .touch = cases[i / 2].second_touch};
        struct lock_claim *first = i % 2 ? &a : &b, *second = i % 2 ? &b : &a;
        assert_int_equal(locks_claim(locks, first, 1, &shown, false, NOW, NULL), 0);
        int r = locks_claim(locks, second, 1, &shown, false, NOW, NULL);
        if (r != cases[i / 2].result)
            fail_msg("%zu: %d", i / 2, r);
        locks_unclaim(locks, first, 1, true);
        if (r < 0)
            r = locks_claim(locks, second, 1, &shown, false, NOW, NULL);
        assert_int_equal(r, 0);
        locks_unclaim(locks, second, 1, true);
    }
}

static void claims_together_or_not_at_all(void **state)
{
    struct locks *locks = *state;
    struct lock_claim c[2] = {{.path = SPAN("a"), .touch = PUT}, {.path = SPAN("b"), .touch = PUT}};
    const struct lock_shown shown = {.user = SPAN("alice")};

    grant(locks, "alice", "b", "x0");
    assert_int_equal(locks_claim(locks, c, 2, &shown, false, NOW, NULL), 423);
    assert_int_equal(try(locks, "alice", "a", "x0"), 0); /* a was not claimed */
}

static void locks_of_what_is_gone(void **state)
{
    struct locks *locks = *state;
    struct lock_shown shown = {.user = SPAN("alice"), .any_own = true};
    struct lock_claim c[2] = {{.path = SPAN("from"), .touch = DELETE},
                              {.path = SPAN("to"), .touch = REPLACE}};
    struct buf left;

    grant(locks, "alice", "from", "x0");
    grant(locks, "alice", "from/a", "s0");
    grant(locks, "alice", "from/a", "s0");
    grant(locks, "alice", "fromage", "x0");
    grant(locks, "alice", "to", "x0");
    grant(locks, "alice", "to/b/c", "x0");
    uint64_t version = locks_version(locks);
    assert_int_equal(locks_claim(locks, c, 2, &shown, false, NOW, NULL), 0);
    locks_unclaim(locks, c, 2, false);
    assert_true(locks_version(locks) == version);
    buf_init_growing(&left, 4096);
    locks_list(locks, SPAN("from"), &left);
    assert_paths(&left, "from from/a ");
    assert_int_equal(locks_claim(locks, c, 2, &shown, false, NOW, NULL), 0);
    locks_unclaim(locks, c, 2, true);
    assert_true(locks_version(locks) > version);
    buf_init_growing(&left, 4096);
    locks_list(locks, SPAN(""), &left);
    assert_paths(&left, "fromage to ");
    locks_forget(locks, SPAN("fro"));
    locks_forget(locks, SPAN("to/b"));
    locks_forget(locks, SPAN("fromage"));
    buf_init_growing(&left, 4096);
    locks_list(locks, SPAN(""), &left);
    assert_paths(&left, "to ");
}

/* --- limits --- */

static void limits(void **state)
{
    struct locks *locks = *state;
    char path[64], user[16];
    unsigned total = 0;

    for (unsigned i = 0; i < LIMIT_LOCKS_PER_NAME; i++, total++)
        assert_int_equal(try(locks, i % 2 ? "alice" : "bob", "shared", "s0"), 0);
    assert_int_equal(try(locks, "carol", "shared", "s0"), 507);
    assert_int_equal(try(locks, "carol", "shared/below", "s0"), 0);
    total++;
    for (unsigned u = 0; total < LIMIT_LOCKS; u++) {
        snprintf(user, sizeof(user), "user%u", u);
        for (unsigned i = 0; i < LIMIT_LOCKS_PER_USER && total < LIMIT_LOCKS; i++, total++) {
            snprintf(path, sizeof(path), "folder/%s/%u", user, i);
            assert_int_equal(try(locks, user, path, "x0"), 0);
        }
        snprintf(path, sizeof(path), "folder/%s/more", user);
        assert_int_equal(try(locks, user, path, "x0"), 507);
    }
    assert_int_equal(try(locks, "somebody", "else", "x0"), 507);
    locks_forget(locks, SPAN("folder/user0/0"));
    assert_int_equal(try(locks, "user0", "again", "x0"), 0);
    assert_int_equal(try(locks, "user0", "and again", "x0"), 507);
}

static void limit_of_memory(void **state)
{
    struct locks *locks = *state;
    static char path[LIMIT_PATH_BYTES], owner[LIMIT_LOCK_OWNER_BYTES];
    char name[16];
    unsigned of_one = 0, users = 0;
    int r = 0;

    memset(path, 'p', sizeof(path));
    memset(owner, 'o', sizeof(owner));
    while (users < 64) {
        struct lock wish = {.owner = span_of(owner, sizeof(owner)),
                            .path = span_of(path, sizeof(path) - 1)};
        wish.user = span_of(name, (size_t)snprintf(name, sizeof(name), "%u", users));
        snprintf(path, 8, "%07u", users * 1000 + of_one);
        path[7] = '/';
        r = locks_grant(locks, &wish, 0, NOW, NULL);
        if (r == 0)
            of_one++;
        else if (of_one == 0)
            break; /* nobody gets any more */
        else {
            size_t bytes = of_one * (sizeof(path) + sizeof(owner));
            assert_int_equal(r, 507);
            assert_true(bytes < LIMIT_LOCK_BYTES_PER_USER);
            assert_true(users == LIMIT_LOCK_BYTES / LIMIT_LOCK_BYTES_PER_USER ||
                        bytes > LIMIT_LOCK_BYTES_PER_USER * 8 / 10);
            of_one = 0;
            users++;
        }
    }
    assert_int_equal(r, 507);
    assert_in_range(users, LIMIT_LOCK_BYTES / LIMIT_LOCK_BYTES_PER_USER,
                    LIMIT_LOCK_BYTES / LIMIT_LOCK_BYTES_PER_USER + 1);
}

/* No more paths are named than an answer shows. */
static void limit_of_names(void **state)
{
    struct locks *locks = *state;
    struct lock_claim claim = {.path = SPAN(""), .touch = TOUCH_BELOW};
    struct lock_shown shown = {.user = SPAN("bob")};
    struct buf blocked;
    unsigned named = 0;
    char path[16];

    for (unsigned i = 0; i < LIMIT_FAILURES + 10; i++) {
        snprintf(path, sizeof(path), "%u", i);
        grant(locks, "alice", path, "x0");
    }
    buf_init_growing(&blocked, 4096);
    assert_int_equal(locks_claim(locks, &claim, 1, &shown, true, NOW, &blocked), 423);
    for (size_t i = 0; i < blocked.len; i++)
        named += blocked.data[i] == '\0';
    assert_int_equal(named, LIMIT_FAILURES);
    buf_finish(&blocked);
}

/* --- restored --- */

static void restored(void **state)
{
    struct locks *locks = *state;
    struct lock lock = make_wish("alice", "a/b", "x0"), bad;

    strcpy(lock.token, "opaquelocktoken:e71d4fae-5dec-41d6-bea5-00a0c91e6be4");
    assert_int_equal(locks_restore(locks, &lock, 77, NOW), 0);
    assert_int_equal(seconds_of(locks, "a/b", NOW), 77);
    assert_int_equal(locks_restore(locks, &lock, 77, NOW), -EINVAL); /* is there */
    assert_int_equal(locks_release(locks, span_str(lock.token), SPAN("alice"), SPAN("a/b"), NOW),
                     0);
    for (unsigned i = 0; i < 10; i++) {
        bad = lock;
        switch (i) {
        case 0:
            bad.path = SPAN("/a");
            break;
        case 1:
            bad.path = SPAN("a/");
            break;
        case 2:
            bad.path = SPAN("a//b");
            break;
        case 3:
            bad.path = SPAN("a\0b");
            break;
        case 4:
            bad.token[3] = 'X';
            break;
        case 5:
            bad.token[20] = 'G';
            break;
        case 6:
            bad.token[24] = '0';
            break;
        case 7:
            bad.user = span_of(bad.token, LIMIT_USER_NAME_BYTES + 1);
            break;
        default:
            break;
        }
        uint32_t seconds = i == 8 ? 0 : i == 9 ? LIMIT_LOCK_S + 1 : 1;
        assert_int_equal(locks_restore(locks, &bad, seconds, NOW), -EINVAL);
    }
    assert_false(locks_any(locks));
}

/* --- threads --- */

enum { THREADS = 8, ROUNDS = 3000, NAMES = 6 };

/* Written without any other lock by who has claimed the name, or has an exclusive lock of it and
 * found nobody there. */
static _Atomic unsigned changing[NAMES], locked[NAMES], wrong, done_changes, done_locks;
static struct locks *common;

static void change(unsigned i, const char *user)
{
    static const char *const paths[NAMES] = {"a", "a/b", "a/b/c", "d", "d/e", "f"};
    struct lock_claim claim = {.path = span_str(paths[i]), .touch = i % 2 ? PUT : MAKE};
    const struct lock_shown shown = {.user = span_str(user)};

    if (locks_claim(common, &claim, 1, &shown, false, NOW, NULL) != 0)
        return;
    changing[i]++;
    wrong += locked[i] != 0;
    changing[i]--;
    done_changes++;
    locks_unclaim(common, &claim, 1, i == 0);
}

static void lock_and_release(unsigned i, const char *user)
{
    static const char *const paths[NAMES] = {"a", "a/b", "a/b/c", "d", "d/e", "f"};
    struct lock wish = make_wish(user, paths[i], "x0");
    struct span token = span_of(wish.token, LOCK_TOKEN_BYTES);

    if (locks_grant(common, &wish, 0, NOW, NULL) != 0)
        return;
    wrong += locked[i]++ != 0;
    wrong += changing[i] != 0;
    locked[i]--;
    done_locks++;
    if (locks_release(common, token, wish.user, wish.path, NOW) != 0)
        wrong++;
}

static void *thread(void *arg)
{
    unsigned random = (unsigned)(uintptr_t)arg;
    char user[16];

    snprintf(user, sizeof(user), "user%u", random % 3);
    for (unsigned i = 0; i < ROUNDS; i++) {
        random = random * 1103515245 + 12345;
        if (random >> 16 & 1)
            change((random >> 20 & 0xff) % NAMES, user);
        else
            lock_and_release((random >> 20 & 0xff) % NAMES, user);
        (void)locks_any(common);
        (void)locks_version(common);
    }
    return NULL;
}

static void many_at_once(void **state)
{
    pthread_t threads[THREADS];

    common = *state;
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, thread, (void *)(i + 1)), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(wrong, 0);
    assert_true(done_changes > ROUNDS && done_locks > ROUNDS);
    assert_false(locks_any(common));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tokens),
        TEST(conflicts),
        TEST(conflicts_are_named),
        TEST(release_and_refresh),
        TEST(they_end),
        TEST(what_covers),
        TEST(what_locks_forbid),
        TEST(several_locks),
        TEST(as_if_shown),
        TEST(claims),
        TEST(claims_of_folders),
        TEST(claims_together_or_not_at_all),
        TEST(locks_of_what_is_gone),
        TEST(limits),
        TEST(limit_of_memory),
        TEST(limit_of_names),
        TEST(restored),
        TEST(many_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
