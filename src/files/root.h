/* The only place where a path becomes a descriptor.
 *
 * Every path is resolved by openat2(2) below the root: nothing reaches outside, not by "..", not by
 * a symbolic link, not while somebody renames folders. What is cached is opened from the loop;
 * whatever might wait for a disk or another machine is opened by a helper thread.
 */
#pragma once

#include <sys/stat.h>
#include <time.h>

#include "base/span.h"
#include "rt/offload.h"
#include "rt/task.h"

struct root {
    int fd;    /* O_PATH */
    bool fast; /* on a file system whose cached data and look-ups never wait */
    dev_t device;
};

struct file {
    int fd;
    bool fast;              /* reads of cached data may be tried from the loop */
    enum offload_lane lane; /* whose helpers do what may wait for its file system */
    struct stat st;
    struct timespec
        before;          /* CLOCK_REALTIME_COARSE, which time stamps are taken from, before `st` */
    const char *content; /* all of it, where it is remembered; else NULL */
    struct cached_file *cached; /* NULL: the descriptor is the opener's */
};

/* `fd` (O_PATH | O_DIRECTORY) becomes the root's. */
void root_init(struct root *root, int fd);

/* Opens a file or folder for reading. `path` is relative, decoded, and followed by a NUL ("" is the
 * root itself). Opening never waits for a FIFO's other end. What is neither a regular file nor a
 * folder is -ENOENT. Returns 0 and an open file, which is given back with file_close(), or -errno.
 */
int root_open(struct task *t, const struct root *root, struct span path, struct file *ret_file);

/* Looks at an open file again: fstat(2). Returns 0 or -errno. */
int file_look(struct task *t, const struct file *file, struct stat *ret_stat);

/* close(2), which may wait for the file system too, but nobody waits for it here. */
void file_close(struct task *t, const struct file *file);

/* fstat(2) by its own system call: glibc makes newfstatat() of it, which costs a path look-up of
 * nothing and a run through the system call filter. Returns 0 or -errno. */
int file_stat(int fd, struct stat *ret_stat);

/* Whether two looks at a file saw the same bytes; and the same names and rights. */
bool file_same_bytes(const struct stat *a, const struct stat *b);
bool file_same(const struct stat *a, const struct stat *b);

/* The status for an error of the file system: 403, 404, 414, 507, ... */
int status_from_errno(int error);
