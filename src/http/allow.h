/* The field Allow (RFC 9110 section 10.2.1): what this user may try on something. */
#pragma once

#include <stdbool.h>

#include "base/span.h"

enum allow_what {
    ALLOW_SERVER, /* whatever there is: "*", and what has not been looked at */
    ALLOW_ROOT,   /* the folder that is served: it is not removed, moved or copied */
    ALLOW_FOLDER,
    ALLOW_FILE,
    ALLOW_NOTHING, /* nothing has this name */
    ALLOW_KINDS,
};

struct span allow_methods(enum allow_what what, bool may_change);
