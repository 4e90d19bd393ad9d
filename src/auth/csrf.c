#include "auth/csrf.h"

#include "http/origin.h"

bool csrf_allowed(bool is_change, bool is_tls, struct span sec_fetch_site, struct span origin,
                  struct span host)
{
    size_t len;

    if (!is_change)
        return true;
    if (sec_fetch_site.data && !span_equal(sec_fetch_site, SPAN("same-origin")) &&
        !span_equal(sec_fetch_site, SPAN("none")))
        return false;
    return !origin.data || (origin_is_own(is_tls, origin, host, &len) && len == origin.len);
}
