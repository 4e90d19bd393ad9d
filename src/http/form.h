/* Fields of a submitted form: application/x-www-form-urlencoded (WHATWG URL section 5). */
#pragma once

#include "base/limits.h"
#include "base/span.h"

/* Whether a Content-Type is that of such a form, with or without parameters. */
bool form_is_urlencoded(struct span content_type);

/* The first field called `name`, decoded into `out`. False where it is missing, malformed, holds a
 * NUL byte, or is longer than `capacity`, and for every body longer than LIMIT_FORM_BYTES. */
bool form_get(struct span body, struct span name, char *out, size_t capacity,
              struct span *ret_value);
