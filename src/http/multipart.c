#include "http/multipart.h"

#include <assert.h>

enum {
    /* Boundary, type, three numbers and the names of two fields. */
    FRAME_BYTES = 70 + 255 + 3 * 20 + 100,
};

void multipart_type(struct buf *out, const struct multipart *m)
{
    buf_append(out, SPAN("multipart/byteranges; boundary="));
    buf_append(out, m->boundary);
}

void multipart_content_range(struct buf *out, struct range range, uint64_t size)
{
    buf_append(out, SPAN("bytes "));
    buf_append_u64(out, range.first);
    buf_append_char(out, '-');
    buf_append_u64(out, range.last);
    buf_append_char(out, '/');
    buf_append_u64(out, size);
}

void multipart_part(struct buf *out, const struct multipart *m, struct range range)
{
    /* The first CRLF of all belongs to an empty preamble (RFC 2046 section 5.1.1). */
    buf_append(out, SPAN("\r\n--"));
    buf_append(out, m->boundary);
    buf_append(out, SPAN("\r\nContent-Type: "));
    buf_append(out, m->type);
    buf_append(out, SPAN("\r\nContent-Range: "));
    multipart_content_range(out, range, m->size);
    buf_append(out, SPAN("\r\n\r\n"));
}

void multipart_end(struct buf *out, const struct multipart *m)
{
    buf_append(out, SPAN("\r\n--"));
    buf_append(out, m->boundary);
    buf_append(out, SPAN("--\r\n"));
}

uint64_t multipart_length(const struct multipart *m, const struct range *ranges, size_t count)
{
    char frame[FRAME_BYTES];
    uint64_t length = 0;

    /* Written and counted, not computed, so that it cannot differ from what is sent. */
    for (size_t i = 0; i <= count; i++) {
        struct buf b;
        buf_init_fixed(&b, frame, sizeof(frame));
        if (i < count) {
            multipart_part(&b, m, ranges[i]);
            length += range_length(ranges[i]);
        } else {
            multipart_end(&b, m);
        }
        assert(!buf_failed(&b));
        length += b.len;
    }
    return length;
}
