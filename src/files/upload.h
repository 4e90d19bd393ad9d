/* Uploads that can be resumed: the part that is the same whatever protocol is spoken
 * (upload_ietf.h, upload_tus.h).
 *
 *     upload_create() or upload_open()     nobody else works on it from now on
 *     upload_append()                      the body of this request
 *     upload_complete() or upload_cancel()
 *     upload_leave()                       others may
 *     upload_destroy()
 *
 * An upload is two files (upload_folder.h), nothing else: it survives this process. Its offset is
 * the size of the data (but see upload_mark.h). What is told to a client is on the disk before
 * (upload_sync(), and the commit of store.h), if that is what `durable` promises. Whatever breaks
 * off in between, what has been received stays.
 *
 * Functions return 0, an HTTP status to refuse the request with, or -errno.
 */
#pragma once

#include "files/guard.h"
#include "files/receive.h"
#include "files/store.h"
#include "files/upload_claim.h"
#include "files/upload_folder.h"
#include "files/upload_info.h"

/* Who asks for what. */
struct upload_request {
    struct exchange *x;
    const struct root *root;
    struct span user;
    bool durable;
    const char *boot;    /* the BOOT_ID_CHARS of upload_info.h */
    struct guard *guard; /* of this request */
};

struct upload {
    struct upload_request by;
    struct upload_info info;
    struct span top; /* of its file system, a path below the root; in its URL */
    char name[UPLOAD_NAME_BYTES + 1];
    uint64_t offset;
    bool is_done;
    bool untold;        /* nobody knows its URL: without a success it is gone when it is left */
    bool verified_only; /* a body with checksums that breaks off leaves nothing */
    int64_t expires_s;
    struct checksums
        checksums;      /* of the body of this request; checksums_init_…() by the protocol */
    struct store store; /* after upload_complete() */

    /* for upload.c */
    struct upload_claim claim;
    enum offload_lane lane;
    int folder_fd, data_fd;
    char *text; /* of `info` */
    uint64_t keep;
    struct receive receive;
    struct offload_aside beside; /* the sync of what has come in, while more does */
    bool syncs_beside;           /* it has been begun */
    uint64_t beside_offset;      /* up to here */
    struct checksums whole;
    struct request request; /* what the store shall think it was */
    struct guard guard;     /* of that */
};

/* NULL: no memory. */
struct upload *upload_alloc(const struct upload_request *by);
void upload_destroy(struct task *t, struct upload *u);

/* Begins one. `info` is complete but for the user; what it points to stays valid. Refuses what a
 * PUT of this file would be refused for, 429 when the user has too many. */
int upload_create(struct task *t, struct upload *u, const struct upload_info *info);

/* `where` is what its URL has behind UPLOAD_URL, decoded. 404, 410 for one that has expired, 423
 * when another request does not stop. Of one that is done only `info` and `offset` are there. */
int upload_open(struct task *t, struct upload *u, struct span where);

/* Appends its URL, without the origin. */
#define UPLOAD_URL "/.fastfile/upload/"
void upload_location(const struct upload *u, struct buf *out);

/* Says how long it will be, before it is complete. */
int upload_set_length(struct task *t, struct upload *u, uint64_t length);

/* The body of the request goes to the end of the data. 423: another request has taken the upload
 * over; -EOVERFLOW: the body is longer than it may be; -EILSEQ: a checksum was wrong, nothing was
 * added. After all other errors `offset` tells how far it got. */
int upload_append(struct task *t, struct upload *u);

/* Before an offset is told. */
int upload_sync(struct task *t, struct upload *u);

/* The data becomes the file. -EILSEQ: it is not what its digest says. What is certain to fail again
 * (4xx but for 423, -EILSEQ) removes the upload. */
int upload_complete(struct task *t, struct upload *u);

/* Whether such a result has removed it. */
bool upload_is_final(int result);

int upload_cancel(struct task *t, struct upload *u);

/* Nothing more is done with it: the next request need not wait for this one's answer. What is
 * `untold` is cancelled. */
void upload_leave(struct task *t, struct upload *u);
