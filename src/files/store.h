/* A new file on its way to its name: what a PUT does to the folder.
 *
 *     store_begin()   may it be, is there room; a temporary file
 *     store_fd()      the content is written there, by whoever has it, and
 *     store_reserve() is told of it
 *     store_commit()  synced, what was there looked at again under the name's lock, named, and the
 *                     folder synced
 *     store_finish()  without a commit nothing has happened
 *
 * or, for content that is in memory, all of it in one: store_put().
 *
 * What has come in before (a resumed upload) is adopted: a file with a name of its own in another
 * folder of the same file system.
 *
 * Until the commit the old file is what is there, and it stays so whatever fails. All calls
 * suspend: their work is done by helper threads.
 */
#pragma once

#include "files/guard.h"
#include "files/place.h"
#include "files/rights.h"
#include "files/temporary.h"
#include "rt/offload.h"

#define STORE_LENGTH_UNKNOWN UINT64_MAX

struct store {
    /* set by the caller */
    const struct root *root;
    struct guard *guard; /* may it be? With the request that wants this */
    struct span path;    /* decoded, relative, followed by a NUL */
    uint64_t length;     /* of the content, or STORE_LENGTH_UNKNOWN */
    bool durable;        /* what is acknowledged survives a power cut */
    bool adopts;         /* the content is in `temporary` already, which stays the caller's */
    bool has_mtime;      /* as a result: the file has it */
    int64_t mtime;       /* seconds since 1970; what is below a second is ours */
    struct temporary temporary;

    /* results */
    bool created;   /* nothing had the name before */
    bool own;       /* `st` is what we wrote: nobody has changed it since */
    bool unsynced;  /* after an error: nobody knows what of the content is on the disk */
    struct stat st; /* of the new file, with its name */

    /* for store.c */
    enum offload_lane lane;
    struct place place;
    struct span content;
    struct stat old;
    bool has_old;
    uint64_t reserved; /* files/room.h */
    bool has_rights;
    bool old_has_attributes; /* files/xattrs.h */
    struct rights rights;    /* of the old file, as the new one has them */
};

/* Whether the fields of a request let its content be stored. What cannot be honoured must not be
 * ignored: part of a file (RFC 9110 section 14.4), or content that would have to be decoded.
 * Returns 0, 400 or 415. */
int store_check_fields(const struct request *request);

/* What X-OC-Mtime says: seconds since 1970, perhaps with a fraction, which is dropped. Returns 0,
 * also for a field that is not there (data NULL), or -EINVAL. */
int store_take_mtime(struct store *s, struct span field);

/* Returns 0, an HTTP status to refuse it with (405 a folder has the name, 409 no such folder, 412,
 * 423 it is locked, 507 it cannot fit), or -errno. After 0 store_finish() is called in any case. */
int store_begin(struct task *t, struct store *s);

static inline int store_fd(const struct store *s)
{
    return s->temporary.fd;
}

/* So many bytes have been written. Whether there is room for the rest, the next write finds out. */
void store_reserve(struct task *t, struct store *s, uint64_t written);

/* Returns as store_begin(). After an error that came from syncing the folder a new name may be
 * there all the same: whether it survives is not known, which is what the error says. */
int store_commit(struct task *t, struct store *s);

void store_finish(struct task *t, struct store *s);

/* All of it with this content, on one trip to a helper thread: a small file costs little more than
 * these trips. Returns as store_commit(); there is nothing to be finished. */
int store_put(struct task *t, struct store *s, struct span content);
