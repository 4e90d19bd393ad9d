/* What is written around text of other people: fields, attachments, error bodies; and lists of
 * media types. */
#include <assert.h>

#include "http/escape.h"
#include "http/mime.h"
#include "http/response.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One line: CRLF at its end, nothing that could end it before. */
static void check_line(struct span line)
{
    assert(line.len >= 2 && memcmp(line.data + line.len - 2, "\r\n", 2) == 0);
    for (size_t i = 0; i < line.len - 2; i++)
        assert(line.data[i] != '\r' && line.data[i] != '\n' && line.data[i] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char memory[1 << 16];
    struct span text = span_of(data, size);
    struct buf b;

    if (size > sizeof(memory) / 16)
        return 0;
    buf_init_fixed(&b, memory, sizeof(memory));
    response_field(&b, SPAN("Name"), text);
    check_line(buf_span(&b));
    b.len = 0;
    response_attachment(&b, text);
    check_line(buf_span(&b));
    b.len = 0;
    escape_json(&b, text);
    for (size_t i = 0; i < b.len; i++)
        assert((unsigned char)b.data[i] >= ' ' && !strchr("<>&", b.data[i]));
    b.len = 0;
    escape_html(&b, text);
    for (size_t i = 0; i < b.len; i++)
        assert((unsigned char)b.data[i] >= ' ' && !strchr("<>\"'", b.data[i]));
    b.len = 0;
    for (int form = BODY_TEXT; form <= BODY_HTML; form++)
        response_error_body(&b, (enum body_form)form, 404, text);
    assert(!buf_failed(&b));

    struct mime_table table;
    assert(mime_init(&table, text) == 0);
    struct span type = mime_lookup(&table, text);
    assert(type.len > 0 && span_find(type, '\n') == type.len);
    type = mime_lookup(&table, SPAN("a.b"));
    assert(type.len > 0 && span_find(type, '\n') == type.len);
    mime_is_active(text);
    mime_finish(&table);
    return 0;
}
