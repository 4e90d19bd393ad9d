/* Paths and queries in URIs (RFC 3986): decoded exactly once, and encoded again. */
#pragma once

#include "base/buf.h"
#include "base/limits.h"
#include "base/span.h"

/* Decodes the raw path of a request into a name relative to the root.
 *
 * `raw` starts with '/'. The result has no leading and no trailing slash, no empty, "." or ".."
 * segments (RFC 3986 section 5.2.4; also where they were written as %2e) and is "" for the root.
 * Empty segments are dropped, as Linux does with "a//b": clients join base and name with one slash
 * too many. Names are bytes, all but NUL and '/': they are not checked to be UTF-8, and there may
 * be line feeds in them. So a decoded path is never printed as it is. A NUL is written behind it.
 *
 * `*ret_directory` says whether the path ended in a slash (or in "." or ".."), so meant a folder.
 *
 * Returns 0, -414 where the result does not fit in LIMIT_PATH_BYTES with its NUL, or -400: a bad
 * escape, an encoded slash or NUL, a control byte that is not encoded, a path that climbs above the
 * root even for a moment, or no leading slash. */
int uri_decode_path(struct span raw, char out[LIMIT_PATH_BYTES], struct span *ret_path,
                    bool *ret_directory);

/* Appends a path, or one segment of it, so that it can stand in an href, in a field value, and at
 * the start of a relative reference: '/', unreserved characters and "!$()*,;=@" stay; everything
 * else becomes %XX, also ':' (else "javascript:x" would be a scheme) and '+' (some read it as a
 * blank). */
void uri_encode_path(struct buf *out, struct span path);

/* The last segment of a decoded path; "" for the root. */
struct span uri_last_segment(struct span path);

/* Decodes one component: %XX, and '+' as a blank if `plus` (application/x-www-form-urlencoded).
 * Returns false on a bad escape, a NUL byte, or where `capacity` bytes do not hold it. */
bool uri_decode_component(struct span raw, bool plus, char *out, size_t capacity,
                          struct span *ret_value);

/* The first parameter called `name` (compared after decoding) in "a=1&b=2", decoded into `out`. A
 * parameter without '=' has an empty value. False where it is missing or uri_decode_component()
 * refuses the value. */
bool uri_query_get(struct span query, struct span name, char *out, size_t capacity,
                   struct span *ret_value);

/* One parameter called `name` after the other: takes it and what is before it from `*rest`, which
 * is the query at first. Returns 1, 0 (no other), or -EINVAL (uri_decode_component() refuses it).
 */
int uri_query_next(struct span *rest, struct span name, char *out, size_t capacity,
                   struct span *ret_value);

bool uri_query_has(struct span query, struct span name);
