/* A root of one's own: user and mount namespaces, for processes that must not see the file system.
 *
 * All of it before any other thread exists. Nothing here needs /proc.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* Whether namespace_enter() would work for that user ((uid_t)-1: for this process as it is). Asked
 * in a child process. Returns 0 or -errno. */
int namespace_probe(uid_t uid, gid_t gid);

/* Enters a user namespace and a mount namespace of its own, with all capabilities over them and
 * none over anything else. Mounts made outside go on to appear, none go out. Returns 0 or -errno:
 * -EPERM or -ENOSPC where the machine (or the container, or a chroot) does not allow it. */
int namespace_enter(void);

/* What was it that forbade namespaces: a constant text for the user. */
const char *namespace_why_not(int error);

/* Makes `dir` and everything mounted below it the root and the current folder of this process;
 * `covered` names folders below it (absolute paths outside, NUL-separated, ended by an empty one)
 * that shall look empty. After namespace_enter(). Returns 0 or -errno. */
int namespace_root_at(const char *dir, const char *covered);

/* Makes an empty folder the root and the current folder: after namespace_enter() one in memory,
 * with CAP_SYS_CHROOT alone one that is deleted. Returns 0 or -errno. */
int namespace_root_empty(void);
int namespace_root_deleted(void);
