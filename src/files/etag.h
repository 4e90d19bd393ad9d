/* Entity tags (RFC 9110 section 8.8.3): which state of a file this is. */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>
#include <time.h>

#include "base/span.h"

enum {
    /* "W/", quotes, four hexadecimal numbers. */
    ETAG_BYTES = 80,
    /* A change this soon after another may leave every time stamp as it was: before Linux 6.13 they
     * tick with the timer, at 100 Hz in the slowest configuration. Until then a tag is weak. */
    ETAG_YOUNG_MS = 20,
    /* The same where they tick once a second, as on ext3: whole seconds look like that. */
    ETAG_YOUNG_COARSE_MS = 2 * 1000,
    ETAG_KEPT_STATES = 1024,
};

/* Remembers a state as one that we made ourselves, with an mtime that no other writer leaves: a
 * later change shows, however soon it comes. For any thread. */
void etag_note_own(const struct stat *st);

/* Remembers that between these two looks we, and nobody else, have changed a file's names or
 * attributes, and not its bytes: it keeps the tag that it had, where otherwise clients would take
 * it for another state (RFC 4918 section 8.8). `now` is as below, read before `before` was. Only
 * where the bytes are certainly the same: not while `before` is young, nor where size or mtime
 * differ. The last ETAG_KEPT_STATES are remembered; whose is not has another tag, no more. For any
 * thread. */
void etag_keep(const struct stat *before, const struct stat *after, const struct timespec *now);

/* Whether the file was changed so recently that another change may not show. `now` is the clock
 * that time stamps are taken from (CLOCK_REALTIME_COARSE), read before `st` was: only then has any
 * change that `st` does not show another ctime, however late a timer tick or this process may be.
 */
bool etag_is_young(const struct stat *st, const struct timespec *now);

/* The entity tag of a file as it is: from inode, size, mtime and ctime; weak while it is young at
 * `now`. Returns the span it has written. */
struct span etag_format(const struct stat *st, const struct timespec *now, char out[ETAG_BYTES]);
