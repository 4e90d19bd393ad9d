/* Destination: the first line is Host, the rest the field. What is accepted is a path that a
 * request could have had. */
#include <assert.h>

#include "http/destination.h"
#include "http/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct request *request, bool is_tls)
{
    static char out[LIMIT_PATH_BYTES], again[LIMIT_PATH_BYTES], encoded[3 * LIMIT_PATH_BYTES + 1];
    struct span path, same;
    bool folder, folder_again;
    struct buf b;
    int r = destination_parse(request, is_tls, out, &path, &folder);

    assert(r == 0 || r == -400 || r == -414 || r == -502);
    if (r < 0)
        return;
    for (size_t i = 0; i < request->destination.len; i++)
        assert((unsigned char)request->destination.data[i] >= ' ' &&
               request->destination.data[i] != 0x7f);
    assert(path.data == out && path.len < LIMIT_PATH_BYTES && strlen(out) == path.len);
    buf_init_fixed(&b, encoded, sizeof(encoded));
    buf_append_char(&b, '/');
    uri_encode_path(&b, path);
    assert(!buf_failed(&b));
    for (size_t i = 0; i < b.len; i++)
        assert(b.data[i] > ' ' && b.data[i] < 0x7f);
    struct request plain = *request;
    plain.destination = buf_span(&b);
    if (span_starts_with(plain.destination, SPAN("//")))
        return;
    assert(destination_parse(&plain, is_tls, again, &same, &folder_again) == 0);
    assert(span_equal(path, same));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest = span_of(data, size);
    struct request request = {0};

    request.host = span_split(&rest, '\n');
    request.destination = rest;
    check(&request, true);
    check(&request, false);
    return 0;
}
