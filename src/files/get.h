/* GET and HEAD of a regular file: preconditions, ranges, and the bytes.
 *
 * A response never mixes two states of a file: if the file turns out to have changed while it was
 * being sent, the connection closes before the response is complete, so that nobody takes it for
 * whole.
 */
#pragma once

#include "files/root.h"
#include "http/exchange.h"
#include "http/mime.h"

enum {
    /* "W/", quotes, four hexadecimal numbers. */
    ETAG_BYTES = 80,
    /* A change this soon after another may leave every time stamp as it was: before Linux 6.13 they
     * tick with the timer, at 100 Hz in the slowest configuration. Until then a tag is weak. */
    ETAG_YOUNG_MS = 20,
};

/* The entity tag of a file as it is: from inode, size, mtime and ctime; weak while its ctime is
 * younger than ETAG_YOUNG_MS at `now`. Returns the span it has written. */
struct span etag_format(const struct stat *st, const struct timespec *now, char out[ETAG_BYTES]);

/* Answers with the file; `name` is the last segment of its path. Returns 0 or -errno. The file
 * stays the caller's. */
int file_get(struct task *t, struct exchange *x, const struct mime_table *mime, struct file *file,
             struct span name);
