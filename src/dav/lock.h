/* LOCK and UNLOCK (RFC 4918 sections 9.10 and 9.11).
 *
 * A LOCK of what is not there makes an empty file (section 7.3). A lock is written down before its
 * client hears of it (files/locks_file.h); where that fails there is none. One that a change is
 * just being made to is waited for; locks of others are not.
 */
#pragma once

#include "files/change.h"

/* Both answer the request, in which If is well-formed, and return 0 or -errno as the functions of
 * exchange.h. */
int lock_respond(struct task *t, const struct change *c);
int unlock_respond(struct task *t, const struct change *c);
