#include "script_tree.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "fault.h"
#include "files/trash.h"
#include "script_folder.h"
#include "world.h"

enum {
    TEXT_BYTES = 8 * 1024,
    PATH_BYTES = 512,
    NAMES_MAX = 32,
    NAME_BYTES = 64,
    BIG_BYTES = 30 * 1000,
    HOLE_BYTES = 100 * 1000,
    LIMITED_MODE = 0640,
};

/* --- what it looks like: a line for each thing, with its path, kind and content --- */

struct text {
    size_t len;
    char bytes[TEXT_BYTES];
};

enum thing { NOTHING, FILE_, OTHER, LINK, SPARSE, TREE, TARGET, FULL, LISTS, THINGS };

/* As restore_trees() makes them. */
static struct {
    const char *path;
    struct text text;
} things[THINGS] = {
    [NOTHING] = {"puts/trees/new"},   [FILE_] = {"puts/trees/file"},
    [OTHER] = {"puts/trees/other"},   [LINK] = {"puts/trees/link"},
    [SPARSE] = {"puts/trees/sparse"}, [TREE] = {"puts/trees/tree"},
    [TARGET] = {"puts/trees/target"}, [FULL] = {"puts/trees/else/full"},
    [LISTS] = {"puts/trees/lists"},
};

static void describe_file(int fd, const struct stat *st, char *out, size_t room)
{
    char memory[4096];
    uint32_t hash = 2166136261u;
    ssize_t len;

    while ((len = read(fd, memory, sizeof(memory))) > 0)
        for (ssize_t i = 0; i < len; i++)
            hash = (hash ^ (unsigned char)memory[i]) * 16777619u;
    snprintf(out, room, "%lld bytes, %08x, of %lld", (long long)st->st_size, hash,
             (long long)st->st_mtim.tv_sec);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Without scandir(), whose memory would not be counted where it is taken. */
static unsigned read_names(int fd, char names[NAMES_MAX][NAME_BYTES])
{
    DIR *dir = fdopendir(dup(fd));
    unsigned count = 0;

    if (!dir)
        script_fatal("a folder");
    for (const struct dirent *d; (d = readdir(dir));) {
        if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
            continue;
        assert(count < NAMES_MAX && strlen(d->d_name) < NAME_BYTES);
        memcpy(names[count++], d->d_name, strlen(d->d_name) + 1);
    }
    closedir(dir);
    qsort(names, count, NAME_BYTES, compare_names);
    return count;
}

static void describe(int dir_fd, const char *name, const char *path, struct text *t)
{
    char what[PATH_BYTES] = "a folder", below[PATH_BYTES], names[NAMES_MAX][NAME_BYTES];
    struct stat st;
    unsigned count = 0;

    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return;
    int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (S_ISLNK(st.st_mode)) {
        ssize_t len = readlinkat(dir_fd, name, below, sizeof(below) - 1);
        snprintf(what, sizeof(what), "to %.*s", (int)len, below);
    } else if (S_ISDIR(st.st_mode)) {
        count = read_names(fd, names);
    } else {
        describe_file(fd, &st, what, sizeof(what));
    }
    t->len +=
        (size_t)snprintf(t->bytes + t->len, sizeof(t->bytes) - t->len, "%s: %s\n", path, what);
    assert(t->len < sizeof(t->bytes));
    for (unsigned i = 0; i < count; i++) {
        int len = snprintf(below, sizeof(below), "%s/%s", path, names[i]);
        assert(len > 0 && (size_t)len < sizeof(below));
        describe(fd, names[i], below, t);
    }
    if (fd >= 0)
        close(fd);
}

static const char *now(int root_fd, const char *path)
{
    static struct text t;

    t.len = 0;
    t.bytes[0] = '\0';
    describe(root_fd, path, ".", &t);
    return t.bytes;
}

static bool is(int root_fd, const char *path, enum thing thing)
{
    return strcmp(now(root_fd, path), things[thing].text.bytes) == 0;
}

/* Whether what is there is a part of it, or nothing. */
static bool is_part(int root_fd, const char *path, enum thing thing)
{
    const char *all = things[thing].text.bytes;

    for (const char *line = now(root_fd, path), *end; *line; line = end) {
        end = strchr(line, '\n') + 1;
        if (!memmem(all, strlen(all), line, (size_t)(end - line)))
            return false;
    }
    return true;
}

/* --- making it --- */

static void remove_all(int dir_fd, const char *name, bool but_itself)
{
    char names[NAMES_MAX][NAME_BYTES];

    if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
        return;
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    unsigned count = fd < 0 ? 0 : read_names(fd, names);
    for (unsigned i = 0; i < count; i++)
        remove_all(fd, names[i], false);
    if (fd >= 0)
        close(fd);
    if (!but_itself && unlinkat(dir_fd, name, AT_REMOVEDIR) < 0)
        script_fatal(name);
}

/* Who may do what, as linux/posix_acl_xattr.h has it: somebody besides the owner and the group. */
static const struct {
    uint32_t version;
    struct {
        uint16_t tag, bits;
        uint32_t id;
    } entries[5];
} list = {2, {{0x01, 6, ~0u}, {0x02, 4, 12345}, {0x04, 4, ~0u}, {0x10, 4, ~0u}, {0x20, 0, ~0u}}};

/* Where the file system has no such lists, there are none. */
static void make_lists(int root_fd)
{
    int fd = openat(root_fd, "puts/trees/lists", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    script_make_file(fd, "limited", SPAN("what was there before"));
    script_make_file(fd, "plain", SPAN("what was there before"));
    int limited = openat(fd, "limited", O_RDONLY | O_CLOEXEC);
    if (limited < 0 || fchmod(limited, LIMITED_MODE) < 0)
        script_fatal("puts/trees/lists");
    fsetxattr(limited, "system.posix_acl_access", &list, sizeof(list), 0);
    fsetxattr(fd, "system.posix_acl_default", &list, sizeof(list), 0);
    close(limited);
    close(fd);
}

static void make_sparse(int root_fd)
{
    script_make_file(root_fd, "puts/trees/sparse", SPAN("before the hole"));
    int fd = openat(root_fd, "puts/trees/sparse", O_WRONLY | O_CLOEXEC);
    const struct timespec times[] = {{.tv_sec = 1}, {.tv_sec = 1600000000}};
    if (fd < 0 || lseek(fd, HOLE_BYTES, SEEK_SET) < 0 || write(fd, "between", 7) != 7 ||
        ftruncate(fd, (off_t)2 * HOLE_BYTES) < 0 || futimens(fd, times) < 0)
        script_fatal("puts/trees/sparse");
    close(fd);
}

void restore_trees(int root_fd)
{
    static const char *const folders[] = {
        "puts/trees/tree", "puts/trees/tree/inner", "puts/trees/target", "puts/trees/target/inner",
        "puts/trees/else", "puts/trees/else/full",  "puts/trees/lists"};

    remove_all(root_fd, "puts/trees", true);
    for (unsigned i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
        if (mkdirat(root_fd, folders[i], 0755) < 0)
            script_fatal(folders[i]);
    script_make_file(root_fd, "puts/trees/file", SPAN("a file"));
    script_make_file(root_fd, "puts/trees/other", SPAN("another file"));
    script_make_file(root_fd, "puts/trees/tree/big", span_of(large_content, BIG_BYTES));
    script_make_file(root_fd, "puts/trees/tree/small", SPAN("small"));
    script_make_file(root_fd, "puts/trees/tree/inner/deep", SPAN("deep"));
    script_make_file(root_fd, "puts/trees/target/old", SPAN("old"));
    script_make_file(root_fd, "puts/trees/target/inner/old", SPAN("old, too"));
    script_make_file(root_fd, "puts/trees/else/full/old", SPAN("elsewhere"));
    if (symlinkat("other", root_fd, "puts/trees/link") < 0 ||
        symlinkat("small", root_fd, "puts/trees/tree/link") < 0)
        script_fatal("puts/trees");
    make_sparse(root_fd);
    make_lists(root_fd);
}

static const char *trash_folder(bool below)
{
    static char path[64];

    snprintf(path, sizeof(path), "puts/.Trash-%u", (unsigned)geteuid());
    return below ? path : SCRIPT_TRASH_FOLDER;
}

/* Somebody has the folders open. */
void restore_trash(int root_fd)
{
    restore_trees(root_fd);
    remove_all(root_fd, SCRIPT_TRASH_FOLDER "/files", true);
    remove_all(root_fd, SCRIPT_TRASH_FOLDER "/info", true);
    remove_all(root_fd, trash_folder(true), false);
}

void restore_trashed(int root_fd)
{
    restore_trash(root_fd);
    script_make_file(root_fd, SCRIPT_TRASH_FOLDER "/files/old", SPAN("old"));
}

/* As files/trash.c does it; `original` is relative to the top of the trash's file system. */
static void delete_thing(int root_fd, enum thing thing, bool below, const char *original)
{
    char to[PATH_BYTES], text[PATH_BYTES], date[32], key[2 * TRASH_KEY_BYTES + 1];
    const time_t deleted_s = SCRIPT_DELETED_S;
    struct tm tm;
    const char *path = things[thing].path, *name = strrchr(path, '/') + 1;
    const char *trash = trash_folder(below);

    restore_trash(root_fd);
    if (below) {
        static const char *const folders[] = {"", "/files", "/info"};
        for (unsigned i = 0; i < 3; i++) {
            snprintf(to, sizeof(to), "%s%s", trash, folders[i]);
            if (mkdirat(root_fd, to, 0700) < 0)
                script_fatal(to);
        }
    }
    snprintf(to, sizeof(to), "%s/files/%s", trash, name);
    if (renameat(root_fd, path, root_fd, to) < 0)
        script_fatal(to);
    snprintf(to, sizeof(to), "%s/info/%s.trashinfo", trash, name);
    localtime_r(&deleted_s, &tm);
    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
    for (unsigned i = 0; i < TRASH_KEY_BYTES; i++)
        snprintf(key + (size_t)2 * i, 3, "%02x", WORLD_RANDOM_BYTE);
    snprintf(text, sizeof(text), "[Trash Info]\nPath=%s\nDeletionDate=%s\nX-Fastfile-Deletion=%s\n",
             original, date, key);
    script_make_file(root_fd, to, span_of(text, strlen(text)));
}

void delete_file(int root_fd)
{
    delete_thing(root_fd, FILE_, false, "/puts/trees/file");
}

void delete_tree(int root_fd)
{
    delete_thing(root_fd, TREE, false, "/puts/trees/tree");
}

void delete_file_below(int root_fd)
{
    delete_thing(root_fd, FILE_, true, "trees/file");
}

void script_tree_prepare(int root_fd)
{
    restore_trees(root_fd);
    for (enum thing i = NOTHING; i < THINGS; i++)
        describe(root_fd, things[i].path, ".", &things[i].text);
}

/* --- what has become of it --- */

/* One fault may not keep the server from cleaning up; several may. */
static const char *find_debris(int root_fd)
{
    if (fault_kind_now() == FAULTS_MANY && fault_tally()->injected > 1)
        return NULL;
    return strstr(now(root_fd, "puts/trees"), "/.fastfile")
               ? "something of the server's own is left"
               : NULL;
}

/* But for the paths `a` and `b`. */
static const char *find_change(int root_fd, const char *a, const char *b)
{
    for (enum thing i = NOTHING; i < THINGS; i++)
        if (strcmp(things[i].path, a) != 0 && strcmp(things[i].path, b) != 0 &&
            !is(root_fd, things[i].path, i))
            return "something else has changed";
    return find_debris(root_fd);
}

/* Where a fault may have kept it from being deleted to its end. */
static bool may_be_left(void)
{
    return fault_kind_now() == FAULTS_ONE || fault_kind_now() == FAULTS_MANY;
}

static bool is_old(int root_fd, const char *path, enum thing old)
{
    return is(root_fd, path, old) ||
           (may_be_left() && is_part(root_fd, path, old) && now(root_fd, path)[0] != '\0');
}

static const char *check_move(int root_fd, bool acknowledged, enum thing thing, const char *to,
                              enum thing old, bool across)
{
    const char *from = things[thing].path;
    const char *change = find_change(root_fd, from, to);

    if (change)
        return change;
    bool there = is(root_fd, to, thing);
    if (there && is(root_fd, from, NOTHING))
        return NULL;
    if (acknowledged)
        return "what was acknowledged has not happened";
    if (there && across && is_part(root_fd, from, thing))
        return NULL;
    return is(root_fd, from, thing) && is_old(root_fd, to, old) ? NULL
                                                                : "neither as before nor as meant";
}

static const char *check_copy(int root_fd, bool acknowledged, enum thing thing, const char *to,
                              enum thing old)
{
    const char *change = find_change(root_fd, to, to);

    if (change)
        return change;
    if (is(root_fd, to, thing))
        return NULL;
    if (acknowledged)
        return "what was acknowledged has not happened";
    return is_old(root_fd, to, old) ? NULL : "neither as before nor as meant";
}

static const char *check_delete(int root_fd, bool acknowledged, enum thing thing)
{
    const char *path = things[thing].path;
    const char *change = find_change(root_fd, path, path);

    if (change)
        return change;
    if (acknowledged && !is(root_fd, path, NOTHING))
        return "what was acknowledged has not happened";
    return is_part(root_fd, path, thing) ? NULL : "there is something else";
}

/* It is in one of the two places, whole, and what lies in the trash can be put back. */
static const char *check_trash(int root_fd, bool acknowledged, enum thing thing, const char *trash)
{
    char file[PATH_BYTES], info[PATH_BYTES];
    const char *path = things[thing].path, *name = strrchr(path, '/') + 1;
    const char *change = find_change(root_fd, path, path);
    struct stat st;

    snprintf(file, sizeof(file), "%s/files/%s", trash, name);
    snprintf(info, sizeof(info), "%s/info/%s.trashinfo", trash, name);
    if (change)
        return change;
    if (is(root_fd, path, NOTHING) && is(root_fd, file, thing))
        return fstatat(root_fd, info, &st, 0) == 0 && st.st_size > 0 ? NULL
                                                                     : "nobody knows where it was";
    if (acknowledged)
        return "what was acknowledged has not happened";
    return is(root_fd, path, thing) && is(root_fd, file, NOTHING) ? NULL
                                                                  : "neither here nor in the trash";
}

/* The way back: as above, and it leaves nothing in the trash. */
static const char *check_back(int root_fd, bool acknowledged, enum thing thing, const char *trash)
{
    char file[PATH_BYTES], info[PATH_BYTES];
    const char *path = things[thing].path, *name = strrchr(path, '/') + 1;

    snprintf(file, sizeof(file), "%s/files/%s", trash, name);
    snprintf(info, sizeof(info), "%s/info/%s.trashinfo", trash, name);
    if (is(root_fd, path, NOTHING))
        return acknowledged ? "what was acknowledged has not happened"
                            : check_trash(root_fd, false, thing, trash);
    if (!is(root_fd, path, thing) || !is(root_fd, file, NOTHING))
        return "neither here nor in the trash";
    if (acknowledged && faccessat(root_fd, info, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return "the trash says that it has it";
    return find_change(root_fd, path, path);
}

static const char *check_trashed(int root_fd, bool acknowledged)
{
    const char *path = SCRIPT_TRASH_FOLDER "/files/old";

    return acknowledged && !is(root_fd, path, NOTHING) ? "what was acknowledged has not happened"
                                                       : find_change(root_fd, "", "");
}

static const char *check_folder(int root_fd, bool acknowledged, const char *path)
{
    const char *change = find_change(root_fd, path, path);

    if (change)
        return change;
    if (strcmp(now(root_fd, path), ".: a folder\n") == 0)
        return NULL;
    return acknowledged                 ? "what was acknowledged has not happened"
           : is(root_fd, path, NOTHING) ? NULL
                                        : "there is something else";
}

/* Nobody may read it who might not before. */
static const char *check_list(int root_fd, bool acknowledged, const char *path, mode_t mode)
{
    const char *change = find_change(root_fd, things[LISTS].path, "");
    char content[32];
    struct stat st;

    int fd = openat(root_fd, path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, content, sizeof(content));
    if (fd < 0 || fstat(fd, &st) < 0)
        return "it is gone";
    close(fd);
    if (st.st_mode & 0777 & ~mode)
        return "more may read it than before";
    if (len == 5 && memcmp(content, "hello", 5) == 0)
        return change;
    if (acknowledged || len != 21 || memcmp(content, "what was there before", 21) != 0)
        return "neither the old content nor the new";
    return change;
}

const char *are_trees_same(int root_fd, bool acknowledged)
{
    (void)acknowledged;
    return find_change(root_fd, "", "");
}

#define AFTER(name, check)                           \
    const char *name(int root_fd, bool acknowledged) \
    {                                                \
        return check;                                \
    }

AFTER(is_made, check_folder(root_fd, acknowledged, "puts/trees/new"))
AFTER(is_file_deleted, check_delete(root_fd, acknowledged, FILE_))
AFTER(is_link_deleted, check_delete(root_fd, acknowledged, LINK))
AFTER(is_tree_deleted, check_delete(root_fd, acknowledged, TREE))

AFTER(is_file_in_trash, check_trash(root_fd, acknowledged, FILE_, SCRIPT_TRASH_FOLDER))
AFTER(is_link_in_trash, check_trash(root_fd, acknowledged, LINK, SCRIPT_TRASH_FOLDER))
AFTER(is_tree_in_trash, check_trash(root_fd, acknowledged, TREE, SCRIPT_TRASH_FOLDER))
AFTER(is_file_in_trash_below, check_trash(root_fd, acknowledged, FILE_, trash_folder(true)))
AFTER(is_tree_in_trash_below, check_trash(root_fd, acknowledged, TREE, trash_folder(true)))
AFTER(is_gone_from_trash, check_trashed(root_fd, acknowledged))
AFTER(is_file_back, check_back(root_fd, acknowledged, FILE_, SCRIPT_TRASH_FOLDER))
AFTER(is_tree_back, check_back(root_fd, acknowledged, TREE, SCRIPT_TRASH_FOLDER))
AFTER(is_file_back_from_below, check_back(root_fd, acknowledged, FILE_, trash_folder(true)))
AFTER(is_file_still_in_trash, check_trash(root_fd, acknowledged, FILE_, SCRIPT_TRASH_FOLDER))

AFTER(is_file_moved, check_move(root_fd, acknowledged, FILE_, "puts/trees/new", NOTHING, false))
AFTER(is_file_moved_on_file,
      check_move(root_fd, acknowledged, FILE_, "puts/trees/other", OTHER, false))
AFTER(is_file_moved_on_folder,
      check_move(root_fd, acknowledged, FILE_, "puts/trees/target", TARGET, false))
AFTER(is_file_moved_on,
      check_move(root_fd, acknowledged, FILE_, "puts/trees/else/new", NOTHING, false))
AFTER(is_tree_moved_on,
      check_move(root_fd, acknowledged, TREE, "puts/trees/else/new", NOTHING, false))
AFTER(is_file_moved_across,
      check_move(root_fd, acknowledged, FILE_, "puts/trees/else/new", NOTHING, true))
AFTER(is_link_moved, check_move(root_fd, acknowledged, LINK, "puts/trees/new", NOTHING, false))
AFTER(is_link_moved_across,
      check_move(root_fd, acknowledged, LINK, "puts/trees/else/new", NOTHING, true))
AFTER(is_tree_moved, check_move(root_fd, acknowledged, TREE, "puts/trees/new", NOTHING, false))
AFTER(is_tree_moved_on_file,
      check_move(root_fd, acknowledged, TREE, "puts/trees/other", OTHER, false))
AFTER(is_tree_moved_on_folder,
      check_move(root_fd, acknowledged, TREE, "puts/trees/target", TARGET, false))
AFTER(is_tree_moved_across,
      check_move(root_fd, acknowledged, TREE, "puts/trees/else/new", NOTHING, true))
AFTER(is_tree_moved_on_folder_across,
      check_move(root_fd, acknowledged, TREE, "puts/trees/else/full", FULL, true))

AFTER(is_file_copied, check_copy(root_fd, acknowledged, FILE_, "puts/trees/new", NOTHING))
AFTER(is_file_copied_on_file, check_copy(root_fd, acknowledged, FILE_, "puts/trees/other", OTHER))
AFTER(is_file_copied_on_folder,
      check_copy(root_fd, acknowledged, FILE_, "puts/trees/target", TARGET))
AFTER(is_link_followed, check_copy(root_fd, acknowledged, OTHER, "puts/trees/new", NOTHING))
AFTER(is_sparse_copied, check_copy(root_fd, acknowledged, SPARSE, "puts/trees/new", NOTHING))
AFTER(is_tree_copied, check_copy(root_fd, acknowledged, TREE, "puts/trees/new", NOTHING))
AFTER(is_tree_copied_on_file, check_copy(root_fd, acknowledged, TREE, "puts/trees/other", OTHER))
AFTER(is_tree_copied_on_folder,
      check_copy(root_fd, acknowledged, TREE, "puts/trees/target", TARGET))
AFTER(is_tree_copied_alone, check_folder(root_fd, acknowledged, "puts/trees/new"))

AFTER(is_limited_kept, check_list(root_fd, acknowledged, "puts/trees/lists/limited", LIMITED_MODE))
AFTER(is_plain_kept, check_list(root_fd, acknowledged, "puts/trees/lists/plain", 0644))
