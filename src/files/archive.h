/* A folder, or some of what is in it, as one tar or zip archive: "?archive=tar", "?archive=zip",
 * with "&name=..." for each entry that is wanted. A POST may have more of these in its body,
 * "name=a.txt&name=b.txt", where a request's head has no room for all.
 *
 * It is made while it is sent. Memory does not grow with it, except that zip has a directory at its
 * end: 40 bytes and the end of its path for each entry, LIMIT_ARCHIVE_DIRECTORY_BYTES at most.
 *
 * All of a folder is in the archive below one folder of its name; a selection stands by itself.
 * Symbolic links to files below the root are in it as these files; links to folders are not
 * followed. What is not in it although it is there, and files that changed while they were read,
 * are told in a text at the end. A file that turns out shorter than its head has said breaks the
 * connection, as does a folder with more than fits into the directory: nobody takes the archive for
 * whole then.
 */
#pragma once

#include "files/root.h"
#include "http/exchange.h"

/* Whether the request asks for an archive, of whatever kind. */
bool archive_is_wanted(const struct request *request);

/* Answers with the archive of `folder`, whose path is `path` (decoded, relative; "" for the root).
 * Returns 0 or -errno. */
int archive_respond(struct task *t, struct exchange *x, const struct root *root,
                    const struct file *folder, struct span path);
