/* <multistatus> for PROPPATCH (RFC 4918 section 9.2): which properties were set and removed, or why
 * none was. Pure. */
#pragma once

#include "base/buf.h"
#include "dav/proppatch_request.h"

struct proppatch_answer {
    const struct proppatch_request *request; /* all of whose steps have a status */
    struct span path;                        /* decoded */
    bool is_folder;
    bool keeps_nothing; /* 507 is because the file system has no attributes */
};

/* Given back with buf_finish(); it may have failed. */
void proppatch_answer_make(const struct proppatch_answer *answer, struct buf *ret_body);
