/* What stands in an archive, whatever its format. */
#pragma once

#include "base/limits.h"
#include "base/span.h"

enum {
    ARCHIVE_NAME_BYTES = 256, /* one name, or a name and a slash */
    /* The name of the archive's folder, a path that can be opened, and a name in there. */
    ARCHIVE_PATH_BYTES = ARCHIVE_NAME_BYTES + LIMIT_PATH_BYTES + ARCHIVE_NAME_BYTES,
};

struct archive_entry {
    struct span path; /* relative, at most ARCHIVE_PATH_BYTES; a folder's has no slash at its end */
    bool is_folder;
    unsigned mode; /* permissions; other bits are ignored */
    int64_t mtime_s;
    uint64_t size; /* 0 for a folder */
};
