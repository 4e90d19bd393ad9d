/* Small files of our own, read and replaced as a whole. Blocks. */
#pragma once

#include <sys/stat.h>

#include "base/buf.h"

/* Appends the regular file at `path` to `out`; -EFBIG where it does not fit, -EINVAL where it is no
 * regular file. `ret_stat` may be NULL. */
int statefile_read(const char *path, struct buf *out, struct stat *ret_stat);

/* Replaces `path` by `text`: temporary file in the same folder, fsync, rename, fsync of the folder.
 * Readers see the old text or the new one. Without `like` the file has mode 0600; with it, the mode
 * (without the others' bits) and, as far as we may, the owner of that file. */
int statefile_replace(const char *path, struct span text, const struct stat *like);

/* The same; -EPERM where the new file may not have the owner and the group of `like`. */
int statefile_replace_alike(const char *path, struct span text, const struct stat *like);

/* Removes temporary files of ours that were left behind by processes that were killed. Only where
 * nobody else replaces `path` at the same time: under a lock. */
void statefile_remove_leftovers(const char *path);

/* The descriptor of the folder of `path`, made with mode 0700 (parents too) where missing. */
int statefile_open_folder(const char *path);
