/* A path as it would be without symbolic links: what a lock is kept under, so that two ways to a
 * file are one (RFC 4918 section 7).
 *
 * Hard links, bind mounts, and names that a file system does not tell apart (vfat) are different
 * paths all the same: there a lock protects the name that was locked.
 */
#pragma once

#include "base/limits.h"
#include "files/root.h"

/* Resolves all links in the folders of `path`, and one at its end if `follow`. What is not there,
 * or may not be looked into, stays as it is written. `path` is relative, decoded, and followed by a
 * NUL; `resolve` is 0 or RESOLVE_NO_XDEV. `ret_path` is `path` itself or in `out`, and followed by
 * a NUL. One look at the file system where no link is on the way.
 *
 * Returns 0 or -errno: -EXDEV (a link leads out of the root, or the path to another file system),
 * -ELOOP, -ENAMETOOLONG. May wait for a disk: for helper threads. */
int canonical_path(int root_fd, struct span path, uint64_t resolve, bool follow,
                   char out[LIMIT_PATH_BYTES], struct span *ret_path);
