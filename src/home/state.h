/* Home's own state, opened while there is still something outside: two files of the monitor's state
 * folder, in a folder of their own, so never where users or keys are. They are opened before home
 * becomes the user whose files are served: nobody else can put anything into that folder.
 */
#pragma once

#include "net/channel.h"

/* Opens the files that keep the locks of this DIR (files/locks_file.h), and makes them where they
 * are missing. No other process has them then: `ret_fds` are -1 where one has, or where nothing can
 * be kept, and `ret_why` is a constant text that says so; else NULL. */
void home_state_open(const struct boot *boot, int ret_fds[2], const char **ret_why);
