/* Paths and queries: what is decoded is harmless, and encodes to something that decodes to the
 * same. */
#include <assert.h>

#include "http/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A control byte comes from an escape only: what was sent as it is, nothing has taken. */
static void check_raw(struct span raw)
{
    for (size_t i = 0; i < raw.len; i++)
        assert((unsigned char)raw.data[i] >= ' ' && raw.data[i] != 0x7f);
}

static void check_path(struct span path)
{
    static char encoded[3 * LIMIT_PATH_BYTES + 1], again[LIMIT_PATH_BYTES];
    struct span rest = path, decoded;
    bool directory;
    struct buf b;

    assert(path.len < LIMIT_PATH_BYTES && path.data[path.len] == '\0');
    assert(strlen(path.data) == path.len);
    while (rest.data && path.len > 0) {
        struct span segment = span_split(&rest, '/');
        assert(segment.len > 0);
        assert(!span_equal(segment, SPAN(".")) && !span_equal(segment, SPAN("..")));
    }

    buf_init_fixed(&b, encoded, sizeof(encoded));
    buf_append_char(&b, '/');
    uri_encode_path(&b, path);
    assert(!buf_failed(&b));
    for (size_t i = 0; i < b.len; i++)
        assert(b.data[i] > ' ' && b.data[i] < 0x7f && !strchr("\"'<>&:\\`", b.data[i]));
    assert(uri_decode_path(buf_span(&b), again, &decoded, &directory) == 0);
    assert(span_equal(decoded, path));
    assert(directory == (path.len == 0));
}

/* Any bytes but NUL survive as a parameter. */
static void check_component(struct span text)
{
    static char encoded[3 * 1024 + 8], decoded[1024];
    struct span value;
    struct buf b;

    if (text.len > 1024 || (text.len > 0 && memchr(text.data, '\0', text.len)))
        return;
    buf_init_fixed(&b, encoded, sizeof(encoded));
    buf_append(&b, SPAN("x&name="));
    uri_encode_path(&b, text);
    buf_append(&b, SPAN("&"));
    assert(uri_query_has(buf_span(&b), SPAN("name")));
    assert(uri_query_get(buf_span(&b), SPAN("name"), decoded, sizeof(decoded), &value));
    assert(span_equal(value, text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char out[LIMIT_PATH_BYTES], small[16];
    struct span raw = span_of(data, size), path, value;
    bool directory;
    int error = uri_decode_path(raw, out, &path, &directory);

    assert(error == 0 || error == -400 || error == -414);
    if (error == 0) {
        check_raw(raw);
        check_path(path);
    }
    check_component(raw);
    if (uri_query_get(raw, SPAN("q"), small, sizeof(small), &value)) {
        assert(uri_query_has(raw, SPAN("q")));
        assert(value.data == small && value.len <= sizeof(small));
    }
    return 0;
}
