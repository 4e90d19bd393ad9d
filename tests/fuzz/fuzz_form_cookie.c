/* Forms and cookies, and what clients accept. */
#include <assert.h>

#include "http/accept.h"
#include "http/cookie.h"
#include "http/form.h"
#include "http/response.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct request r;
    struct span text = span_of(data, size), value;
    char out[32];
    bool named;

    if (form_get(text, SPAN("user"), out, sizeof(out), &value)) {
        assert(value.data == out && value.len <= sizeof(out));
        assert(value.len == 0 || !memchr(value.data, '\0', value.len));
    }
    form_is_urlencoded(text);

    if (cookie_get(text, SPAN("sid"), &value)) {
        assert(value.data >= text.data && value.data + value.len <= text.data + text.len);
        assert(span_find(value, ';') == value.len);
        assert(span_starts_with(span_of(value.data - 4, 4), SPAN("sid=")) ||
               value.data[-1] == ' ' || value.data[-1] == '\t');
    }

    int quality = accept_type(text, SPAN("text/html"), &named);
    assert(quality >= 0 && quality <= 1000);
    quality = accept_coding(text, SPAN("gzip"));
    assert(quality >= 0 && quality <= 1000);
    r.accept = text;
    assert(response_form(&r) != BODY_HTML || named);
    return 0;
}
