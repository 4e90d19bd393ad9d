/* Cookies a client sent (RFC 6265 section 4.2). */
#pragma once

#include "base/span.h"

/* The value of the first cookie with exactly this name in the field Cookie, a span of `field`,
 * neither decoded nor unquoted. False where there is none. */
bool cookie_get(struct span field, struct span name, struct span *ret_value);
