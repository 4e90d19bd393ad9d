#include "auth/csrf.h"

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

/* Removes "scheme://" from an origin and tells the scheme's port; false for any other scheme. */
static bool strip_scheme(struct span *origin, bool is_tls, struct span *ret_port)
{
    static const struct span https = {"https://", 8}, http = {"http://", 7};

    if (span_starts_with(*origin, https)) {
        *origin = span_skip(*origin, https.len);
        *ret_port = SPAN("443");
        return true;
    }
    if (!is_tls && span_starts_with(*origin, http)) {
        *origin = span_skip(*origin, http.len);
        *ret_port = SPAN("80");
        return true;
    }
    return false;
}

static bool same_origin(bool is_tls, struct span origin, struct span host)
{
    struct span default_port;

    if (host.len == 0 || !strip_scheme(&origin, is_tls, &default_port))
        return false;
    struct authority a = authority_split(origin, default_port);
    struct authority b = authority_split(host, default_port);
    return span_equal_nocase(a.host, b.host) && span_equal(a.port, b.port);
}

bool csrf_allowed(bool is_change, bool is_tls, struct span sec_fetch_site, struct span origin,
                  struct span host)
{
    if (!is_change)
        return true;
    if (sec_fetch_site.data && !span_equal(sec_fetch_site, SPAN("same-origin")) &&
        !span_equal(sec_fetch_site, SPAN("none")))
        return false;
    return !origin.data || same_origin(is_tls, origin, host);
}
