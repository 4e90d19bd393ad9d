/* <propfind> (RFC 4918 section 14.20). Pure. */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/limits.h"
#include "dav/property.h"

enum propfind_kind { PROPFIND_PROP, PROPFIND_ALLPROP, PROPFIND_PROPNAME };

struct propfind_name {
    struct span ns, local;
};

struct propfind_request {
    enum propfind_kind kind;
    uint32_t live;     /* PROPERTY_BIT()s that are asked for */
    size_t name_count; /* and what the server does not know by itself; PROPFIND_PROP only */
    struct propfind_name names[LIMIT_PROPFIND_NAMES]; /* in `arena` */
    bool wants_dead;                                  /* some or all of what clients may keep */
    struct arena arena;
    char memory[1024]; /* its beginning */
};

/* No body is <allprop/> (section 9.1). Elements that are not known are passed over (section 17),
 * but the root is <propfind> and has exactly one of <prop>, <allprop> and <propname> in it. A name
 * that is there twice counts once. Returns 0, or -errno as xml_read(); then there is nothing to
 * give back. */
int propfind_parse(struct span body, struct propfind_request *ret_request);
void propfind_finish(struct propfind_request *request);
