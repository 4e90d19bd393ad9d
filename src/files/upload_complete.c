#include "files/upload_complete.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "files/upload_mark.h"

enum {
    /* What a helper hashes at a time: a tenth of a second at most. */
    HASH_PIECE_BYTES = 256 * 1024,
    HASH_TURN_BYTES = 16 * 1024 * 1024,
};

/* --- on a helper thread --- */

/* Hashes on from `keep`. Returns 1 where there is more to come. */
static int hash_turn(void *arg)
{
    struct upload *u = arg;
    _cleanup_free_ void *piece = malloc(HASH_PIECE_BYTES);
    uint64_t end = u->keep + HASH_TURN_BYTES;
    int r = piece ? 0 : -ENOMEM;

    while (r == 0 && u->keep < u->offset && u->keep < end) {
        ssize_t n = pread(u->data_fd, piece, HASH_PIECE_BYTES, (off_t)u->keep);
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        r = checksums_update(&u->whole, span_of(piece, (size_t)n));
        u->keep += (uint64_t)n;
    }
    return r < 0 ? r : u->keep < u->offset;
}

/* It is done as soon as the data is gone from here; this says since when. Also, the commit gives
 * the data the time that its sender wants, by which it may have expired long ago. */
static int note_time(void *arg)
{
    const struct upload *u = arg;
    struct upload_file_name info = upload_file_name(u->name, UPLOAD_INFO);

    return utimensat(u->folder_fd, info.text, NULL, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int note_synced(void *arg)
{
    return upload_mark_set_named(arg);
}

static int give_up(void *arg)
{
    return upload_mark_give_up(arg);
}

int upload_complete_sync(struct upload *u)
{
    if (upload_mark_is_named(u))
        return 0;
    if (syncfs(u->folder_fd) < 0)
        return -errno;
    upload_mark_set_named(u);
    return 0;
}

/* --- on the loop --- */

/* The store sees a PUT with the fields of the request that began the upload. Its sender may have
 * got a lock since then, and shows that with this request. */
void upload_complete_prepare(struct upload *u, uint64_t length)
{
    const struct upload_info *info = &u->info;
    const struct guard *by = u->by.guard;

    u->request.method = METHOD_PUT;
    u->request.if_match = info->if_match;
    u->request.if_none_match = info->if_none_match;
    u->request.if_unmodified_since = info->if_unmodified_since;
    u->request.dav_if = info->dav_if;
    u->request.host = by->request->host;
    guard_finish(&u->guard);
    guard_init(&u->guard, by->locks, by->root, &u->request, by->is_tls, u->by.user, info->path);
    guard_show(&u->guard, by->request->dav_if);
    u->store = (struct store){
        .root = u->by.root,
        .path = info->path,
        .guard = &u->guard,
        .length = length,
        .durable = u->by.durable,
        .has_mtime = info->has_mtime,
        .mtime = info->mtime,
        .adopts = true,
        .temporary = TEMPORARY_NONE,
    };
}

static int check_whole(struct task *t, struct upload *u)
{
    int r = checksums_init_whole(&u->whole, u->info.repr_digest, u->info.oc_checksum);

    u->keep = 0;
    if (r < 0 || u->whole.count == 0)
        return r;
    do
        r = offload(t, u->lane, hash_turn, u);
    while (r > 0);
    if (r == 0)
        r = checksums_match(&u->whole);
    return r == 0 ? -EILSEQ : r < 0 ? r : 0;
}

static int store_data(struct task *t, struct upload *u)
{
    struct upload_file_name data = upload_file_name(u->name, UPLOAD_DATA);

    upload_complete_prepare(u, u->offset);
    struct temporary *tmp = &u->store.temporary;
    *tmp = (struct temporary){.fd = u->data_fd, .dir_fd = u->folder_fd, .is_named = true};
    memcpy(tmp->name, data.text, sizeof(data.text));
    int r = store_begin(t, &u->store);
    if (r != 0)
        return r;
    r = offload(t, u->lane, note_time, u);
    if (r == 0)
        r = store_commit(t, &u->store);
    store_finish(t, &u->store);
    return r;
}

bool upload_is_final(int result)
{
    /* What is locked need not stay so. */
    return result == -EILSEQ || (result >= 400 && result < 500 && result != 423);
}

int upload_complete(struct task *t, struct upload *u)
{
    int r = 0;

    u->store.temporary = TEMPORARY_NONE;
    if (!u->info.has_length)
        r = upload_set_length(t, u, u->offset);
    if (r == 0)
        r = check_whole(t, u);
    if (r == 0)
        r = store_data(t, u);
    if (r == 0) {
        u->is_done = true;
        if (u->by.durable)
            offload_always(t, u->lane, note_synced, u);
        /* What waits behind this request shall see the file as it is now. */
        loop_new_epoch(u->by.x->conn->server->loop);
        return 0;
    }
    /* With its name, but perhaps not for long: nobody shall be told that it is done. */
    bool is_named = u->store.temporary.fd >= 0 && !u->store.temporary.is_named;
    if (is_named || upload_is_final(r))
        upload_cancel(t, u);
    else if (r == 423) /* whoever comes again need not send anything again */
        (void)upload_sync(t, u);
    else if (u->store.unsynced)
        offload_always(t, u->lane, give_up, u);
    return r;
}
