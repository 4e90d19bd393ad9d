/* cmocka, and comparing spans with literals. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/span.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The span holds exactly the bytes of this string. */
#define assert_span(span, string) assert_span_at(span, string, __FILE__, __LINE__)

static inline void assert_span_at(struct span s, const char *string, const char *file, int line)
{
    if (span_equal(s, span_str(string)))
        return;
    print_error("%s:%d: \"%.*s\" is not \"%s\"\n", file, line, (int)s.len, s.data ? s.data : "",
                string);
    fail();
}
