#include "http/origin.h"

struct authority {
    struct span host, port;
};

/* Splits "host[:port]", "[v6][:port]"; the port of the scheme where none is given. */
static struct authority authority_split(struct span s, struct span default_port)
{
    size_t bracket = s.len > 0 && s.data[0] == '[' ? span_find(s, ']') : 0;
    size_t colon = bracket + span_find(span_skip(s, bracket), ':');
    struct span port = colon < s.len ? span_skip(s, colon + 1) : default_port;

    return (struct authority){span_first(s, colon), port.len > 0 ? port : default_port};
}

/* Takes "scheme://" from the front and tells the scheme's port; false for any other scheme. */
static bool take_scheme(struct span *uri, bool is_tls, struct span *ret_port)
{
    static const struct span https = {"https://", 8}, http = {"http://", 7};

    if (span_equal_nocase(span_first(*uri, https.len), https)) {
        *uri = span_skip(*uri, https.len);
        *ret_port = SPAN("443");
        return true;
    }
    if (!is_tls && span_equal_nocase(span_first(*uri, http.len), http)) {
        *uri = span_skip(*uri, http.len);
        *ret_port = SPAN("80");
        return true;
    }
    return false;
}

bool origin_is_own(bool is_tls, struct span uri, struct span host, size_t *ret_len)
{
    struct span default_port, rest = uri;

    if (host.len == 0 || !take_scheme(&rest, is_tls, &default_port))
        return false;
    struct span own = span_first(rest, span_find(rest, '/'));
    struct authority a = authority_split(own, default_port);
    struct authority b = authority_split(host, default_port);
    *ret_len = uri.len - rest.len + own.len;
    return span_equal_nocase(a.host, b.host) && span_equal(a.port, b.port);
}
