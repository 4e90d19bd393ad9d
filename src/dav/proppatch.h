/* PROPPATCH (RFC 4918 section 9.2): sets and removes properties of a file or folder, all of what
 * one request says or nothing.
 *
 * What clients keep with a file is one extended attribute of it, so that it changes at once. Times
 * and the right to execute are the file's own: when one of these is refused, what was changed
 * before it is taken back. A power cut between the two can leave the one without the other.
 */
#pragma once

#include "files/change.h"

/* Answers the request. Returns 0 or -errno as the functions of exchange.h. */
int proppatch_respond(struct task *t, const struct change *c);
