/* The field Range (RFC 9110 section 14). */
#pragma once

#include "base/limits.h"
#include "base/span.h"

enum {
    /* What one part of a multipart answer costs beside its data, about: boundary, Content-Type and
     * Content-Range. Counts when an answer is compared with the size of the whole file. */
    RANGE_PART_BYTES = 200,
};

struct range {
    uint64_t first, last; /* offsets, both inclusive, first <= last < size */
};

/* Decides what to send of a file of `size` bytes.
 *
 * Returns 206 with `ret_ranges` and `*ret_count` (at least 1) set; the ranges are in the order of
 * the request, but those that overlap or touch have become one, at the place of the earliest of
 * them. Returns 416 where the field is well formed but none of its ranges lies in the file. Returns
 * 0 where the field is to be ignored and the whole file sent: another unit, malformed, more than
 * LIMIT_RANGES ranges, an answer in parts that would exceed 1.1 times the file, or an empty file
 * (which has no byte that Content-Range could name). */
int range_parse(struct span field, uint64_t size, struct range ret_ranges[LIMIT_RANGES],
                size_t *ret_count);

static inline uint64_t range_length(struct range r)
{
    return r.last - r.first + 1;
}
