#include "files/upload.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "files/upload_complete.h"
#include "files/upload_mark.h"
#include "files/upload_sweep.h"
#include "http/uri.h"

enum {
    /* What a power cut can cost of a long body. */
    SYNC_EVERY_BYTES = 64 * 1024 * 1024,
};

/* --- on a helper thread --- */

/* The old info or the new one, whatever happens. */
static int write_info(struct upload *u, struct span text)
{
    struct upload_file_name new = upload_file_name(u->name, UPLOAD_NEW_INFO);
    struct upload_file_name info = upload_file_name(u->name, UPLOAD_INFO);
    _cleanup_close_ int fd = upload_folder_open_file(u->folder_fd, u->name, UPLOAD_NEW_INFO,
                                                     O_WRONLY | O_CREAT | O_TRUNC);

    int r = fd < 0 ? fd : upload_file_write(fd, text, 0);
    if (r == 0 && u->by.durable && fsync(fd) < 0)
        r = -errno;
    if (r == 0 && renameat(u->folder_fd, new.text, u->folder_fd, info.text) < 0)
        r = -errno;
    if (r == 0 && u->by.durable && fsync(u->folder_fd) < 0)
        r = -errno;
    return r;
}

static int save_info(void *arg)
{
    struct upload *u = arg;
    struct buf text;

    buf_init_growing(&text, UPLOAD_INFO_BYTES_MAX);
    upload_info_format(&text, &u->info);
    int r = buf_failed(&text) ? -ENOMEM : write_info(u, buf_span(&text));
    buf_finish(&text);
    return r;
}

/* Made where the file will be, so that set-group-ID, umask and default ACLs do their work. */
static int create_data(struct upload *u)
{
    struct upload_file_name name = upload_file_name(u->name, UPLOAD_DATA);
    struct place uploads = {.dir_fd = u->folder_fd};
    struct temporary tmp;

    memcpy(uploads.name, name.text, sizeof(name.text));
    int r = temporary_create(&u->store.place, &tmp);
    if (r < 0)
        return r;
    r = temporary_link(&tmp, &uploads);
    temporary_close(&tmp);
    if (r < 0)
        return r;
    u->data_fd = upload_folder_open_file(u->folder_fd, u->name, UPLOAD_DATA, O_RDWR);
    return u->data_fd < 0 ? u->data_fd : 0;
}

static int create(void *arg)
{
    struct upload *u = arg;
    struct span top;

    int fd = upload_folder_make(u->by.root->fd, u->info.path, &u->store.place, u->by.durable, &top);
    if (fd < 0)
        return fd;
    u->folder_fd = fd;
    u->top = top;
    int r = upload_sweep_for(fd, u->name);
    if (r != 0)
        return r;
    r = create_data(u);
    if (r == 0)
        r = save_info(u);
    if (r < 0)
        upload_folder_remove(u->folder_fd, u->name, false);
    return r;
}

static int read_all(int fd, char *out, size_t size)
{
    for (size_t at = 0; at < size;) {
        ssize_t n = pread(fd, out + at, size - at, (off_t)at);
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        at += (size_t)n;
    }
    return 0;
}

static int read_info(struct upload *u, struct stat *ret_stat)
{
    _cleanup_close_ int fd = upload_folder_open_file(u->folder_fd, u->name, UPLOAD_INFO, O_RDONLY);

    int r = fd < 0 ? fd : file_stat(fd, ret_stat);
    if (r < 0)
        return r;
    /* A file that is none of ours is no upload. */
    if (!S_ISREG(ret_stat->st_mode) || ret_stat->st_size > UPLOAD_INFO_BYTES_MAX)
        return -ENOENT;
    size_t len = (size_t)ret_stat->st_size;
    u->text = malloc(len + 1);
    if (!u->text)
        return -ENOMEM;
    r = read_all(fd, u->text, len);
    if (r < 0)
        return r;
    r = upload_info_parse(u->text, len, &u->info);
    return r == 0 && span_equal(u->info.user, u->by.user) ? 0 : -ENOENT;
}

static int open_folder(struct upload *u)
{
    uint64_t resolve = u->lane == OFFLOAD_SLOW ? 0 : RESOLVE_NO_XDEV;

    u->folder_fd = upload_folder_open(u->by.root->fd, u->top, resolve);
    return u->folder_fd < 0 ? u->folder_fd : 0;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int open_files(void *arg)
{
    struct upload *u = arg;
    struct stat info, data;

    int r = open_folder(u);
    if (r == 0)
        r = read_info(u, &info);
    if (r < 0)
        return r;
    u->data_fd = upload_folder_open_file(u->folder_fd, u->name, UPLOAD_DATA, O_RDWR);
    if (u->data_fd == -ENOENT) {
        u->is_done = true;
        u->offset = u->info.length;
        u->expires_s = info.st_mtim.tv_sec + UPLOAD_KEEP_DONE_S;
        r = u->by.durable ? upload_complete_sync(u) : 0;
        if (r < 0)
            return r;
    } else {
        r = u->data_fd < 0 ? u->data_fd : file_stat(u->data_fd, &data);
        if (r < 0)
            return r;
        if (!S_ISREG(data.st_mode))
            return -ENOENT;
        r = upload_mark_find(u, (uint64_t)data.st_size);
        if (r < 0)
            return r;
        u->expires_s = later(data.st_mtim.tv_sec, info.st_mtim.tv_sec) + UPLOAD_KEEP_S;
    }
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (u->expires_s >= now.tv_sec)
        return 0;
    upload_folder_remove(u->folder_fd, u->name, false);
    return 410;
}

static int sync_data(void *arg)
{
    struct upload *u = arg;

    int r = upload_mark_set(u, u->offset);
    if (r < 0)
        upload_mark_give_up(u);
    return r;
}

static int sync_beside(void *arg)
{
    struct upload *u = arg;

    return upload_mark_set(u, u->beside_offset);
}

static int give_up(void *arg)
{
    return upload_mark_give_up(arg);
}

static int drop_unverified(void *arg)
{
    const struct upload *u = arg;

    return ftruncate(u->data_fd, (off_t)u->keep) < 0 ? -errno : 0;
}

static int cancel(void *arg)
{
    const struct upload *u = arg;

    return upload_folder_remove(u->folder_fd, u->name, u->by.durable);
}

static int close_files(void *arg)
{
    struct upload *u = arg;

    cleanup_close(&u->data_fd);
    cleanup_close(&u->folder_fd);
    u->data_fd = u->folder_fd = -1;
    return 0;
}

/* --- on the loop --- */

struct upload *upload_alloc(const struct upload_request *by)
{
    struct upload *u = calloc(1, sizeof(*u));

    if (!u)
        return NULL;
    u->by = *by;
    u->folder_fd = u->data_fd = -1;
    return u;
}

void upload_leave(struct task *t, struct upload *u)
{
    if (u->untold && !u->is_done && u->folder_fd >= 0)
        upload_cancel(t, u);
    if (u->folder_fd >= 0)
        offload_always(t, u->lane, close_files, u);
    upload_claim_release(&u->claim);
}

void upload_destroy(struct task *t, struct upload *u)
{
    upload_leave(t, u);
    checksums_finish(&u->checksums);
    checksums_finish(&u->whole);
    guard_finish(&u->guard);
    free(u->text);
    free(u);
}

int upload_create(struct task *t, struct upload *u, const struct upload_info *info)
{
    u->info = *info;
    u->info.user = u->by.user;
    memcpy(u->info.mark.boot, u->by.boot, sizeof(u->info.mark.boot));
    u->expires_s = time(NULL) + UPLOAD_KEEP_S;
    upload_complete_prepare(u, info->has_length ? info->length : STORE_LENGTH_UNKNOWN);
    /* What is malformed is refused now, not when all has been sent. */
    int r = checksums_init_whole(&u->whole, info->repr_digest, info->oc_checksum);
    checksums_finish(&u->whole);
    if (r == 0)
        r = upload_name(u->by.user, NULL, u->name);
    if (r == 0)
        r = upload_claim_take(t, &u->claim, u->name, u->by.x->conn->fd);
    if (r == 0)
        r = store_begin(t, &u->store);
    if (r != 0)
        return r == -EINVAL ? 400 : r;
    u->lane = u->store.lane;
    r = offload(t, u->lane, create, u);
    store_finish(t, &u->store);
    u->untold = r == 0;
    return r;
}

/* Behind UPLOAD_URL: the top, if it is not the root, and a token. */
static int parse_where(struct upload *u, struct span where)
{
    if (where.len < UPLOAD_TOKEN_CHARS)
        return 404;
    size_t at = where.len - UPLOAD_TOKEN_CHARS;
    if (at > 0 && where.data[at - 1] != '/')
        return 404;
    u->top = span_first(where, at > 0 ? at - 1 : 0);
    for (size_t i = at; i < where.len; i++)
        if (!strchr("0123456789abcdef", where.data[i]))
            return 404;
    return root_path_reserved(u->top) ? 404 : upload_name(u->by.user, where.data + at, u->name);
}

int upload_open(struct task *t, struct upload *u, struct span where)
{
    int r = parse_where(u, where);

    if (r == 0)
        r = upload_claim_take(t, &u->claim, u->name, u->by.x->conn->fd);
    if (r != 0)
        return r;
    u->lane = u->by.root->fast ? OFFLOAD_SYNC : OFFLOAD_SLOW;
    r = offload(t, u->lane, open_files, u);
    if (r == -EXDEV && u->lane != OFFLOAD_SLOW && u->folder_fd < 0) {
        u->lane = OFFLOAD_SLOW;
        r = offload(t, u->lane, open_files, u);
    }
    return r;
}

void upload_location(const struct upload *u, struct buf *out)
{
    buf_append(out, SPAN(UPLOAD_URL));
    if (u->top.len > 0) {
        uri_encode_path(out, u->top);
        buf_append_char(out, '/');
    }
    buf_append(out, upload_name_token(u->name));
}

int upload_set_length(struct task *t, struct upload *u, uint64_t length)
{
    u->info.has_length = true;
    u->info.length = length;
    return offload(t, u->lane, save_info, u);
}

static int check_body(struct task *t, struct upload *u, int r)
{
    bool has_sums = u->checksums.count > 0;

    if (r == 0 && has_sums) {
        r = checksums_match(&u->checksums);
        r = r == 0 ? -EILSEQ : r < 0 ? r : 0;
    }
    if (r == 0 || !has_sums || (r != -EILSEQ && !u->verified_only))
        return r;
    if (u->offset <= u->keep)
        return r;
    int dropped = offload_always(t, u->lane, drop_unverified, u);
    u->offset = u->keep;
    return dropped < 0 ? dropped : r;
}

/* When so much has come in, it is synced while more does; but not what a wrong checksum takes away
 * again. */
static void written(struct task *t, void *arg)
{
    struct upload *u = arg;

    if (!u->by.durable || u->checksums.count > 0 || (u->syncs_beside && !u->beside.done))
        return;
    if (u->syncs_beside && offload_await(t, &u->beside) < 0)
        return; /* and never again */
    if (u->receive.offset - u->beside_offset < SYNC_EVERY_BYTES && upload_mark_is_aligned(u))
        return;
    u->syncs_beside = true;
    u->beside_offset = u->receive.offset;
    offload_begin(t, &u->beside, u->lane, sync_beside, u);
}

static int end_beside(struct task *t, struct upload *u)
{
    int r = u->syncs_beside ? offload_await(t, &u->beside) : 0;

    if (r < 0)
        offload_always(t, u->lane, give_up, u);
    return r;
}

/* Not in the middle of a block that is on its way already (upload_mark.h): first what there is. */
static int sync_start(struct task *t, struct upload *u)
{
    uint64_t past = u->offset % UPLOAD_MARK_ALIGNMENT;

    u->receive.first = past > 0 ? (size_t)(UPLOAD_MARK_ALIGNMENT - past) : 0;
    if (!u->by.durable || past == 0 || u->info.mark.offset == u->offset)
        return 0;
    return offload(t, u->lane, sync_data, u);
}

/* What was received before it broke off shall stay, although the mark does not vouch for it. */
static void sync_rest(struct task *t, struct upload *u)
{
    if (u->by.durable && u->offset > u->info.mark.offset && !upload_mark_is_aligned(u))
        offload_always(t, u->lane, sync_data, u);
}

int upload_append(struct task *t, struct upload *u)
{
    const struct request *q = &u->by.x->request;
    uint64_t end = u->info.has_length ? u->info.length : UPLOAD_LENGTH_MAX;
    struct receive *receive = &u->receive;

    u->keep = u->offset;
    int r = sync_start(t, u);
    if (r == 0)
        r = receive_init(receive, u->by.x, q->chunked ? RECEIVE_LENGTH_UNKNOWN : q->content_length);
    if (r == 0)
        r = upload_claim_receive(&u->claim);
    if (r == 0) {
        receive->lane = u->lane;
        receive->fd = u->data_fd;
        receive->offset = u->offset;
        receive->most = end > u->offset ? end - u->offset : 0;
        receive->checksums = &u->checksums;
        receive->stopped = &u->claim.stopped;
        receive->keeps_rest = true;
        receive->written = written;
        receive->context = u;
        u->beside_offset = u->offset;
        r = receive_body(t, receive);
        u->offset = receive->offset;
        upload_claim_received(&u->claim);
        int synced = end_beside(t, u);
        r = check_body(t, u, r == 0 ? synced : r);
        if (r < 0)
            sync_rest(t, u);
    }
    receive_finish(receive);
    if ((r != -EPIPE && r != -ECONNRESET && r != -EINTR) || !u->claim.stopped)
        return r;
    /* Nothing can be received on this connection any more. */
    u->by.x->close = true;
    return 423;
}

int upload_sync(struct task *t, struct upload *u)
{
    return u->by.durable && !u->is_done ? offload(t, u->lane, sync_data, u) : 0;
}

int upload_cancel(struct task *t, struct upload *u)
{
    return offload_always(t, u->lane, cancel, u);
}
