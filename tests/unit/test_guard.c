/* The guard, on a real folder: conditions on resources, tokens, ways through links, and what
 * becomes of the locks of what is gone. */
#include "assert_span.h"
#include "remove_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "files/etag.h"
#include "files/guard.h"

struct fixture {
    char path[64];
    struct root root;
    struct locks *locks;
    struct request request;
    struct guard guard;
};

static void make_file(struct fixture *f, const char *name)
{
    /* Long ago, so that its tag is a strong one. */
    const struct timespec times[2] = {{.tv_sec = 1000000000, .tv_nsec = 1},
                                      {.tv_sec = 1000000000, .tv_nsec = 1}};
    int fd = openat(f->root.fd, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(futimens(fd, times), 0);
    close(fd);
}

static int set_up(void **state)
{
    static struct fixture f;

    f = (struct fixture){0};
    strcpy(f.path, "/tmp/fastfile-guard-XXXXXX");
    assert_non_null(mkdtemp(f.path));
    root_init(&f.root, open(f.path, O_PATH | O_DIRECTORY | O_CLOEXEC));
    assert_true(f.root.fd >= 0);
    assert_int_equal(mkdirat(f.root.fd, "a", 0755), 0);
    assert_int_equal(mkdirat(f.root.fd, "a/b", 0755), 0);
    assert_int_equal(mkdirat(f.root.fd, ".fastfile", 0755), 0);
    make_file(&f, "a/b/file");
    make_file(&f, "a/other");
    make_file(&f, ".fastfile/own");
    assert_int_equal(symlinkat("a/b/file", f.root.fd, "link"), 0);
    assert_int_equal(symlinkat("a", f.root.fd, "way"), 0);
    assert_int_equal(symlinkat("nowhere", f.root.fd, "dangling"), 0);
    assert_int_equal(symlinkat("/etc", f.root.fd, "out"), 0);
    assert_int_equal(locks_create(&f.locks), 0);
    f.request.host = SPAN("host:8443");
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    locks_destroy(f->locks); /* asserts that nothing is claimed any more */
    close(f->root.fd);
    return remove_folder(f->path);
}

static uint64_t clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* "(<token>)" in memory of this function's. */
static const char *grant(struct fixture *f, const char *path, bool infinite)
{
    static char fields[8][LOCK_TOKEN_BYTES + 16];
    static unsigned next;
    struct lock wish = {.user = SPAN("alice"), .path = span_str(path), .is_infinite = infinite};
    char *field = fields[next++ % COUNT(fields)];

    assert_int_equal(locks_grant(f->locks, &wish, 0, clock_ms(), NULL), 0);
    sprintf(field, "(<%s>)", wish.token);
    return field;
}

static struct guard *guard_of(struct fixture *f, enum http_method method, const char *path,
                              const char *dav_if)
{
    f->request.method = method;
    f->request.dav_if = dav_if ? span_str(dav_if) : (struct span){0};
    guard_init(&f->guard, f->locks, &f->root, &f->request, true, SPAN("alice"), span_str(path));
    return &f->guard;
}

static const char *tag_of(struct fixture *f, const char *path, char out[ETAG_BYTES])
{
    struct timespec now;
    struct stat st;

    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    now.tv_sec += 100; /* no longer young */
    assert_int_equal(fstatat(f->root.fd, path, &st, 0), 0);
    struct span tag = etag_format(&st, &now, out);
    out[tag.len] = '\0';
    return out;
}

/* Evaluates If for a PUT of a/b/file, which is there with the tag "T", or new. */
static int evaluate(struct fixture *f, const char *path, bool exists, const char *dav_if)
{
    const struct validators current = {.exists = exists,
                                       .etag = exists ? SPAN("\"T\"") : (struct span){0}};
    struct guard *g = guard_of(f, METHOD_PUT, path, dav_if);
    int r = guard_evaluate(g, &current, 0);

    guard_finish(g);
    return r;
}

static void conditions(void **state)
{
    struct fixture *f = *state;
    char field[512], tag[ETAG_BYTES];

    assert_int_equal(evaluate(f, "a/b/file", true, NULL), 0);
    assert_int_equal(evaluate(f, "a/b/file", true, "([\"T\"])"), 0);
    assert_int_equal(evaluate(f, "a/b/file", true, "([W/\"T\"])"), 0);
    assert_int_equal(evaluate(f, "a/b/file", true, "([\"U\"])"), 412);
    assert_int_equal(evaluate(f, "a/b/file", true, "(Not [\"U\"])"), 0);
    assert_int_equal(evaluate(f, "a/b/file", false, "([\"T\"])"), 412);
    assert_int_equal(evaluate(f, "a/b/file", true, "(<DAV:no-lock>)"), 412);
    assert_int_equal(evaluate(f, "a/b/file", true, "(Not <DAV:no-lock>)"), 0);
    /* Its own path in other words. */
    assert_int_equal(evaluate(f, "a/b/file", true, "</a/b/file> ([\"T\"])"), 0);
    assert_int_equal(evaluate(f, "a/b/file", true, "</a/%62/./file> ([\"T\"])"), 0);
    assert_int_equal(evaluate(f, "a/b/file", true, "<https://host:8443/a/b/file> ([\"T\"])"), 0);
    assert_int_equal(evaluate(f, "a/b/file", true, "<https://other/a/b/file> ([\"T\"])"), 412);
    assert_int_equal(evaluate(f, "a/b/file", true, "<http://host:8443/a/b/file> ([\"T\"])"), 412);
    /* Others' tags. */
    tag_of(f, "a/other", tag);
    snprintf(field, sizeof(field), "</a/other> ([%s])", tag);
    assert_int_equal(evaluate(f, "a/b/file", true, field), 0);
    snprintf(field, sizeof(field), "</way/other> ([%s])", tag);
    assert_int_equal(evaluate(f, "a/b/file", true, field), 0);
    snprintf(field, sizeof(field), "</a/b> ([%s])", tag);
    assert_int_equal(evaluate(f, "a/b/file", true, field), 412);
    snprintf(field, sizeof(field), "</nothing> ([%s]) (Not [%s])", tag, tag);
    assert_int_equal(evaluate(f, "a/b/file", true, field), 0);
    tag_of(f, ".fastfile/own", tag);
    snprintf(field, sizeof(field), "</.fastfile/own> ([%s])", tag);
    assert_int_equal(evaluate(f, "a/b/file", true, field), 412);
    /* Preconditions and If: both. */
    f->request.if_match = SPAN("\"U\"");
    assert_int_equal(evaluate(f, "a/b/file", true, "([\"T\"])"), 412);
    f->request.if_match = SPAN("\"T\"");
    assert_int_equal(evaluate(f, "a/b/file", true, "([\"T\"])"), 0);
    assert_int_equal(evaluate(f, "a/b/file", true, "([\"U\"])"), 412);
}

static void tokens_in_conditions(void **state)
{
    struct fixture *f = *state;
    const char *file = grant(f, "a/b/file", false);
    char field[512];

    assert_int_equal(evaluate(f, "a/b/file", true, file), 0);
    assert_int_equal(evaluate(f, "link", true, file), 0); /* another way there */
    assert_int_equal(evaluate(f, "way/b/file", true, file), 0);
    assert_int_equal(evaluate(f, "a/other", true, file), 412);
    snprintf(field, sizeof(field), "</a/b/file> %s", file);
    assert_int_equal(evaluate(f, "a/other", true, field), 0);
    snprintf(field, sizeof(field), "</way/b/file> %s", file);
    assert_int_equal(evaluate(f, "a/other", true, field), 0);
    snprintf(field, sizeof(field), "</a> %s", file);
    assert_int_equal(evaluate(f, "a/other", true, field), 412);
    /* Of what is not there, a lock of its folder counts. */
    const char *folder = grant(f, "a", false);
    assert_int_equal(evaluate(f, "a/new", false, folder), 0);
    assert_int_equal(evaluate(f, "a/other", true, folder), 412);
    assert_int_equal(evaluate(f, "a/b/new", false, folder), 412);
}

enum {
    PUT = TOUCH_STATE,
    MAKE = TOUCH_STATE | TOUCH_NAME,
    DELETE = TOUCH_STATE | TOUCH_NAME | TOUCH_BELOW | TOUCH_GONE,
};

/* guard_check() and guard_enter(); a lock of what is held is refused meanwhile. Blocked paths, or
 * "".
 */
static int enter(struct fixture *f, const char *path, unsigned touch, bool follow,
                 const char *dav_if, const char *blocked, bool only_members)
{
    const struct guard_part part = {span_str(path), touch, follow, NULL};
    struct guard *g = guard_of(f, METHOD_PUT, path, dav_if);
    struct guard_hold hold = GUARD_NOTHING_HELD;
    char text[256] = "";

    int r = guard_check(g, &part, 1, 0);
    assert_int_equal(guard_enter(g, &part, 1, 0, &hold), r);
    assert_int_equal(hold.locks != NULL, r == 0);
    for (size_t at = 0; at < g->blocked.len; at += strlen(g->blocked.data + at) + 1)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s ", g->blocked.data + at);
    assert_string_equal(text, blocked);
    assert_int_equal(guard_is_blocked(g), r == 423);
    assert_true(r != 423 || g->only_members == only_members);
    guard_leave(g, &hold, GUARD_UNDONE);
    guard_leave(g, &hold, GUARD_DONE); /* harmless */
    guard_finish(g);
    return r;
}

static void tokens_for_changes(void **state)
{
    struct fixture *f = *state;
    char field[256];

    assert_int_equal(enter(f, "a/b/file", PUT, true, NULL, "", false), 0);
    const char *file = grant(f, "a/b/file", false);
    assert_int_equal(enter(f, "a/b/file", PUT, true, NULL, "a/b/file ", false), 423);
    assert_int_equal(enter(f, "way/b/file", PUT, true, NULL, "a/b/file ", false), 423);
    assert_int_equal(enter(f, "link", PUT, true, NULL, "a/b/file ", false), 423);
    assert_int_equal(enter(f, "link", DELETE, false, NULL, "a/b/file ", false), 423);
    assert_int_equal(enter(f, "dangling", DELETE, false, NULL, "", false), 0);
    assert_int_equal(enter(f, "out", DELETE, false, NULL, "", false), 0);
    assert_int_equal(enter(f, "a", DELETE, false, NULL, "a/b/file ", true), 423);
    assert_int_equal(enter(f, "way", DELETE, false, NULL, "", false), 0); /* only the link */
    assert_int_equal(enter(f, "a/other", DELETE, false, NULL, "", false), 0);
    assert_int_equal(enter(f, "a/b/file", PUT, true, file, "", false), 0);
    assert_int_equal(enter(f, "link", DELETE, false, file, "", false), 0);
    assert_int_equal(enter(f, "a", DELETE, false, file, "", false), 0);
    /* That it appears is enough. */
    snprintf(field, sizeof(field), "</nothing> %s (Not <DAV:no-lock>)", file);
    assert_int_equal(enter(f, "a/b/file", PUT, true, field, "", false), 0);
    snprintf(field, sizeof(field), "(Not %.*s", (int)strlen(file) - 1, file + 1);
    assert_int_equal(enter(f, "a/b/file", PUT, true, field, "", false), 0);
    grant(f, "a", false);
    assert_int_equal(enter(f, "a", DELETE, false, NULL, "a a/b/file ", false), 423);
    assert_int_equal(enter(f, "a/new", MAKE, true, NULL, "a ", false), 423);
}

static void shown_later(void **state)
{
    struct fixture *f = *state;
    const char *file = grant(f, "a/b/file", false);
    const struct guard_part part = {SPAN("a/b/file"), PUT, true, NULL};
    struct guard *g = guard_of(f, METHOD_PUT, "a/b/file", NULL);

    assert_int_equal(guard_check(g, &part, 1, 0), 423);
    guard_show(g, span_str(file));
    assert_int_equal(guard_check(g, &part, 1, 0), 0);
    assert_false(guard_is_blocked(g));
    guard_finish(g);
}

static void shown_in_lock_token(void **state)
{
    struct fixture *f = *state;
    const char *file = grant(f, "a/b/file", false);
    const struct guard_part part = {SPAN("a/b/file"), PUT, true, NULL};
    const struct {
        struct span field;
        enum http_method method;
        int expected;
    } cases[] = {
        {span_of(file + 1, strlen(file) - 2), METHOD_PUT, 0}, /* <token> */
        {span_of(file + 2, strlen(file) - 4), METHOD_PUT, 0}, /* token */
        {SPAN("<opaquelocktoken:00000000-0000-4000-8000-000000000000>"), METHOD_PUT, 423},
        {SPAN("<>"), METHOD_PUT, 423},
        {span_of(file + 1, strlen(file) - 2), METHOD_DELETE, 423},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        f->request.lock_token = cases[i].field;
        struct guard *g = guard_of(f, cases[i].method, "a/b/file", NULL);
        assert_int_equal(guard_check(g, &part, 1, 0), cases[i].expected);
        guard_finish(g);
    }
}

static bool can_lock(struct fixture *f, const char *path)
{
    struct lock wish = {.user = SPAN("alice"), .path = span_str(path)};
    struct span token = span_of(wish.token, LOCK_TOKEN_BYTES);

    int r = locks_grant(f->locks, &wish, 0, clock_ms(), NULL);
    if (r == 0)
        assert_int_equal(locks_release(f->locks, token, wish.user, wish.path, clock_ms()), 0);
    else
        assert_int_equal(r, -EBUSY);
    return r == 0;
}

static void nobody_locks_meanwhile(void **state)
{
    struct fixture *f = *state;
    const struct guard_part parts[2] = {{SPAN("way/b"), DELETE, false, NULL},
                                        {SPAN("new"), MAKE, false, NULL}};
    struct guard *g = guard_of(f, METHOD_MOVE, "way/b", NULL);
    struct guard_hold hold;

    for (int any = 0; any < 2; any++) { /* locks, so that paths are looked at */
        assert_int_equal(guard_enter(g, parts, 2, 0, &hold), 0);
        assert_false(can_lock(f, "a/b/file"));
        assert_false(can_lock(f, "new"));
        assert_false(can_lock(f, ""));
        assert_true(can_lock(f, "a/other"));
        guard_leave(g, &hold, GUARD_UNDONE);
        assert_true(can_lock(f, "a/b/file"));
        if (!any)
            grant(f, "elsewhere", false);
    }
    guard_finish(g);
}

static unsigned count_locks(struct fixture *f, const char *path)
{
    struct buf paths;
    unsigned count = 0;

    buf_init_growing(&paths, 4096);
    locks_list(f->locks, span_str(path), &paths);
    for (size_t i = 0; i < paths.len; i++)
        count += paths.data[i] == '\0';
    buf_finish(&paths);
    return count;
}

/* Returns whether locks ended. */
static bool delete_with(struct fixture *f, enum guard_outcome outcome)
{
    const struct guard_part part = {SPAN("a"), DELETE, false, NULL};
    struct guard *g = guard_of(f, METHOD_DELETE, "a", NULL);
    struct guard_hold hold;

    g->shown.any_own = true;
    assert_int_equal(guard_enter(g, &part, 1, 0, &hold), 0);
    if (outcome == GUARD_PARTLY)
        assert_int_equal(unlinkat(f->root.fd, "a/other", 0), 0);
    guard_leave(g, &hold, outcome);
    guard_finish(g);
    return g->has_ended;
}

static void locks_of_what_is_gone(void **state)
{
    struct fixture *f = *state;

    grant(f, "a", false);
    grant(f, "a/other", false);
    grant(f, "a/b/file", false);
    grant(f, "elsewhere", false); /* of something that is not there */
    assert_false(delete_with(f, GUARD_UNDONE));
    assert_int_equal(count_locks(f, ""), 4);
    assert_true(delete_with(f, GUARD_PARTLY));
    assert_int_equal(count_locks(f, ""), 3);
    assert_int_equal(count_locks(f, "a/other"), 0);
    assert_true(delete_with(f, GUARD_DONE));
    assert_false(delete_with(f, GUARD_DONE));
    assert_int_equal(count_locks(f, "a"), 0);
    assert_int_equal(count_locks(f, ""), 1);
}

static void without_a_table(void **state)
{
    struct fixture *f = *state;
    const struct guard_part part = {SPAN("a"), DELETE, false, NULL};
    const struct validators current = {.exists = true};
    struct guard_hold hold;
    struct guard g;

    f->request.dav_if = SPAN("(<DAV:no-lock>)");
    guard_init(&g, NULL, &f->root, &f->request, true, SPAN("alice"), SPAN("a"));
    assert_int_equal(guard_evaluate(&g, &current, 0), 412);
    assert_int_equal(guard_check(&g, &part, 1, 0), 0);
    assert_int_equal(guard_enter(&g, &part, 1, 0, &hold), 0);
    assert_null(hold.locks);
    guard_leave(&g, &hold, GUARD_DONE);
    guard_finish(&g);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(conditions),      TEST(tokens_in_conditions),   TEST(tokens_for_changes),
        TEST(shown_later),     TEST(nobody_locks_meanwhile), TEST(locks_of_what_is_gone),
        TEST(without_a_table), TEST(shown_in_lock_token),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
