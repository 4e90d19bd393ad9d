/* Room on a disk for a file that is to come. On a helper thread. */
#pragma once

#include <stdint.h>

enum {
    /* Reserving the room of a smaller file costs more than it saves; see bench/fallocate. */
    ROOM_RESERVE_LEAST = 512 * 1024,
    /* So much is reserved ahead of what has come: it takes milliseconds, and a peer that promises
     * much and sends little takes no more than this from the others. */
    ROOM_RESERVE_STEP = 1024 * 1024 * 1024,
};

/* Returns 507 where so many bytes are certain not to fit into the file system of a folder, else
 * 0: what is written at the same time has to find out itself. */
int room_check(int dir_fd, uint64_t bytes);

/* Reserves the next step of a new file that will have `length` bytes, on file systems where this
 * saves work and takes nothing away: its blocks are found at once and in few pieces, not with each
 * write. Its size stays what has been written, and what is never written goes when the file does.
 *
 * `*reserved` is up to where that has been done, and moves on; `length`: there is no more to do.
 * Returns 0, -ENOSPC or -EDQUOT. */
int room_reserve(int fd, uint64_t length, uint64_t *reserved);
