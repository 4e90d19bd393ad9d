/* The fields of MOVE and COPY (RFC 4918 sections 10.3 and 10.6). */
#pragma once

#include "http/request.h"

/* The path in Destination, decoded by the same code as that of a request (http/uri.h): a URI of
 * this server, or an absolute path. Returns 0 and what uri_decode_path() returns, or the negated
 * status to refuse it with: -400 where it is missing or malformed, -414, -502 where it is on
 * another server. `is_tls` as in http/origin.h. */
int destination_parse(const struct request *request, bool is_tls, char out[LIMIT_PATH_BYTES],
                      struct span *ret_path, bool *ret_folder);

/* The same for any other reference to a resource of this server; `host` is what the request has in
 * Host. */
int destination_resolve(struct span reference, struct span host, bool is_tls,
                        char out[LIMIT_PATH_BYTES], struct span *ret_path, bool *ret_folder);

/* "T" or "F", in any case; without the field it is "T". Returns 0 or -400. */
int overwrite_parse(const struct request *request, bool *ret_overwrite);
