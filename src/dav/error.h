/* Answers whose body says in XML which condition was not met (RFC 4918 section 16). */
#pragma once

#include "http/exchange.h"

/* `condition` is the name of an element of DAV:, e.g. "propfind-finite-depth". Answers the request;
 * returns 0 or -errno as the functions of exchange.h. */
int dav_error(struct task *t, struct exchange *x, int status, struct span condition);

/* The same with resources that it is about: decoded paths, each followed by a NUL, LIMIT_FAILURES
 * at most. */
int dav_error_at(struct task *t, struct exchange *x, int status, struct span condition,
                 struct span paths);
