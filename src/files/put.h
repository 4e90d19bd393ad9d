/* PUT: a file as the body of a request (RFC 9110 section 9.3.4, RFC 4918 section 9.7). */
#pragma once

#include "files/guard.h"
#include "http/exchange.h"

/* Answers the request. The guard is the request's; its path is not empty. `durable`: what is
 * acknowledged survives a power cut. Returns 0 or -errno as the functions of exchange.h. */
int file_put(struct task *t, struct exchange *x, struct guard *guard, bool durable);
