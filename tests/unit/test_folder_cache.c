/* Folders that are remembered: every kind of change is seen by the next read, and what cannot be
 * watched is not kept. */
#include "assert_span.h"
#include "remove_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "files/folder_cache.h"
#include "files/scan.h"
#include "rt/backend.h"
#include "rt/io.h"

enum {
    RESTED_MS = 3100,
    QUEUE = 16384, /* events: fs.fanotify.max_queued_events */
    MANY = QUEUE + 500,
};

struct fixture {
    struct offload_pool *pool;
    struct loop *loop;
    char path[64];
    struct root root;
    struct folder_cache cache;
};

/* --- making --- */

static void make_folder(struct fixture *f, const char *path)
{
    assert_int_equal(mkdirat(f->root.fd, path, 0755), 0);
}

static int open_at(struct fixture *f, const char *path, int flags)
{
    int fd = openat(f->root.fd, path, flags | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    return fd;
}

static void make_file(struct fixture *f, const char *path)
{
    int fd = open_at(f, path, O_CREAT | O_WRONLY | O_EXCL);

    assert_int_equal(write(fd, "content", 7), 7);
    close(fd);
}

static const char *at(const char *folder, const char *name)
{
    static char paths[4][320];
    static unsigned next;
    char *path = paths[next++ % COUNT(paths)];

    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

static void make_many(struct fixture *f, const char *folder)
{
    char name[16];

    make_folder(f, folder);
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "%d", i);
        close(open_at(f, at(folder, name), O_CREAT | O_WRONLY));
    }
}

/* --- reading, in a task as in the server --- */

struct reading {
    struct fixture *f;
    const char *path;
    enum folder_sort sort;
    bool bypass;          /* read the folder itself */
    bool another_system;  /* as if on a file system that is not the root's */
    bool strange_entries; /* as if the entries were on another one than the folder */
    bool slow;
    int result;
    const struct folder *folder;
    unsigned *running;
};

static int read_open(struct task *t, struct reading *r, struct file *file)
{
    struct folder_options o = {.path = span_str(r->path), .sort = r->sort};
    struct folder *folder = NULL;

    if (r->another_system || r->strange_entries)
        file->st.st_dev++;
    if (r->slow)
        file->lane = OFFLOAD_SLOW;
    if (!r->bypass)
        return folder_cache_read(t, &r->f->cache, file, &o, &r->folder);
    o.root_fd = r->f->root.fd;
    int error = folder_read(t, file->fd, &o, &folder);
    r->folder = folder;
    return error;
}

static void read_main(struct task *t, void *arg)
{
    struct reading *r = arg;
    struct file file;

    r->result = root_open(t, &r->f->root, span_str(r->path), &file);
    if (r->result == 0) {
        r->result = read_open(t, r, &file);
        close(file.fd);
    }
    if (--*r->running == 0)
        loop_stop(r->f->loop);
}

static void start(struct reading *r, unsigned *running)
{
    r->running = running;
    r->f->loop->stopped = false;
    ++*running;
    assert_int_equal(task_spawn(r->f->loop, read_main, r), 0);
}

static const struct folder *run(struct reading *r)
{
    unsigned running = 0;

    start(r, &running);
    assert_int_equal(loop_run(r->f->loop), 0);
    assert_int_equal(r->result, 0);
    return r->folder;
}

static const struct folder *read_folder(struct fixture *f, const char *path)
{
    struct reading r = {.f = f, .path = path};

    return run(&r);
}

/* What the cache gives is what there is. */
static void assert_true_to(struct fixture *f, const char *path, const struct folder *folder)
{
    struct reading r = {.f = f, .path = path, .bypass = true};
    const struct folder *truth = run(&r);

    assert_int_equal(folder->count, truth->count);
    assert_int_equal(folder->left_out, truth->left_out);
    assert_int_equal(folder->total_bytes, truth->total_bytes);
    for (size_t i = 0; i < folder->count; i++) {
        const struct folder_entry *a = folder_at(folder, i), *b = folder_at(truth, i);
        assert_span(a->name, b->name.data);
        assert_int_equal(a->type, b->type);
        assert_int_equal(a->size, b->size);
        assert_int_equal(a->ino, b->ino);
        assert_int_equal(a->mtime_s, b->mtime_s);
        assert_int_equal(a->mtime_ns, b->mtime_ns);
        if (a->type == FOLDER_ENTRY_FILE) {
            assert_int_equal(a->ctime_s, b->ctime_s);
            assert_int_equal(a->ctime_ns, b->ctime_ns);
        }
    }
    folder_free(truth);
}

/* A second read gives the very folder of the first one. */
static bool is_kept(struct fixture *f, const char *path)
{
    const struct folder *first = read_folder(f, path), *second = read_folder(f, path);
    bool same = first == second;

    folder_free(first);
    folder_free(second);
    return same;
}

static void sleep_main(struct task *t, void *arg)
{
    uint64_t *duration_ms = arg;

    io_sleep(t, *duration_ms);
    loop_stop(task_loop(t));
}

static void sleep_ms(struct fixture *f, uint64_t duration_ms)
{
    f->loop->stopped = false;
    assert_int_equal(task_spawn(f->loop, sleep_main, &duration_ms), 0);
    assert_int_equal(loop_run(f->loop), 0);
}

static void forget(struct fixture *f)
{
    folder_cache_finish(&f->cache);
    folder_cache_init(&f->cache, &f->root, f->loop);
}

/* --- changes: each alone --- */

static void do_write(struct fixture *f, const char *folder)
{
    int fd = open_at(f, at(folder, "file"), O_WRONLY | O_APPEND);

    assert_int_equal(write(fd, "more", 4), 4);
    close(fd);
}

static void do_pwritev2(struct fixture *f, const char *folder)
{
    struct iovec iov = {(char *)"x", 1};
    int fd = open_at(f, at(folder, "file"), O_WRONLY);

    assert_int_equal(pwritev2(fd, &iov, 1, 0, 0), 1); /* the size stays */
    close(fd);
}

static void do_truncate(struct fixture *f, const char *folder)
{
    char path[512];

    snprintf(path, sizeof(path), "%s/%s/file", f->path, folder);
    assert_int_equal(truncate(path, 3), 0);
}

static void do_ftruncate(struct fixture *f, const char *folder)
{
    int fd = open_at(f, at(folder, "file"), O_WRONLY);

    assert_int_equal(ftruncate(fd, 100), 0);
    close(fd);
}

static void do_open_truncating(struct fixture *f, const char *folder)
{
    close(open_at(f, at(folder, "file"), O_WRONLY | O_TRUNC));
}

static void do_utimensat(struct fixture *f, const char *folder)
{
    struct timespec times[2] = {{0, UTIME_OMIT}, {1, 2}};

    assert_int_equal(utimensat(f->root.fd, at(folder, "file"), times, 0), 0);
}

static void do_chmod(struct fixture *f, const char *folder)
{
    assert_int_equal(fchmodat(f->root.fd, at(folder, "file"), 0600, 0), 0);
}

static void do_chown(struct fixture *f, const char *folder)
{
    assert_int_equal(fchownat(f->root.fd, at(folder, "file"), getuid(), getgid(), 0), 0);
}

static void do_fallocate(struct fixture *f, const char *folder)
{
    int fd = open_at(f, at(folder, "file"), O_WRONLY);

    assert_int_equal(fallocate(fd, 0, 0, 5000), 0);
    close(fd);
}

static void do_copy_file_range(struct fixture *f, const char *folder)
{
    int in = open_at(f, "elsewhere/source", O_RDONLY);
    int out = open_at(f, at(folder, "file"), O_WRONLY);

    assert_int_equal(copy_file_range(in, NULL, out, NULL, 5, 0), 5);
    close(in);
    close(out);
}

static void do_splice(struct fixture *f, const char *folder)
{
    int out = open_at(f, at(folder, "file"), O_WRONLY), ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(write(ends[1], "spliced!", 8), 8);
    assert_int_equal(splice(ends[0], NULL, out, NULL, 8, 0), 8);
    close(ends[0]);
    close(ends[1]);
    close(out);
}

static void task_write(struct task *t, void *arg)
{
    int *fd = arg;

    assert_int_equal(io_write(t, *fd, "by the ring", 11, 0), 11);
    loop_stop(task_loop(t));
}

static void do_ring_write(struct fixture *f, const char *folder)
{
    int fd = open_at(f, at(folder, "file"), O_WRONLY);

    f->loop->stopped = false;
    assert_int_equal(task_spawn(f->loop, task_write, &fd), 0);
    assert_int_equal(loop_run(f->loop), 0);
    io_close(f->loop, fd);
}

static void do_create(struct fixture *f, const char *folder)
{
    close(open_at(f, at(folder, "new"), O_CREAT | O_WRONLY));
}

static void do_mkdir(struct fixture *f, const char *folder)
{
    make_folder(f, at(folder, "new"));
}

static void do_mkfifo(struct fixture *f, const char *folder)
{
    assert_int_equal(mkfifoat(f->root.fd, at(folder, "new"), 0600), 0);
}

static void do_symlink(struct fixture *f, const char *folder)
{
    assert_int_equal(symlinkat("file", f->root.fd, at(folder, "new")), 0);
}

static void do_link(struct fixture *f, const char *folder)
{
    assert_int_equal(linkat(f->root.fd, "elsewhere/source", f->root.fd, at(folder, "new"), 0), 0);
    assert_int_equal(unlinkat(f->root.fd, at(folder, "new"), 0), 0);
    assert_int_equal(linkat(f->root.fd, "elsewhere/source", f->root.fd, at(folder, "new"), 0), 0);
}

static void do_unlink(struct fixture *f, const char *folder)
{
    assert_int_equal(unlinkat(f->root.fd, at(folder, "file"), 0), 0);
}

static void do_rmdir(struct fixture *f, const char *folder)
{
    assert_int_equal(unlinkat(f->root.fd, at(folder, "sub"), AT_REMOVEDIR), 0);
}

static void do_rename(struct fixture *f, const char *folder)
{
    assert_int_equal(renameat(f->root.fd, at(folder, "file"), f->root.fd, at(folder, "z")), 0);
}

static void do_rename_over(struct fixture *f, const char *folder)
{
    assert_int_equal(renameat(f->root.fd, at(folder, "other"), f->root.fd, at(folder, "file")), 0);
}

static void do_rename_in(struct fixture *f, const char *folder)
{
    assert_int_equal(renameat(f->root.fd, "elsewhere/movable", f->root.fd, at(folder, "file")), 0);
}

static void do_rename_out(struct fixture *f, const char *folder)
{
    assert_int_equal(renameat(f->root.fd, at(folder, "file"), f->root.fd, "elsewhere/out"), 0);
}

static void do_exchange(struct fixture *f, const char *folder)
{
    assert_int_equal(syscall(SYS_renameat2, f->root.fd, at(folder, "file"), f->root.fd,
                             at(folder, "other"), RENAME_EXCHANGE),
                     0);
}

static void do_create_below(struct fixture *f, const char *folder)
{
    close(open_at(f, at(folder, "sub/new"), O_CREAT | O_WRONLY));
}

static void do_utimensat_below(struct fixture *f, const char *folder)
{
    assert_int_equal(utimensat(f->root.fd, at(folder, "sub"), NULL, 0), 0);
}

static void do_replace_folder(struct fixture *f, const char *folder)
{
    assert_int_equal(renameat(f->root.fd, folder, f->root.fd, "elsewhere/replaced"), 0);
    make_folder(f, folder);
    make_file(f, at(folder, "alone"));
}

/* The new one may have the number of the old one's inode. */
static void do_remove_folder(struct fixture *f, const char *folder)
{
    assert_int_equal(unlinkat(f->root.fd, at(folder, "file"), 0), 0);
    assert_int_equal(unlinkat(f->root.fd, at(folder, "other"), 0), 0);
    assert_int_equal(unlinkat(f->root.fd, at(folder, "sub"), AT_REMOVEDIR), 0);
    assert_int_equal(unlinkat(f->root.fd, folder, AT_REMOVEDIR), 0);
    make_folder(f, folder);
}

static const struct change {
    const char *name; /* and of its folder */
    void (*make)(struct fixture *f, const char *folder);
} changes[] = {
    {"write", do_write},
    {"pwritev2", do_pwritev2},
    {"truncate", do_truncate},
    {"ftruncate", do_ftruncate},
    {"open-truncating", do_open_truncating},
    {"utimensat", do_utimensat},
    {"chmod", do_chmod},
    {"chown", do_chown},
    {"fallocate", do_fallocate},
    {"copy-file-range", do_copy_file_range},
    {"splice", do_splice},
    {"ring-write", do_ring_write},
    {"create", do_create},
    {"mkdir", do_mkdir},
    {"mkfifo", do_mkfifo},
    {"symlink", do_symlink},
    {"link", do_link},
    {"unlink", do_unlink},
    {"rmdir", do_rmdir},
    {"rename", do_rename},
    {"rename-over", do_rename_over},
    {"rename-in", do_rename_in},
    {"rename-out", do_rename_out},
    {"exchange", do_exchange},
    {"create-below", do_create_below},
    {"utimensat-below", do_utimensat_below},
    {"replace-folder", do_replace_folder},
    {"remove-folder", do_remove_folder},
};

static void each_change_is_seen_by_the_next_read(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < COUNT(changes); i++) {
        const struct change *c = &changes[i];
        if (!is_kept(f, c->name)) {
            print_error("%s: the folder was not kept\n", c->name);
            fail();
        }
        const struct folder *before = read_folder(f, c->name);
        c->make(f, c->name);
        const struct folder *after = read_folder(f, c->name);
        if (after == before) {
            print_error("%s: the change was not seen\n", c->name);
            fail();
        }
        assert_true_to(f, c->name, after);
        folder_free(before);
        folder_free(after);
    }
}

/* A change of one folder costs the others what is kept of them, and they are kept again. */
static void others_are_kept_again(void **state)
{
    struct fixture *f = *state;

    assert_true(is_kept(f, "a"));
    assert_true(is_kept(f, "d"));
    close(open_at(f, "d/new", O_CREAT | O_WRONLY));
    assert_true(is_kept(f, "a"));
    assert_false(is_kept(f, "d")); /* it has not rested */
    assert_true(is_kept(f, "a"));
}

static void a_change_while_it_is_read(void **state)
{
    struct fixture *f = *state;
    struct reading r = {.f = f, .path = "many"};
    unsigned running = 0;

    start(&r, &running); /* has begun when this returns */
    assert_int_equal(running, 1);
    close(open_at(f, "many/new", O_CREAT | O_WRONLY));
    assert_int_equal(loop_run(f->loop), 0);
    assert_int_equal(f->cache.bytes, 0);
    const struct folder *again = read_folder(f, "many");
    assert_ptr_not_equal(again, r.folder);
    assert_int_equal(again->count, MANY + 1);
    folder_free(again);
    folder_free(r.folder);
}

static void two_readers_at_once(void **state)
{
    struct fixture *f = *state;
    struct reading a = {.f = f, .path = "a"}, b = a;
    unsigned running = 0;

    start(&a, &running);
    start(&b, &running);
    assert_int_equal(running, 2);
    assert_int_equal(loop_run(f->loop), 0);
    assert_int_equal(f->cache.bytes, b.folder->memory_bytes);
    assert_true(is_kept(f, "a"));
    folder_free(a.folder);
    folder_free(b.folder);
}

/* More events than the kernel's queue takes: the loss of some is noticed, and then it is empty. */
static void too_many_changes(void **state)
{
    struct fixture *f = *state;
    int dir = open_at(f, "many", O_RDONLY | O_DIRECTORY), calls = 0;
    char name[16];

    assert_true(is_kept(f, "f"));
    assert_int_equal(changes_watch(&f->cache.changes, dir), 0);
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "%d", i);
        assert_int_equal(fchmodat(dir, name, 0600, 0), 0);
    }
    make_file(f, "f/new");
    const struct folder *seen = read_folder(f, "f");
    assert_true_to(f, "f", seen);
    folder_free(seen);
    while (changes_seen(&f->cache.changes))
        calls++;
    assert_in_range(calls, 2, QUEUE);
    assert_true(is_kept(f, "b"));
    changes_unwatch(&f->cache.changes, dir);
    close(dir);
}

/* --- what is not kept --- */

static void what_cannot_be_watched(void **state)
{
    static const char *const folders[] = {"with-link", "with-dead-link", "with-two-names",
                                          "with-young", "with-many-folders"};
    struct fixture *f = *state;

    close(open_at(f, "with-young/file", O_WRONLY | O_TRUNC));
    assert_int_equal(f->cache.watches, 0);
    for (size_t i = 0; i < COUNT(folders); i++)
        if (is_kept(f, folders[i])) {
            print_error("%s is kept\n", folders[i]);
            fail();
        }
    assert_int_equal(f->cache.bytes, 0);
    assert_int_equal(f->cache.watches, 0); /* nobody else pays for it */
    make_folder(f, "young");
    assert_false(is_kept(f, "young"));
    assert_true(is_kept(f, "a"));
}

static void other_file_systems(void **state)
{
    struct fixture *f = *state;
    struct reading another = {.f = f, .path = "a", .another_system = true},
                   slow = {.f = f, .path = "a", .slow = true},
                   strange = {.f = f, .path = "a", .strange_entries = true};

    folder_free(run(&another));
    folder_free(run(&slow));
    assert_int_equal(f->cache.bytes, 0);
    f->root.device++;
    folder_free(run(&strange));
    f->root.device--;
    assert_int_equal(f->cache.bytes, 0);
    assert_true(is_kept(f, "a"));
}

/* The link count of a file that is kept may grow without notice; found out in another order, what
 * is kept goes too. */
static void found_out_in_another_order(void **state)
{
    struct fixture *f = *state;
    struct reading r = {.f = f, .path = "e", .sort = FOLDER_BY_SIZE};

    assert_true(is_kept(f, "e"));
    assert_int_equal(linkat(f->root.fd, "e/file", f->root.fd, "elsewhere/of-a", 0), 0);
    folder_free(run(&r));
    assert_int_equal(f->cache.bytes, 0);
    assert_int_equal(unlinkat(f->root.fd, "elsewhere/of-a", 0), 0);
}

/* --- bounds --- */

static void so_many_folders(void **state)
{
    static const char *const names[] = {"c", "d", "e", "f", "g"};
    struct fixture *f = *state;
    const struct folder *first[COUNT(names)];

    _Static_assert(COUNT(names) == FOLDER_CACHE_ENTRIES + 1, "one too many");
    for (size_t i = 0; i < COUNT(names); i++) {
        first[i] = read_folder(f, names[i]);
        if (i == FOLDER_CACHE_ENTRIES - 1)
            folder_free(read_folder(f, names[0])); /* now the second is the oldest */
    }
    for (size_t i = 0; i < COUNT(names); i++) {
        if (i == 1)
            continue;
        const struct folder *again = read_folder(f, names[i]);
        assert_ptr_equal(again, first[i]);
        folder_free(again);
    }
    const struct folder *again = read_folder(f, names[1]);
    assert_ptr_not_equal(again, first[1]);
    folder_free(again);
    for (size_t i = 0; i < COUNT(names); i++)
        folder_free(first[i]);
}

static void so_many_watches(void **state)
{
    struct fixture *f = *state;
    char name[16];

    /* Reading one again and again, as what it has below it changes, takes one. */
    for (int i = 0; i <= FOLDER_CACHE_WATCHES; i++) {
        folder_free(read_folder(f, "g"));
        snprintf(name, sizeof(name), "g/sub/%d", i);
        close(open_at(f, name, O_CREAT | O_WRONLY));
    }
    assert_int_equal(f->cache.watches, 1);
    f->cache.watches = FOLDER_CACHE_WATCHES;
    f->cache.expires_ms = UINT64_MAX;
    assert_false(is_kept(f, "a"));
    forget(f);
    assert_true(is_kept(f, "a"));
}

static void so_much_memory(void **state)
{
    struct fixture *f = *state;
    struct reading by_name = {.f = f, .path = "many"},
                   by_size = {.f = f, .path = "many", .sort = FOLDER_BY_SIZE};

    assert_true(is_kept(f, "a"));
    /* However long it takes to read so many. */
    f->cache.expires_ms = UINT64_MAX;
    timer_stop(loop_timers(f->loop), &f->cache.timer);
    size_t small_bytes = f->cache.bytes;
    const struct folder *first = run(&by_name);
    assert_int_equal(f->cache.bytes, small_bytes + first->memory_bytes);
    assert_true(first->memory_bytes > MANY * sizeof(struct folder_entry));
    f->cache.bytes_max = 2 * first->memory_bytes - 1;
    const struct folder *second = run(&by_size);
    assert_int_equal(f->cache.bytes, second->memory_bytes);
    size_t bytes = second->memory_bytes;
    folder_free(first);
    folder_free(second);
    forget(f);
    assert_int_equal(f->cache.bytes, 0);
    f->cache.bytes_max = bytes - 1;
    assert_false(is_kept(f, "many"));
    assert_int_equal(f->cache.bytes + f->cache.watches, 0);
}

static void orders_are_kept_apart(void **state)
{
    struct fixture *f = *state;
    struct reading by_name = {.f = f, .path = "order"},
                   by_size = {.f = f, .path = "order", .sort = FOLDER_BY_SIZE};

    for (int i = 0; i < 2; i++) {
        run(&by_name);
        assert_span(folder_at(by_name.folder, 0)->name, "1");
        run(&by_size);
        assert_span(folder_at(by_size.folder, 0)->name, "2");
        folder_free(by_name.folder);
        folder_free(by_size.folder);
    }
}

static void at_rest_nothing_is_held(void **state)
{
    struct fixture *f = *state;

    assert_true(is_kept(f, "c"));
    assert_true(f->cache.bytes > 0 && f->cache.watches > 0);
    sleep_ms(f, FOLDER_CACHE_KEEP_MS + 100);
    assert_int_equal(f->cache.bytes, 0);
    assert_int_equal(f->cache.watches, 0);
    make_file(f, "c/unwatched");
    assert_false(changes_seen(&f->cache.changes));
}

/* Neither a mapping nor another name tells the folder. Asking all the time does not make it last.
 */
static void what_is_not_noticed_shows_soon(void **state)
{
    struct fixture *f = *state;
    int fd = open_at(f, "mapped/file", O_RDWR);
    char *map = mmap(NULL, 7, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    const struct folder *folder = read_folder(f, "mapped"), *now = NULL;
    uint64_t begun = loop_now_ms(f->loop);

    assert_true(map != MAP_FAILED);
    assert_int_equal(linkat(f->root.fd, "mapped/other", f->root.fd, "elsewhere/other", 0), 0);
    int other = open_at(f, "elsewhere/other", O_WRONLY | O_APPEND);
    assert_int_equal(write(other, "more", 4), 4);
    map[0] = 'C';
    while ((now = read_folder(f, "mapped")) == folder) {
        folder_free(now);
        sleep_ms(f, 50);
    }
    assert_in_range(loop_now_ms(f->loop) - begun, 0, FOLDER_CACHE_KEEP_MS + 300);
    assert_true_to(f, "mapped", now);
    assert_int_equal(now->total_bytes, 7 + 11);
    folder_free(now);
    folder_free(folder);
    munmap(map, 7);
    close(other);
    close(fd);
}

/* Who has got it keeps it. */
static void forgotten_while_it_is_used(void **state)
{
    struct fixture *f = *state;
    const struct folder *folder = read_folder(f, "order");

    forget(f);
    assert_span(folder_at(folder, 0)->name, "1");
    folder_free(folder);
}

/* --- what others have read --- */

struct offering {
    struct fixture *f;
    const char *path;
    void (*meanwhile)(struct fixture *f, const char *folder); /* may be NULL */
    bool incomplete;
    bool offered; /* whether it was wanted */
    const struct folder *found;
};

static int offer_all(struct task *t, struct offering *o, const struct file *dir)
{
    struct folder_offer offer = {0};
    struct scan_batch batch = {0};
    struct scan *scan;

    o->offered = folder_cache_offer(&o->f->cache, dir, &offer);
    const struct scan_options options = {
        .root = &o->f->root,
        .dir = dir,
        .path = span_str(o->path),
        .mask = ENTRY_STAT_ALL,
    };
    int r = scan_create(t, &options, &scan);
    while (r == 0 && !batch.is_last) {
        r = scan_next(t, scan, &batch);
        if (r == 0 && !batch.watchable)
            folder_cache_spoil(&offer);
        for (size_t i = 0; r == 0 && i < batch.count; i++)
            folder_cache_add(&offer, &batch.entries[i]);
    }
    if (o->meanwhile)
        o->meanwhile(o->f, o->path);
    /* One at a time. */
    struct folder_offer other = {0};
    assert_false(o->offered && folder_cache_offer(&o->f->cache, dir, &other));
    folder_cache_end(&offer, dir, r == 0 && !o->incomplete);
    scan_destroy(t, scan);
    return r;
}

static void offer_main(struct task *t, void *arg)
{
    struct offering *o = arg;
    struct file dir;

    assert_int_equal(root_open(t, &o->f->root, span_str(o->path), &dir), 0);
    assert_int_equal(offer_all(t, o, &dir), 0);
    o->found = folder_cache_find(&o->f->cache, &dir);
    file_close(t, &dir);
    loop_stop(o->f->loop);
}

/* What is found afterwards. */
static const struct folder *offer(struct offering *o)
{
    o->f->loop->stopped = false;
    assert_int_equal(task_spawn(o->f->loop, offer_main, o), 0);
    assert_int_equal(loop_run(o->f->loop), 0);
    return o->found;
}

static bool is_offer_kept(struct fixture *f, const char *path)
{
    struct offering o = {.f = f, .path = path};
    const struct folder *found = offer(&o);

    folder_free(found);
    return found != NULL;
}

static void offers_are_kept(void **state)
{
    struct fixture *f = *state;
    struct offering o = {.f = f, .path = "a"};
    const struct folder *found = offer(&o);
    struct reading truth = {.f = f, .path = "a", .bypass = true};

    assert_true(o.offered);
    assert_non_null(found);
    run(&truth);
    assert_int_equal(found->count, truth.folder->count);
    assert_int_equal(found->total_bytes, truth.folder->total_bytes);
    assert_int_equal(found->folders, truth.folder->folders);
    for (size_t i = 0; i < found->count; i++) {
        const struct folder_entry *entry = folder_at(found, i), *same = NULL;
        for (size_t j = 0; j < truth.folder->count && !same; j++)
            if (span_equal(folder_at(truth.folder, j)->name, entry->name))
                same = folder_at(truth.folder, j);
        assert_non_null(same);
        assert_int_equal(entry->ino, same->ino);
        assert_int_equal(entry->ctime_ns, same->ctime_ns);
        assert_int_equal(entry->btime_s, same->btime_s);
        assert_int_equal(entry->mode, same->mode);
    }
    folder_free(truth.folder);
    folder_free(found);
    /* In the order of a listing it is another one, and either will do. */
    assert_true(is_kept(f, "a"));
}

static void offers_that_are_not_kept(void **state)
{
    struct fixture *f = *state;
    struct offering changed = {.f = f, .path = "b", .meanwhile = do_chmod},
                    incomplete = {.f = f, .path = "c", .incomplete = true};

    assert_null(offer(&changed));
    assert_true(changed.offered);
    assert_null(offer(&incomplete));
    assert_false(is_offer_kept(f, "with-link"));
    assert_false(is_offer_kept(f, "with-dead-link"));
    assert_false(is_offer_kept(f, "with-two-names"));
    assert_false(is_offer_kept(f, "with-many-folders"));
    struct offering too_large = {.f = f, .path = "many"};
    f->cache.bytes_max = 100000;
    assert_null(offer(&too_large));
    assert_int_equal(f->cache.bytes, 0);
    assert_int_equal(f->cache.watches, 0);
    assert_true(is_offer_kept(f, "d"));
}

/* --- where there is no fanotify --- */

static void without_fanotify(void **state)
{
    struct fixture *f = *state;

    changes_finish(&f->cache.changes);
    const struct folder *folder = read_folder(f, "a");
    assert_true_to(f, "a", folder);
    folder_free(folder);
    assert_false(is_kept(f, "a"));
}

static void when_nothing_can_be_watched(void **state)
{
    struct fixture *f = *state;
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

    assert_int_equal(dup3(null, f->cache.changes.fd, O_CLOEXEC), f->cache.changes.fd);
    close(null);
    const struct folder *folder = read_folder(f, "a");
    assert_true_to(f, "a", folder);
    folder_free(folder);
    assert_false(is_kept(f, "a"));
    assert_int_equal(f->cache.watches, 0);
}

static void no_folder_no_watch(void **state)
{
    struct fixture *f = *state;
    struct reading r = {.f = f, .path = "a/file"};
    unsigned running = 0;

    start(&r, &running);
    if (running > 0)
        assert_int_equal(loop_run(f->loop), 0);
    assert_int_equal(r.result, -ENOTDIR);
    assert_int_equal(f->cache.watches, 0);
}

/* --- set-up --- */

static void make_all(struct fixture *f)
{
    static const char *const plain[] = {"a",
                                        "b",
                                        "c",
                                        "d",
                                        "e",
                                        "f",
                                        "g",
                                        "mapped",
                                        "with-link",
                                        "with-dead-link",
                                        "with-two-names",
                                        "with-young"};

    make_folder(f, "elsewhere");
    make_file(f, "elsewhere/source");
    make_file(f, "elsewhere/movable");
    make_many(f, "many");
    for (size_t i = 0; i < COUNT(changes) + COUNT(plain); i++) {
        const char *name = i < COUNT(changes) ? changes[i].name : plain[i - COUNT(changes)];
        make_folder(f, name);
        make_file(f, at(name, "file"));
        make_file(f, at(name, "other"));
        make_folder(f, at(name, "sub"));
    }
    assert_int_equal(symlinkat("file", f->root.fd, "with-link/link"), 0);
    assert_int_equal(symlinkat("nowhere", f->root.fd, "with-dead-link/link"), 0);
    assert_int_equal(linkat(f->root.fd, "with-two-names/file", f->root.fd, "elsewhere/name", 0), 0);
    make_folder(f, "with-many-folders");
    for (int i = 0; i <= FOLDER_CACHE_SUBFOLDERS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "%d", i);
        make_folder(f, at("with-many-folders", name));
    }
    make_folder(f, "order");
    make_file(f, "order/1");
    close(open_at(f, "order/2", O_CREAT | O_WRONLY));
}

/* A place whose folders can be watched: not in every container is /tmp one. Where there is none,
 * returns false with any. */
static bool find_place(struct fixture *f)
{
    static const char *const places[] = {"/var/tmp", "/dev/shm", "/tmp"};
    bool good = false;

    for (size_t i = 0; i < COUNT(places) && !good; i++) {
        if (f->path[0]) {
            close(f->root.fd);
            rmdir(f->path);
        }
        snprintf(f->path, sizeof(f->path), "%s/fastfile-folder-cache-XXXXXX", places[i]);
        if (!mkdtemp(f->path))
            f->path[0] = '\0';
        int fd = f->path[0] ? open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
        if (fd < 0)
            continue;
        root_init(&f->root, open(f->path, O_PATH | O_DIRECTORY | O_CLOEXEC));
        folder_cache_init(&f->cache, &f->root, f->loop);
        good = f->cache.changes.fd >= 0 && changes_watch(&f->cache.changes, fd) == 0;
        folder_cache_finish(&f->cache);
        close(fd);
    }
    if (!good)
        print_message("[  SKIPPED ] no folder can be watched here\n");
    return good;
}

static struct fixture fixture;

static int set_up(void **state)
{
    make_all(&fixture);
    usleep(RESTED_MS * 1000);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    close(f->root.fd);
    remove_folder(f->path);
    return 0;
}

static int begin(void **state)
{
    struct fixture *f = *state;

    folder_cache_init(&f->cache, &f->root, f->loop);
    sleep_ms(f, 1); /* in the server there is always a turn before a request */
    return 0;
}

static int end(void **state)
{
    struct fixture *f = *state;

    folder_cache_finish(&f->cache);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_change_is_seen_by_the_next_read),
        TEST(two_readers_at_once),
        TEST(other_file_systems),
        TEST(so_many_folders),
        TEST(so_many_watches),
        TEST(so_much_memory),
        TEST(a_change_while_it_is_read),
        TEST(orders_are_kept_apart),
        TEST(forgotten_while_it_is_used),
        TEST(offers_are_kept),
        TEST(offers_that_are_not_kept),
        TEST(without_fanotify),
        TEST(when_nothing_can_be_watched),
        TEST(no_folder_no_watch),
        TEST(what_is_not_noticed_shows_soon),
        TEST(what_cannot_be_watched),
        TEST(at_rest_nothing_is_held),
        TEST(others_are_kept_again),
        TEST(found_out_in_another_order),
        TEST(too_many_changes),
    };

    const struct CMUnitTest tests_without[] = {TEST(without_fanotify), TEST(no_folder_no_watch)};
    struct fixture *f = &fixture;
    struct loop_options options = {0};

    if (offload_pool_create((const unsigned[OFFLOAD_LANES]){2, 1, 1}, &f->pool) < 0)
        return 1;
    options.offload = f->pool;
    if (loop_probe(LOOP_IO_URING) < 0)
        options.io = LOOP_IO_EPOLL;
    if (loop_create(&options, &f->loop) < 0)
        return 1;
    int failed = find_place(f) ? cmocka_run_group_tests(tests, set_up, tear_down)
                               : cmocka_run_group_tests(tests_without, set_up, tear_down);
    offload_pool_destroy(f->pool);
    loop_destroy(f->loop);
    return failed;
}
