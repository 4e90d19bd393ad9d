/* The XML body of a request: received as a whole before anything is done, as it is small and all
 * depends on it. What kind of content it claims to be is not asked; clients say all sorts. */
#pragma once

#include "base/buf.h"
#include "http/exchange.h"

/* Reads the body, of a known length or chunked; `*ret_body` is empty where there is none, and is
 * given back with buf_finish(). Returns 0, -E2BIG (more than LIMIT_XML_BYTES: not asked for where
 * its length says so), -ENOMEM, or another -errno as exchange_fill_body(). */
int dav_read_body(struct task *t, struct exchange *x, struct buf *ret_body);

/* Answers what dav_read_body() or xml_read() could not make sense of. Returns 0 or -errno as the
 * functions of exchange.h. */
int dav_refuse_body(struct task *t, struct exchange *x, int error);
