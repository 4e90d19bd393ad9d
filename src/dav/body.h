/* The XML body of a request: received as a whole before anything is done (files/body.h). */
#pragma once

#include "files/body.h"

/* body_read() of LIMIT_XML_BYTES at most. */
int dav_read_body(struct task *t, struct exchange *x, struct buf *ret_body);

/* Answers what dav_read_body() or xml_read() could not make sense of. Returns 0 or -errno as the
 * functions of exchange.h. */
int dav_refuse_body(struct task *t, struct exchange *x, int error);
