/* What a client is told about a file that it has sent (store.h), whichever way it was sent. */
#pragma once

#include "files/store.h"
#include "http/exchange.h"

/* After the commit: 201 or 204. `fields` are further ones, each complete with its end of line.
 * Returns 0 or -errno as the functions of exchange.h. */
int store_respond(struct task *t, struct exchange *x, const struct store *s, struct span fields);

/* `result` is what receive_body() or one of the functions of store.h returned; after 423 the guard
 * knows whose lock it was. Where the connection is broken it is returned; otherwise the request is
 * answered. */
int store_refuse(struct task *t, struct exchange *x, const struct guard *g, int result,
                 struct span fields);
