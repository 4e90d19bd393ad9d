/* The chunked coding: decoded at once and in pieces (whose size the first byte gives), with one
 * result. */
#include <assert.h>

#include "base/buf.h"
#include "http/body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int decode(struct span body, size_t piece, struct buf *data, size_t *ret_consumed)
{
    struct chunked state = {0};
    size_t at = 0;
    int result = 0;

    while (at < body.len && result == 0) {
        size_t consumed, length = body.len - at < piece ? body.len - at : piece;
        struct span in = span_of(body.data + at, length), got;
        result = chunked_decode(&state, in, &consumed, &got);
        assert(result == 0 || result == 1 || result == -400);
        assert(consumed <= length && got.len <= consumed);
        assert(got.len == 0 || (got.data >= in.data && got.data + got.len <= in.data + consumed));
        assert(consumed == length || got.len > 0 || result != 0);
        buf_append(data, got);
        at += consumed;
    }
    *ret_consumed = at;
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char whole_data[1 << 16], pieces_data[1 << 16];
    struct buf whole, pieces;
    size_t whole_consumed, pieces_consumed;

    if (size == 0 || size > sizeof(whole_data))
        return 0;
    struct span body = span_skip(span_of(data, size), 1);
    buf_init_fixed(&whole, whole_data, sizeof(whole_data));
    buf_init_fixed(&pieces, pieces_data, sizeof(pieces_data));
    int result = decode(body, body.len, &whole, &whole_consumed);
    assert(decode(body, (size_t)data[0] + 1, &pieces, &pieces_consumed) == result);
    assert(whole_consumed == pieces_consumed);
    assert(span_equal(buf_span(&whole), buf_span(&pieces)));
    if (result == 1) { /* ends in an empty line */
        assert(whole_consumed >= 5);
        assert(memcmp(body.data + whole_consumed - 4, "\r\n\r\n", 4) == 0);
    }
    return 0;
}
