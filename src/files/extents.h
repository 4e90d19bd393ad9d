/* How much of a file was really written.
 *
 * After a power cut a file can be longer than what is in it: ext4 notes the length when it hands
 * the bytes to the disk, and when they have arrived that the blocks are valid. What lies between
 * reads as zeros. */
#pragma once

#include <stdint.h>

/* Up to where a file of `size` bytes that was written from its beginning to its end has all of them
 * on disk; waits until what is in memory has been written (not for the disk's own cache).
 * `*ret_end` is `size` where the file system does not tell (FS_IOC_FIEMAP, Linux 2.6.28). Returns 0
 * or -errno. May wait for a disk: for helper threads. */
int extents_written(int fd, uint64_t size, uint64_t *ret_end);
