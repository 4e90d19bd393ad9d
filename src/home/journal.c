#include "home/journal.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* "../../devices/…/block/sda/sda1", which ends in the device's name. */
static const char *device_name(dev_t device, char target[PATH_MAX])
{
    char path[64];

    snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major(device), minor(device));
    ssize_t len = readlink(path, target, PATH_MAX - 1);
    if (len <= 0)
        return NULL;
    target[len] = '\0';
    const char *slash = strrchr(target, '/');
    return slash ? slash + 1 : target;
}

/* A journal is called by its device, and by its inode where it is a file of the file system itself:
 * a commit flushes the cache of the journal's device, and only of that. */
bool journal_keeps_order(const char *dir)
{
    enum { JOURNAL_INODE = 8 };
    char target[PATH_MAX], path[128];
    struct stat st;

    const char *name = stat(dir, &st) == 0 ? device_name(st.st_dev, target) : NULL;
    if (!name)
        return false;
    snprintf(path, sizeof(path), "/proc/fs/jbd2/%.64s-%d", name, JOURNAL_INODE);
    return access(path, F_OK) == 0;
}
