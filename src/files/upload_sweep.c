#include "files/upload_sweep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"

enum {
    DENTS_BYTES = 32 * 1024,
    SWEEP_EVERY_S = 60,
    SWEPT_FOLDERS = 16, /* of so many it is remembered when they were swept */
    /* What a crash leaves behind. */
    KEEP_DEBRIS_S = 24 * 3600,
    /* Of what is done, where the folder is full. */
    KEEP_DONE_FULL_S = 60,
    /* Of a user's that are done, looked at to find the oldest. */
    DONE_MOST = 2 * LIMIT_UPLOADS_DONE,
};

/* One that is done. */
struct done {
    struct timespec at;
    char name[UPLOAD_NAME_BYTES + 1];
};

struct sweep {
    int fd;
    int64_t now;
    int64_t keep_done_s;
    struct span user; /* that part of his names */
    bool removes;
    unsigned entries, unfinished, infos; /* counted: of all, and of the user */
    struct done *done;                   /* of the user */
    unsigned done_count;
};

/* --- one name --- */

static bool look(const struct sweep *s, const char *name, enum upload_file file,
                 struct stat *ret_stat)
{
    struct upload_file_name full = upload_file_name(name, file);
    /* AT_EMPTY_PATH changes nothing for a name; home's system call filter wants it. */
    const int flags = AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH;

    return fstatat(s->fd, full.text, ret_stat, flags) == 0;
}

static bool is_there(const struct sweep *s, const char *name, enum upload_file file)
{
    struct stat st;

    /* What cannot be looked at is not gone. */
    return look(s, name, file, &st) || errno != ENOENT;
}

static bool is_older(const struct sweep *s, const char *name, enum upload_file file,
                     int64_t seconds)
{
    struct stat st;

    return look(s, name, file, &st) && st.st_mtim.tv_sec < s->now - seconds;
}

static bool is_of_user(const struct sweep *s, const char *name)
{
    return span_equal(upload_name_user(name), s->user);
}

static void remove_old(const struct sweep *s, const char *name, enum upload_file file)
{
    bool gone = false;

    switch (file) {
    case UPLOAD_DATA:
        gone = is_there(s, name, UPLOAD_INFO) ? is_older(s, name, UPLOAD_DATA, UPLOAD_KEEP_S) &&
                                                    is_older(s, name, UPLOAD_INFO, UPLOAD_KEEP_S)
                                              : is_older(s, name, UPLOAD_DATA, KEEP_DEBRIS_S);
        break;
    case UPLOAD_INFO:
        gone = is_older(s, name, UPLOAD_INFO, s->keep_done_s) && !is_there(s, name, UPLOAD_DATA);
        break;
    case UPLOAD_NEW_INFO:
        if (is_older(s, name, UPLOAD_NEW_INFO, KEEP_DEBRIS_S))
            unlinkat(s->fd, upload_file_name(name, UPLOAD_NEW_INFO).text, 0);
        break;
    case UPLOAD_FILES:
        break;
    }
    if (gone)
        upload_folder_remove(s->fd, name, false);
}

static void count(struct sweep *s, const char *name, enum upload_file file)
{
    if (s->removes)
        remove_old(s, name, file);
    if (s->removes && !is_there(s, name, file))
        return;
    s->entries++;
    if (!is_of_user(s, name))
        return;
    s->unfinished += file == UPLOAD_DATA;
    s->infos += file == UPLOAD_INFO;
}

static void note_done(struct sweep *s, const char *name, enum upload_file file)
{
    struct stat st;

    if (file != UPLOAD_INFO || s->done_count == DONE_MOST || !is_of_user(s, name) ||
        is_there(s, name, UPLOAD_DATA) || !look(s, name, UPLOAD_INFO, &st))
        return;
    struct done *d = &s->done[s->done_count++];
    d->at = st.st_mtim;
    memcpy(d->name, name, UPLOAD_NAME_BYTES);
    d->name[UPLOAD_NAME_BYTES] = '\0';
}

/* --- all of them --- */

static int for_each(struct sweep *s,
                    void (*take)(struct sweep *s, const char *name, enum upload_file file))
{
    _cleanup_free_ char *dents = malloc(DENTS_BYTES);
    enum upload_file file;
    unsigned seen = 0;
    ssize_t bytes;

    if (!dents)
        return -ENOMEM;
    s->entries = s->unfinished = s->infos = 0;
    if (lseek(s->fd, 0, SEEK_SET) < 0)
        return -errno;
    while ((bytes = getdents64(s->fd, dents, DENTS_BYTES)) > 0) {
        for (ssize_t at = 0; at < bytes;) {
            const struct dirent64 *d = (const void *)(dents + at);
            at += d->d_reclen;
            seen++;
            if (upload_file_parse(d->d_name, &file))
                take(s, d->d_name, file);
            else
                s->entries++;
        }
        if (seen >= LIMIT_UPLOAD_ENTRIES)
            break;
    }
    return bytes < 0 ? -errno : 0;
}

static int compare_done(const void *a, const void *b)
{
    const struct timespec *one = &((const struct done *)a)->at,
                          *two = &((const struct done *)b)->at;

    if (one->tv_sec != two->tv_sec)
        return one->tv_sec < two->tv_sec ? -1 : 1;
    return one->tv_nsec < two->tv_nsec ? -1 : one->tv_nsec > two->tv_nsec;
}

/* Of the user's that are done the older ones. */
static int thin_out(struct sweep *s)
{
    _cleanup_free_ struct done *done = calloc(DONE_MOST, sizeof(*done));

    if (!done)
        return -ENOMEM;
    s->done = done;
    int r = for_each(s, note_done);
    qsort(done, s->done_count, sizeof(*done), compare_done);
    for (unsigned i = 0; r == 0 && i + LIMIT_UPLOADS_DONE / 2 < s->done_count; i++)
        upload_folder_remove(s->fd, done[i].name, false);
    return r;
}

static bool is_full(const struct sweep *s)
{
    return s->unfinished >= LIMIT_UPLOADS_PER_USER || s->entries >= LIMIT_UPLOAD_ENTRIES;
}

/* --- when --- */

/* Whether a folder's turn has come again. */
static bool is_due(const struct stat *folder, int64_t now)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    static struct swept {
        dev_t device;
        ino_t ino;
        int64_t at; /* 0: empty */
    } swept[SWEPT_FOLDERS];
    struct swept *found = NULL, *oldest = &swept[0];

    pthread_mutex_lock(&mutex);
    for (unsigned i = 0; i < SWEPT_FOLDERS; i++) {
        struct swept *one = &swept[i];
        if (one->at != 0 && one->device == folder->st_dev && one->ino == folder->st_ino)
            found = one;
        if (one->at < oldest->at)
            oldest = one;
    }
    bool due = !found || now - found->at >= SWEEP_EVERY_S;
    if (due)
        *(found ? found : oldest) = (struct swept){folder->st_dev, folder->st_ino, now};
    pthread_mutex_unlock(&mutex);
    return due;
}

static struct sweep sweep_of(int fd)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return (struct sweep){.fd = fd, .now = now.tv_sec, .keep_done_s = UPLOAD_KEEP_DONE_S};
}

int upload_sweep_for(int folder_fd, const char *user_name)
{
    struct sweep s = sweep_of(folder_fd);
    struct stat st;

    s.user = upload_name_user(user_name);
    int r = file_stat(folder_fd, &st);
    if (r < 0)
        return r;
    s.removes = is_due(&st, s.now);
    r = for_each(&s, count);
    if (r == 0 && is_full(&s) && !s.removes) {
        s.removes = true;
        r = for_each(&s, count);
    }
    if (r == 0 && s.entries >= LIMIT_UPLOAD_ENTRIES) {
        s.keep_done_s = KEEP_DONE_FULL_S;
        r = for_each(&s, count);
    }
    bool full = is_full(&s);
    if (r == 0 && s.infos > s.unfinished + LIMIT_UPLOADS_DONE)
        r = thin_out(&s);
    return r < 0 ? r : full ? 429 : 0;
}

bool upload_sweep_is_due(const struct stat *top)
{
    return is_due(top, sweep_of(-1).now);
}

static int sweep_below(void *arg)
{
    const int *top_fd = arg;
    _cleanup_close_ int fd = upload_folder_open(*top_fd, SPAN(""), 0);

    if (fd < 0)
        return fd;
    struct sweep s = sweep_of(fd);
    s.removes = true;
    s.user = SPAN("");
    return for_each(&s, count);
}

void upload_sweep_below(struct task *t, enum offload_lane lane, int top_fd)
{
    offload(t, lane, sweep_below, &top_fd);
}
