/* Whose rights this process has: user, groups, capabilities.
 *
 * Capabilities belong to a thread: these calls come before any other thread is there.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#define CAPABILITY(number) (UINT64_C(1) << (number)) /* number: CAP_… of linux/capability.h */

/* The user and group without rights of their own: nobody and nogroup of Debian. */
enum { IDENTITY_NOBODY = 65534 };

/* Keeps of the capabilities that are there those in `keep`, now and across execve(). -errno. */
int identity_limit_capabilities(uint64_t keep);

/* Becomes another user with that user's groups (nobody: none) and keeps of root's capabilities
 * those in `keep`. Needs SETUID and SETGID. Returns 0 or -errno. */
int identity_become(uid_t uid, gid_t gid, uint64_t keep);

/* No system call of this process or its children gains rights any more (no setuid programs). */
int identity_no_new_privileges(void);
