/* Walking trees: what comes when, what is left out, and that nobody leads it outside. */
#include "assert_span.h"
#include "remove_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files/walk.h"
#include "rt/backend.h"

struct fixture {
    struct offload_pool *pool;
    struct loop *loop;
    char path[64];
    struct root root;
};

static int set_up(void **state)
{
    static struct fixture f;
    struct loop_options options = {0};

    assert_int_equal(offload_pool_create((const unsigned[OFFLOAD_LANES]){2, 1, 1}, &f.pool), 0);
    options.offload = f.pool;
    assert_int_equal(loop_create(&options, &f.loop), 0);
    strcpy(f.path, "/tmp/fastfile-walk-XXXXXX");
    assert_non_null(mkdtemp(f.path));
    root_init(&f.root, open(f.path, O_PATH | O_DIRECTORY | O_CLOEXEC));
    assert_true(f.root.fd >= 0);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    close(f->root.fd);
    remove_folder(f->path);
    offload_pool_destroy(f->pool);
    loop_destroy(f->loop);
    return 0;
}

static void make_folder(struct fixture *f, const char *path)
{
    assert_int_equal(mkdirat(f->root.fd, path, 0755), 0);
}

static void make_file(struct fixture *f, const char *path)
{
    int fd = openat(f->root.fd, path, O_CREAT | O_WRONLY | O_EXCL | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    close(fd);
}

/* --- walking, in a task as in the server --- */

enum { TOLD_BYTES = 256 * 1024 };

struct walking {
    struct fixture *f;
    const char *start;
    const struct span *names;
    size_t name_count;
    size_t cancel_after; /* steps; 0: never */
    void (*at_step)(struct walking *w, const struct walk_step *step);
    size_t steps, deepest;
    int result;
    char told[TOLD_BYTES]; /* one line a step */
    size_t told_len;
};

static struct walking walking;

static void tell(struct walking *w, const struct walk_step *step)
{
    static const char *const words[] = {"enter", "entry", "unreadable", "leave"};

    w->told_len += (size_t)snprintf(w->told + w->told_len, TOLD_BYTES - w->told_len, "%s %.*s\n",
                                    words[step->event], SPAN_ARG(step->path));
    assert_true(w->told_len < TOLD_BYTES);
}

static void check_step(const struct walk_step *step)
{
    assert_int_equal(step->path.data[step->path.len], '\0');
    assert_ptr_equal(step->name.data + step->name.len, step->path.data + step->path.len);
    assert_int_equal(span_find(step->name, '/'), step->name.len);
    assert_int_equal(step->folder != NULL, step->event == WALK_ENTER || step->event == WALK_ENTRY);
    if (step->folder)
        assert_true(S_ISDIR(step->folder->st.st_mode));
}

static void walk_main(struct task *t, void *arg)
{
    struct walking *w = arg;
    struct walk_step step;
    struct file start;

    assert_int_equal(root_open(t, &w->f->root, span_str(w->start), &start), 0);
    struct walk *walk = walk_create(&w->f->root, &start, w->names, w->name_count);
    assert_non_null(walk);
    while ((w->result = walk_next(t, walk, &step)) > 0) {
        check_step(&step);
        if (w->at_step)
            w->at_step(w, &step);
        else
            tell(w, &step);
        w->steps++;
        if (w->steps == w->cancel_after)
            task_cancel(t, -ETIMEDOUT);
    }
    walk_destroy(t, walk);
    file_close(t, &start);
    loop_stop(w->f->loop);
}

static const char *run_walking(struct fixture *f, const char *start)
{
    walking.f = f;
    walking.start = start;
    f->loop->stopped = false;
    assert_int_equal(task_spawn(f->loop, walk_main, &walking), 0);
    assert_int_equal(loop_run(f->loop), 0);
    return walking.told;
}

static void fresh(void)
{
    memset(&walking, 0, sizeof(walking));
}

/* --- */

static void files_before_folders_and_leaving_last(void **state)
{
    struct fixture *f = *state;

    make_folder(f, "a");
    make_folder(f, "a/b");
    make_file(f, "a/b/1");
    make_file(f, "a/2");
    make_folder(f, "a/.fastfile");
    make_file(f, "a/.fastfile/no");
    make_file(f, "a/.fastfile-0123456789abcdef");
    fresh();
    assert_string_equal(run_walking(f, ""), "enter \n"
                                            "enter a\n"
                                            "entry a/2\n"
                                            "enter a/b\n"
                                            "entry a/b/1\n"
                                            "leave a/b\n"
                                            "leave a\n"
                                            "leave \n");
    assert_int_equal(walking.result, 0);
    fresh();
    assert_string_equal(run_walking(f, "a/b"), "enter \nentry 1\nleave \n");
}

static void some_names(void **state)
{
    static const struct span names[] = {SPAN("a"),          SPAN("gone"),  SPAN("top"),
                                        SPAN(".fastfile"),  SPAN("empty"), SPAN("link"),
                                        SPAN(".fastfile-x")};
    struct fixture *f = *state;

    make_folder(f, "a");
    make_folder(f, "a/b");
    make_file(f, "a/b/1");
    make_folder(f, "empty");
    make_folder(f, ".fastfile");
    make_file(f, ".fastfile-x");
    make_file(f, "top");
    make_file(f, "not");
    assert_int_equal(symlinkat("a", f->root.fd, "link"), 0);
    fresh();
    walking.names = names;
    walking.name_count = COUNT(names);
    assert_string_equal(run_walking(f, ""), "enter a\n"
                                            "enter a/b\n"
                                            "entry a/b/1\n"
                                            "leave a/b\n"
                                            "leave a\n"
                                            "entry top\n"
                                            "enter empty\n"
                                            "leave empty\n"
                                            "entry link\n");
}

static void note_type(struct walking *w, const struct walk_step *step)
{
    static const struct {
        const char *name;
        unsigned char type;
    } types[] = {{"file", DT_REG}, {"link", DT_LNK}, {"loop", DT_LNK}, {"fifo", DT_FIFO}};

    if (step->event != WALK_ENTRY)
        return;
    for (size_t i = 0; i < COUNT(types); i++)
        if (span_equal(step->name, span_str(types[i].name))) {
            assert_int_equal(step->type, types[i].type);
            w->deepest++;
        }
}

static void no_link_is_followed(void **state)
{
    struct fixture *f = *state;

    make_folder(f, "a");
    make_file(f, "a/file");
    assert_int_equal(symlinkat("/etc", f->root.fd, "a/link"), 0);
    assert_int_equal(symlinkat("..", f->root.fd, "a/loop"), 0);
    assert_int_equal(mkfifoat(f->root.fd, "a/fifo", 0644), 0);
    fresh();
    walking.at_step = note_type;
    run_walking(f, "");
    assert_int_equal(walking.deepest, 4);
    assert_int_equal(walking.steps, 4 + 4);
}

/* While one folder is read the other becomes a link to outside. */
static void swap(struct walking *w, const struct walk_step *step)
{
    tell(w, step);
    if (step->event != WALK_ENTER || step->path.len == 0 || w->deepest++ > 0)
        return;
    const char *other = step->name.data[0] == 'a' ? "b" : "a";
    assert_int_equal(unlinkat(w->f->root.fd, other, AT_REMOVEDIR), 0);
    assert_int_equal(symlinkat("/etc", w->f->root.fd, other), 0);
}

static void a_folder_that_becomes_a_link(void **state)
{
    struct fixture *f = *state;

    make_folder(f, "a");
    make_folder(f, "b");
    fresh();
    walking.at_step = swap;
    const char *told = run_walking(f, "");
    assert_non_null(strstr(told, "\nunreadable "));
    assert_null(strstr(told, "entry"));
    assert_int_equal(walking.steps, 2 + 2 + 1);
}

static void measure(struct walking *w, const struct walk_step *step)
{
    if (step->path.len > w->deepest)
        w->deepest = step->path.len;
    if (step->event == WALK_UNREADABLE) {
        assert_int_equal(step->error, -ENAMETOOLONG);
        w->told_len++;
    }
}

/* Deeper than a path can be, in folders with and without long names. */
static void deeper_than_a_path(void **state)
{
    struct fixture *f = *state;
    char name[200];
    int fds[31] = {f->root.fd};

    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    for (size_t i = 1; i < COUNT(fds); i++) {
        assert_int_equal(mkdirat(fds[i - 1], name, 0755), 0);
        fds[i] = openat(fds[i - 1], name, O_PATH | O_DIRECTORY | O_CLOEXEC);
        assert_true(fds[i] >= 0);
    }
    fresh();
    walking.at_step = measure;
    run_walking(f, "");
    assert_int_equal(walking.result, 0);
    assert_int_equal(walking.deepest, 21 * 200 - 1);
    assert_int_equal(walking.told_len, 1);
    assert_int_equal(walking.steps,
                     2 * 21 + 1); /* entered and left, and the one that was too deep */
    for (size_t i = COUNT(fds) - 1; i > 0; i--) {
        close(fds[i]);
        assert_int_equal(unlinkat(fds[i - 1], name, AT_REMOVEDIR), 0);
    }
}

static void more_than_one_buffer(void **state)
{
    struct fixture *f = *state;
    char path[80];

    make_folder(f, "many");
    for (int i = 0; i < 3000; i++) {
        snprintf(path, sizeof(path), "many/a-rather-long-name-for-a-file-%d", i);
        if (i % 3 == 0)
            make_folder(f, path);
        else
            make_file(f, path);
    }
    fresh();
    walking.at_step = measure;
    run_walking(f, "many");
    assert_int_equal(walking.steps, 1 + 2000 + 2 * 1000 + 1);
}

static void cancelled_between_entries(void **state)
{
    struct fixture *f = *state;

    make_folder(f, "a");
    make_file(f, "a/1");
    make_file(f, "a/2");
    make_file(f, "a/3");
    fresh();
    walking.cancel_after = 3;
    run_walking(f, "");
    assert_int_equal(walking.result, -ETIMEDOUT);
    assert_int_equal(walking.steps, 3);
}

#define TREE_TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TREE_TEST(files_before_folders_and_leaving_last),
        TREE_TEST(some_names),
        TREE_TEST(no_link_is_followed),
        TREE_TEST(a_folder_that_becomes_a_link),
        TREE_TEST(deeper_than_a_path),
        TREE_TEST(more_than_one_buffer),
        TREE_TEST(cancelled_between_entries),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
