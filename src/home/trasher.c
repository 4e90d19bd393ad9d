#include "home/trasher.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/identity.h"
#include "base/landlock.h"
#include "base/seccomp.h"

enum { CHANNEL_FD = 3 };

static const struct seccomp_call trasher_calls[] = {
    {.name = "openat2"},
    {.name = "fstat"},
    {"newfstatat", true, 3, AT_EMPTY_PATH, AT_EMPTY_PATH, 0},
    {.name = "renameat"},
    {.name = "renameat2"},
    {.name = "unlinkat"},
    {.name = "fsync"},
    {.name = "sendto"},
    {.name = "recvfrom"},
    {.name = "writev"}, /* what libc aborts with */
};

/* --- finding the trash --- */

static int mount_of(const char *path, uint64_t *ret_id)
{
    struct statx st;

    if (statx(AT_FDCWD, path, AT_NO_AUTOMOUNT, STATX_MNT_ID, &st) < 0)
        return -errno;
    *ret_id = st.stx_mnt_id;
    return 0;
}

/* As mkdir -p. */
static int make_folders(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int r = mkdir(path, S_IRWXU) < 0 && errno != EEXIST ? -errno : 0;
        *slash = '/';
        if (r < 0)
            return r;
    }
    return mkdir(path, S_IRWXU) < 0 && errno != EEXIST ? -errno : 0;
}

static int open_trash(const char *folder, const char *name, struct trash *ret)
{
    _cleanup_close_ int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 ? -errno : trash_open(fd, name, geteuid(), true, ret);
}

static int put_prefix(struct trasher *t, const char *dir)
{
    size_t len = strlen(dir);
    bool slash = len > 0 && dir[len - 1] != '/';
    int n = snprintf(t->prefix, sizeof(t->prefix), "%s%s", dir, slash ? "/" : "");

    return n < 0 || (size_t)n >= sizeof(t->prefix) ? -ENAMETOOLONG : 0;
}

/* $XDG_DATA_HOME/Trash; -EXDEV where it is not on DIR's file system. */
static int use_home_trash(struct trasher *t, const struct boot *boot)
{
    char path[sizeof(boot->data_dir)];
    uint64_t dir_mount = 0, data_mount = 0;

    if (!boot->data_dir[0])
        return -EXDEV;
    memcpy(path, boot->data_dir, sizeof(path));
    int r = make_folders(path);
    if (r == 0)
        r = mount_of(boot->dir, &dir_mount);
    if (r == 0)
        r = mount_of(path, &data_mount);
    if (r == 0 && dir_mount != data_mount)
        r = -EXDEV;
    if (r == 0)
        r = open_trash(path, "Trash", &t->trash);
    return r < 0 ? r : put_prefix(t, boot->dir);
}

/* How much of DIR's path is that of the topmost folder of its file system. Returns that or -errno.
 */
static int find_top(const char *dir)
{
    char path[PATH_MAX];
    uint64_t own = 0, other = 0;
    size_t len = strlen(dir), top = len;

    memcpy(path, dir, len + 1);
    int r = mount_of(path, &own);
    while (r == 0 && top > 1) {
        size_t end = top;
        while (end > 1 && path[end - 1] != '/')
            end--;
        end -= end > 1; /* the slash, but that of the root */
        path[end] = '\0';
        r = mount_of(path, &other);
        if (r < 0 || own != other)
            break;
        top = end;
    }
    return r < 0 ? r : (int)top;
}

/* .Trash-$uid there. */
static int use_top_trash(struct trasher *t, const struct boot *boot)
{
    char top[sizeof(boot->dir)], name[32];
    const char *below;
    int len = find_top(boot->dir);

    if (len < 0)
        return len;
    memcpy(top, boot->dir, (size_t)len);
    top[len] = '\0';
    snprintf(name, sizeof(name), ".Trash-%u", (unsigned)geteuid());
    int r = open_trash(top, name, &t->trash);
    for (below = boot->dir + len; *below == '/'; below++)
        continue;
    return r < 0 ? r : put_prefix(t, below);
}

static int find_trash(struct trasher *t, const struct boot *boot)
{
    int home = use_home_trash(t, boot);
    int top = home < 0 ? use_top_trash(t, boot) : 0;

    return top < 0 && home != -EXDEV ? home : top;
}

/* --- serving --- */

/* How the trash knows what has the path. */
static int find_original(struct trasher *t, struct span *ret_original)
{
    const struct trash_request *q = &t->request;
    size_t len = strnlen(q->path, sizeof(q->path));

    if (len == 0 || len == sizeof(q->path))
        return -EINVAL;
    int n = snprintf(t->original, sizeof(t->original), "%s%s", t->prefix, q->path);
    *ret_original = span_of(t->original, (size_t)n);
    return 0;
}

/* The place that is asked for, as home sees it: TRASH_ELSEWHERE where its folder was renamed
 * meanwhile by others, or lies under a cover. */
static int open_place(struct trasher *t, struct place *ret_place, struct span *ret_original)
{
    const struct trash_request *q = &t->request;
    struct place place;

    int r = find_original(t, ret_original);
    if (r == 0)
        r = place_open_link(t->dir_fd, span_str(q->path), RESOLVE_NO_XDEV, &place);
    if (r < 0)
        return r == -ENOENT || r == -ENOTDIR ? TRASH_ELSEWHERE : r;
    if (place.dir.st_dev != q->dir_dev || place.dir.st_ino != q->dir_ino) {
        place_close(&place);
        return TRASH_ELSEWHERE;
    }
    *ret_place = place;
    return 0;
}

static int take(struct trasher *t, struct trash_item *ret_item)
{
    const struct trash_request *q = &t->request;
    struct span original;
    struct place place;
    struct stat st;

    int r = open_place(t, &place, &original);
    if (r != 0)
        return r;
    r = place_look(&place, &st);
    if (r == 0 && (st.st_dev != q->dev || st.st_ino != q->ino))
        r = -EEXIST;
    if (r == 0)
        r = trash_take(&t->trash, &place, original, q->durable != 0, ret_item);
    place_close(&place);
    return r;
}

/* A single name, no way to anywhere else. */
static bool is_name(const char name[TRASH_NAME_MAX + 1])
{
    struct span s = span_of(name, strnlen(name, TRASH_NAME_MAX + 1));

    return s.len > 0 && s.len <= TRASH_NAME_MAX && !memchr(s.data, '/', s.len) &&
           !span_equal(s, SPAN(".")) && !span_equal(s, SPAN(".."));
}

/* Only to where its note in the trash says it was, below DIR, and only for who knows the note's
 * key: nothing that lies in the trash besides, by a desktop or by another run of the server, comes
 * within reach of home. */
static int give_back(struct trasher *t)
{
    struct span original;
    struct place place;

    int r = open_place(t, &place, &original);
    if (r != 0)
        return r;
    r = trash_give_back(&t->trash, &t->request.item, original, &place);
    place_close(&place);
    return r;
}

static int forget(struct trasher *t)
{
    const struct trash_request *q = &t->request;
    struct span original;
    int r = find_original(t, &original);

    return r < 0 ? r : trash_forget(&t->trash, &q->item, original, q->durable != 0);
}

int trasher_do(struct trasher *t, struct trash_item *ret_item)
{
    const struct trash_request *q = &t->request;

    switch ((enum trash_work)q->work) {
    case TRASH_TAKE:
        return take(t, ret_item);
    case TRASH_SYNC:
        return trash_sync(&t->trash);
    case TRASH_GIVE_BACK:
        return is_name(q->item.name) ? give_back(t) : -EINVAL;
    case TRASH_FORGET:
        return is_name(q->item.name) ? forget(t) : -EINVAL;
    }
    return -EINVAL;
}

static int shut_in(const struct trasher *t)
{
    const struct seccomp_list lists[] = {SECCOMP_LIST(trasher_calls)};
    const int folders[] = {t->dir_fd, t->trash.files_fd, t->trash.info_fd};

    (void)landlock_restrict(folders, sizeof(folders) / sizeof(folders[0]), true);
    return seccomp_allow_only(lists, 1);
}

static int prepare(struct trasher *t, const struct boot *boot)
{
    int r = identity_no_new_privileges();

    if (r == 0 && boot->uid != (uint32_t)-1)
        r = identity_become(boot->uid, boot->gid, 0);
    if (r == 0)
        r = identity_limit_capabilities(0);
    if (r < 0)
        return r;
    /* Changing the user has taken this back. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    t->dir_fd = open(boot->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (t->dir_fd < 0)
        return -errno;
    r = find_trash(t, boot);
    return r < 0 ? r : shut_in(t);
}

static void serve(const struct boot *boot)
{
    struct trasher *t = calloc(1, sizeof(*t));
    struct trash_answer answer = {.result = t ? prepare(t, boot) : -ENOMEM};

    bool found = answer.result == 0;
    if (found)
        answer.folder = t->trash.folder;
    while (send(CHANNEL_FD, &answer, sizeof(answer), MSG_NOSIGNAL) == sizeof(answer) && found &&
           recv(CHANNEL_FD, &t->request, sizeof(t->request), 0) == sizeof(t->request))
        answer.result = trasher_do(t, &answer.item);
}

/* Only what it needs: the monitor must see it when home has ended. */
static void keep_descriptors(int channel_fd)
{
    if (channel_fd != CHANNEL_FD)
        dup2(channel_fd, CHANNEL_FD);
    close_range(CHANNEL_FD + 1, ~0U, 0);
}

static int start_one(const struct boot *boot, struct trashing *trashing)
{
    struct trash_answer answer = {.result = -EIO};
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid < 0)
        answer.result = -errno;
    if (pid == 0) {
        keep_descriptors(fds[1]);
        serve(boot);
        _exit(EXIT_SUCCESS);
    }
    close(fds[1]);
    if (pid > 0 && recv(fds[0], &answer, sizeof(answer), 0) != sizeof(answer))
        answer.result = -EIO;
    if (answer.result < 0) {
        close(fds[0]);
        return answer.result;
    }
    trashing->channel_fds[trashing->idle++] = fds[0];
    trashing->folder = answer.folder;
    return 0;
}

int trasher_start(const struct boot *boot, struct trashing *ret_trashing)
{
    struct trashing t = {.uid = boot->uid == (uint32_t)-1 ? geteuid() : boot->uid};
    int r = 0;

    while (r == 0 && t.idle < TRASHERS)
        r = start_one(boot, &t);
    if (r < 0) {
        while (t.idle > 0)
            close(t.channel_fds[--t.idle]);
        return r;
    }
    *ret_trashing = t;
    pthread_mutex_init(&ret_trashing->mutex, NULL);
    pthread_cond_init(&ret_trashing->one_is_idle, NULL);
    return 0;
}
