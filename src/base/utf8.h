/* Whether bytes are UTF-8 (RFC 3629): names of files are bytes, and not all of them are text. */
#pragma once

#include "base/span.h"

/* The character in front and its length; -1 and 1 where that is not UTF-8. `s` is not empty. */
int32_t utf8_next(struct span s, size_t *ret_length);

/* Whether all of it is UTF-8. */
bool utf8_is_valid(struct span s);
