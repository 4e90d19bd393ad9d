/* The frame of multipart/byteranges (RFC 9110 section 14.6): everything but the data of its parts.
 */
#pragma once

#include "base/buf.h"
#include "http/range.h"

struct multipart {
    struct span boundary; /* random, so that no file contains it: at most 70 letters and digits */
    struct span type;     /* Content-Type of the file, at most 255 bytes */
    uint64_t size;        /* of the whole file */
};

/* "multipart/byteranges; boundary=..." */
void multipart_type(struct buf *out, const struct multipart *m);

/* The head that stands before a range's data, and what stands behind the last one's. */
void multipart_part(struct buf *out, const struct multipart *m, struct range range);
void multipart_end(struct buf *out, const struct multipart *m);

/* The value of Content-Range for one range: "bytes 0-9/100". */
void multipart_content_range(struct buf *out, struct range range, uint64_t size);

/* The length of the whole body: data of all ranges and everything around it. */
uint64_t multipart_length(const struct multipart *m, const struct range *ranges, size_t count);
