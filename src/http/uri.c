#include "http/uri.h"

#include <errno.h>

#include "http/chars.h"

/* Takes one octet or escape from the front of `rest`, which is not empty. -1: a bad escape. */
static int take_decoded(struct span *rest, bool plus)
{
    char c = rest->data[0];
    size_t taken = 1;
    int value = (unsigned char)c;

    if (c == '%') {
        int high = rest->len >= 3 ? http_hex_value(rest->data[1]) : -1;
        int low = rest->len >= 3 ? http_hex_value(rest->data[2]) : -1;
        if (high < 0 || low < 0)
            return -1;
        value = high * 16 + low;
        taken = 3;
    } else if (c == '+' && plus) {
        value = ' ';
    }
    *rest = span_skip(*rest, taken);
    return value;
}

/* Decodes a segment to out[*at...] and moves `*at` behind it. Names may have any byte but two in
 * them; what is no name's byte is a control byte that is not escaped. */
static int decode_segment(struct span raw, char *out, size_t *at)
{
    while (raw.len > 0) {
        bool is_control = (unsigned char)raw.data[0] < ' ' || raw.data[0] == 0x7f;
        int c = is_control ? -1 : take_decoded(&raw, false);
        if (c <= 0 || c == '/')
            return -400;
        if (*at >= LIMIT_PATH_BYTES - 1)
            return -414;
        out[(*at)++] = (char)c;
    }
    return 0;
}

int uri_decode_path(struct span raw, char out[LIMIT_PATH_BYTES], struct span *ret_path,
                    bool *ret_directory)
{
    size_t len = 0;
    bool directory = true;

    if (raw.len == 0 || raw.data[0] != '/')
        return -400;
    while (raw.data) {
        /* A segment is written behind what there is and a slash, and stays there if it is a name.
         */
        size_t start = len > 0 ? len + 1 : 0, end = start;
        int error = decode_segment(span_split(&raw, '/'), out, &end);
        if (error)
            return error;
        struct span segment = span_of(out + start, end - start);
        bool up = span_equal(segment, SPAN(".."));

        directory = up || segment.len == 0 || span_equal(segment, SPAN("."));
        if (up) {
            if (len == 0)
                return -400;
            do
                len--;
            while (len > 0 && out[len] != '/');
        } else if (!directory) {
            if (len > 0)
                out[len] = '/';
            len = end;
        }
    }
    out[len] = '\0';
    *ret_path = span_of(out, len);
    *ret_directory = directory;
    return 0;
}

void uri_encode_path(struct buf *out, struct span path)
{
    static const char digits[] = "0123456789ABCDEF";

    while (path.len > 0) {
        size_t plain = 0;
        while (plain < path.len && http_is(path.data[plain], CHAR_PATH))
            plain++;
        buf_append(out, span_first(path, plain));
        path = span_skip(path, plain);
        if (path.len == 0)
            break;
        unsigned char c = (unsigned char)path.data[0];
        buf_append(out, span_of((char[]){'%', digits[c >> 4], digits[c & 15]}, 3));
        path = span_skip(path, 1);
    }
}

struct span uri_last_segment(struct span path)
{
    for (size_t at = path.len; at > 0; at--)
        if (path.data[at - 1] == '/')
            return span_skip(path, at);
    return path;
}

bool uri_decode_component(struct span raw, bool plus, char *out, size_t capacity,
                          struct span *ret_value)
{
    size_t len = 0;

    while (raw.len > 0) {
        int c = take_decoded(&raw, plus);
        if (c <= 0 || len == capacity)
            return false;
        out[len++] = (char)c;
    }
    *ret_value = span_of(out, len);
    return true;
}

static bool decodes_to(struct span raw, struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (raw.len == 0 || take_decoded(&raw, true) != (unsigned char)text.data[i])
            return false;
    return raw.len == 0;
}

/* Takes it, and what is before it, from `*rest`. */
static bool find_parameter(struct span *rest, struct span name, struct span *ret_raw)
{
    while (rest->len > 0) {
        struct span raw = span_split(rest, '&');
        if (decodes_to(span_split(&raw, '='), name)) {
            *ret_raw = raw;
            return true;
        }
    }
    return false;
}

int uri_query_next(struct span *rest, struct span name, char *out, size_t capacity,
                   struct span *ret_value)
{
    struct span raw;

    if (!find_parameter(rest, name, &raw))
        return 0;
    return uri_decode_component(raw, true, out, capacity, ret_value) ? 1 : -EINVAL;
}

bool uri_query_get(struct span query, struct span name, char *out, size_t capacity,
                   struct span *ret_value)
{
    struct span raw;

    return find_parameter(&query, name, &raw) &&
           uri_decode_component(raw, true, out, capacity, ret_value);
}

bool uri_query_has(struct span query, struct span name)
{
    struct span raw;

    return find_parameter(&query, name, &raw);
}
