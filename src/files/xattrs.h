/* Extended attributes "user.*" (xattr(7)): what others keep with a file stays with it when its
 * content is replaced or copied; and one of them is ours, the properties that WebDAV clients keep
 * with it (dav/dead.h).
 *
 * All of it may wait for a disk: for helper threads.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"

/* Whether an open file has any, or may have. */
bool xattrs_any(int fd);

/* Gives `to`, a new file or folder of our own, exactly those that `from` has, as far as they can be
 * read. Where the other file system has no such attributes, or none of this size, they are left
 * out; but no room for them (-ENOSPC, -EDQUOT) is an error, as it is for bytes. To be done before
 * `to` gets its mode, which may forbid it. Returns 0 or -errno. */
int xattrs_carry(int from, int to);

/* Appends ours to `out`, at most LIMIT_DEAD_BYTES. Returns 0, also where there is none, or -errno.
 */
int xattrs_get_own(int fd, struct buf *out);

/* Sets ours; "" removes it. Returns 0 or -errno: -EOPNOTSUPP where the file system has no such
 * thing; -ENOSPC, -E2BIG or -ERANGE also where it is too much for it. */
int xattrs_set_own(int fd, struct span value);
