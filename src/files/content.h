/* Copying what is in one open file to another, a step at a time, for helper threads.
 *
 * Shared where the file system can (FICLONE), else copied inside the kernel where that can, else
 * through a buffer. Holes stay holes. What others write meanwhile may be in the copy or not.
 */
#pragma once

#include <stdint.h>
#include <sys/stat.h>

enum content_way { CONTENT_CLONE, CONTENT_IN_KERNEL, CONTENT_BUFFER };

struct content {
    int from, to; /* the caller's; `to` is empty */
    enum content_way way;
    uint64_t at;
    uint64_t size; /* of `from`, as it was when the end was last looked for */
    uint64_t end;  /* of what was written */
    char *buffer;
};

/* Returns a result of a step (files/slices.h): SLICE_MORE, SLICE_DONE, or -errno. */
int content_step(struct content *c);

void content_finish(struct content *c);

/* Sets the time of the last change; the access time becomes now. Where a file system knows no times
 * that could be set, or not this one, nothing is set. Returns 0 or -errno. */
int content_set_mtime(int fd, const struct timespec *mtime);

/* Gives a copy what the other one has: mode (without set-user-ID and the like; set-group-ID of a
 * folder is inherited, not copied) and mtime. Returns 0 or -errno. */
int content_keep_attributes(int to, const struct stat *from);
