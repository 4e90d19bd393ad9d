/* Whether anything has changed in folders that are being watched: an fanotify group.
 *
 * A change in a watched folder is here before the system call that makes it returns: what is made,
 * removed or renamed in it, a file's bytes, size, times and rights, and the folder's own. All
 * folders are in one pot: the question is only whether there was a change.
 *
 * The kernel tells the folder of the name that the writer has used. So it says nothing of what is
 * done to a file by another name, also one that is gone by now, or by a descriptor that was opened
 * without a name in another folder; in a subfolder; behind a link; with what is mounted on a name.
 * Nor of writes that only the file system sees: through a mapping, by io_submit(2), by
 * kernel services such as loop devices; nor of the flags that chattr(1) sets. Whoever builds on
 * this bounds how long he does.
 *
 * inotify knows the same, but would want a path to each folder (/proc is not there in home's
 * sandbox), where fanotify takes an open one. Without privileges that works from Linux 5.13, on
 * file systems that have handles for their files. io_uring's writes are seen from 5.19.
 */
#pragma once

#include <stdbool.h>

struct changes {
    int fd; /* -1: there is no such thing here, and no folder can be watched */
};

void changes_init(struct changes *changes);
void changes_finish(struct changes *changes);

/* What changes in the open folder counts from now on, or from now on no more. No mark holds up an
 * umount, but each holds a folder's inode, so none is forgotten. Returns 0 or -errno. */
int changes_watch(struct changes *changes, int dir_fd);
int changes_unwatch(struct changes *changes, int dir_fd);

/* Watches no folder any more. */
void changes_unwatch_all(struct changes *changes);

/* Whether anything has changed since the last call. After very many changes the next calls say yes
 * too, so that none takes long. */
bool changes_seen(struct changes *changes);
