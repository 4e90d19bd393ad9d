/* <lockinfo> (RFC 4918 section 14.11). Pure. */
#pragma once

#include <stdbool.h>

#include "base/limits.h"
#include "base/span.h"

struct lock_request {
    bool is_refresh; /* there was no body */
    bool is_shared;
    struct span owner; /* markup that is inside <owner>, by dav/xml_copy.h; in `owner_bytes` */
    char owner_bytes[LIMIT_LOCK_OWNER_BYTES];
};

/* Elements that are not known are passed over (section 17). Returns 0, -EINVAL (not one <lockscope>
 * with <exclusive/> or <shared/> and one <locktype> with <write/>), -E2BIG (also for an <owner> of
 * more than LIMIT_LOCK_OWNER_BYTES), or another -errno as xml_read(). */
int lock_request_parse(struct span body, struct lock_request *ret_request);
