/* Request heads: any bytes, whole and in two pieces. */
#include <assert.h>

#include "http/request.h"
#include "http/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(struct span text, struct span head)
{
    assert(text.data >= head.data && text.data + text.len <= head.data + head.len);
    for (size_t i = 0; i < text.len; i++)
        assert(text.data[i] != '\r' && text.data[i] != '\n' && text.data[i] != '\0');
}

static void check_request(const struct request *r, struct span head)
{
    assert(r->field_count <= LIMIT_FIELDS);
    check_text(r->method_name, head);
    check_text(r->target, head);
    for (size_t i = 0; i < r->field_count; i++) {
        check_text(r->fields[i].name, head);
        check_text(r->fields[i].value, head);
        assert(r->fields[i].name.len > 0);
        assert(span_trim(r->fields[i].value).len == r->fields[i].value.len);
        assert(request_field(r, r->fields[i].name).data);
    }
    assert(r->path.len > 0 && (r->path.data[0] == '/' || span_equal(r->path, SPAN("*"))));
    assert(span_find(r->path, '?') == r->path.len);
    assert(r->host.data || r->minor_version == 0);
    assert(!(r->chunked && r->has_content_length));
    assert(!r->chunked || r->minor_version == 1);
    assert(r->has_body == (r->chunked || r->content_length > 0));
    assert(r->content_length <= INT64_MAX);

    char out[LIMIT_PATH_BYTES];
    struct span path;
    bool directory;
    int error = uri_decode_path(r->path, out, &path, &directory);
    assert(error == 0 || error == -400 || error == -414);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct request r;
    struct span bytes = span_of(data, size);
    size_t piece = size ? data[size - 1] * size / 256 : 0, scanned = 0, at_once = 0;
    int result = request_parse(bytes, &r);

    if (result > 0) {
        assert((size_t)result <= size && result <= LIMIT_HEAD_BYTES);
        check_request(&r, span_first(bytes, (size_t)result));
    } else {
        assert(result == 0 || (result <= -400 && result >= -505));
        assert(result < 0 || size < LIMIT_HEAD_BYTES);
    }

    /* A verdict on the first piece is the verdict on the whole. */
    int first = request_parse(span_first(bytes, piece), &r);
    assert(first == 0 || first == result);
    if (result > 0)
        assert(request_parse(span_first(bytes, (size_t)result - 1), &r) == 0);

    size_t end = request_find_end(span_first(bytes, piece), &scanned);
    if (end == 0)
        end = request_find_end(bytes, &scanned);
    assert(end == request_find_end(bytes, &at_once));
    if (end > 0)
        assert(request_parse(span_first(bytes, end), &r) != 0);
    if (result > 0)
        assert(end == (size_t)result);
    return 0;
}
