/* DELETE: a file, a link, or a folder with all that is in it (RFC 9110 section 9.3.5, RFC 4918
 * section 9.6). */
#pragma once

#include "files/change.h"

/* Answers the request: 204, or 207 with what could not be removed. Returns 0 or -errno as the
 * functions of exchange.h. */
int file_delete(struct task *t, const struct change *c);
