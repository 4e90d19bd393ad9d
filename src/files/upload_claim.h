/* One request at a time works on an upload, and the latest one wins.
 *
 * A client whose connection broke comes back before the server knows of that. So whoever comes
 * later does not wait for a peer that is gone: the earlier request stops receiving (and says so,
 * should its client be there after all), and the later one goes on from what is there. That is what
 * the drafts of the IETF recommend, also because an offset that was told stays right only while
 * nobody else writes.
 *
 * Kept in memory, for all rings of the process.
 */
#pragma once

#include <stdatomic.h>

#include "base/list.h"
#include "rt/io.h"

enum { UPLOAD_NAME_BYTES = 49 }; /* of upload_folder.h */

struct upload_claim {
    struct list link;
    bool is_held;
    bool is_receiving;
    int socket_fd; /* of the request */
    _Atomic bool stopped;
    char name[UPLOAD_NAME_BYTES + 1];
};

/* Takes the upload of this name, which stays valid until it is released; waits for an earlier
 * request to stop. Returns 0, 423 (an HTTP status) when it does not in good time, or the reason of
 * a cancellation. */
int upload_claim_take(struct task *t, struct upload_claim *claim, const char *name, int socket_fd);

/* Between these the request can be stopped: its socket ends, and `stopped` says why. The first
 * returns 0, or -EINTR where that has happened before. */
int upload_claim_receive(struct upload_claim *claim);
void upload_claim_received(struct upload_claim *claim);

/* Harmless without a claim. */
void upload_claim_release(struct upload_claim *claim);
