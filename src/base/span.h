/* Bytes somewhere else: a pointer and a length.
 *
 * A span owns nothing and need not end in NUL. Parsers take spans and return spans into what they
 * were given, so whoever holds the bytes decides how long they live. All functions are pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const char *data;
    size_t len;
};

/* A span over a string literal, without its NUL. */
#define SPAN(literal) ((struct span){"" literal, sizeof(literal) - 1})

/* For printf's "%.*s". Lengths are limited well below INT_MAX wherever this is used. */
#define SPAN_ARG(s) (int)(s).len, (s).data

static inline struct span span_of(const void *data, size_t len)
{
    return (struct span){data, len};
}

static inline struct span span_str(const char *string)
{
    return (struct span){string, strlen(string)};
}

static inline bool span_equal(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool span_starts_with(struct span s, struct span prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.data, prefix.data, prefix.len) == 0);
}

/* The rest after the first `n` bytes; n is at most s.len. */
static inline bool span_ends_with(struct span s, struct span suffix)
{
    return s.len >= suffix.len &&
           memcmp(s.data + (s.len - suffix.len), suffix.data, suffix.len) == 0;
}

static inline struct span span_skip(struct span s, size_t n)
{
    return (struct span){s.data + n, s.len - n};
}

static inline struct span span_first(struct span s, size_t n)
{
    return (struct span){s.data, n};
}

/* Compares as ASCII without regard to case, the rule for field names and most tokens of HTTP. */
bool span_equal_nocase(struct span a, struct span b);

/* Without blanks and tabs (OWS, RFC 9110 section 5.6.3) on either side. */
struct span span_trim(struct span s);

/* The index of the first `c`, or s.len where there is none. */
size_t span_find(struct span s, char c);

/* Splits `*rest` at the first `separator`: returns what stands before it and leaves what follows.
 * Without a separator returns everything and leaves `*rest` empty with data == NULL. */
struct span span_split(struct span *rest, char separator);

/* Parses an unsigned decimal number that fills the whole span: digits only, no sign, no blanks.
 * Returns 0, -EINVAL (not a number) or -ERANGE (does not fit). */
int span_to_u64(struct span s, uint64_t *ret_value);
