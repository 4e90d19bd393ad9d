/* Trees, from the bottom up and as they are; and names that take the place of others. */
#include "assert_span.h"
#include "remove_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "files/replace.h"
#include "files/tree.h"

struct fixture {
    char path[64];
    int fd;
};

static int set_up(void **state)
{
    static struct fixture f;

    strcpy(f.path, "/tmp/fastfile-tree-XXXXXX");
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
    remove_folder(f->path);
    return 0;
}

static void make_folder(const struct fixture *f, const char *path)
{
    assert_int_equal(mkdirat(f->fd, path, 0755), 0);
}

static void make_file(const struct fixture *f, const char *path)
{
    int fd = openat(f->fd, path, O_CREAT | O_WRONLY | O_EXCL | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, path, strlen(path)), strlen(path));
    close(fd);
}

static bool is_there(const struct fixture *f, const char *path)
{
    return faccessat(f->fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void assert_content(const struct fixture *f, const char *path, const char *expected)
{
    char found[64];
    int fd = openat(f->fd, path, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    ssize_t n = read(fd, found, sizeof(found));
    close(fd);
    assert_span(span_of(found, (size_t)n), expected);
}

/* --- trees --- */

enum { TOLD_BYTES = 64 * 1024 };

/* One line a step. */
static const char *tell(const struct fixture *f, const char *name, struct tree *tree)
{
    static const char *const words[] = {"end", "entry", "enter", "leave", "unreadable"};
    static char told[TOLD_BYTES];
    const struct tree_step *step;
    size_t len = 0;

    assert_int_equal(tree_begin(tree, f->fd, name), 0);
    do {
        assert_int_equal(tree_next(tree, &step), 0);
        len += (size_t)snprintf(told + len, sizeof(told) - len, "%s %.*s%s\n", words[step->event],
                                SPAN_ARG(step->path), step->spoiled ? " spoiled" : "");
        assert_true(len < sizeof(told));
        if (step->event == TREE_END)
            break;
        struct span end =
            span_skip(step->path, step->path.len - (step->path.len ? strlen(step->name) : 0));
        assert_span(end, step->path.len ? step->name : "");
        assert_int_equal(step->fd >= 0, step->event == TREE_ENTER || step->event == TREE_LEAVE);
        if (span_equal(step->path, SPAN("b/bad")))
            tree_spoil(tree);
    } while (true);
    tree_finish(tree);
    return told;
}

static void from_the_bottom_up(void **state)
{
    const struct fixture *f = *state;
    struct tree tree = {0};

    make_folder(f, "top");
    make_folder(f, "top/a");
    make_file(f, "top/a/1");
    make_folder(f, "top/a/c");
    make_file(f, "top/z");
    assert_string_equal(tell(f, "top", &tree), "enter \nentry z\nenter a\nentry a/1\nenter a/c\n"
                                               "leave a/c\nleave a\nleave \nend \n");
}

static void what_is_spoiled_spoils_what_it_is_in(void **state)
{
    const struct fixture *f = *state;
    struct tree tree = {.leave_out_reserved = true};

    make_folder(f, "top");
    make_folder(f, "top/b");
    make_file(f, "top/b/bad");
    make_folder(f, "top/.fastfile");
    make_file(f, "top/.fastfile-x");
    assert_string_equal(tell(f, "top", &tree), "enter \nenter b\nentry b/bad\nleave b spoiled\n"
                                               "leave  spoiled\nend  spoiled\n");
}

static void no_link_is_entered(void **state)
{
    const struct fixture *f = *state;
    struct tree tree = {0};

    make_folder(f, "top");
    assert_int_equal(symlinkat("/", f->fd, "top/out"), 0);
    assert_string_equal(tell(f, "top", &tree), "enter \nentry out\nleave \nend \n");
    assert_string_equal(tell(f, "top/out", &tree), "unreadable \nend \n");
    assert_string_equal(tell(f, "missing", &tree), "unreadable \nend \n");
}

/* A folder "d", which has a folder "d", and so on: no path leads that deep, which nftw() would
 * need. */
static void remove_chain(int folder, int depth)
{
    int fd = dup(folder);

    for (int i = 0; i < 2 * depth; i++) {
        int next = openat(fd, i < depth ? "d" : "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(next >= 0);
        close(fd);
        fd = next;
        if (i >= depth)
            assert_return_code(unlinkat(fd, "d", AT_REMOVEDIR), errno);
    }
    close(fd);
}

/* Deeper than any path, and than we go. */
static void its_depth_has_a_limit(void **state)
{
    const struct fixture *f = *state;
    struct tree tree = {0};
    const struct tree_step *step;
    int fd = dup(f->fd);
    size_t entered = 0, left = 0;
    struct rlimit files;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);

    for (int i = 0; i < LIMIT_TREE_DEPTH + 2; i++) {
        assert_int_equal(mkdirat(fd, "d", 0755), 0);
        int next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(next >= 0);
        close(fd);
        fd = next;
    }
    close(fd);
    assert_int_equal(tree_begin(&tree, f->fd, "d"), 0);
    do {
        assert_int_equal(tree_next(&tree, &step), 0);
        entered += step->event == TREE_ENTER;
        left += step->event == TREE_LEAVE;
        if (step->event == TREE_UNREADABLE)
            assert_int_equal(step->error, -ENAMETOOLONG);
        if (step->event == TREE_LEAVE)
            unlinkat(step->dir_fd, step->name, AT_REMOVEDIR);
    } while (step->event != TREE_END);
    assert_int_equal(entered, LIMIT_TREE_DEPTH);
    assert_int_equal(left, LIMIT_TREE_DEPTH);
    tree_finish(&tree);
    remove_chain(f->fd, LIMIT_TREE_DEPTH + 2);
}

static void a_folder_is_read_again(void **state)
{
    const struct fixture *f = *state;
    struct tree tree = {0};
    const struct tree_step *step;
    unsigned entries = 0, left = 0;

    make_folder(f, "top");
    make_file(f, "top/1");
    assert_int_equal(tree_begin(&tree, f->fd, "top"), 0);
    do {
        assert_int_equal(tree_next(&tree, &step), 0);
        entries += step->event == TREE_ENTRY;
        if (step->event == TREE_LEAVE && ++left < 4)
            assert_true(tree_again(&tree));
    } while (step->event != TREE_END);
    assert_int_equal(entries, 4);
    tree_finish(&tree);

    assert_int_equal(tree_begin(&tree, f->fd, "top"), 0);
    bool again = true;
    do {
        assert_int_equal(tree_next(&tree, &step), 0);
        if (step->event == TREE_LEAVE)
            again = tree_again(&tree);
    } while (step->event != TREE_END);
    assert_false(again);
    tree_finish(&tree);
}

static void a_folder_is_left_at_once(void **state)
{
    const struct fixture *f = *state;
    struct tree tree = {0};
    const struct tree_step *step;
    char told[256] = "";

    make_folder(f, "top");
    make_folder(f, "top/skipped");
    make_folder(f, "top/skipped/inner");
    make_file(f, "top/skipped/1");
    make_folder(f, "top/seen");
    make_file(f, "top/seen/2");
    assert_int_equal(tree_begin(&tree, f->fd, "top"), 0);
    do {
        assert_int_equal(tree_next(&tree, &step), 0);
        if (step->event == TREE_ENTER && span_equal(step->path, SPAN("skipped")))
            tree_skip(&tree);
        else if (step->event == TREE_LEAVE || step->event == TREE_ENTRY)
            strcat(strcat(told, step->name), " ");
    } while (step->event != TREE_END);
    tree_finish(&tree);
    assert_true(strcmp(told, "skipped 2 seen top ") == 0 ||
                strcmp(told, "2 seen skipped top ") == 0);
}

/* --- replacing --- */

static struct place place_of(const struct fixture *f, const char *path)
{
    struct place p;

    assert_int_equal(place_open_link(f->fd, span_str(path), 0, &p), 0);
    return p;
}

static int replace(const struct fixture *f, const char *from, const char *to, bool overwrite,
                   struct replacement *r)
{
    struct place a = place_of(f, from), b = place_of(f, to);
    int result = replace_name(&a, &b, overwrite, r);

    place_close(&a);
    place_close(&b);
    return result;
}

static void names_are_taken_over(void **state)
{
    const struct fixture *f = *state;
    struct replacement r;

    make_file(f, "a");
    make_file(f, "b");
    make_folder(f, "empty");
    assert_int_equal(replace(f, "a", "new", false, &r), 0);
    assert_true(r.created && r.aside_fd < 0);
    assert_int_equal(replace(f, "new", "b", false, &r), 412);
    assert_content(f, "b", "b");
    assert_int_equal(replace(f, "new", "b", true, &r), 0);
    assert_true(!r.created && r.aside_fd < 0);
    assert_content(f, "b", "a");
    assert_int_equal(replace(f, "b", "empty", true, &r), 0);
    assert_true(!r.created && r.aside_fd < 0);
    assert_content(f, "empty", "a");
    assert_int_equal(replace(f, "missing", "empty", true, &r), -ENOENT);
    assert_int_equal(replace(f, "empty", "empty", true, &r), -EINVAL);
    assert_content(f, "empty", "a");
}

static void two_names_of_one_file_become_one(void **state)
{
    const struct fixture *f = *state;
    struct replacement r;

    make_file(f, "a");
    assert_int_equal(linkat(f->fd, "a", f->fd, "b", 0), 0);
    assert_int_equal(replace(f, "a", "b", true, &r), 0);
    assert_false(is_there(f, "a"));
    assert_content(f, "b", "a");
}

static void full_folders_are_set_aside_and_come_back(void **state)
{
    const struct fixture *f = *state;
    struct replacement r;

    make_folder(f, "sub");
    make_folder(f, "sub/old");
    make_file(f, "sub/old/x");
    make_file(f, "new");
    struct place from = place_of(f, "new"), to = place_of(f, "sub/old");
    assert_int_equal(replace_name(&from, &to, true, &r), 0);
    assert_false(r.created);
    assert_int_equal(r.aside_fd, from.dir_fd);
    assert_true(root_path_reserved(span_str(r.aside_name)));
    assert_false(is_there(f, "new"));
    assert_content(f, "sub/old", "new");
    assert_int_equal(replace_undo(&from, &to, &r), 0);
    assert_content(f, "new", "new");
    assert_content(f, "sub/old/x", "sub/old/x");
    assert_false(is_there(f, r.aside_name));
    place_close(&from);
    place_close(&to);
}

static void nothing_goes_into_itself(void **state)
{
    const struct fixture *f = *state;
    struct replacement r;

    make_folder(f, "a");
    make_folder(f, "a/b");
    make_file(f, "a/b/c");
    make_folder(f, "a/b/d");
    assert_int_equal(replace(f, "a", "a/b/new", true, &r), -EINVAL);
    assert_int_equal(replace(f, "a", "a/b/d", true, &r), -EINVAL);
    assert_int_equal(replace(f, "a", "a/b", true, &r), -EINVAL);
    assert_int_equal(replace(f, "a/b/c", "a", true, &r), -EINVAL);
    assert_int_equal(replace(f, "a/b", "a", true, &r), -EINVAL);
    assert_content(f, "a/b/c", "a/b/c");
}

static void a_folder_knows_what_it_is_in(void **state)
{
    const struct fixture *f = *state;
    struct root root;
    struct stat st, other;

    make_folder(f, "a");
    make_folder(f, "a/b");
    make_folder(f, "c");
    root_init(&root, open(f->path, O_PATH | O_DIRECTORY | O_CLOEXEC));
    int fd = openat(f->fd, "a/b", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(fstatat(f->fd, "a", &st, 0), 0);
    assert_int_equal(root_folder_is_in(&root, fd, &st), 1);
    assert_int_equal(fstatat(f->fd, "a/b", &st, 0), 0);
    assert_int_equal(root_folder_is_in(&root, fd, &st), 1);
    assert_int_equal(fstatat(f->fd, "c", &other, 0), 0);
    assert_int_equal(root_folder_is_in(&root, fd, &other), 0);
    /* Nothing above the root is looked at. */
    assert_int_equal(stat("/", &st), 0);
    assert_int_equal(root_folder_is_in(&root, fd, &st), 0);
    close(fd);
    close(root.fd);
}

#define TREE_TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TREE_TEST(from_the_bottom_up),
        TREE_TEST(what_is_spoiled_spoils_what_it_is_in),
        TREE_TEST(no_link_is_entered),
        TREE_TEST(its_depth_has_a_limit),
        TREE_TEST(a_folder_is_read_again),
        TREE_TEST(a_folder_is_left_at_once),
        TREE_TEST(names_are_taken_over),
        TREE_TEST(two_names_of_one_file_become_one),
        TREE_TEST(full_folders_are_set_aside_and_come_back),
        TREE_TEST(nothing_goes_into_itself),
        TREE_TEST(a_folder_knows_what_it_is_in),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
