/* Whether a URI is of the server that a request went to (RFC 6454; RFC 3986 section 3.2). */
#pragma once

#include "base/span.h"

/* `uri` begins with a scheme and an authority without user information; `host` is what the request
 * has in Host. `is_tls`: the connection itself is encrypted, so an http: URI of the same name is
 * another server's; without TLS there may be a proxy that has it, and both schemes are accepted.
 * Where it is true `*ret_len` is how many bytes scheme and authority have. */
bool origin_is_own(bool is_tls, struct span uri, struct span host, size_t *ret_len);
