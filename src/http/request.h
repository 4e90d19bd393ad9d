/* The head of a request: request line and fields (RFC 9112 sections 2 to 7, RFC 9110).
 *
 * The parser is strict, because two parsers that read one message differently are how requests are
 * smuggled: only CRLF ends a line, nothing may be folded, whatever decides the length of the body
 * is there once and plain. After any negative result the caller answers and closes the connection.
 *
 * Nothing is copied or decoded: all spans point into the bytes given, which must outlive the
 * request (only `path` may point to a constant). A span of a field that is not there has data ==
 * NULL.
 */
#pragma once

#include "base/limits.h"
#include "base/span.h"

enum http_method {
    METHOD_OTHER, /* any other token; `method_name` has it */
    METHOD_GET,
    METHOD_HEAD,
    METHOD_OPTIONS,
    METHOD_PUT,
    METHOD_POST,
    METHOD_DELETE,
    METHOD_PATCH,
    METHOD_MKCOL,
    METHOD_COPY,
    METHOD_MOVE,
    METHOD_PROPFIND,
    METHOD_PROPPATCH,
    METHOD_LOCK,
    METHOD_UNLOCK,
};

struct http_field {
    struct span name, value; /* value without blanks around it */
};

struct request {
    enum http_method method;
    int minor_version; /* 0 or 1; a peer's 1.2 and later count as 1 */
    struct span method_name;
    struct span target; /* as sent */
    struct span path;   /* raw, up to '?', starts with '/'; or "*" */
    struct span query;  /* raw, behind '?'; data == NULL without '?' */

    /* Taken from the target where that is a whole URI, otherwise from the field Host. Only letters,
     * digits, "-._~", an address in brackets, and a port. Always there in HTTP/1.1. */
    struct span host;

    /* Lists: where the field was repeated this is the first; see `fields` for the others. */
    struct span accept, accept_encoding, connection, cookie;

    /* Repeating one of these is refused. */
    struct span authorization, content_encoding, content_range, content_type, depth, destination,
        expect, dav_if, if_match, if_modified_since, if_none_match, if_range, if_unmodified_since,
        lock_token, origin, overwrite, range, referer, sec_fetch_dest, sec_fetch_mode,
        sec_fetch_site, timeout, user_agent;

    /* For the parser itself; what they mean stands below. */
    struct span content_length_text, transfer_encoding;

    uint64_t content_length; /* at most INT64_MAX; 0 unless has_content_length */
    bool has_content_length;
    bool chunked;
    bool has_body;        /* chunked, or content_length > 0 */
    bool keep_alive;      /* what the peer asked for or its version implies */
    bool expect_continue; /* wants "100 Continue" before it sends the body */

    size_t field_count;
    struct http_field fields[LIMIT_FIELDS];
};

/* Parses the head at the start of `bytes`.
 *
 * Returns the number of bytes the head takes, including its empty line; 0 where more bytes are
 * needed and nothing is wrong so far; or the negated HTTP status to refuse it with: -400, -413
 * (Content-Length beyond 2^63), -414 (request line beyond LIMIT_HEAD_BYTES), -417, -431 (fields
 * beyond LIMIT_HEAD_BYTES or LIMIT_FIELDS), -501 (CONNECT, or a Transfer-Encoding other than
 * "chunked"), -505.
 * `*ret_request` is complete only if the result is positive; it need not be initialized before. */
int request_parse(struct span bytes, struct request *ret_request);

/* Tells when a head that arrives in pieces is worth parsing (again), looking at every byte once.
 * `*scanned` starts at 0 for each request and is kept by the caller; `bytes` only grows in between.
 * Returns 0 while no verdict is possible, otherwise the number of bytes after which request_parse()
 * gives one: the end of the head, of a line that is refused anyway, or LIMIT_HEAD_BYTES. */
size_t request_find_end(struct span bytes, size_t *scanned);

/* The value of the first field with this name, in any case; data == NULL where there is none. */
struct span request_field(const struct request *request, struct span name);
