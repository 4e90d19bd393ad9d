/* What takes the file system, new sockets and other processes away from gate.
 *
 * Two steps, because namespaces can only be left by a process with one thread, and rings and
 * threads cannot be made any more once system calls are filtered. Everything that needs a file
 * (OpenSSL's algorithms: context_warm_up(), time zone: tzset()) must have happened before the first
 * step.
 */
#pragma once

#include "rt/loop.h"

/* Step 1: before threads and rings. No new privileges, an identity without rights (when started as
 * root: nobody), an empty root, no capabilities. Returns 0 or -errno. `ret_limited` becomes NULL,
 * or a constant text that says what this machine did not allow. */
int gate_sandbox_enter(const char **ret_limited);

/* Step 2: when rings and threads exist. From now on, in all threads, only the system calls that
 * serving with this kind of loop takes: none with a path, no execve, ptrace, socket, connect, and
 * no new or changed ring. Returns 0 or -errno. */
int gate_sandbox_close(enum loop_io io);
