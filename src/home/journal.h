/* What the file system of the folder promises about the order of changes. */
#pragma once

#include <stdbool.h>

/* Whether whatever fsync(2) of a folder commits comes after all changes that were made before: ext4
 * with a journal on the same device. Looks at /sys and /proc, so before the sandbox; false where
 * they are not to be had. */
bool journal_keeps_order(const char *dir);
