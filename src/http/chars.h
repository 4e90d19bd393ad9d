/* Classes of octets in HTTP and URIs, one table look-up each. */
#pragma once

#include <stdbool.h>

enum http_char_class {
    CHAR_TOKEN = 1, /* tchar (RFC 9110 section 5.6.2) */
    CHAR_TARGET =
        2, /* may stand in a request target: visible, not '#'; bytes beyond ASCII pass, since
              clients send file names unescaped, and nothing here gives them a meaning */
    CHAR_HOST = 4,   /* a host name or IPv4 address */
    CHAR_ETAG = 8,   /* etagc (RFC 9110 section 8.8.3) */
    CHAR_PATH = 16,  /* stands for itself in a path that uri_encode_path() wrote */
    CHAR_VALUE = 32, /* field value: visible, blank, tab, obs-text (RFC 9110 section 5.5) */
    CHAR_ATTR = 64,  /* attr-char (RFC 8187 section 3.2.1) */
    CHAR_HEX = 128,
};

extern const unsigned char http_chars[256];

static inline bool http_is(char c, enum http_char_class char_class)
{
    return (http_chars[(unsigned char)c] & char_class) != 0;
}

/* The value of a hexadecimal digit, -1 for anything else. */
static inline int http_hex_value(char c)
{
    if (!http_is(c, CHAR_HEX))
        return -1;
    return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}
