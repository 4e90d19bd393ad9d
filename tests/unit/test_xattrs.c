/* Extended attributes that stay with a file, and ours among them. */
#include "assert_span.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/limits.h"
#include "files/xattrs.h"

struct fixture {
    char path[64];
    int from, to;
};

static int make_file(const char *folder)
{
    return open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

static int set_up(void **state)
{
    struct fixture *f = malloc(sizeof(*f));

    strcpy(f->path, "/tmp/fastfile-xattrs-XXXXXX");
    if (!mkdtemp(f->path))
        return -1;
    f->from = make_file(f->path);
    f->to = make_file(f->path);
    *state = f;
    return f->from < 0 || f->to < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    close(f->from);
    close(f->to);
    rmdir(f->path);
    free(f);
    return 0;
}

/* Skips the test where the file system has none. */
static void set(int fd, const char *name, const char *value)
{
    if (fsetxattr(fd, name, value, strlen(value), 0) < 0) {
        assert_int_equal(errno, EOPNOTSUPP);
        skip();
    }
}

static void assert_has(int fd, const char *name, const char *value)
{
    char memory[256];
    ssize_t len = fgetxattr(fd, name, memory, sizeof(memory));

    assert_int_equal(len, value ? (ssize_t)strlen(value) : -1);
    if (value)
        assert_memory_equal(memory, value, (size_t)len);
}

static void carried(void **state)
{
    const struct fixture *f = *state;

    assert_false(xattrs_any(f->from));
    set(f->from, "user.a", "1");
    set(f->from, "user.b", "");
    set(f->to, "user.b", "other");
    set(f->to, "user.c", "gone");
    assert_true(xattrs_any(f->from));
    assert_int_equal(xattrs_carry(f->from, f->to), 0);
    assert_has(f->to, "user.a", "1");
    assert_has(f->to, "user.b", "");
    assert_has(f->to, "user.c", NULL);
    /* Again, and what is not there any more is gone there too. */
    assert_int_equal(fremovexattr(f->from, "user.a"), 0);
    assert_int_equal(xattrs_carry(f->from, f->to), 0);
    assert_has(f->to, "user.a", NULL);
    assert_has(f->to, "user.b", "");
}

/* More names than are read at once at first. */
static void many(void **state)
{
    const struct fixture *f = *state;
    char name[64];

    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof(name), "user.%030d", i);
        set(f->from, name, "x");
    }
    assert_int_equal(xattrs_carry(f->from, f->to), 0);
    assert_has(f->to, "user.000000000000000000000000000039", "x");
    assert_true(xattrs_any(f->to));
}

/* Of other kinds only their own programs know what they mean. */
static void others(void **state)
{
    const struct fixture *f = *state;

    if (fsetxattr(f->from, "trusted.x", "1", 1, 0) < 0)
        skip();
    assert_false(xattrs_any(f->from));
    assert_int_equal(xattrs_carry(f->from, f->to), 0);
    assert_has(f->to, "trusted.x", NULL);
}

/* There may be no such thing on a side. */
static void none(void **state)
{
    const struct fixture *f = *state;
    int null = open("/proc/self/status", O_RDONLY | O_CLOEXEC);

    set(f->from, "user.a", "1");
    set(f->to, "user.a", "2");
    assert_false(xattrs_any(null));
    assert_int_equal(xattrs_carry(f->from, null), 0);
    int r = xattrs_set_own(null, SPAN(""));
    assert_true(r == 0 || r == -EACCES); /* whoever may not write there is told that first */
    assert_true(xattrs_set_own(null, SPAN("x")) < 0);
    close(null);
}

static void ours(void **state)
{
    const struct fixture *f = *state;
    char memory[64], *large = calloc(1, LIMIT_DEAD_BYTES + 1);
    struct buf out;

    buf_init_fixed(&out, memory, sizeof(memory));
    set(f->from, "user.other", "x");
    assert_int_equal(xattrs_get_own(f->from, &out), 0);
    assert_int_equal(out.len, 0);
    assert_int_equal(xattrs_set_own(f->from, SPAN("")), 0);
    assert_int_equal(xattrs_set_own(f->from, SPAN("value")), 0);
    buf_append(&out, SPAN("a "));
    assert_int_equal(xattrs_get_own(f->from, &out), 0);
    assert_span(buf_span(&out), "a value");
    assert_int_equal(xattrs_set_own(f->from, SPAN("")), 0);
    assert_has(f->from, "user.fastfile.properties", NULL);
    /* What is too long was not written by us. */
    if (fsetxattr(f->from, "user.fastfile.properties", large, LIMIT_DEAD_BYTES + 1, 0) == 0) {
        out.len = 0;
        assert_int_equal(xattrs_get_own(f->from, &out), 0);
        assert_int_equal(out.len, 0);
    }
    free(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(carried, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many, set_up, tear_down),
        cmocka_unit_test_setup_teardown(others, set_up, tear_down),
        cmocka_unit_test_setup_teardown(none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ours, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
