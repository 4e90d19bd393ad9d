/* Looking at what has a path, without the right to read it. */
#pragma once

#include "files/root.h"

/* As root_open() (links are followed, only files and folders are found), but the descriptor is
 * O_PATH: no content can be had by it, and no right on the file itself is needed. Given back with
 * file_close(). Returns 0 or -errno. */
int look_open(struct task *t, const struct root *root, struct span path, struct file *ret_file);
