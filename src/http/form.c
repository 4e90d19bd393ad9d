#include "http/form.h"

#include "http/uri.h"

bool form_is_urlencoded(struct span content_type)
{
    return span_equal_nocase(span_trim(span_split(&content_type, ';')),
                             SPAN("application/x-www-form-urlencoded"));
}

bool form_get(struct span body, struct span name, char *out, size_t capacity,
              struct span *ret_value)
{
    /* The same coding as a query's. */
    return body.len <= LIMIT_FORM_BYTES && uri_query_get(body, name, out, capacity, ret_value);
}
