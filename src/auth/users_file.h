/* The users file on disk: read, edited under a lock, replaced as a whole.
 *
 * Blocks; used by the monitor and by `fastfile passwd`, never by a process that serves requests.
 *
 */
#pragma once

#include <limits.h>

#include "auth/password.h"
#include "auth/users.h"

/* $XDG_CONFIG_HOME/fastfile/users or ~/.config/fastfile/users. -ENOENT where neither variable nor
 * the password database says where home is, -ENAMETOOLONG. */
int users_default_path(char ret_path[PATH_MAX]);

/* Reads and parses. -ENOENT: no such file; -EBADMSG: see `ret_error`; -EFBIG; other -errno. */
int users_file_load(const char *path, struct users *ret_users, struct users_error *ret_error);

/* Edits: appends the new text to `out`. Returns 0 or -errno, which ends the update without a
 * change. */
typedef int users_edit_fn(struct span text, struct buf *out, void *context);

/* Replaces the file by what `edit` makes of it, under an exclusive lock of its folder (flock), with
 * a temporary file, fsync, rename and fsync of the folder. A file that does not exist is empty and
 * is made with mode 0600; its folder with 0700. The result is parsed first: neither a damaged file
 * is edited nor a damaged one written (-EBADMSG with `ret_error`). */
int users_file_update(const char *path, users_edit_fn *edit, void *context,
                      struct users_error *ret_error);

/* The edits of users.h, done to a file.
 *
 * `stamp` is for what a program does on a user's behalf; NULL is for a person who edits. With it
 * the user must still have the password of that stamp (else -ENOKEY, also where the user is gone or
 * locked), the file must exist (-ENODATA) and be ours, and stay its group's (-EPERM). */
int users_file_set(const char *path, struct span name, struct span password, bool read_only,
                   struct users_error *ret_error);
int users_file_delete(const char *path, struct span name, struct users_error *ret_error);
/* Makes the app password; it is shown once and then known only as a digest. */
int users_file_add_app(const char *path, struct span name, struct span label, bool read_only,
                       const uint64_t *stamp, char ret_password[PASSWORD_APP_BYTES],
                       struct users_error *ret_error);
int users_file_delete_app(const char *path, struct span name, struct span label,
                          const uint64_t *stamp, struct users_error *ret_error);
