/* Paths without links: the same one for every way to a file, nothing outside, and one look where
 * there is no link. */
#include "assert_span.h"
#include "remove_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "files/canonical.h"

static unsigned looks;

long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);
long __real_syscall(long number, long a, long b, long c, long d, long e, long f);

long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    looks += number == SYS_openat2;
    return __real_syscall(number, a, b, c, d, e, f);
}

struct fixture {
    char path[64];
    int fd;
};

static void link_to(struct fixture *f, const char *target, const char *name)
{
    assert_int_equal(symlinkat(target, f->fd, name), 0);
}

static void make_file(struct fixture *f, const char *name)
{
    int fd = openat(f->fd, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    close(fd);
}

static int set_up(void **state)
{
    static struct fixture f;

    strcpy(f.path, "/tmp/fastfile-canonical-XXXXXX");
    assert_non_null(mkdtemp(f.path));
    f.fd = open(f.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_true(f.fd >= 0);
    assert_int_equal(mkdirat(f.fd, "a", 0755), 0);
    assert_int_equal(mkdirat(f.fd, "a/b", 0755), 0);
    make_file(&f, "a/b/file");
    make_file(&f, "top");
    link_to(&f, "a/b", "short");
    link_to(&f, "file", "a/b/link");
    link_to(&f, "../..", "a/b/up");
    link_to(&f, "../../top", "a/b/totop");
    link_to(&f, ".", "a/self");
    link_to(&f, "short/link", "far");
    link_to(&f, "a/./b//", "slashes");
    link_to(&f, "nothing/x", "dangling");
    link_to(&f, "..", "out");
    link_to(&f, "a/../../b", "out2");
    link_to(&f, "/tmp", "absolute");
    link_to(&f, "loop2", "loop");
    link_to(&f, "loop", "loop2");
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    close(f->fd);
    return remove_folder(f->path);
}

/* Followed, and not followed at its end; NULL: the error. */
static void paths(void **state)
{
    static const struct {
        const char *path, *followed, *as_link;
        int error; /* of what is NULL */
    } cases[] = {
        {"", "", "", 0},
        {"top", "top", "top", 0},
        {"a", "a", "a", 0},
        {"a/b/file", "a/b/file", "a/b/file", 0},
        {"new", "new", "new", 0},
        {"a/new", "a/new", "a/new", 0},
        {"new/er/est", "new/er/est", "new/er/est", 0},
        {"top/below", "top/below", "top/below", 0}, /* no folder */
        {"short", "a/b", "short", 0},
        {"short/file", "a/b/file", "a/b/file", 0},
        {"short/new", "a/b/new", "a/b/new", 0},
        {"short/new/er", "a/b/new/er", "a/b/new/er", 0},
        {"short/link", "a/b/file", "a/b/link", 0},
        {"a/b/link", "a/b/file", "a/b/link", 0},
        {"a/b/up", "", "a/b/up", 0},
        {"a/b/up/top", "top", "top", 0},
        {"a/b/up/a/b/up/a/new", "a/new", "a/new", 0},
        {"a/b/totop", "top", "a/b/totop", 0},
        {"a/self/self/b/file", "a/b/file", "a/b/file", 0},
        {"a/self", "a", "a/self", 0},
        {"far", "a/b/file", "far", 0},
        {"far/x", "a/b/file/x", "a/b/file/x", 0},
        {"slashes", "a/b", "slashes", 0},
        {"slashes/file", "a/b/file", "a/b/file", 0},
        {"dangling", "nothing/x", "dangling", 0},
        {"dangling/y", "nothing/x/y", "nothing/x/y", 0},
        {"out", NULL, "out", -EXDEV},
        {"out/x", NULL, NULL, -EXDEV},
        {"out2/x", NULL, NULL, -EXDEV},
        {"absolute", NULL, "absolute", -EXDEV},
        {"absolute/x", NULL, NULL, -EXDEV},
        {"loop", NULL, "loop", -ELOOP},
        {"loop/x", NULL, NULL, -ELOOP},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < 4 * COUNT(cases); i++) {
        const char *path = cases[i / 4].path;
        const char *expected = i % 2 ? cases[i / 4].as_link : cases[i / 4].followed;
        char out[LIMIT_PATH_BYTES];
        struct span canonical = SPAN("untouched");
        int r = canonical_path(f->fd, span_str(path), i / 2 % 2 ? RESOLVE_NO_XDEV : 0, i % 2 == 0,
                               out, &canonical);
        if (r != (expected ? 0 : cases[i / 4].error))
            fail_msg("%s: %s", path, strerror(-r));
        assert_span(canonical, expected ? expected : "untouched");
        if (expected)
            assert_int_equal(canonical.data[canonical.len], '\0');
    }
}

static void one_look(void **state)
{
    static const char *const without_links[] = {"top", "a/b", "a/b/file", "a/b/new", "new/er"};
    struct fixture *f = *state;
    char out[LIMIT_PATH_BYTES];
    struct span canonical;

    for (size_t i = 0; i < 2 * COUNT(without_links); i++) {
        looks = 0;
        assert_int_equal(
            canonical_path(f->fd, span_str(without_links[i / 2]), 0, i % 2, out, &canonical), 0);
        assert_in_range(looks, i % 2, 1);
    }
}

static void long_ones(void **state)
{
    struct fixture *f = *state;
    char path[LIMIT_PATH_BYTES], out[LIMIT_PATH_BYTES];
    char target[1001];
    struct span canonical;

    /* A name that cannot be stays as it is. */
    memset(path, 'x', 300);
    path[300] = '\0';
    assert_int_equal(canonical_path(f->fd, span_of(path, 300), 0, true, out, &canonical), 0);
    assert_span(canonical, path);
    /* Links that grow together. */
    memset(target, 0, sizeof(target));
    while (strlen(target) + 2 < sizeof(target))
        strcat(target, "a/self/../"[strlen(target) % 10] == 'a' ? "a/self/../" : "");
    link_to(f, target, "long");
    size_t len = 0;
    for (; len + 6 < sizeof(path); len += 5)
        memcpy(path + len, "long/", 6);
    path[--len] = '\0';
    int r = canonical_path(f->fd, span_of(path, len), 0, true, out, &canonical);
    assert_true(r == -ENAMETOOLONG || r == -ELOOP);
}

static void unreadable_folder(void **state)
{
    struct fixture *f = *state;
    char out[LIMIT_PATH_BYTES];
    struct span canonical;

    if (geteuid() == 0)
        return; /* to root everything is readable */
    assert_int_equal(fchmodat(f->fd, "a/b", 0, 0), 0);
    assert_int_equal(canonical_path(f->fd, SPAN("short/link"), 0, true, out, &canonical), 0);
    assert_span(canonical, "a/b/link");
    assert_int_equal(fchmodat(f->fd, "a/b", 0755, 0), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(paths), TEST(one_look), TEST(long_ones),
                                       TEST(unreadable_folder)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
