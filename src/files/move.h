/* MOVE: another name, perhaps in another folder or on another file system (RFC 4918 section 9.9).
 */
#pragma once

#include "files/change.h"

/* Answers the request. Returns 0 or -errno as the functions of exchange.h. */
int file_move(struct task *t, const struct change *c);
