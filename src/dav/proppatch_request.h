/* <propertyupdate> (RFC 4918 section 14.19): what is to be set and removed, in the order of the
 * document; and what of that can be done. Pure.
 */
#pragma once

#include <stdbool.h>
#include <time.h>

#include "base/arena.h"
#include "base/limits.h"
#include "dav/dead.h"

/* What a property is to us. */
enum proppatch_kind {
    PROPPATCH_DEAD,       /* kept as it is */
    PROPPATCH_PROTECTED,  /* 403 */
    PROPPATCH_FOREIGN,    /* somebody else's, who means something by it that we do not do: 403 */
    PROPPATCH_MODIFIED,   /* DAV: getlastmodified, which clients set in spite of RFC 4918 15.7 */
    PROPPATCH_MTIME,      /* DAV: lastmodified: ownCloud's */
    PROPPATCH_EXECUTABLE, /* mod_dav's */
    PROPPATCH_WIN32_MTIME,
    PROPPATCH_WIN32_ATIME,
    PROPPATCH_WIN32, /* accepted and not kept: Explorer gives up where it is refused */
};

struct proppatch_step {
    bool removes;
    enum proppatch_kind kind;
    struct dead_property property;
    int status; /* of the answer; 0: not decided yet */
};

struct proppatch_request {
    size_t count; /* at least one */
    struct proppatch_step steps[LIMIT_PROPPATCH_PROPERTIES];
    struct arena arena; /* names and languages */
    struct buf values;
};

/* Elements that are not known are passed over (section 17), but the root is <propertyupdate> and
 * has at least one property to be set or removed. A value that is too long has the status 507.
 * Returns 0, or -errno as xml_read(); then there is nothing to give back. */
int proppatch_parse(struct span body, struct proppatch_request *ret_request);
void proppatch_finish(struct proppatch_request *request);

/* Whether all of it is Win32's. */
bool proppatch_is_win32(const struct proppatch_request *request);

/* What is to become of a file or folder besides what is kept with it. Of several steps that want
 * the same thing the last counts; NULL: none. */
struct proppatch_effect {
    struct proppatch_step *mtime_by, *atime_by, *executable_by;
    int64_t mtime_s, atime_s;
    bool executable;
    bool has_dead;
};

/* Decides about the steps that can be decided so far: whatever gets a status of 400 and more cannot
 * be. `now` as for date_parse_http(). */
void proppatch_find_effect(struct proppatch_request *request, bool is_folder, int64_t now,
                           struct proppatch_effect *ret_effect);

/* Whether a step has failed. */
bool proppatch_has_failed(const struct proppatch_request *request);

/* All that is not decided is done; or not, because another step has failed: 424. */
void proppatch_decide(struct proppatch_request *request);
