/* The only place where a path becomes a descriptor.
 *
 * Every path is resolved by openat2(2) below the root: nothing reaches outside, not by "..", not by
 * a symbolic link, not while somebody renames folders. What is cached is opened from the loop;
 * whatever might wait for a disk or another machine is opened by a helper thread. So is what has a
 * link on its way: where that leads to may be the server's own.
 */
#pragma once

#include "base/span.h"
#include "files/file.h"

struct root {
    int fd;    /* O_PATH */
    bool fast; /* on a file system whose cached data and look-ups never wait */
    bool
        ordered; /* and what fsync(2) of a folder commits comes after all that was changed before */
    dev_t device;
};

/* `fd` (O_PATH | O_DIRECTORY) becomes the root's. */
void root_init(struct root *root, int fd);

/* openat2(2) below the root, with RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS and `resolve`: the one
 * system call that all of this rests on. May wait for a disk. `mode` is that of a new file. Returns
 * a descriptor or -errno. */
int root_open_raw(int root_fd, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve);

/* Whether a path has a name in it that is the server's own: ".fastfile", or one that begins with
 * ".fastfile-", and what some file systems take for these: other cases, dots and blanks at the end,
 * what NTFS has behind a colon. Nobody sees these, and no request reaches them. */
bool root_path_reserved(struct span path);

/* Whether a path has a name in it by which some file system may know ".fastfile" besides: what it
 * leads to has to be looked at (place_open() and root_open() do). */
bool root_path_is_doubtful(struct span path);

/* Whether what looks like this is called ".fastfile" in an open folder. May wait for a disk.
 * Returns 1, 0, or -errno. */
int root_own_is(int fd, const struct stat *st);

/* Whether an open folder below the root is called ".fastfile", or one that it is in. May wait for a
 * disk. Returns 1, 0, or -errno. */
int root_folder_is_own(int root_fd, int fd);

/* Whether an open folder is the one that `folder` describes, or is in it at any depth, by the names
 * that they have now. May wait for a disk. Returns 1, 0, or -errno. */
int root_folder_is_in(const struct root *root, int fd, const struct stat *folder);

/* Opens (O_PATH) the topmost folder of the mount that an open folder is on, not above the root.
 * `*ret_depth` is how far above it is. May wait for a disk. Returns a descriptor or -errno. */
int root_open_top(const struct root *root, int fd, unsigned *ret_depth);

/* The same for a path with links in it, all of which are followed: what they lead to may be the
 * server's own, whatever they are called. Then it is -EACCES. */
int root_open_linked(int root_fd, const char *path, uint64_t flags, uint64_t resolve);

/* Opens a file or folder for reading. `path` is relative, decoded, and followed by a NUL ("" is the
 * root itself). Opening never waits for a FIFO's other end. What is neither a regular file nor a
 * folder is -ENOENT. Returns 0 and an open file, which is given back with file_close(), or -errno.
 */
int root_open(struct task *t, const struct root *root, struct span path, struct file *ret_file);

/* The same below the open `folder`, without following any symbolic link (-ELOOP). Of a file system
 * of its own, as root_open() would find. */
int root_open_in(struct task *t, const struct root *root, const struct file *folder,
                 struct span path, struct file *ret_file);

/* The status for an error of the file system: 403, 404, 414, 507, ... */
int status_from_errno(int error);
