/* The body of a request, received as a whole before anything is done, as it is small and all
 * depends on it. What kind of content it claims to be is not asked; clients say all sorts. */
#pragma once

#include "base/buf.h"
#include "http/exchange.h"

/* Reads the body, of a known length or chunked; `*ret_body` is empty where there is none, and is
 * given back with buf_finish(). Returns 0, -E2BIG (more than `most` bytes: not asked for where its
 * length says so), -ENOMEM, or another -errno as exchange_fill_body(). */
int body_read(struct task *t, struct exchange *x, size_t most, struct buf *ret_body);

/* Answers what body_read() returned. Returns 0 or -errno as the functions of exchange.h. */
int body_refuse(struct task *t, struct exchange *x, int error);
