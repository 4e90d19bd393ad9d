/* What goes by itself of the folder where unfinished uploads lie (upload_folder.h): what has
 * expired, what a crash has left, and of those that are done what is too much.
 *
 * That is when somebody begins an upload there, and when somebody who may change something looks at
 * the folder that it is in: so the space comes back, and no disk is woken up for it.
 */
#pragma once

#include "files/upload_folder.h"

enum {
    /* Unfinished ones of one user on a file system: a client that begins and never ends fills no
     * folder. */
    LIMIT_UPLOADS_PER_USER = 256,
    /* Those that are done beside them; the older half goes then. */
    LIMIT_UPLOADS_DONE = 256,
    /* Names that are looked at, all users together. */
    LIMIT_UPLOAD_ENTRIES = 64 * 1024,
};

/* Removes what is to go, and says whether a user may begin another upload: returns 0, 429, or
 * -errno. `user_name` is any upload_name() of his. May wait for a disk: for helper threads. */
int upload_sweep_for(int folder_fd, const char *user_name);

/* Whether it is time again to sweep below the folder that looks like this, and then it is taken for
 * swept. */
bool upload_sweep_is_due(const struct stat *top);

/* Sweeps what is below this folder, as far as there is something. */
void upload_sweep_below(struct task *t, enum offload_lane lane, int top_fd);
