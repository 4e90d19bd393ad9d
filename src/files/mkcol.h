/* MKCOL: a new folder (RFC 4918 section 9.3). */
#pragma once

#include "files/change.h"

/* Answers the request. Returns 0 or -errno as the functions of exchange.h. */
int folder_make(struct task *t, const struct change *c);
