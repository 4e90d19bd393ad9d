#include "http/allow.h"

#include <assert.h>

struct span allow_methods(enum allow_what what, bool may_change)
{
    static const struct span changing[ALLOW_KINDS] = {
        [ALLOW_SERVER] = SPAN("OPTIONS, GET, HEAD, PUT, DELETE, MKCOL, COPY, MOVE, PROPFIND, "
                              "PROPPATCH, LOCK, UNLOCK"),
        [ALLOW_ROOT] = SPAN("OPTIONS, GET, HEAD, PROPFIND, PROPPATCH, LOCK, UNLOCK"),
        [ALLOW_FOLDER] = SPAN("OPTIONS, GET, HEAD, DELETE, COPY, MOVE, PROPFIND, PROPPATCH, "
                              "LOCK, UNLOCK"),
        [ALLOW_FILE] = SPAN("OPTIONS, GET, HEAD, PUT, DELETE, COPY, MOVE, PROPFIND, PROPPATCH, "
                            "LOCK, UNLOCK"),
        [ALLOW_NOTHING] = SPAN("OPTIONS, PUT, MKCOL, LOCK"),
    };

    assert(what < ALLOW_KINDS);
    if (may_change)
        return changing[what];
    return what == ALLOW_NOTHING ? SPAN("OPTIONS") : SPAN("OPTIONS, GET, HEAD, PROPFIND");
}
