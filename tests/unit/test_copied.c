/* What was copied, and whether it may go; and copies of folders, a step at a time. */
#include "assert_span.h"
#include "remove_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "files/copied.h"
#include "files/copy_tree.h"
#include "files/etag.h"

enum { NOW_S = 1000000, LATER_S = 1000 };

static struct stat stat_of(mode_t type, off_t size, struct timespec changed)
{
    return (struct stat){.st_mode = type | 0644,
                         .st_ino = 7,
                         .st_size = size,
                         .st_mtim = {.tv_sec = 5, .tv_nsec = 6},
                         .st_ctim = changed};
}

/* --- how long ago --- */

static void what_has_rested(void **state)
{
    /* ctime, whether it is before NOW_S and half a second */
    static const struct {
        struct timespec ctime;
        bool rested;
    } cases[] = {
        {{NOW_S - 10000, 0}, true},
        {{NOW_S, 499999999}, true},
        {{NOW_S, 500000000}, false},
        {{NOW_S, 500000001}, false},
        {{NOW_S + 1, 1}, false},
        {{NOW_S + 10000, 1}, false},
        /* whole seconds: it may have been almost two later */
        {{NOW_S, 0}, false},
        {{NOW_S - 1, 0}, false},
        {{NOW_S - 2, 0}, true},
        /* hundredths, thousandths, millionths of a second; what NTFS has */
        {{NOW_S, 490000000}, true},
        {{NOW_S, 499000000}, true},
        {{NOW_S, 499999000}, true},
        {{NOW_S, 499999900}, true},
        {{INT64_MAX, 999999999}, false},
        {{INT64_MIN, 1}, true},
    };
    struct copied c = {.since = {NOW_S, 500000000}};

    (void)state;
    for (unsigned i = 0; i < COUNT(cases); i++) {
        struct stat st = stat_of(S_IFREG, 1, cases[i].ctime);
        assert_int_equal(copied_rested(&c, &st), cases[i].rested);
    }
    c.since.tv_nsec = 499999950;
    for (unsigned i = 9; i < 13; i++) {
        struct stat st = stat_of(S_IFREG, 1, cases[i].ctime);
        assert_false(copied_rested(&c, &st));
    }
}

static void how_long_to_wait(void **state)
{
    const time_t now = time(NULL), soon = now + 3600; /* young, however long this takes */

    (void)state;
    struct stat young = stat_of(S_IFREG, 1, (struct timespec){.tv_sec = soon, .tv_nsec = 1});
    struct stat coarse = stat_of(S_IFREG, 1, (struct timespec){.tv_sec = soon});
    struct stat old = stat_of(S_IFREG, 1, (struct timespec){.tv_sec = now - 3});
    struct stat folder = stat_of(S_IFDIR, 1, (struct timespec){.tv_sec = 1, .tv_nsec = 1});

    assert_int_equal(copied_pause_ms(&young), ETAG_YOUNG_MS);
    assert_int_equal(copied_pause_ms(&coarse), ETAG_YOUNG_COARSE_MS + ETAG_YOUNG_MS);
    assert_int_equal(copied_pause_ms(&old), 0);
    assert_int_equal(copied_pause_ms(&folder), ETAG_YOUNG_MS);
}

/* --- what is known --- */

static void only_what_was_copied(void **state)
{
    struct copied c = {.since = {NOW_S, 0}};
    const struct timespec before = {NOW_S - 10, 1}, after = {NOW_S + 10, 1};
    struct stat st = stat_of(S_IFREG, 1, before);

    (void)state;
    assert_false(copied_has(&c, SPAN("a"), &st));
    assert_int_equal(copied_add(&c, SPAN("a"), &st), 0);
    assert_true(copied_has(&c, SPAN("a"), &st));
    assert_false(copied_has(&c, SPAN("b"), &st));
    assert_false(copied_has(&c, SPAN("a/a"), &st));
    assert_false(copied_has(&c, SPAN(""), &st));
    for (unsigned i = 0; i < 5; i++) {
        struct stat other = st;
        other.st_size += i == 0;
        other.st_mtim.tv_sec += i == 1;
        other.st_mtim.tv_nsec += i == 2;
        other.st_mode = i == 3 ? S_IFLNK | 0777 : other.st_mode;
        other.st_ctim = i == 4 ? after : other.st_ctim;
        assert_false(copied_has(&c, SPAN("a"), &other));
    }
    st.st_ino++; /* of another look, where inodes have no numbers of their own */
    st.st_mode ^= 0200;
    assert_true(copied_has(&c, SPAN("a"), &st));
    copied_finish(&c);
}

/* As long as nobody has touched it any folder is the one; else its inode says. */
static void folders(void **state)
{
    struct copied c = {.since = {NOW_S, 0}};
    const struct timespec before = {NOW_S - 10, 1}, after = {NOW_S + 10, 1};
    struct stat st = stat_of(S_IFDIR, 1, before);

    (void)state;
    assert_int_equal(copied_add(&c, SPAN("d"), &st), 0);
    assert_true(copied_has(&c, SPAN("d"), &st));
    assert_true(copied_has(&c, SPAN("e"), &st));
    st.st_ctim = st.st_mtim = after;
    st.st_size = 100;
    assert_true(copied_has(&c, SPAN("d"), &st));
    assert_false(copied_has(&c, SPAN("e"), &st));
    st.st_ino++;
    assert_false(copied_has(&c, SPAN("d"), &st));
    copied_finish(&c);
}

static void many(void **state)
{
    enum { MANY = 100000 };
    struct copied c = {.since = {NOW_S, 0}};
    struct stat st = stat_of(S_IFREG, 1, (struct timespec){.tv_sec = 1});
    char path[32];

    (void)state;
    for (unsigned i = 0; i < MANY; i++) {
        struct span p = span_of(path, (size_t)snprintf(path, sizeof(path), "%u", i));
        assert_int_equal(copied_add(&c, p, &st), 0);
        assert_int_equal(copied_add(&c, p, &st), 0); /* the same is the same */
    }
    assert_int_equal(c.count, MANY);
    assert_true(c.capacity <= 4 * MANY);
    for (unsigned i = 0; i < 2 * MANY; i++) {
        struct span p = span_of(path, (size_t)snprintf(path, sizeof(path), "%u", i));
        assert_int_equal(copied_has(&c, p, &st), i < MANY);
    }
    copied_finish(&c);
    assert_null(c.marks);
}

/* --- copying --- */

struct fixture {
    char path[64];
    int fd;
};

static int set_up(void **state)
{
    static struct fixture f;

    strcpy(f.path, "/tmp/fastfile-copied-XXXXXX");
    assert_non_null(mkdtemp(f.path));
    f.fd = open(f.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(f.fd >= 0);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    close(f->fd);
    return remove_folder(f->path);
}

static void make_file(const struct fixture *f, const char *path)
{
    int fd = openat(f->fd, path, O_CREAT | O_WRONLY | O_EXCL | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, path, strlen(path)), strlen(path));
    close(fd);
}

static bool was_copied(const struct fixture *f, const struct copied *c, const char *path)
{
    struct stat st;

    assert_int_equal(fstatat(f->fd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
    st.st_ctim = (struct timespec){.tv_sec = 1};
    return copied_has(c, span_skip(span_str(path), strlen("from/")), &st);
}

/* A folder is renamed to where the copier has been already, before it comes to where it was. */
static void what_the_copier_has_missed(void **state)
{
    static const char *const made[] = {"from", "from/a", "from/b", "from/a/moving",
                                       "from/b/moving2"};
    const struct fixture *f = *state;
    struct copied copied = {.since = {LATER_S, 0}};
    struct copier c = COPIER_NONE;
    struct stat own;
    int r;

    for (unsigned i = 0; i < COUNT(made); i++)
        assert_int_equal(mkdirat(f->fd, made[i], 0755), 0);
    make_file(f, "from/top");
    make_file(f, "from/a/moving/x");
    make_file(f, "from/b/moving2/x");
    assert_int_equal(fstat(f->fd, &own), 0);
    c.from_dir_fd = c.to_dir_fd = f->fd;
    c.from_name = "from";
    c.to_name = "to";
    c.never = &own;
    c.exact = true;
    c.copied = &copied;
    /* Until one of the two folders is behind it, whichever came first. */
    do {
        r = copier_step(&c);
        assert_int_equal(r, SLICE_MORE);
    } while (c.tree.step.event != TREE_LEAVE || c.tree.step.path.len != 1);
    bool a_first = span_equal(c.tree.step.path, SPAN("a"));
    assert_int_equal(renameat(f->fd, a_first ? "from/b/moving2" : "from/a/moving", f->fd,
                              a_first ? "from/a/moving2" : "from/b/moving"),
                     0);
    while ((r = copier_step(&c)) == SLICE_MORE)
        continue;
    assert_int_equal(r, SLICE_DONE);
    assert_true(c.top_fd >= 0);
    copier_finish(&c);
    assert_int_equal(c.top_fd, -1);
    buf_finish(&c.culprit);
    assert_true(was_copied(f, &copied, "from/top"));
    assert_true(was_copied(f, &copied, a_first ? "from/a/moving/x" : "from/b/moving2/x"));
    assert_false(was_copied(f, &copied, a_first ? "from/a/moving2/x" : "from/b/moving/x"));
    assert_int_equal(faccessat(f->fd, a_first ? "to/a/moving2" : "to/b/moving", F_OK, 0), -1);
    copied_finish(&copied);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_has_rested),
        cmocka_unit_test(how_long_to_wait),
        cmocka_unit_test(only_what_was_copied),
        cmocka_unit_test(folders),
        cmocka_unit_test(many),
        cmocka_unit_test_setup_teardown(what_the_copier_has_missed, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
