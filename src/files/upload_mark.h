/* How far the data of an unfinished upload is certainly on the disk.
 *
 * The size of the file does not tell: after a power cut a file can be longer than what is in it
 * (extents.h), and the end of its last block can be zeros. So the info (upload_info.h) has a mark,
 * which is moved on after each fsync(2) of the data. As long as nothing can have been lost, the
 * size is right all the same, and what was received since the mark is kept.
 *
 * In the same boot only a disk that was gone for a while can have lost something, and blocks that
 * were never written tell; but not the end of one that was, and then was written once more. So
 * behind a mark in the middle of a block nothing is believed, and pieces are written from one
 * multiple of UPLOAD_MARK_ALIGNMENT to another.
 *
 * For helper threads: all of it waits for the disk.
 */
#pragma once

#include "files/upload.h"

/* Of the largest blocks and pages that there are. */
enum { UPLOAD_MARK_ALIGNMENT = 64 * 1024 };

static inline bool upload_mark_is_aligned(const struct upload *u)
{
    return u->info.mark.offset % UPLOAD_MARK_ALIGNMENT == 0;
}

/* Sets `u->offset`, and shortens data of `size` bytes to that. Returns 0 or -errno. */
int upload_mark_find(struct upload *u, uint64_t size);

/* Syncs the data, at least its first `offset` bytes, and moves the mark there. Returns 0 or -errno;
 * then upload_mark_give_up() is to follow. */
int upload_mark_set(struct upload *u, uint64_t offset);

/* When the data has its name, and that is synced: so that it is not synced again before it is told.
 * It need not last: in another boot nothing can be lost any more. Returns 0 or -errno. */
int upload_mark_set_named(struct upload *u);
bool upload_mark_is_named(const struct upload *u);

/* After a failed sync nobody knows what of the data is on the disk, and the next sync will not
 * tell: back to the mark. Returns 0 or -errno. */
int upload_mark_give_up(struct upload *u);
