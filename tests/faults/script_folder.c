#include "script_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "script.h"
#include "script_tree.h"

/* --- the folder --- */

enum {
    MANY_ENTRIES = 72, /* more than one piece of a page */
    KIB = 1024,
    FILE_TIME_S = 1600000000, /* Sun, 13 Sep 2020 12:26:40 GMT */
};

static struct content {
    const char *name;
    size_t size;
    char *bytes;
} contents[SCRIPT_FILES_MAX] = {
    {.name = "small.txt", .size = 200},
    {.name = "empty", .size = 0},
    {.name = "page.html", .size = 700},
    {.name = "record.bin", .size = 16 * KIB},
    {.name = "medium.bin", .size = 40 * KIB},
    {.name = "large.bin", .size = 200 * KIB + 17},
    {.name = "huge.bin", .size = 1300 * KIB + 1},
    {.name = "moving/inner/changing.bin", .size = 300 * KIB},
    {.name = "sub/deep.txt", .size = 64},
    {.name = "pack/small.txt", .size = 100},
    {.name = "pack/inner/medium.bin", .size = 30 * KIB},
    {.name = "sub/name with <blank>.txt", .size = 10},
};

void script_fatal(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

void script_make_file(int root_fd, const char *name, struct span bytes)
{
    const struct timespec times[] = {{.tv_sec = FILE_TIME_S}, {.tv_sec = FILE_TIME_S}};
    int fd = openat(root_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    if (fd < 0 || write(fd, bytes.data, bytes.len) != (ssize_t)bytes.len || futimens(fd, times) < 0)
        script_fatal(name);
    close(fd);
}

static void make_folders(int root_fd)
{
    char name[64];

    if (mkdirat(root_fd, "sub", 0755) < 0 || mkdirat(root_fd, "many", 0755) < 0 ||
        mkdirat(root_fd, "none", 0755) < 0 || mkdirat(root_fd, "moving", 0755) < 0 ||
        mkdirat(root_fd, "moving/inner", 0755) < 0 || mkdirat(root_fd, "puts", 0755) < 0 ||
        mkdirat(root_fd, "puts/sub", 0755) < 0 || mkdirat(root_fd, "puts/trees", 0755) < 0 ||
        mkdirat(root_fd, "pack", 0755) < 0 || mkdirat(root_fd, "pack/inner", 0755) < 0 ||
        symlinkat("small.txt", root_fd, "pack/link") < 0 ||
        symlinkat("small.txt", root_fd, "inside") < 0 ||
        symlinkat("/etc/passwd", root_fd, "outside") < 0 ||
        symlinkat("nowhere", root_fd, "dangling") < 0 || mkfifoat(root_fd, "fifo", 0644) < 0)
        script_fatal("the folder");
    for (unsigned i = 0; i < MANY_ENTRIES; i++) {
        snprintf(name, sizeof(name), "many/a file with number %u.txt", i);
        script_make_file(root_fd, name, SPAN("x"));
    }
}

struct span script_file(const char *name)
{
    for (size_t i = 0; i < SCRIPT_FILES_MAX && contents[i].name; i++)
        if (strcmp(contents[i].name, name) == 0)
            return span_of(contents[i].bytes, contents[i].size);
    fprintf(stderr, "script.c does not make the file %s\n", name);
    exit(EXIT_FAILURE);
}

void script_settle(int root_fd)
{
    const struct timespec times[] = {{.tv_sec = FILE_TIME_S}, {.tv_sec = FILE_TIME_S}};

    if (utimensat(root_fd, "puts", times, 0) < 0)
        script_fatal("puts");
}

/* Deep enough that no listing shows the change. */
void restore_changing(int root_fd)
{
    script_make_file(root_fd, "moving/inner/changing.bin",
                     script_file("moving/inner/changing.bin"));
}

void truncate_changing(int root_fd)
{
    int fd = openat(root_fd, "moving/inner/changing.bin", O_WRONLY | O_CLOEXEC);

    if (fd < 0 || ftruncate(fd, 1000) < 0)
        script_fatal("moving/inner/changing.bin");
    close(fd);
}

void replace_changing(int root_fd)
{
    script_make_file(root_fd, "moving/inner/new", script_file("small.txt"));
    if (renameat(root_fd, "moving/inner/new", root_fd, "moving/inner/changing.bin") < 0)
        script_fatal("moving/inner/changing.bin");
}

const char *still_has_names(int root_fd, bool acknowledged)
{
    (void)acknowledged;
    return faccessat(root_fd, "moving/inner/changing.bin", F_OK, 0) < 0
               ? "moving/inner/changing.bin is gone"
               : NULL;
}

/* --- what is uploaded --- */

static const char old_content[] = "what was there before";
char large_content[UPLOAD_LARGE];

void remove_uploads(int root_fd)
{
    unlinkat(root_fd, "puts/sub/new", 0);
    unlinkat(root_fd, "puts/sub/old", 0);
}

void restore_uploads(int root_fd)
{
    remove_uploads(root_fd);
    script_make_file(root_fd, "puts/sub/old", SPAN("what was there before"));
}

/* Whether a file has this content, or NULL: is not there. */
static bool has_content(int root_fd, const char *name, const char *content, size_t len)
{
    static char memory[UPLOAD_LARGE + 1];

    int fd = openat(root_fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return content == NULL;
    ssize_t r = read(fd, memory, sizeof(memory));
    close(fd);
    return content && r == (ssize_t)len && memcmp(memory, content, len) == 0;
}

/* --- uploads that can be resumed: the names that WORLD_RANDOM_BYTE and nobody's name make --- */

#define STATE ".fastfile/uploads/e3b0c44298fc1c14-" TOKEN

/* The simulated time is later than any file's. */
static const struct timespec far_future[2] = {{.tv_sec = INT_MAX}, {.tv_sec = INT_MAX}};

/* Where a folder cannot be made at the top, the next one is tried. */
void forget_uploads(int root_fd)
{
    static const char *const tops[] = {".", "puts", "puts/sub"};

    for (unsigned i = 0; i < 3; i++) {
        int fd = openat(root_fd, tops[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        unlinkat(fd, STATE ".info", 0);
        unlinkat(fd, STATE ".new", 0);
        unlinkat(fd, STATE ".data", 0);
        unlinkat(fd, ".fastfile/uploads", AT_REMOVEDIR);
        unlinkat(fd, ".fastfile", AT_REMOVEDIR);
        close(fd);
    }
    remove_uploads(root_fd);
}

static void begin_upload(int root_fd, struct span info)
{
    forget_uploads(root_fd);
    if (mkdirat(root_fd, ".fastfile", 0700) < 0 || mkdirat(root_fd, ".fastfile/uploads", 0700) < 0)
        script_fatal(".fastfile/uploads");
    script_make_file(root_fd, STATE ".info", info);
    script_make_file(root_fd, STATE ".data", SPAN("he"));
    utimensat(root_fd, STATE ".data", far_future, 0);
}

/* The power was gone since. */
#define ANOTHER_BOOT "fedcba98-7654-3210-fedc-ba9876543210"

void begin_ietf(int root_fd)
{
    begin_upload(root_fd, SPAN("fastfile-upload 3\nmark 000000000000002 " ANOTHER_BOOT "\n"
                               "protocol ietf\nuser \npath puts/sub/new\n"
                               "length 5\noc-checksum MD5:" HELLO_MD5 "\nend\n"));
}

void begin_tus(int root_fd)
{
    begin_upload(root_fd, SPAN("fastfile-upload 3\nmark 000000000000002 " SCRIPT_BOOT "\n"
                               "protocol tus\nuser \npath puts/sub/new\n"
                               "length 5\nend\n"));
}

/* Whoever completed it may have ended before he had synced it. */
void end_ietf(int root_fd)
{
    begin_upload(root_fd, SPAN("fastfile-upload 3\nmark 000000000000002 " SCRIPT_BOOT "\n"
                               "protocol ietf\nuser \npath puts/sub/new\n"
                               "length 5\nend\n"));
    script_make_file(root_fd, "puts/sub/new", SPAN("hello"));
    if (unlinkat(root_fd, STATE ".data", 0) < 0 ||
        utimensat(root_fd, STATE ".info", far_future, 0) < 0)
        script_fatal(STATE);
}

/* What was there before is there still, or more of what was meant; or it is all where it belongs.
 */
const char *is_kept(int root_fd, bool acknowledged)
{
    (void)acknowledged;
    if (has_content(root_fd, "puts/sub/new", "hello", 5))
        return NULL;
    for (size_t len = 2; len <= 5; len++)
        if (has_content(root_fd, STATE ".data", "hello", len))
            return NULL;
    return "what had come in is lost";
}

const char *is_cancelled(int root_fd, bool acknowledged)
{
    if (acknowledged && (faccessat(root_fd, STATE ".info", F_OK, 0) == 0 ||
                         faccessat(root_fd, STATE ".data", F_OK, 0) == 0))
        return "the upload is there still";
    return NULL;
}

/* That nothing else is in the folder, under whatever name. */
static bool has_only(int root_fd, const char *name)
{
    int fd = openat(root_fd, "puts/sub", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    bool only = true;

    if (!dir)
        script_fatal("puts/sub");
    for (const struct dirent *d; (d = readdir(dir));)
        only &= strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0 ||
                strcmp(d->d_name, name) == 0;
    closedir(dir);
    return only;
}

static const char *check_upload(int root_fd, bool acknowledged, const char *name,
                                const char *before, const char *content, size_t len)
{
    char path[64];

    snprintf(path, sizeof(path), "puts/sub/%s", name);
    bool is_new = has_content(root_fd, path, content, len);
    bool is_old = has_content(root_fd, path, before, before ? strlen(before) : 0);
    if (!has_only(root_fd, name))
        return "something else is in the folder";
    if (acknowledged)
        return is_new ? NULL : "what was acknowledged is not there";
    return is_new || is_old ? NULL : "neither the old content nor the new";
}

const char *is_new_hello(int root_fd, bool acknowledged)
{
    return check_upload(root_fd, acknowledged, "new", NULL, "hello", 5);
}

const char *is_old_hello(int root_fd, bool acknowledged)
{
    return check_upload(root_fd, acknowledged, "old", old_content, "hello", 5);
}

const char *is_new_large(int root_fd, bool acknowledged)
{
    return check_upload(root_fd, acknowledged, "new", NULL, large_content, UPLOAD_LARGE);
}

const char *is_old_large(int root_fd, bool acknowledged)
{
    return check_upload(root_fd, acknowledged, "old", old_content, large_content, UPLOAD_LARGE);
}

const char *is_new_empty(int root_fd, bool acknowledged)
{
    return check_upload(root_fd, acknowledged, "new", NULL, "", 0);
}

/* Whatever is answered. */
const char *is_as_before(int root_fd, bool acknowledged)
{
    (void)acknowledged;
    return check_upload(root_fd, true, "old", NULL, old_content, sizeof(old_content) - 1);
}

/* --- */

void script_folder_prepare(int root_fd)
{
    for (size_t i = 0; i < UPLOAD_LARGE; i++)
        large_content[i] = (char)('a' + (i * 11 + i / 199) % 26);
    make_folders(root_fd);
    for (size_t i = 0; i < SCRIPT_FILES_MAX && contents[i].name; i++) {
        struct content *c = &contents[i];
        c->bytes = malloc(c->size + 1);
        if (!c->bytes)
            script_fatal("malloc");
        for (size_t at = 0; at < c->size; at++)
            c->bytes[at] = (char)("abcdefghijklmnopqrstuvwxyz012345"[(at * 7 + at / 251 + i) % 32]);
        script_make_file(root_fd, c->name, span_of(c->bytes, c->size));
    }
    script_tree_prepare(root_fd);
}
