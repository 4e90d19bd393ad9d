/* What home is left with: DIR, its state folder, and the connections that it was given.
 *
 * Two steps, because namespaces can only be left by a process with one thread, and rings and
 * threads cannot be made any more once system calls are filtered. What needs files outside DIR
 * (time zone: tzset(), mime.types) must have happened before the first step.
 */
#pragma once

#include "net/channel.h"
#include "rt/loop.h"

/* Step 1: before threads and rings. Becomes the user that boot names, makes DIR the root of the
 * file system (paths in boot.covered hidden), opens it O_PATH | O_DIRECTORY as `ret_root_fd` (the
 * caller's), drops all capabilities and applies Landlock. Where the kernel does not allow a root of
 * its own, `ret_limited` becomes a constant text that says why, else NULL. Returns 0 or -errno:
 * what opening DIR gave; -EXDEV where something has to be covered and cannot be. */
int home_sandbox_enter(const struct boot *boot, int *ret_root_fd, const char **ret_limited);

/* Step 2: when rings and threads exist. From now on, in all threads, only the system calls that
 * serving with this kind of loop takes. Returns 0 or -errno. */
int home_sandbox_close(const struct boot *boot);
