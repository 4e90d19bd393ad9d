/* Locks as clients are told of them: <activelock> (RFC 4918 section 14.1), for LOCK and PROPFIND.
 * Pure. */
#pragma once

#include "base/buf.h"
#include "files/locks.h"

/* The value of supportedlock (section 15.10), where anything can be locked. */
#define LOCK_ANSWER_SUPPORTED                                                        \
    "<D:lockentry><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/>"   \
    "</D:locktype></D:lockentry><D:lockentry><D:lockscope><D:shared/></D:lockscope>" \
    "<D:locktype><D:write/></D:locktype></D:lockentry>"

/* How many locks of a resource are told of: as many as its name can have. Those of the folders that
 * it is in count too, the highest first. */
enum { LOCK_ANSWERS_MAX = LIMIT_LOCKS_PER_NAME };

/* Old versions of Office fail on <lockroot>, new ones where there is none: told by User-Agent. */
bool lock_answer_hides_root(struct span user_agent);

/* Appends one. Everybody is told its token: without being its user nobody can do anything with it,
 * and clients find their own locks again by it. */
void lock_answer_append(struct buf *out, const struct lock *lock, uint32_t seconds_left,
                        bool hides_root);

/* Appends all that cover the path, LOCK_ANSWERS_MAX at most: what stands inside <lockdiscovery>. */
void lock_answer_append_all(struct buf *out, struct locks *locks, struct span path, uint64_t now_ms,
                            bool hides_root);
