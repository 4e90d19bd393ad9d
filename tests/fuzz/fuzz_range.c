/* Ranges: eight bytes of file size, then the field. */
#include <assert.h>

#include "base/buf.h"
#include "http/multipart.h"
#include "http/range.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_ranges(const struct range *ranges, size_t count, uint64_t size)
{
    uint64_t total = 0;

    assert(count >= 1 && count <= LIMIT_RANGES);
    for (size_t i = 0; i < count; i++) {
        assert(ranges[i].first <= ranges[i].last && ranges[i].last < size);
        for (size_t j = 0; j < i; j++) /* neither overlap nor touch */
            assert(ranges[i].last + 1 < ranges[j].first || ranges[j].last + 1 < ranges[i].first);
        total += range_length(ranges[i]);
    }
    assert(total <= size);
    if (count > 1 && size <= INT64_MAX) {
        struct multipart m = {SPAN("0123456789abcdef0123456789abcdef"),
                              SPAN("application/octet-stream"), size};
        assert(multipart_length(&m, ranges, count) <= size + size / 10 + 100);
    }
}

/* The result, written as a field, means itself. */
static void check_again(const struct range *ranges, size_t count, uint64_t size)
{
    char text[LIMIT_RANGES * 48];
    struct range again[LIMIT_RANGES];
    size_t again_count;
    struct buf b;

    buf_init_fixed(&b, text, sizeof(text));
    buf_append(&b, SPAN("bytes="));
    for (size_t i = 0; i < count; i++) {
        buf_append_u64(&b, ranges[i].first);
        buf_append_char(&b, '-');
        buf_append_u64(&b, ranges[i].last);
        buf_append(&b, SPAN(", "));
    }
    b.len -= 2;
    assert(!buf_failed(&b));
    assert(range_parse(buf_span(&b), size, again, &again_count) == 206);
    assert(again_count == count);
    for (size_t i = 0; i < count; i++)
        assert(again[i].first == ranges[i].first && again[i].last == ranges[i].last);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct range ranges[LIMIT_RANGES];
    uint64_t file_size;
    size_t count = 0;

    if (size < sizeof(file_size))
        return 0;
    memcpy(&file_size, data, sizeof(file_size));
    struct span field = span_skip(span_of(data, size), sizeof(file_size));
    int result = range_parse(field, file_size, ranges, &count);
    assert(result == 0 || result == 206 || result == 416);
    if (result == 206) {
        check_ranges(ranges, count, file_size);
        check_again(ranges, count, file_size);
    }
    return 0;
}
