/* Landlock: access to files by path and to TCP ports, given up by the process itself (Linux 5.13).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The version the kernel offers, from 1; 0: none. */
int landlock_version(void);

/* From now on this process can, by path, only read below these open folders, or with
 * `writable` also make, write and remove files there, and neither bind nor connect TCP sockets
 * where the kernel can refuse that (6.7). Descriptors that are open stay usable. Restricts the
 * calling thread and those it starts: comes before any other thread, after
 * identity_no_new_privileges(). Returns 0, -ENOSYS where the kernel has none, or another -errno. */
int landlock_restrict(const int *dir_fds, size_t count, bool writable);
