#include "files/locks_file.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "files/root.h"
#include "rt/io.h"

static struct locks_text make_head(const struct locks_file *f)
{
    struct locks_text head = {.generation = f->generation};
    struct timespec now;

    memcpy(head.boot, f->boot, sizeof(head.boot));
    clock_gettime(CLOCK_MONOTONIC, &now);
    head.now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    return head;
}

/* --- reading --- */

/* Returns 0 with all of it in memory of the caller's, or -errno. */
static int read_all(int fd, char **ret_bytes, size_t *ret_len)
{
    struct stat st;
    size_t len = 0;

    int r = file_stat(fd, &st);
    if (r < 0)
        return r;
    if (st.st_size > LOCKS_TEXT_BYTES_MAX) /* not ours: as good as torn */
        st.st_size = 1;
    size_t size = (size_t)st.st_size;
    _cleanup_free_ char *bytes = malloc(size + 1);
    if (!bytes)
        return -ENOMEM;
    while (len < size) {
        ssize_t n = pread(fd, bytes + len, size - len, (off_t)len);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            break;
        len += n > 0 ? (size_t)n : 0;
    }
    *ret_bytes = bytes;
    *ret_len = len;
    bytes = NULL;
    return 0;
}

static int read_both(struct locks_file *f)
{
    struct locks_text now = make_head(f), heads[2];
    char *bytes[2] = {NULL, NULL};
    size_t len[2] = {0, 0};
    bool complete[2] = {false, false};
    int r = 0;

    for (int i = 0; r == 0 && i < 2; i++) {
        r = read_all(f->fds[i], &bytes[i], &len[i]);
        complete[i] = r == 0 && locks_text_check(span_of(bytes[i], len[i]), &heads[i]) == 0;
    }
    int newest = complete[1] && (!complete[0] || heads[1].generation > heads[0].generation);
    if (r == 0 && complete[newest]) {
        (void)locks_text_restore(span_of(bytes[newest], len[newest]), f->locks, &now);
        /* The next one goes into the other file, whichever it is. */
        f->generation = heads[newest].generation + 1;
        if (f->generation % 2 == (unsigned)newest)
            f->generation++;
    } else if (r == 0 && (len[0] > 0 || len[1] > 0)) {
        r = -EBADMSG;
    }
    free(bytes[0]);
    free(bytes[1]);
    return r;
}

int locks_file_init(struct locks_file *f, struct locks *locks, const int fds[2], const char *boot,
                    bool durable)
{
    *f = (struct locks_file){.locks = locks, .fds = {fds[0], fds[1]}, .durable = durable};
    memcpy(f->boot, boot, LOCKS_TEXT_BOOT_CHARS);
    if (f->fds[0] < 0)
        return 0;
    int r = read_both(f);
    if (r < 0 && r != -EBADMSG)
        locks_file_finish(f);
    f->saved = locks_version(locks);
    return r;
}

void locks_file_finish(struct locks_file *f)
{
    for (int i = 0; i < 2; i++) {
        if (f->fds[i] >= 0)
            close(f->fds[i]);
        f->fds[i] = -1;
    }
}

/* --- writing --- */

static int write_all(int fd, struct span text)
{
    for (size_t at = 0; at < text.len;) {
        ssize_t n = pwrite(fd, text.data + at, text.len - at, (off_t)at);
        if (n < 0 && errno != EINTR)
            return -errno;
        at += n > 0 ? (size_t)n : 0;
    }
    return ftruncate(fd, (off_t)text.len) < 0 ? -errno : 0;
}

/* It may be complete, and nobody has been told of what is in it. Where this fails too there is no
 * way left to say so. */
static int take_back(int fd)
{
    return ftruncate(fd, 0) < 0 ? -errno : 0;
}

int locks_file_write(struct locks_file *f)
{
    struct locks_text head = make_head(f);
    struct buf text;

    buf_init_growing(&text, LOCKS_TEXT_BYTES_MAX);
    uint64_t version = locks_text_format(f->locks, &head, &text);
    /* After an error it is the same file's turn again: the other one is complete. */
    int fd = f->fds[f->generation % 2];
    int r = buf_failed(&text) ? -ENOMEM : write_all(fd, buf_span(&text));
    if (r == 0 && f->durable && fsync(fd) < 0)
        r = -errno;
    if (r == 0) {
        f->generation++;
        f->saved = version;
    } else {
        (void)take_back(fd);
    }
    buf_finish(&text);
    return r;
}

static int write_on_helper(void *arg)
{
    return locks_file_write(arg);
}

static int do_nothing(void *arg)
{
    (void)arg;
    return 0;
}

/* A cancelled task cannot sleep: it goes to a helper and back. */
static void wait_for_others(struct task *t)
{
    if (io_sleep(t, 1) < 0)
        offload_always(t, OFFLOAD_FAST, do_nothing, NULL);
}

int locks_save(struct task *t, struct locks_file *f)
{
    uint64_t mine = locks_version(f->locks);
    int r = 0;

    if (f->fds[0] < 0)
        return 0;
    while (r == 0 && f->saved < mine) {
        if (atomic_exchange(&f->is_writing, true)) {
            wait_for_others(t);
            continue;
        }
        /* It may have been written between the look and the turn. */
        if (f->saved < mine)
            r = offload_always(t, OFFLOAD_SYNC, write_on_helper, f);
        f->is_writing = false;
    }
    return r;
}
