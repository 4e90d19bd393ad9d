#include "files/changes.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/fanotify.h>
#include <unistd.h>

#include "base/kernel.h"

enum {
    FIRST_KERNEL = 5019000,
    /* What is fetched at once, on the loop: 1,000 events or so in less than a millisecond. The
     * kernel's queue holds up to 16,384 and then says that it has lost some, which is an event. */
    EVENT_BYTES = 4 * 1024,
    EVENT_READS = 16,
};

/* Not what opening, reading and closing do. A change of the access time alone is not among it. */
static const uint64_t mask = FAN_CREATE | FAN_DELETE | FAN_MOVED_FROM | FAN_MOVED_TO | FAN_MODIFY |
                             FAN_ATTRIB | FAN_DELETE_SELF | FAN_MOVE_SELF | FAN_EVENT_ON_CHILD |
                             FAN_ONDIR;

void changes_init(struct changes *changes)
{
    /* FAN_REPORT_FID, as an event that came with a descriptor would take privileges. */
    const unsigned flags = FAN_CLASS_NOTIF | FAN_REPORT_FID | FAN_CLOEXEC | FAN_NONBLOCK;

    changes->fd = kernel_version() < FIRST_KERNEL ? -1 : fanotify_init(flags, O_RDONLY);
}

void changes_finish(struct changes *changes)
{
    if (changes->fd >= 0)
        close(changes->fd);
    changes->fd = -1;
}

int changes_watch(struct changes *changes, int dir_fd)
{
    const unsigned flags = FAN_MARK_ADD | FAN_MARK_ONLYDIR;

    return fanotify_mark(changes->fd, flags, mask, dir_fd, NULL) < 0 ? -errno : 0;
}

int changes_unwatch(struct changes *changes, int dir_fd)
{
    return fanotify_mark(changes->fd, FAN_MARK_REMOVE, mask, dir_fd, NULL) < 0 ? -errno : 0;
}

void changes_unwatch_all(struct changes *changes)
{
    /* With a group there is nothing that could fail. */
    fanotify_mark(changes->fd, FAN_MARK_FLUSH, 0, AT_FDCWD, NULL);
}

bool changes_seen(struct changes *changes)
{
    char events[EVENT_BYTES];
    bool any = false;

    for (int i = 0; i < EVENT_READS; i++) {
        if (read(changes->fd, events, sizeof(events)) < 0)
            return any || errno != EAGAIN;
        any = true;
    }
    return any;
}
