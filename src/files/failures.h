/* What could not be done in a folder that was to be changed as a whole, told one by one: the body
 * of a 207 (RFC 4918 section 13). */
#pragma once

#include "base/buf.h"
#include "http/exchange.h"

struct failures {
    struct span base; /* the decoded path of the folder, relative to the root */
    struct buf xml;
    unsigned count, listed;
};

void failures_init(struct failures *f, struct span base);
void failures_finish(struct failures *f);

/* `path` is below the base, or "". Beyond LIMIT_FAILURES they are only counted, and so is what has
 * a path too long for a request. For one thread at a time. */
void failures_add(struct failures *f, struct span path, int status);

/* Answers with 207 and all of them. Returns as the functions of exchange.h. */
int failures_respond(struct task *t, struct exchange *x, struct failures *f);
