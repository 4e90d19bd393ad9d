/* Folders in batches: what is listed, what is asked of the kernel for it, and looking at paths. */
#include "assert_span.h"
#include "remove_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "files/look.h"
#include "files/scan.h"
#include "rt/backend.h"

enum { MANY = 3 * SCAN_ENTRIES + 7 };

struct fixture {
    struct offload_pool *pool;
    struct loop *loop;
    char path[64];
    struct root root;
};

static void make_file(struct fixture *f, const char *path, size_t size)
{
    int fd = openat(f->root.fd, path, O_CREAT | O_WRONLY | O_EXCL | O_CLOEXEC, 0754);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    close(fd);
}

/* --- in a task, as in the server --- */

struct reading {
    struct fixture *f;
    const char *path;
    unsigned mask;
    bool cancel_early;
    bool attributes;
    size_t attribute_count, attribute_bytes;
    int result;
    size_t count, batches;
    bool watchable;
    char names[1024]; /* of a short folder: each with a blank, folders with a slash, links with "@"
                       */
    uint64_t sizes;
};

static void take(struct reading *r, const struct folder_entry *e)
{
    size_t at = strlen(r->names);

    r->count++;
    r->sizes += e->size;
    if (r->count < 20)
        snprintf(r->names + at, sizeof(r->names) - at, "%.*s%s%s ", SPAN_ARG(e->name),
                 e->flags & ENTRY_IS_LINK ? "@" : "", e->type == FOLDER_ENTRY_FOLDER ? "/" : "");
}

/* Each is one letter again and again. */
static void take_attribute(struct reading *r, struct span attribute)
{
    r->attribute_count += attribute.len > 0;
    r->attribute_bytes += attribute.len;
    for (size_t i = 1; i < attribute.len; i++)
        assert_int_equal(attribute.data[i], attribute.data[0]);
}

static int scan(struct task *t, struct reading *r, const struct file *dir)
{
    struct scan_batch batch = {0};
    struct scan *s;

    r->watchable = true;
    const struct scan_options options = {
        .root = &r->f->root,
        .dir = dir,
        .path = span_str(r->path),
        .mask = r->mask,
        .attributes = r->attributes,
    };
    int result = scan_create(t, &options, &s);
    if (result < 0)
        return result;
    if (r->cancel_early)
        task_cancel(t, -ETIMEDOUT);
    while (result == 0 && !batch.is_last) {
        result = scan_next(t, s, &batch);
        if (result < 0)
            break;
        r->batches++;
        r->watchable &= batch.watchable;
        assert_int_equal(batch.attributes != NULL, r->attributes);
        for (size_t i = 0; i < batch.count; i++) {
            take(r, &batch.entries[i]);
            if (r->attributes)
                take_attribute(r, batch.attributes[i]);
        }
    }
    scan_destroy(t, s);
    return result;
}

static void scan_main(struct task *t, void *arg)
{
    struct reading *r = arg;
    struct file dir;

    r->result = root_open(t, &r->f->root, span_str(r->path), &dir);
    if (r->result == 0) {
        r->result = scan(t, r, &dir);
        file_close(t, &dir);
    }
    loop_stop(r->f->loop);
}

static void run(struct reading *r)
{
    r->f->loop->stopped = false;
    assert_int_equal(task_spawn(r->f->loop, scan_main, r), 0);
    assert_int_equal(loop_run(r->f->loop), 0);
}

static bool lists(const struct reading *r, const char *name)
{
    char wanted[64];

    snprintf(wanted, sizeof(wanted), " %s ", name);
    return strncmp(r->names, wanted + 1, strlen(wanted) - 1) == 0 || strstr(r->names, wanted);
}

static void what_is_listed(void **state)
{
    struct fixture *f = *state;

    for (int names_alone = 0; names_alone < 2; names_alone++) {
        struct reading r = {.f = f, .path = "kinds", .mask = names_alone ? 0 : ENTRY_STAT_ALL};
        run(&r);
        assert_int_equal(r.result, 0);
        assert_int_equal(r.count, 6);
        assert_true(lists(&r, "file"));
        assert_true(lists(&r, ".hidden"));
        assert_true(lists(&r, "two\nlines"));
        assert_true(lists(&r, "sub/"));
        assert_true(lists(&r, "link@"));
        assert_true(lists(&r, "to-folder@/"));
        assert_true(names_alone || r.sizes == 2 * 7 + 3 + 5);
    }
}

static void empty(void **state)
{
    struct reading r = {.f = *state, .path = "kinds/sub", .mask = ENTRY_STAT_ALL};

    run(&r);
    assert_int_equal(r.result, 0);
    assert_int_equal(r.count, 0);
    assert_true(r.watchable);
}

static void links_cannot_be_watched(void **state)
{
    struct reading dead = {.f = *state, .path = "dead", .mask = ENTRY_STAT_ALL};

    run(&dead);
    assert_int_equal(dead.count, 0);
    assert_false(dead.watchable);
}

static void many(void **state)
{
    struct reading r = {.f = *state, .path = "many", .mask = ENTRY_STAT_ALL};

    run(&r);
    assert_int_equal(r.result, 0);
    assert_int_equal(r.count, MANY);
    assert_int_equal(r.sizes, MANY);
    assert_true(r.batches > MANY / SCAN_ENTRIES);
}

/* As many as there is room for in a batch, and each where it belongs. */
static void attributes(void **state)
{
    static char value[LIMIT_DEAD_BYTES];
    enum { FILES = 11 };
    struct fixture *f = *state;
    struct reading r = {.f = f, .path = "kept", .mask = 0, .attributes = true};
    char path[64];

    assert_int_equal(mkdirat(f->root.fd, "kept", 0700), 0);
    for (int i = 0; i < FILES; i++) {
        snprintf(path, sizeof(path), "kept/%d", i);
        make_file(f, path, 0);
        int fd = openat(f->root.fd, path, O_RDONLY | O_CLOEXEC);
        memset(value, 'a' + i, sizeof(value));
        int set = i == 0 ? 0
                         : fsetxattr(fd, "user.fastfile.properties", value,
                                     i % 2 ? 1 : sizeof(value) / 16, 0);
        close(fd);
        if (set < 0 && errno == EOPNOTSUPP)
            skip();
        assert_int_equal(set, 0);
    }
    run(&r);
    assert_int_equal(r.result, 0);
    assert_int_equal(r.count, FILES);
    assert_int_equal(r.attribute_count, FILES - 1);
    assert_int_equal(r.attribute_bytes, 5 + 5 * sizeof(value) / 16);
    for (int i = 0; i < FILES; i++) {
        snprintf(path, sizeof(path), "kept/%d", i);
        unlinkat(f->root.fd, path, 0);
    }
    unlinkat(f->root.fd, "kept", AT_REMOVEDIR);
}

static void cancelled(void **state)
{
    struct reading r = {.f = *state, .path = "many", .mask = ENTRY_STAT_ALL, .cancel_early = true};

    run(&r);
    assert_int_equal(r.result, -ETIMEDOUT);
    assert_int_equal(r.count, 0);
}

static void no_folder(void **state)
{
    struct reading r = {.f = *state, .path = "kinds/file", .mask = ENTRY_STAT_ALL};

    run(&r);
    assert_int_equal(r.result, -ENOTDIR);
}

/* --- looking --- */

struct looking {
    struct fixture *f;
    const char *path;
    int result;
    struct file file;
};

static void look_main(struct task *t, void *arg)
{
    struct looking *l = arg;

    l->result = look_open(t, &l->f->root, span_str(l->path), &l->file);
    if (l->result == 0) {
        char byte;
        assert_int_equal(read(l->file.fd, &byte, 1), -1);
        assert_int_equal(errno, EBADF);
        file_close(t, &l->file);
    }
    loop_stop(l->f->loop);
}

static int look(struct fixture *f, const char *path, mode_t *ret_mode)
{
    struct looking l = {.f = f, .path = path};

    f->loop->stopped = false;
    assert_int_equal(task_spawn(f->loop, look_main, &l), 0);
    assert_int_equal(loop_run(f->loop), 0);
    if (l.result == 0)
        *ret_mode = l.file.st.st_mode;
    return l.result;
}

static void looking(void **state)
{
    struct fixture *f = *state;
    mode_t mode = 0;

    assert_int_equal(look(f, "", &mode), 0);
    assert_true(S_ISDIR(mode));
    assert_int_equal(look(f, "kinds/file", &mode), 0);
    assert_true(S_ISREG(mode));
    assert_int_equal(look(f, "kinds/link", &mode), 0);
    assert_true(S_ISREG(mode));
    assert_int_equal(look(f, "kinds/fifo", &mode), -ENOENT);
    assert_int_equal(look(f, "kinds/none", &mode), -ENOENT);
    assert_int_equal(look(f, "dead/outside", &mode), -EXDEV);
    f->root.fast = false;
    assert_int_equal(look(f, "kinds/file", &mode), 0);
    assert_int_equal(look(f, "kinds/none", &mode), -ENOENT);
}

/* --- */

static int set_up(void **state)
{
    static struct fixture f;
    struct loop_options options = {0};
    char name[32];

    assert_int_equal(offload_pool_create((const unsigned[OFFLOAD_LANES]){2, 1, 1}, &f.pool), 0);
    options.offload = f.pool;
    assert_int_equal(loop_create(&options, &f.loop), 0);
    strcpy(f.path, "/tmp/fastfile-scan-XXXXXX");
    assert_non_null(mkdtemp(f.path));
    root_init(&f.root, open(f.path, O_PATH | O_DIRECTORY | O_CLOEXEC));
    static const char *const folders[] = {"kinds", "kinds/sub", "dead", "many"};
    for (size_t i = 0; i < COUNT(folders); i++)
        assert_int_equal(mkdirat(f.root.fd, folders[i], 0755), 0);
    make_file(&f, "kinds/file", 7);
    make_file(&f, "kinds/.hidden", 3);
    make_file(&f, "kinds/.fastfile-0", 1000);
    make_file(&f, "kinds/two\nlines", 5);
    assert_int_equal(mkfifoat(f.root.fd, "kinds/fifo", 0600), 0);
    assert_int_equal(symlinkat("file", f.root.fd, "kinds/link"), 0);
    assert_int_equal(symlinkat("sub", f.root.fd, "kinds/to-folder"), 0);
    assert_int_equal(symlinkat("nowhere", f.root.fd, "kinds/dead"), 0);
    assert_int_equal(symlinkat("nowhere", f.root.fd, "dead/link"), 0);
    assert_int_equal(symlinkat("/etc", f.root.fd, "dead/outside"), 0);
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "many/%d", i);
        make_file(&f, name, 1);
    }
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_listed),
        cmocka_unit_test(empty),
        cmocka_unit_test(links_cannot_be_watched),
        cmocka_unit_test(many),
        cmocka_unit_test(attributes),
        cmocka_unit_test(cancelled),
        cmocka_unit_test(no_folder),
        cmocka_unit_test(looking),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
