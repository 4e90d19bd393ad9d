/* Reading folders: natural order, sorting, what is listed and what is not. */
#include "assert_span.h"
#include "remove_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "files/folder.h"
#include "rt/backend.h"
#include "rt/offload.h"

struct fixture {
    struct offload_pool *pool;
    struct loop *loop;
    char path[64];
    int root_fd;
};

static int set_up(void **state)
{
    static struct fixture f;
    struct loop_options options = {0};

    assert_int_equal(offload_pool_create((const unsigned[OFFLOAD_LANES]){2, 1, 1}, &f.pool), 0);
    options.offload = f.pool;
    assert_int_equal(loop_create(&options, &f.loop), 0);
    strcpy(f.path, "/tmp/fastfile-folder-XXXXXX");
    assert_non_null(mkdtemp(f.path));
    f.root_fd = open(f.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_true(f.root_fd >= 0);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    close(f->root_fd);
    remove_folder(f->path);
    offload_pool_destroy(f->pool);
    loop_destroy(f->loop);
    return 0;
}

/* --- making --- */

static void make_folder(struct fixture *f, const char *path)
{
    assert_int_equal(mkdirat(f->root_fd, path, 0755), 0);
}

static void make_file(struct fixture *f, const char *path, size_t size, time_t mtime)
{
    struct timespec times[2] = {{mtime, 0}, {mtime, 0}};
    int fd = openat(f->root_fd, path, O_CREAT | O_WRONLY | O_EXCL | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    assert_int_equal(futimens(fd, times), 0);
    close(fd);
}

static void make_link(struct fixture *f, const char *path, const char *target)
{
    assert_int_equal(symlinkat(target, f->root_fd, path), 0);
}

/* --- reading, in a task as in the server --- */

struct reading {
    struct fixture *f;
    int dir_fd;
    struct folder_options options;
    bool cancel;
    struct task *task;
    int result;
    struct folder *folder;
};

static void read_main(struct task *t, void *arg)
{
    struct reading *r = arg;

    r->task = t;
    if (r->cancel)
        task_cancel(t, -ETIMEDOUT);
    r->result = folder_read(t, r->dir_fd, &r->options, &r->folder);
    loop_stop(r->f->loop);
}

static int run_reading(struct reading *r)
{
    const char *path = r->options.path.data;

    r->options.root_fd = r->f->root_fd;
    r->dir_fd = openat(r->f->root_fd, path[0] ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(r->dir_fd >= 0);
    r->f->loop->stopped = false;
    assert_int_equal(task_spawn(r->f->loop, read_main, r), 0);
    assert_int_equal(loop_run(r->f->loop), 0);
    close(r->dir_fd);
    return r->result;
}

/* All names, each followed by a blank, folders with a slash. */
static const char *names_of(const struct folder *folder)
{
    static char names[4096];
    size_t at = 0;

    names[0] = '\0';
    for (size_t i = 0; i < folder->count; i++) {
        const struct folder_entry *entry = folder_at(folder, i);
        at += (size_t)snprintf(names + at, sizeof(names) - at, "%.*s%s ", SPAN_ARG(entry->name),
                               entry->type == FOLDER_ENTRY_FOLDER ? "/" : "");
    }
    return names;
}

static void assert_listed(struct fixture *f, const char *path, enum folder_sort sort,
                          bool descending, const char *expected)
{
    struct reading r = {
        .f = f, .options = {.path = span_str(path), .sort = sort, .descending = descending}};

    assert_int_equal(run_reading(&r), 0);
    assert_string_equal(names_of(r.folder), expected);
    folder_free(r.folder);
}

/* --- natural order --- */

static int compare_names(const char *a, const char *b)
{
    static unsigned char x[4096], y[4096];
    size_t x_len = folder_name_key(span_str(a), x), y_len = folder_name_key(span_str(b), y);
    int order = memcmp(x, y, x_len < y_len ? x_len : y_len);

    assert_true(x_len <= FOLDER_KEY_FACTOR * strlen(a));
    return order != 0 ? order : (x_len > y_len) - (x_len < y_len);
}

static void natural_order(void **state)
{
    static const char *const ascending[] = {
        "!",     ".a",    "0",     "1",      "1.5",    "1a",      "2",      "10",    "010b",
        "a",     "A 2",   "a 10",  "a1b2",   "a1b10",  "a2",      "ab",     "b",     "File",
        "file1", "FILE2", "file9", "file10", "file11", "file100", "file_1", "Zebra", "\xc3\xa4",
    };
    (void)state;

    for (size_t i = 0; i < COUNT(ascending); i++)
        for (size_t j = 0; j < COUNT(ascending); j++) {
            int order = compare_names(ascending[i], ascending[j]);
            if ((i < j) != (order < 0) || (i > j) != (order > 0)) {
                print_error("\"%s\" and \"%s\"\n", ascending[i], ascending[j]);
                fail();
            }
        }
    assert_int_equal(compare_names("File007", "fILE7"), 0);
    assert_int_equal(compare_names("0", "000"), 0);
}

static void numbers_of_any_length(void **state)
{
    char a[1024], b[1024];
    (void)state;

    for (size_t digits = 1; digits < 800; digits++) {
        memset(a, '9', digits);
        a[digits] = '\0';
        memset(b, '0', digits + 1);
        b[0] = '1';
        b[digits + 1] = '\0';
        assert_true(compare_names(a, b) < 0);
        a[digits - 1] = '8';
        memset(b, '9', digits);
        b[digits] = '\0';
        assert_true(compare_names(a, b) < 0);
    }
    memset(a, '1', 255);
    for (size_t i = 0; i < 255; i += 2)
        a[i] = 'x';
    a[255] = '\0';
    assert_int_equal(compare_names(a, a), 0);
}

/* --- sorting --- */

static void sorting(void **state)
{
    struct fixture *f = *state;

    make_folder(f, "sort");
    make_folder(f, "sort/folder10");
    make_folder(f, "sort/folder9");
    make_file(f, "sort/file10", 5, 300);
    make_file(f, "sort/file2", 30, 200);
    make_file(f, "sort/File1", 10, 100);
    make_file(f, "sort/file1", 10, 100);
    make_file(f, "sort/zebra", 1, -400);
    assert_listed(f, "sort", FOLDER_BY_NAME, false,
                  "folder9/ folder10/ File1 file1 file2 file10 zebra ");
    assert_listed(f, "sort", FOLDER_BY_NAME, true,
                  "folder10/ folder9/ zebra file10 file2 file1 File1 ");
    assert_listed(f, "sort", FOLDER_BY_SIZE, false,
                  "folder9/ folder10/ zebra file10 File1 file1 file2 ");
    assert_listed(f, "sort", FOLDER_BY_SIZE, true,
                  "folder9/ folder10/ file2 File1 file1 file10 zebra ");
    struct reading r = {.f = f, .options = {.path = SPAN("sort"), .sort = FOLDER_BY_TIME}};
    assert_int_equal(run_reading(&r), 0);
    assert_non_null(strstr(names_of(r.folder), "zebra File1 file1 file2 file10 "));
    assert_int_equal(r.folder->folders, 2);
    assert_int_equal(r.folder->files, 5);
    assert_int_equal(r.folder->total_bytes, 56);
    assert_int_equal(r.folder->left_out, 0);
    folder_free(r.folder);
}

static void many_entries_in_order(void **state)
{
    struct fixture *f = *state;
    struct reading r = {.f = f, .options = {.path = SPAN("many")}};
    char name[64];
    enum { COUNT_MANY = 3000 };

    make_folder(f, "many");
    for (int i = 0; i < COUNT_MANY; i++) {
        snprintf(name, sizeof(name), "many/a long common beginning %d", i * 7919 % COUNT_MANY);
        make_file(f, name, 0, 0);
    }
    assert_int_equal(run_reading(&r), 0);
    assert_int_equal(r.folder->count, COUNT_MANY);
    for (int i = 0; i < COUNT_MANY; i++) {
        snprintf(name, sizeof(name), "a long common beginning %d", i);
        assert_span(folder_at(r.folder, (size_t)i)->name, name);
    }
    folder_free(r.folder);
    r.options.entries_max = COUNT_MANY;
    assert_int_equal(run_reading(&r), 0);
    folder_free(r.folder);
    r.options.entries_max = COUNT_MANY - 1;
    assert_int_equal(run_reading(&r), -EFBIG);
}

static void nothing_in_it(void **state)
{
    make_folder(*state, "nothing");
    assert_listed(*state, "nothing", FOLDER_BY_NAME, false, "");
}

static void an_entry_has_what_an_etag_needs(void **state)
{
    struct fixture *f = *state;
    struct reading r = {.f = f, .options = {.path = SPAN("entry")}};
    struct stat expected, st;

    make_folder(f, "entry");
    make_file(f, "entry/file", 7, 1600000000);
    assert_int_equal(fstatat(f->root_fd, "entry/file", &expected, 0), 0);
    assert_int_equal(run_reading(&r), 0);
    folder_entry_stat(folder_at(r.folder, 0), &st);
    assert_int_equal(st.st_ino, expected.st_ino);
    assert_int_equal(st.st_size, 7);
    assert_memory_equal(&st.st_mtim, &expected.st_mtim, sizeof(st.st_mtim));
    assert_memory_equal(&st.st_ctim, &expected.st_ctim, sizeof(st.st_ctim));
    folder_free(r.folder);
}

/* --- what is listed --- */

static void links_are_what_they_lead_to(void **state)
{
    struct fixture *f = *state;
    struct reading r = {.f = f, .options = {.path = SPAN("links/below")}};

    make_folder(f, "links");
    make_folder(f, "links/below");
    make_folder(f, "links/elsewhere");
    make_folder(f, "links/.fastfile");
    make_folder(f, "links/.fastfile/uploads");
    make_file(f, "links/.fastfile/uploads/data", 1, 0);
    make_file(f, "links/target", 42, 0);
    make_link(f, "links/below/to_file", "../target");
    make_link(f, "links/below/to_folder", "../elsewhere");
    make_link(f, "links/below/to_link", "to_file");
    make_link(f, "links/below/nowhere", "missing");
    make_link(f, "links/below/round", "round");
    make_link(f, "links/below/outside", "../../../etc");
    make_link(f, "links/below/absolute", "/etc/passwd");
    make_link(f, "links/below/magic", "/proc/self/exe");
    make_link(f, "links/below/to_here", ".");
    make_link(f, "links/below/own", "../.fastfile");
    make_link(f, "links/below/own_folder", "own/uploads");
    make_link(f, "links/below/own_itself", "own/.");
    make_link(f, "links/below/own_file", "own_folder/data");
    assert_int_equal(run_reading(&r), 0);
    assert_string_equal(names_of(r.folder), "to_folder/ to_here/ to_file to_link ");
    assert_int_equal(folder_at(r.folder, 2)->size, 42);
    assert_int_equal(r.folder->left_out, 9);
    folder_free(r.folder);
}

static void links_at_the_root(void **state)
{
    struct fixture *f = *state;
    struct reading r = {.f = f, .options = {.path = SPAN("")}};

    make_folder(f, ".fastfile");
    make_link(f, "top", "links/target");
    make_link(f, "up", "..");
    assert_int_equal(run_reading(&r), 0);
    const char *names = names_of(r.folder);
    assert_non_null(strstr(names, " top "));
    assert_null(strstr(names, ".fastfile"));
    assert_null(strstr(names, "up"));
    assert_int_equal(r.folder->left_out, 1);
    folder_free(r.folder);
}

static void every_name_that_there_can_be_is_listed(void **state)
{
    struct fixture *f = *state;
    struct reading r = {.f = f, .options = {.path = SPAN("odd")}};

    make_folder(f, "odd");
    make_folder(f, "odd/.fastfile");
    make_file(f, "odd/.hidden", 0, 0);
    make_file(f, "odd/line\nbreak", 0, 0);
    make_file(f, "odd/\x7f", 0, 0);
    make_file(f, "odd/\xff", 0, 0);
    make_file(f, "odd/%2e", 0, 0);
    assert_int_equal(mkfifoat(f->root_fd, "odd/fifo", 0644), 0);
    assert_int_equal(run_reading(&r), 0);
    assert_string_equal(names_of(r.folder), "%2e .hidden line\nbreak \x7f \xff ");
    assert_int_equal(r.folder->left_out, 1); /* the FIFO */
    folder_free(r.folder);
}

/* --- ends --- */

static void a_cancelled_request_reads_nothing(void **state)
{
    struct reading r = {.f = *state, .options = {.path = SPAN("many")}, .cancel = true};

    assert_int_equal(run_reading(&r), -ETIMEDOUT);
    assert_null(r.folder);
}

static void a_request_cancelled_while_reading_unwinds(void **state)
{
    struct fixture *f = *state;
    struct reading r = {.f = f, .options = {.root_fd = f->root_fd, .path = SPAN("many")}};

    r.dir_fd = openat(f->root_fd, "many", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    f->loop->stopped = false;
    assert_int_equal(task_spawn(f->loop, read_main, &r), 0);
    task_cancel(r.task, -ECANCELED);
    assert_int_equal(loop_run(f->loop), 0);
    /* It ends with its slice, which on a fast machine may have been the last one. */
    assert_true(r.result == -ECANCELED || r.result == 0);
    assert_int_equal(r.result == 0, r.folder != NULL);
    folder_free(r.folder);
    close(r.dir_fd);
}

static void what_is_no_folder_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct reading r = {.f = f, .options = {.path = SPAN("x")}, .dir_fd = -1};

    f->loop->stopped = false;
    assert_int_equal(task_spawn(f->loop, read_main, &r), 0);
    assert_int_equal(loop_run(f->loop), 0);
    assert_int_equal(r.result, -EBADF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(natural_order),
        cmocka_unit_test(numbers_of_any_length),
        cmocka_unit_test(sorting),
        cmocka_unit_test(many_entries_in_order),
        cmocka_unit_test(nothing_in_it),
        cmocka_unit_test(an_entry_has_what_an_etag_needs),
        cmocka_unit_test(links_are_what_they_lead_to),
        cmocka_unit_test(links_at_the_root),
        cmocka_unit_test(every_name_that_there_can_be_is_listed),
        cmocka_unit_test(a_cancelled_request_reads_nothing),
        cmocka_unit_test(a_request_cancelled_while_reading_unwinds),
        cmocka_unit_test(what_is_no_folder_is_an_error),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
