/* What home can have the process do that reaches the trash outside (home/trasher.h): take away and
 * give back what was in the folder, and nothing else that lies in the trash. */
#include "assert_span.h"
#include "remove_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "home/trasher.h"

struct fixture {
    char path[64];
    int fd;
    struct trasher trasher;
};

static void make_file(const struct fixture *f, const char *name, const char *text)
{
    int fd = openat(f->fd, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

/* dir/ is served; other/ is not; beside them the trash. */
static int set_up(void **state)
{
    static struct fixture f;

    strcpy(f.path, "/tmp/fastfile-trasher-XXXXXX");
    assert_non_null(mkdtemp(f.path));
    f.fd = open(f.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_true(f.fd >= 0);
    assert_int_equal(mkdirat(f.fd, "dir", 0755), 0);
    assert_int_equal(mkdirat(f.fd, "dir/sub", 0755), 0);
    assert_int_equal(mkdirat(f.fd, "other", 0755), 0);
    make_file(&f, "dir/sub/x", "x");
    f.trasher.dir_fd = openat(f.fd, "dir", O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_true(f.trasher.dir_fd >= 0);
    assert_int_equal(trash_open(f.fd, "Trash", geteuid(), true, &f.trasher.trash), 0);
    snprintf(f.trasher.prefix, sizeof(f.trasher.prefix), "%s/dir/", f.path);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    trash_close(&f->trasher.trash);
    close(f->trasher.dir_fd);
    close(f->fd);
    return remove_folder(f->path);
}

static struct stat look(const struct fixture *f, const char *path)
{
    struct stat st;

    assert_int_equal(fstatat(f->fd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
    return st;
}

static bool is_there(const struct fixture *f, const char *path)
{
    return faccessat(f->fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* `folder` is the one of dir/`path`. */
static struct trash_request *request_for(struct fixture *f, enum trash_work work, const char *path,
                                         const char *folder)
{
    struct trash_request *q = &f->trasher.request;
    struct stat dir = look(f, folder);

    memset(q, 0, sizeof(*q));
    q->work = (uint8_t)work;
    q->dir_dev = dir.st_dev;
    q->dir_ino = dir.st_ino;
    snprintf(q->path, sizeof(q->path), "%s", path);
    return q;
}

/* dir/sub/x. */
static struct trash_item take(struct fixture *f)
{
    struct trash_request *q = request_for(f, TRASH_TAKE, "sub/x", "dir/sub");
    struct stat x = look(f, "dir/sub/x");
    struct trash_item item = {0};

    q->dev = x.st_dev;
    q->ino = x.st_ino;
    assert_int_equal(trasher_do(&f->trasher, &item), 0);
    assert_string_equal(item.name, "x");
    return item;
}

static int give_back(struct fixture *f, const char *path, const char *folder,
                     const struct trash_item *item)
{
    struct trash_item none;

    request_for(f, TRASH_GIVE_BACK, path, folder)->item = *item;
    return trasher_do(&f->trasher, &none);
}

static int forget(struct fixture *f, const char *path, const struct trash_item *item)
{
    struct trash_item none;

    request_for(f, TRASH_FORGET, path, "dir")->item = *item;
    return trasher_do(&f->trasher, &none);
}

static void there_and_back(void **state)
{
    struct fixture *f = *state;
    struct stat x = look(f, "dir/sub/x");

    struct trash_item item = take(f);
    assert_true(is_there(f, "Trash/files/x") && is_there(f, "Trash/info/x.trashinfo"));
    assert_int_equal(forget(f, "sub/x", &item), -EEXIST); /* not while it is there */
    assert_true(is_there(f, "Trash/info/x.trashinfo"));
    assert_int_equal(give_back(f, "sub/x", "dir/sub", &item), 0);
    assert_int_equal(look(f, "dir/sub/x").st_ino, x.st_ino);
    assert_false(is_there(f, "Trash/files/x"));
    assert_int_equal(forget(f, "sub/x", &item), 0);
    assert_false(is_there(f, "Trash/info/x.trashinfo"));
    assert_int_equal(forget(f, "sub/x", &item), 0);
    assert_int_equal(give_back(f, "sub/x", "dir/sub", &item), TRASH_MISSING);
}

static void nothing_is_replaced(void **state)
{
    struct fixture *f = *state;
    struct trash_item item = take(f);

    make_file(f, "dir/sub/x", "new");
    assert_int_equal(give_back(f, "sub/x", "dir/sub", &item), -EEXIST);
    assert_int_equal(look(f, "dir/sub/x").st_size, 3);
    assert_true(is_there(f, "Trash/files/x") && is_there(f, "Trash/info/x.trashinfo"));
}

static void only_to_where_it_was(void **state)
{
    struct fixture *f = *state;
    struct trash_item item = take(f), older = item;

    older.deleted_s--;
    assert_int_equal(give_back(f, "x", "dir", &item), TRASH_MISSING);
    assert_int_equal(give_back(f, "sub/y", "dir/sub", &item), TRASH_MISSING);
    assert_int_equal(give_back(f, "sub/x", "dir/sub", &older), TRASH_MISSING);
    assert_int_equal(give_back(f, "sub/x", "dir", &item), TRASH_ELSEWHERE);
    assert_int_equal(give_back(f, "../other/x", "other", &item), -EXDEV);
    assert_int_equal(give_back(f, "none/x", "dir/sub", &item), TRASH_ELSEWHERE);
    older.deleted_s = INT64_MAX; /* no year has so many digits */
    assert_int_equal(give_back(f, "sub/x", "dir/sub", &older), -EINVAL);
    assert_true(is_there(f, "Trash/files/x") && !is_there(f, "dir/sub/x"));
}

/* As after another run of the server: all is known about it but its key. */
static void only_with_its_key(void **state)
{
    struct fixture *f = *state;
    struct trash_item item = take(f), guess = item;

    for (unsigned i = 0; i < TRASH_KEY_BYTES; i++) {
        guess = item;
        guess.key[i] ^= 1;
        assert_int_equal(give_back(f, "sub/x", "dir/sub", &guess), TRASH_MISSING);
    }
    assert_int_equal(give_back(f, "sub/x", "dir/sub", &item), 0);
    assert_int_equal(forget(f, "sub/x", &guess), 0);
    assert_int_equal(forget(f, "sub/y", &item), 0);
    assert_true(is_there(f, "Trash/info/x.trashinfo"));
    assert_int_equal(forget(f, "sub/x", &item), 0);
    assert_false(is_there(f, "Trash/info/x.trashinfo"));
}

static void each_deletion_has_another_key(void **state)
{
    struct fixture *f = *state;
    struct trash_item first = take(f), second;

    assert_int_equal(give_back(f, "sub/x", "dir/sub", &first), 0);
    assert_int_equal(forget(f, "sub/x", &first), 0);
    second = take(f);
    assert_memory_not_equal(first.key, second.key, TRASH_KEY_BYTES);
}

/* What is missing: the thing, or the folder that it was in? */
static void where_its_folder_goes_meanwhile(void **state)
{
    struct fixture *f = *state;
    struct trash_item item = take(f);
    struct place place = {.name = "x"};
    char original[128];

    place.dir_fd = openat(f->fd, "dir/sub", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(place.dir_fd >= 0);
    assert_int_equal(unlinkat(f->fd, "dir/sub", AT_REMOVEDIR), 0);
    snprintf(original, sizeof(original), "%s/dir/sub/x", f->path);
    assert_int_equal(trash_give_back(&f->trasher.trash, &item, span_str(original), &place),
                     -ENOENT);
    assert_int_equal(unlinkat(f->fd, "Trash/files/x", 0), 0);
    assert_int_equal(trash_give_back(&f->trasher.trash, &item, span_str(original), &place),
                     TRASH_MISSING);
    close(place.dir_fd);
}

static void nothing_is_made_on_the_way_back(void **state)
{
    struct fixture *f = *state;
    struct trash trash = TRASH_NONE;

    assert_int_equal(trash_open(f->fd, "none", geteuid(), false, &trash), -ENOENT);
    assert_false(is_there(f, "none"));
    assert_int_equal(mkdirat(f->fd, "none", 0700), 0);
    assert_int_equal(trash_open(f->fd, "none", geteuid(), false, &trash), -ENOENT);
    assert_false(is_there(f, "none/files") || is_there(f, "none/info"));
}

/* The note about a longer name would have no name of its own. */
static void names_that_are_too_long(void **state)
{
    struct fixture *f = *state;
    struct trash_item item = {.name = ""};

    memset(item.name, 'n', TRASH_NAME_MAX);
    assert_int_equal(give_back(f, "x", "dir", &item), TRASH_MISSING);
    memset(item.name, 'n', sizeof(item.name));
    assert_int_equal(give_back(f, "x", "dir", &item), -EINVAL);
    assert_int_equal(forget(f, "x", &item), -EINVAL);
}

static void what_a_desktop_put_there_stays(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"", ".", "..", "../info/x.trashinfo", "/x", "x/"};
    struct trash_item item = {.name = "x"};
    char text[128];

    make_file(f, "Trash/files/x", "secret");
    assert_int_equal(give_back(f, "x", "dir", &item), TRASH_MISSING);
    snprintf(text, sizeof(text), "[Trash Info]\nPath=%s/other/x\nDeletionDate=%s\n", f->path,
             "1970-01-01T00:00:00");
    make_file(f, "Trash/info/x.trashinfo", text);
    assert_int_equal(give_back(f, "x", "dir", &item), TRASH_MISSING);
    assert_int_equal(forget(f, "x", &item), 0);
    for (unsigned i = 0; i < COUNT(names); i++) {
        snprintf(item.name, sizeof(item.name), "%s", names[i]);
        assert_int_equal(give_back(f, "x", "dir", &item), -EINVAL);
        assert_int_equal(forget(f, "x", &item), -EINVAL);
    }
    assert_int_equal(forget(f, "", &item), -EINVAL);
    f->trasher.request.work = 99;
    assert_int_equal(trasher_do(&f->trasher, &item), -EINVAL);
    assert_true(is_there(f, "Trash/files/x") && is_there(f, "Trash/info/x.trashinfo"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(there_and_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_replaced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_to_where_it_was, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_with_its_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_deletion_has_another_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(where_its_folder_goes_meanwhile, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_made_on_the_way_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_that_are_too_long, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_desktop_put_there_stays, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
