/* POST /.fastfile/restore: takes a deletion back whose token (undo.h) is in the form. It is where
 * it was, or the answer says why not; nothing is ever replaced by it (place_rename()). A token is
 * good until the thing is back, or until it ends (undo.h). */
#pragma once

#include "files/change.h"

/* Of the request's path and guard only the guard is looked at: where it goes is known by the token.
 * Returns as the functions of exchange.h. */
int deletion_restore(struct task *t, const struct change *c);
