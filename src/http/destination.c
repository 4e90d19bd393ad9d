#include "http/destination.h"

#include "http/origin.h"
#include "http/uri.h"

int destination_resolve(struct span reference, struct span host, bool is_tls,
                        char out[LIMIT_PATH_BYTES], struct span *ret_path, bool *ret_folder)
{
    struct span path = reference;
    size_t len = 0;

    if (path.len == 0)
        return -400;
    /* "//host/path" is no absolute path but a URI without its scheme (RFC 3986 section 4.2). */
    if (span_starts_with(path, SPAN("//")))
        return -400;
    if (path.data[0] != '/') {
        if (span_find(path, ':') == path.len)
            return -400;
        if (!origin_is_own(is_tls, path, host, &len))
            return -502;
        path = span_skip(path, len);
    }
    if (span_find(path, '?') < path.len || span_find(path, '#') < path.len)
        return -400;
    return uri_decode_path(path.len > 0 ? path : SPAN("/"), out, ret_path, ret_folder);
}

int destination_parse(const struct request *request, bool is_tls, char out[LIMIT_PATH_BYTES],
                      struct span *ret_path, bool *ret_folder)
{
    return destination_resolve(request->destination, request->host, is_tls, out, ret_path,
                               ret_folder);
}

int overwrite_parse(const struct request *request, bool *ret_overwrite)
{
    struct span value = request->overwrite;
    bool no = span_equal_nocase(value, SPAN("F"));

    if (value.data && !no && !span_equal_nocase(value, SPAN("T")))
        return -400;
    *ret_overwrite = !no;
    return 0;
}
