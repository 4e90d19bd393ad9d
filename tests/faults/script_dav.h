/* What the table says of cases about properties that clients keep with files. As in
 * script_folder.h, these have no prefix. */
#pragma once

#include <stdbool.h>

/* before: /puts/sub/old, from long ago, has a property; no /puts/sub/new */
void restore_marked(int root_fd);

/* after */
const char *is_marked(int root_fd, bool acknowledged); /* as before */
const char *is_patched(int root_fd, bool acknowledged);
const char *is_unmarked(int root_fd, bool acknowledged);
const char *is_still_marked(int root_fd, bool acknowledged); /* with another content */
const char *is_marked_twice(int root_fd, bool acknowledged); /* and a copy has it */
