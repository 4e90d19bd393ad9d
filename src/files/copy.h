/* COPY: a file, or a folder with all that is in it (RFC 4918 section 9.8). All of it or nothing.
 *
 * A link in the request is followed, as when it is read; links in a folder are copied as links
 * (files/copy_tree.h).
 */
#pragma once

#include "files/change.h"

/* Answers the request. Returns 0 or -errno as the functions of exchange.h. */
int file_copy(struct task *t, const struct change *c);

/* The same for a MOVE to another file system: a copy that is as safe as the original was, then the
 * original goes, but for what has changed meanwhile. */
int file_move_across(struct task *t, const struct change *c, const struct target *target);
