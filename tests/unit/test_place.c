/* Places: which folder a path leads to, also through links, and that none is outside. */
#include "assert_span.h"
#include "remove_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "files/place.h"

struct fixture {
    char path[64];
    int fd;
};

static int set_up(void **state)
{
    static struct fixture f;

    strcpy(f.path, "/tmp/fastfile-place-XXXXXX");
    assert_non_null(mkdtemp(f.path));
    f.fd = open(f.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_true(f.fd >= 0);
    assert_int_equal(mkdirat(f.fd, "a", 0755), 0);
    assert_int_equal(mkdirat(f.fd, "a/b", 0755), 0);
    assert_int_equal(mkdirat(f.fd, ".fastfile", 0755), 0);
    close(openat(f.fd, "a/file", O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    close(openat(f.fd, "top", O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    close(f->fd);
    return remove_folder(f->path);
}

static void link_to(struct fixture *f, const char *target, const char *name)
{
    assert_int_equal(symlinkat(target, f->fd, name), 0);
}

typedef int open_fn(int root_fd, struct span path, uint64_t resolve, struct place *ret_place);

/* Both ways of looking must see the same. */
static const uint64_t resolves[] = {0, RESOLVE_NO_XDEV};

/* The place is `name` in `folder`. */
static void leads_to(struct fixture *f, open_fn *open_it, const char *path, const char *folder,
                     const char *name)
{
    for (size_t i = 0; i < COUNT(resolves); i++) {
        struct place p;
        struct stat st;

        int r = open_it(f->fd, span_str(path), resolves[i], &p);
        if (r != 0)
            fail_msg("%s: %s", path, strerror(-r));
        assert_int_equal(fstatat(f->fd, folder, &st, 0), 0);
        assert_string_equal(p.name, name);
        assert_int_equal(p.dir.st_ino, st.st_ino);
        assert_int_equal(p.dir.st_dev, st.st_dev);
        assert_int_equal(fstat(p.dir_fd, &st), 0);
        assert_int_equal(p.dir.st_ino, st.st_ino);
        assert_false(p.unreadable);
        assert_int_equal(place_sync(&p, -1), 0);
        place_close(&p);
        assert_int_equal(p.dir_fd, -1);
        place_close(&p);
    }
}

static void fails(struct fixture *f, open_fn *open_it, const char *path, int error)
{
    for (size_t i = 0; i < COUNT(resolves); i++) {
        struct place p = {.dir_fd = -77};
        int r = open_it(f->fd, span_str(path), resolves[i], &p);
        if (r != error)
            fail_msg("%s: %d, not %d", path, r, error);
        assert_int_equal(p.dir_fd, -77);
    }
}

static void plain_paths(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < 2; i++) {
        open_fn *open_it = i == 0 ? place_open : place_open_link;
        leads_to(f, open_it, "top", ".", "top");
        leads_to(f, open_it, "new", ".", "new");
        leads_to(f, open_it, "a", ".", "a");
        leads_to(f, open_it, "a/file", "a", "file");
        leads_to(f, open_it, "a/b/new", "a/b", "new");
        leads_to(f, open_it, "a/../new", ".", "new"); /* as it stands at the end of a link */
        fails(f, open_it, "none/x", -ENOENT);
        fails(f, open_it, "a/none/x", -ENOENT);
        fails(f, open_it, "a/file/x", -ENOTDIR);
        fails(f, open_it, "a/", -EISDIR);
        fails(f, open_it, "a/.", -EISDIR);
        fails(f, open_it, "..", -EISDIR);
        fails(f, open_it, "../x", -EXDEV);
        fails(f, open_it, "a/../../x", -EXDEV);
    }
}

static void names_too_long(void **state)
{
    struct fixture *f = *state;
    char path[LIMIT_PATH_BYTES] = "a/";

    memset(path + 2, 'n', NAME_MAX);
    leads_to(f, place_open, path, "a", path + 2);
    path[2 + NAME_MAX] = 'n';
    fails(f, place_open, path, -ENAMETOOLONG);
    fails(f, place_open_link, path, -ENAMETOOLONG);
    /* As long as a path can be. */
    for (size_t i = 0; i + 2 < sizeof(path); i += 2)
        memcpy(path + i, "./", 2);
    memcpy(path + sizeof(path) - 2, "x", 2);
    leads_to(f, place_open, path, ".", "x");
}

static void links_at_the_end(void **state)
{
    struct fixture *f = *state;

    link_to(f, "a/file", "to-file");
    link_to(f, "a/new", "dangling");
    link_to(f, "to-file", "twice");
    link_to(f, "a/b", "to-folder");
    link_to(f, "a/b/", "to-folder-slash");
    link_to(f, ".", "to-root");
    link_to(f, "..", "up");
    link_to(f, "../top", "a/up-to-top");
    link_to(f, "a", "way");
    leads_to(f, place_open, "to-file", "a", "file");
    leads_to(f, place_open, "dangling", "a", "new");
    leads_to(f, place_open, "twice", "a", "file");
    leads_to(f, place_open, "to-folder", "a", "b");
    fails(f, place_open, "to-folder-slash", -EISDIR);
    fails(f, place_open, "to-root", -EISDIR);
    fails(f, place_open, "up", -EISDIR);
    leads_to(f, place_open, "a/up-to-top", ".", "top");
    leads_to(f, place_open, "way/up-to-top", ".", "top"); /* up from where the link is */
    leads_to(f, place_open_link, "to-file", ".", "to-file");
    leads_to(f, place_open_link, "way/up-to-top", "a", "up-to-top");
    leads_to(f, place_open_link, "up", ".", "up");
}

static void links_to_folders_on_the_way(void **state)
{
    struct fixture *f = *state;

    link_to(f, "a/b", "deep");
    link_to(f, "../file", "a/b/above");
    leads_to(f, place_open, "deep/x", "a/b", "x");
    leads_to(f, place_open, "deep/above", "a", "file"); /* not "file" beside "deep" */
    leads_to(f, place_open, "deep/../x", "a", "x");
}

static void links_outside(void **state)
{
    struct fixture *f = *state;
    char absolute[128];

    snprintf(absolute, sizeof(absolute), "%s/a/file", f->path);
    link_to(f, absolute, "absolute");
    link_to(f, "/", "root");
    link_to(f, "../x", "up");
    link_to(f, "a/../../x", "down-and-up");
    link_to(f, "..", "a/b/parent");
    link_to(f, "/etc", "etc");
    link_to(f, "..", "above");
    fails(f, place_open, "absolute", -EXDEV);
    fails(f, place_open, "root", -EXDEV);
    fails(f, place_open, "up", -EXDEV);
    fails(f, place_open, "down-and-up", -EXDEV);
    fails(f, place_open, "etc/passwd", -EXDEV);
    fails(f, place_open, "above/x", -EXDEV);
    leads_to(f, place_open, "a/b/parent/x", "a", "x");
    /* Itself it is a name as any other. */
    leads_to(f, place_open_link, "absolute", ".", "absolute");
    leads_to(f, place_open_link, "etc", ".", "etc");
    fails(f, place_open_link, "etc/passwd", -EXDEV);
    fails(f, place_open_link, "above/x", -EXDEV);
}

static void links_without_an_end(void **state)
{
    struct fixture *f = *state;
    char name[16], next[16];

    link_to(f, "self", "self");
    link_to(f, "pong", "ping");
    link_to(f, "ping", "pong");
    link_to(f, "a/x/../../growing", "growing");
    fails(f, place_open, "self", -ELOOP);
    fails(f, place_open, "ping", -ELOOP);
    fails(f, place_open, "ping/x", -ELOOP);
    fails(f, place_open, "growing", -ENOENT);
    leads_to(f, place_open_link, "self", ".", "self");
    /* A long row has an end, but a short one only is followed. */
    for (int i = 0; i < 9; i++) {
        snprintf(name, sizeof(name), "row%d", i);
        snprintf(next, sizeof(next), "row%d", i + 1);
        link_to(f, next, name);
    }
    leads_to(f, place_open, "row1", ".", "row9");
    fails(f, place_open, "row0", -ELOOP);
}

static void links_that_are_too_long(void **state)
{
    struct fixture *f = *state;
    char target[4 * NAME_MAX + 16] = "";

    for (size_t i = 0; i + 2 < sizeof(target) - 1; i += 2)
        memcpy(target + i, "./", 3);
    strcat(target, "x");
    link_to(f, target, "long");
    leads_to(f, place_open, "long", ".", "x");
    /* Behind a long way to it, it is one. */
    char path[LIMIT_PATH_BYTES] = "";
    for (size_t i = 0; i < sizeof(path) - 8; i += 2)
        memcpy(path + i, "./", 3);
    strcat(path, "long");
    assert_true(strlen(path) < LIMIT_PATH_BYTES);
    fails(f, place_open, path, -ENAMETOOLONG);
}

static void reserved_names(void **state)
{
    struct fixture *f = *state;

    link_to(f, ".fastfile/x", "ours");
    link_to(f, ".fastfile", "all-of-it");
    link_to(f, "a/../.fastfile-0123", "upload");
    link_to(f, "ours", "indirect");
    link_to(f, ".fastfiles", "not-ours");
    fails(f, place_open, "ours", -EACCES);
    fails(f, place_open, "all-of-it", -EACCES);
    fails(f, place_open, "upload", -EACCES);
    fails(f, place_open, "indirect", -EACCES);
    leads_to(f, place_open, "not-ours", ".", ".fastfiles");
    leads_to(f, place_open_link, "ours", ".", "ours");
}

/* Whatever the way there says. */
static void links_into_what_is_reserved(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(mkdirat(f->fd, ".fastfile/uploads", 0755), 0);
    assert_int_equal(mkdirat(f->fd, "a/b/.fastfile", 0755), 0);
    link_to(f, ".fastfile/uploads", "all");
    link_to(f, "../.fastfile", "a/up");
    link_to(f, "a/up", "indirect");
    link_to(f, "all/x", "to-one");
    link_to(f, "a", "way");
    link_to(f, ".", "here");
    fails(f, place_open, "all/x", -EACCES);
    fails(f, place_open, "all/none/../x", -ENOENT);
    fails(f, place_open, "a/up/uploads", -EACCES);
    fails(f, place_open, "way/up/uploads", -EACCES);
    fails(f, place_open, "indirect/uploads/x", -EACCES);
    fails(f, place_open, "to-one", -EACCES);
    fails(f, place_open_link, "all/x", -EACCES);
    fails(f, place_open_link, "way/up/x", -EACCES);
    fails(f, place_open, "way/b/.fastfile/x", -EACCES);
    leads_to(f, place_open_link, "to-one", ".", "to-one");
    leads_to(f, place_open, "way/b/x", "a/b", "x");
    leads_to(f, place_open, "here/x", ".", "x");
    /* Names that could mean it elsewhere, and do not here. */
    assert_int_equal(mkdirat(f->fd, "FASTFI~1", 0755), 0);
    leads_to(f, place_open, "FASTFI~1/x", "FASTFI~1", "x");
    leads_to(f, place_open, "fastfile", ".", "fastfile");
}

static void folders_of_the_servers_own(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *path;
        int is;
    } cases[] = {
        {".", 0}, {"a/b", 0}, {".fastfile", 1}, {".fastfile/uploads", 1}, {"a/.fastfile/b", 1}};

    assert_int_equal(mkdirat(f->fd, ".fastfile/uploads", 0755), 0);
    assert_int_equal(mkdirat(f->fd, "a/.fastfile", 0755), 0);
    assert_int_equal(mkdirat(f->fd, "a/.fastfile/b", 0755), 0);
    for (size_t i = 0; i < COUNT(cases); i++) {
        int fd = openat(f->fd, cases[i].path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(root_folder_is_own(f->fd, fd), cases[i].is);
        close(fd);
    }
}

static void looking(void **state)
{
    struct fixture *f = *state;

    link_to(f, "nowhere", "link");
    assert_int_equal(mkfifoat(f->fd, "fifo", 0644), 0);
    for (size_t i = 0; i < COUNT(resolves); i++) {
        static const struct {
            const char *name;
            mode_t kind; /* 0: not there */
        } cases[] = {
            {"top", S_IFREG}, {"a", S_IFDIR}, {"link", S_IFLNK}, {"fifo", S_IFIFO}, {"none", 0}};
        for (size_t n = 0; n < COUNT(cases); n++) {
            struct place p;
            struct stat st, expected;

            assert_int_equal(place_open_link(f->fd, span_str(cases[n].name), resolves[i], &p), 0);
            if (cases[n].kind == 0) {
                assert_int_equal(place_look(&p, &st), -ENOENT);
            } else {
                assert_int_equal(place_look(&p, &st), 0);
                assert_int_equal(fstatat(f->fd, cases[n].name, &expected, AT_SYMLINK_NOFOLLOW), 0);
                assert_int_equal(st.st_mode & S_IFMT, cases[n].kind);
                assert_int_equal(st.st_ino, expected.st_ino);
                assert_int_equal(st.st_ctim.tv_nsec, expected.st_ctim.tv_nsec);
            }
            place_close(&p);
        }
    }
}

/* What is mounted on a name is another file system; /proc/sys is such a name in /proc, or /dev/shm.
 */
static void what_is_mounted_on_a_name(void **state)
{
    int dev = open("/dev", O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct stat above, shm, st;
    struct place p;

    (void)state;
    if (dev < 0 || fstat(dev, &above) < 0 || fstatat(dev, "shm", &shm, 0) < 0 ||
        above.st_dev == shm.st_dev)
        skip();
    assert_int_equal(place_open(dev, SPAN("shm"), RESOLVE_NO_XDEV, &p), -EXDEV);
    assert_int_equal(place_open_link(dev, SPAN("shm"), RESOLVE_NO_XDEV, &p), -EXDEV);
    assert_int_equal(place_open(dev, SPAN("shm/x"), RESOLVE_NO_XDEV, &p), -EXDEV);
    assert_int_equal(place_open(dev, SPAN("shm"), 0, &p), 0);
    assert_int_equal(place_look(&p, &st), 0);
    assert_int_equal(st.st_dev, shm.st_dev);
    place_close(&p);
    close(dev);
}

/* Only root can take the right to read away from itself by becoming somebody else. */
static void a_folder_that_cannot_be_read(void **state)
{
    struct fixture *f = *state;
    struct place p;

    if (geteuid() != 0)
        skip();
    assert_int_equal(mkdirat(f->fd, "dropbox", 0700), 0);
    assert_int_equal(fchmodat(f->fd, "dropbox", 0333, 0), 0);
    assert_int_equal(fchmodat(f->fd, ".", 0755, 0), 0);
    assert_int_equal(seteuid(65534), 0);
    int r = place_open(f->fd, SPAN("dropbox/x"), 0, &p);
    int closed = place_open(f->fd, SPAN("dropbox/inner/x"), 0, &(struct place){0});
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(r, 0);
    assert_int_equal(closed, -ENOENT);
    assert_true(p.unreadable);
    int fd = openat(p.dir_fd, "x", O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(place_sync(&p, fd), 0);
    assert_int_equal(place_sync(&p, -1), 0);
    close(fd);
    place_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(plain_paths, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_too_long, set_up, tear_down),
        cmocka_unit_test_setup_teardown(links_at_the_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(links_to_folders_on_the_way, set_up, tear_down),
        cmocka_unit_test_setup_teardown(links_outside, set_up, tear_down),
        cmocka_unit_test_setup_teardown(links_without_an_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(links_that_are_too_long, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reserved_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(links_into_what_is_reserved, set_up, tear_down),
        cmocka_unit_test_setup_teardown(folders_of_the_servers_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown(looking, set_up, tear_down),
        cmocka_unit_test(what_is_mounted_on_a_name),
        cmocka_unit_test_setup_teardown(a_folder_that_cannot_be_read, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
