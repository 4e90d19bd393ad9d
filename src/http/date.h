/* Dates in fields (RFC 9110 section 5.6.7), in JSON and in properties of WebDAV. No locale, no time
 * zone files, no locks. */
#pragma once

#include "base/span.h"

enum {
    DATE_HTTP_BYTES = 29, /* Sun, 06 Nov 1994 08:49:37 GMT */
    DATE_ISO_BYTES = 24,  /* 1994-11-06T08:49:37.000Z */
};

/* Both write exactly that many bytes, without a NUL, and return a span over them. Times before the
 * year 0 or after 9999 (file systems hold any nonsense) are written as the nearest that fits. */
struct span date_format_http(int64_t seconds, char out[DATE_HTTP_BYTES]);
struct span date_format_iso(int64_t seconds, uint32_t nanoseconds, char out[DATE_ISO_BYTES]);

/* Parses any of the three formats of RFC 9110: IMF-fixdate, RFC 850, asctime. The name of the day
 * has to be the right one. `now` (seconds) decides the century of RFC 850's two-digit years.
 * Returns 0 or -EINVAL. */
int date_parse_http(struct span text, int64_t now, int64_t *ret_seconds);

/* Parses RFC 3339's format, the one of XML and JSON: 1994-11-06T08:49:37Z, with a fraction of a
 * second, which is dropped, and perhaps another offset than Z. Returns 0 or -EINVAL. */
int date_parse_iso(struct span text, int64_t *ret_seconds);
