#include "http/cookie.h"

bool cookie_get(struct span field, struct span name, struct span *ret_value)
{
    while (field.len > 0) {
        struct span value = span_trim(span_split(&field, ';'));
        struct span found = span_split(&value, '=');
        if (value.data && span_equal(found, name)) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}
