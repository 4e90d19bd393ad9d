#include "http/response.h"

#include <assert.h>

#include "http/accept.h"
#include "http/chars.h"
#include "http/escape.h"

static const struct {
    int status;
    const char *reason;
} reasons[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {104, "Upload Resumption Supported"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {207, "Multi-Status"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {423, "Locked"},
    {424, "Failed Dependency"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {460, "Checksum Mismatch"}, /* tus */
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
    {508, "Loop Detected"},
};

struct span response_reason(int status)
{
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (reasons[i].status == status)
            return span_str(reasons[i].reason);
    return (struct span){"", 0};
}

/* --- head --- */

void response_status_line(struct buf *out, int status)
{
    assert(status >= 100 && status <= 999);
    buf_append(out, SPAN("HTTP/1.1 "));
    buf_append_u64(out, (uint64_t)status);
    buf_append_char(out, ' ');
    buf_append(out, response_reason(status));
    buf_append(out, SPAN("\r\n"));
}

static void append_name(struct buf *out, struct span name)
{
    assert(name.len > 0);
    for (size_t i = 0; i < name.len; i++)
        assert(http_is(name.data[i], CHAR_TOKEN));
    buf_append(out, name);
    buf_append(out, SPAN(": "));
}

void response_field(struct buf *out, struct span name, struct span value)
{
    append_name(out, name);
    char *room = buf_reserve(out, value.len);
    if (room) {
        for (size_t i = 0; i < value.len; i++) {
            char c = value.data[i];
            room[i] = c == '\r' || c == '\n' || c == '\0' ? ' ' : c;
        }
        out->len += value.len;
    }
    buf_append(out, SPAN("\r\n"));
}

void response_field_u64(struct buf *out, struct span name, uint64_t value)
{
    append_name(out, name);
    buf_append_u64(out, value);
    buf_append(out, SPAN("\r\n"));
}

void response_attachment(struct buf *out, struct span filename)
{
    static const char digits[] = "0123456789ABCDEF";

    buf_append(out, SPAN("Content-Disposition: attachment; filename=\""));
    for (size_t i = 0; i < filename.len; i++) {
        char c = filename.data[i];
        /* Some clients decode '%' here and some take '\' for a separator of folders. */
        bool plain = c >= ' ' && c < 0x7f && c != '"' && c != '\\' && c != '%';
        buf_append_char(out, plain ? c : '_');
    }
    buf_append(out, SPAN("\"; filename*=UTF-8''"));
    for (size_t i = 0; i < filename.len; i++) {
        unsigned char c = (unsigned char)filename.data[i];
        if (http_is((char)c, CHAR_ATTR))
            buf_append_char(out, (char)c);
        else
            buf_append(out, span_of((char[]){'%', digits[c >> 4], digits[c & 15]}, 3));
    }
    buf_append(out, SPAN("\r\n"));
}

void response_end(struct buf *out)
{
    buf_append(out, SPAN("\r\n"));
}

/* --- bodies of errors --- */

enum body_form response_form(const struct request *request)
{
    /* In the order in which they win where the client likes them equally. */
    static const struct {
        struct span type;
        enum body_form form;
    } forms[] = {
        {SPAN("text/html"), BODY_HTML},
        {SPAN("application/json"), BODY_JSON},
        {SPAN("text/plain"), BODY_TEXT},
    };
    enum body_form best = BODY_TEXT;
    int best_quality = 0;

    /* Stars do not count: whoever says no more than that (curl) gets text. */
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        bool named;
        int quality = accept_type(request->accept, forms[i].type, &named);
        if (named && quality > best_quality) {
            best = forms[i].form;
            best_quality = quality;
        }
    }
    return best;
}

struct span response_form_type(enum body_form form)
{
    switch (form) {
    case BODY_HTML:
        return SPAN("text/html; charset=utf-8");
    case BODY_JSON:
        return SPAN("application/json");
    case BODY_TEXT:
        break;
    }
    return SPAN("text/plain; charset=utf-8");
}

static void append_text_error(struct buf *out, int status, struct span detail)
{
    buf_append_u64(out, (uint64_t)status);
    buf_append_char(out, ' ');
    buf_append(out, response_reason(status));
    if (detail.len > 0)
        buf_append(out, SPAN(": "));
    for (size_t i = 0; i < detail.len; i++) { /* a terminal will show it */
        char c = detail.data[i];
        buf_append_char(out, (unsigned char)c < ' ' || c == 0x7f ? '?' : c);
    }
    buf_append_char(out, '\n');
}

static void append_json_error(struct buf *out, int status, struct span detail)
{
    buf_append(out, SPAN("{\"status\":"));
    buf_append_u64(out, (uint64_t)status);
    buf_append(out, SPAN(",\"error\":\""));
    buf_append(out, response_reason(status));
    buf_append(out, SPAN("\""));
    if (detail.len > 0) {
        buf_append(out, SPAN(",\"detail\":\""));
        escape_json(out, detail);
        buf_append(out, SPAN("\""));
    }
    buf_append(out, SPAN("}\n"));
}

static void append_html_error(struct buf *out, int status, struct span detail)
{
    struct span reason = response_reason(status);

    buf_append(out,
               SPAN("<!DOCTYPE html>\n"
                    "<html lang=\"en\">\n"
                    "<meta charset=\"utf-8\">\n"
                    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                    "<meta name=\"color-scheme\" content=\"light dark\">\n"
                    "<title>"));
    buf_append(out, reason);
    buf_append(out, SPAN("</title>\n"
                         "<style>\n"
                         "body { font: 1rem/1.5 system-ui, sans-serif; max-width: 36rem;"
                         " margin: 20vh auto; padding: 0 1rem }\n"
                         "h1 { font-size: 1.5rem }\n"
                         "small { opacity: .6 }\n"
                         "</style>\n"
                         "<h1>"));
    buf_append(out, reason);
    buf_append(out, SPAN(" <small>"));
    buf_append_u64(out, (uint64_t)status);
    buf_append(out, SPAN("</small></h1>\n"));
    if (detail.len > 0) {
        buf_append(out, SPAN("<p>"));
        escape_html(out, detail);
        buf_append(out, SPAN("</p>\n"));
    }
}

void response_error_body(struct buf *out, enum body_form form, int status, struct span detail)
{
    switch (form) {
    case BODY_HTML:
        append_html_error(out, status, detail);
        break;
    case BODY_JSON:
        append_json_error(out, status, detail);
        break;
    case BODY_TEXT:
        append_text_error(out, status, detail);
        break;
    }
}
