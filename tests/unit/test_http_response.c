/* Heads and error bodies of responses, what clients accept, and escaping. */
#include "assert_span.h"

#include "http/accept.h"
#include "http/escape.h"
#include "http/response.h"

static char memory[4096];
static struct buf out;

static struct buf *fresh(void)
{
    buf_init_fixed(&out, memory, sizeof(memory));
    return &out;
}

static void a_head_is_written(void **state)
{
    (void)state;
    struct buf *b = fresh();

    response_status_line(b, 206);
    response_field(b, SPAN("ETag"), SPAN("\"a\""));
    response_field(b, SPAN("X-Empty"), SPAN(""));
    response_field_u64(b, SPAN("Content-Length"), UINT64_MAX);
    response_end(b);
    assert_span(buf_span(b), "HTTP/1.1 206 Partial Content\r\n"
                             "ETag: \"a\"\r\n"
                             "X-Empty: \r\n"
                             "Content-Length: 18446744073709551615\r\n"
                             "\r\n");
}

static void no_value_can_start_another_line(void **state)
{
    (void)state;
    struct buf *b = fresh();

    response_field(b, SPAN("Location"), SPAN("/a\r\nSet-Cookie: x\n\0y"));
    assert_span(buf_span(b), "Location: /a  Set-Cookie: x  y\r\n");
}

static void a_full_buffer_stays_full(void **state)
{
    (void)state;
    struct buf b;

    buf_init_fixed(&b, memory, 10);
    response_field(&b, SPAN("Location"), SPAN("/a"));
    assert_true(buf_failed(&b));
}

static void every_status_in_use_has_a_reason(void **state)
{
    (void)state;
    static const int used[] = {100, 200, 201, 204, 206, 207, 301, 302, 303, 304, 307, 308, 400,
                               401, 403, 404, 405, 408, 409, 411, 412, 413, 414, 415, 416, 417,
                               421, 422, 423, 424, 429, 431, 500, 501, 502, 503, 504, 505, 507};

    for (size_t i = 0; i < COUNT(used); i++)
        assert_true(response_reason(used[i]).len > 0);
    assert_span(response_reason(304), "Not Modified");
    assert_span(response_reason(507), "Insufficient Storage");
    struct buf *b = fresh();
    response_status_line(b, 299);
    assert_span(buf_span(b), "HTTP/1.1 299 \r\n");
}

static void attachments_are_named_in_two_ways(void **state)
{
    (void)state;
    static const struct {
        const char *name, *field;
    } cases[] = {
        {"a.txt", "attachment; filename=\"a.txt\"; filename*=UTF-8''a.txt"},
        {"a b.txt", "attachment; filename=\"a b.txt\"; filename*=UTF-8''a%20b.txt"},
        {"\xc3\xa4.pdf", "attachment; filename=\"__.pdf\"; filename*=UTF-8''%C3%A4.pdf"},
        {"a\"b\\c%41.txt",
         "attachment; filename=\"a_b_c_41.txt\"; filename*=UTF-8''a%22b%5Cc%2541.txt"},
        {"a;b'(c)*", "attachment; filename=\"a;b'(c)*\"; filename*=UTF-8''a%3Bb%27%28c%29%2A"},
        {"x\r\nY: z", "attachment; filename=\"x__Y: z\"; filename*=UTF-8''x%0D%0AY%3A%20z"},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct buf *b = fresh();
        response_attachment(b, span_str(cases[i].name));
        struct span line = buf_span(b);
        assert_true(span_starts_with(line, SPAN("Content-Disposition: ")));
        line = span_skip(line, strlen("Content-Disposition: "));
        assert_span(span_skip(line, line.len - 2), "\r\n");
        assert_span(span_first(line, line.len - 2), cases[i].field);
    }
}

static void errors_have_three_forms(void **state)
{
    (void)state;
    struct buf *b = fresh();

    response_error_body(b, BODY_TEXT, 404, SPAN(""));
    assert_span(buf_span(b), "404 Not Found\n");
    b = fresh();
    response_error_body(b, BODY_TEXT, 403, SPAN("no\r\x1b[2J"));
    assert_span(buf_span(b), "403 Forbidden: no??[2J\n");
    b = fresh();
    response_error_body(b, BODY_JSON, 404, SPAN(""));
    assert_span(buf_span(b), "{\"status\":404,\"error\":\"Not Found\"}\n");
    b = fresh();
    response_error_body(b, BODY_JSON, 507, SPAN("\"full\""));
    assert_span(
        buf_span(b),
        "{\"status\":507,\"error\":\"Insufficient Storage\",\"detail\":\"\\\"full\\\"\"}\n");
    b = fresh();
    response_error_body(b, BODY_HTML, 404, SPAN("<script>"));
    buf_append_char(b, '\0');
    assert_false(buf_failed(b));
    assert_non_null(strstr(b->data, "<title>Not Found</title>"));
    assert_non_null(strstr(b->data, "<p>&lt;script&gt;</p>"));
    assert_non_null(strstr(b->data, "name=\"viewport\""));
    assert_null(strstr(b->data, "<script"));

    assert_span(response_form_type(BODY_TEXT), "text/plain; charset=utf-8");
    assert_span(response_form_type(BODY_JSON), "application/json");
    assert_span(response_form_type(BODY_HTML), "text/html; charset=utf-8");
}

static void each_client_gets_the_form_it_likes(void **state)
{
    (void)state;
    static const struct {
        const char *accept;
        enum body_form form;
    } cases[] = {
        {NULL, BODY_TEXT},
        {"", BODY_TEXT},
        {"*/*", BODY_TEXT}, /* curl */
        {"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", BODY_HTML},
        {"application/json", BODY_JSON},
        {"application/json, text/plain, */*", BODY_JSON},
        {"application/json;q=0.5, text/html", BODY_HTML},
        {"application/json, text/html;q=0.5", BODY_JSON},
        {"text/html;q=0", BODY_TEXT},
        {"text/plain, text/html;q=0.9", BODY_TEXT},
        {"image/*", BODY_TEXT},
        {"TEXT/HTML", BODY_HTML},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct request r = {0};
        if (cases[i].accept)
            r.accept = span_str(cases[i].accept);
        assert_int_equal(response_form(&r), cases[i].form);
    }
}

static void the_most_specific_media_range_counts(void **state)
{
    (void)state;
    static const struct {
        const char *accept, *type;
        int quality;
        bool named;
    } cases[] = {
        {NULL, "text/html", 1000, false},
        {"", "text/html", 0, false},
        {"text/html", "text/html", 1000, true},
        {"text/html", "text/plain", 0, false},
        {"text/*;q=0.3, text/html;q=0.7, */*;q=0.1", "text/html", 700, true},
        {"text/*;q=0.3, text/html;q=0.7, */*;q=0.1", "text/plain", 300, false},
        {"text/*;q=0.3, text/html;q=0.7, */*;q=0.1", "image/png", 100, false},
        {"*/*, text/html;q=0", "text/html", 0, true},
        {"text/html; level=1 ; Q=0.25", "text/html", 250, true},
        {"text/html;q=1.000", "text/html", 1000, true},
        {"text/html;q=0.001", "text/html", 1, true},
        {"text/html;q=0.", "text/html", 0, true},
        {"text/html;q=1.001", "text/html", 0, false}, /* malformed members do not count */
        {"text/html;q=2", "text/html", 0, false},
        {"text/html;q=0.1234", "text/html", 0, false},
        {"text/html;q=,*/*", "text/html", 1000, false},
        {"text/html;q=.5", "text/html", 0, false},
        {"tex*/html", "text/html", 0, false},
        {"texts/*", "text/html", 0, false},
        {"*", "text/html", 0, false},
        {",,text/html", "text/html", 1000, true},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        bool named = !cases[i].named;
        struct span field = cases[i].accept ? span_str(cases[i].accept) : (struct span){0};
        assert_int_equal(accept_type(field, span_str(cases[i].type), &named), cases[i].quality);
        assert_int_equal(named, cases[i].named);
    }
}

static void content_codings_are_sent_only_when_listed(void **state)
{
    (void)state;
    assert_int_equal(accept_coding((struct span){0}, SPAN("gzip")), 0);
    assert_int_equal(accept_coding(SPAN(""), SPAN("gzip")), 0);
    assert_int_equal(accept_coding(SPAN("gzip, deflate, br"), SPAN("br")), 1000);
    assert_int_equal(accept_coding(SPAN("GZIP;q=0.5"), SPAN("gzip")), 500);
    assert_int_equal(accept_coding(SPAN("*"), SPAN("gzip")), 1000);
    assert_int_equal(accept_coding(SPAN("*, gzip;q=0"), SPAN("gzip")), 0);
    assert_int_equal(accept_coding(SPAN("identity"), SPAN("gzip")), 0);
    assert_int_equal(accept_coding(SPAN("xgzip"), SPAN("gzip")), 0);
}

static void text_is_escaped_for_html(void **state)
{
    (void)state;
    struct buf *b = fresh();

    escape_html(b, SPAN("<a href=\"x\">'&' \xc3\xa4\n\x7f"));
    assert_span(buf_span(b),
                "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39; \xc3\xa4\xef\xbf\xbd\xef\xbf\xbd");
}

static void text_is_escaped_for_json(void **state)
{
    (void)state;
    static const struct {
        const char *text, *json;
    } cases[] = {
        {"a/b", "a/b"},
        {"\"\\", "\\\"\\\\"},
        {"\n\x1f\x7f", "\\u000a\\u001f\\u007f"},
        {"\xc2\x80\xc2\x9b\xc2\x9f\xc2\xa0", "\\u0080\\u009b\\u009f\xc2\xa0"},
        {"</script>&", "\\u003c/script\\u003e\\u0026"},
        {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf", "\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf"},
#define BAD "\xef\xbf\xbd"
        {"\x80x", BAD "x"},
        {"\xffx", BAD "x"},
        {"\xc3", BAD},
        {"\xc3x", BAD "x"},
        {"\xe2\x82", BAD BAD},
        {"\xc0\xaf", BAD BAD},         /* overlong '/' */
        {"\xe0\x80\xaf", BAD BAD BAD}, /* overlong '/' */
        {"\xf0\x80\x80\xaf", BAD BAD BAD BAD},
        {"\xed\xa0\x80", BAD BAD BAD},         /* a surrogate */
        {"\xf4\x90\x80\x80", BAD BAD BAD BAD}, /* above U+10FFFF */
        {"\xf5\x80", BAD BAD},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct buf *b = fresh();
        escape_json(b, span_str(cases[i].text));
        assert_span(buf_span(b), cases[i].json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_is_written),
        cmocka_unit_test(no_value_can_start_another_line),
        cmocka_unit_test(a_full_buffer_stays_full),
        cmocka_unit_test(every_status_in_use_has_a_reason),
        cmocka_unit_test(attachments_are_named_in_two_ways),
        cmocka_unit_test(errors_have_three_forms),
        cmocka_unit_test(each_client_gets_the_form_it_likes),
        cmocka_unit_test(the_most_specific_media_range_counts),
        cmocka_unit_test(content_codings_are_sent_only_when_listed),
        cmocka_unit_test(text_is_escaped_for_html),
        cmocka_unit_test(text_is_escaped_for_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
