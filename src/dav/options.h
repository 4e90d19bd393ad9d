/* OPTIONS (RFC 9110 section 9.3.7, RFC 4918 section 10.1): what may be done with a resource. */
#pragma once

#include "files/root.h"
#include "http/exchange.h"

/* `path` is decoded, relative, and followed by a NUL; data == NULL is "*", the server. What may not
 * be looked at is not there. Answers the request; returns 0 or -errno as the functions of
 * exchange.h. */
int options_respond(struct task *t, struct exchange *x, const struct root *root, struct span path,
                    bool may_change);
