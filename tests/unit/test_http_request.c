/* Request heads: what is understood, and above all what is refused. */
#include "assert_span.h"

#include <stdio.h>
#include <stdlib.h>

#include "http/request.h"

#define HOST "Host: h\r\n"

static int parse(const char *text, struct request *r)
{
    return request_parse(span_str(text), r);
}

/* Parses a head that must be good. */
static struct request *parse_good(const char *text)
{
    static struct request r;

    assert_int_equal(parse(text, &r), strlen(text));
    return &r;
}

struct refusal {
    const char *text;
    int result;
};

static void assert_refused(const struct refusal *cases, size_t count)
{
    struct request r;

    for (size_t i = 0; i < count; i++) {
        int result = parse(cases[i].text, &r);
        if (result != cases[i].result) {
            print_error("%s\ngives %d, not %d\n", cases[i].text, result, cases[i].result);
            fail();
        }
    }
}

static void a_browsers_get_is_taken_apart(void **state)
{
    (void)state;
    struct request *r = parse_good("GET /photos/a%20b.jpg?size=2&x HTTP/1.1\r\n"
                                   "Host: nas.local:8443\r\n"
                                   "User-Agent: Mozilla/5.0 (X11; Linux aarch64)\r\n"
                                   "Accept: text/html,*/*;q=0.8\r\n"
                                   "Accept-Encoding: gzip, br\r\n"
                                   "Cookie: a=1; b=2\r\n"
                                   "RANGE:bytes=0-9\r\n"
                                   "if-range: \t \"tag\" \t \r\n"
                                   "Sec-Fetch-Site: same-origin\r\n"
                                   "X-Empty:\r\n"
                                   "\r\n");

    assert_int_equal(r->method, METHOD_GET);
    assert_int_equal(r->minor_version, 1);
    assert_span(r->method_name, "GET");
    assert_span(r->target, "/photos/a%20b.jpg?size=2&x");
    assert_span(r->path, "/photos/a%20b.jpg");
    assert_span(r->query, "size=2&x");
    assert_span(r->host, "nas.local:8443");
    assert_span(r->user_agent, "Mozilla/5.0 (X11; Linux aarch64)");
    assert_span(r->accept, "text/html,*/*;q=0.8");
    assert_span(r->accept_encoding, "gzip, br");
    assert_span(r->cookie, "a=1; b=2");
    assert_span(r->range, "bytes=0-9");
    assert_span(r->if_range, "\"tag\"");
    assert_span(r->sec_fetch_site, "same-origin");
    assert_int_equal(r->field_count, 9);
    assert_span(request_field(r, SPAN("x-empty")), "");
    assert_non_null(request_field(r, SPAN("x-empty")).data);
    assert_null(request_field(r, SPAN("x-missing")).data);
    assert_null(r->authorization.data);
    assert_true(r->keep_alive);
    assert_false(r->has_body || r->chunked || r->has_content_length || r->expect_continue);
}

static void every_known_field_has_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t offset;
    } fields[] = {
#define FIELD(name, member) {name, offsetof(struct request, member)}
        FIELD("Accept", accept),
        FIELD("Accept-Encoding", accept_encoding),
        FIELD("Authorization", authorization),
        FIELD("Connection", connection),
        FIELD("Content-Encoding", content_encoding),
        FIELD("Content-Range", content_range),
        FIELD("Content-Type", content_type),
        FIELD("Cookie", cookie),
        FIELD("Depth", depth),
        FIELD("Destination", destination),
        FIELD("If", dav_if),
        FIELD("If-Match", if_match),
        FIELD("If-Modified-Since", if_modified_since),
        FIELD("If-None-Match", if_none_match),
        FIELD("If-Range", if_range),
        FIELD("If-Unmodified-Since", if_unmodified_since),
        FIELD("Lock-Token", lock_token),
        FIELD("Origin", origin),
        FIELD("Overwrite", overwrite),
        FIELD("Range", range),
        FIELD("Referer", referer),
        FIELD("Sec-Fetch-Dest", sec_fetch_dest),
        FIELD("Sec-Fetch-Mode", sec_fetch_mode),
        FIELD("Sec-Fetch-Site", sec_fetch_site),
        FIELD("Timeout", timeout),
        FIELD("User-Agent", user_agent),
    };

    for (size_t i = 0; i < COUNT(fields); i++) {
        char text[200];
        struct request r;
        snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n" HOST "%s: value\r\n\r\n", fields[i].name);
        assert_int_equal(parse(text, &r), strlen(text));
        assert_span(*(struct span *)(void *)((char *)&r + fields[i].offset), "value");
        assert_span(request_field(&r, span_str(fields[i].name)), "value");
    }
}

static void only_lists_may_be_repeated(void **state)
{
    (void)state;
    static const char *const lists[] = {"Accept", "Accept-Encoding", "Connection", "Cookie",
                                        "X-Any"};
    static const char *const single[] = {"Authorization",
                                         "Content-Encoding",
                                         "Content-Range",
                                         "Content-Type",
                                         "Depth",
                                         "Destination",
                                         "Expect",
                                         "Host",
                                         "If",
                                         "If-Match",
                                         "If-Modified-Since",
                                         "If-None-Match",
                                         "If-Range",
                                         "If-Unmodified-Since",
                                         "Lock-Token",
                                         "Origin",
                                         "Overwrite",
                                         "Range",
                                         "Referer",
                                         "Sec-Fetch-Dest",
                                         "Sec-Fetch-Mode",
                                         "Sec-Fetch-Site",
                                         "Timeout",
                                         "User-Agent",
                                         "Content-Length",
                                         "Transfer-Encoding"};
    char text[200];
    struct request r;

    for (size_t i = 0; i < COUNT(lists); i++) {
        snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n" HOST "%s: a\r\n%s: b\r\n\r\n", lists[i],
                 lists[i]);
        assert_int_equal(parse(text, &r), strlen(text));
        assert_span(request_field(&r, span_str(lists[i])), "a");
    }
    for (size_t i = 0; i < COUNT(single); i++) {
        snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n" HOST "%s: 1\r\n%s: 1\r\n\r\n", single[i],
                 single[i]);
        assert_int_equal(parse(text, &r), -400);
    }
}

static void methods_are_case_sensitive_tokens(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum http_method method;
    } methods[] = {
        {"GET", METHOD_GET},     {"HEAD", METHOD_HEAD},         {"OPTIONS", METHOD_OPTIONS},
        {"PUT", METHOD_PUT},     {"POST", METHOD_POST},         {"DELETE", METHOD_DELETE},
        {"PATCH", METHOD_PATCH}, {"MKCOL", METHOD_MKCOL},       {"COPY", METHOD_COPY},
        {"MOVE", METHOD_MOVE},   {"PROPFIND", METHOD_PROPFIND}, {"PROPPATCH", METHOD_PROPPATCH},
        {"LOCK", METHOD_LOCK},   {"UNLOCK", METHOD_UNLOCK},     {"get", METHOD_OTHER},
        {"TRACE", METHOD_OTHER}, {"M-SEARCH", METHOD_OTHER},    {"X", METHOD_OTHER},
    };

    for (size_t i = 0; i < COUNT(methods); i++) {
        char text[100];
        struct request r;
        snprintf(text, sizeof(text), "%s / HTTP/1.1\r\n" HOST "\r\n", methods[i].name);
        assert_int_equal(parse(text, &r), strlen(text));
        assert_int_equal(r.method, methods[i].method);
        assert_span(r.method_name, methods[i].name);
    }
}

static void bad_request_lines_are_refused(void **state)
{
    (void)state;
    static const struct refusal cases[] = {
        {" GET / HTTP/1.1\r\n" HOST "\r\n", -400},
        {"GET  / HTTP/1.1\r\n" HOST "\r\n", -400},
        {"GET /  HTTP/1.1\r\n" HOST "\r\n", -400},
        {"GET\t/ HTTP/1.1\r\n" HOST "\r\n", -400},
        {"G(T / HTTP/1.1\r\n" HOST "\r\n", -400},
        {"GET / HTTP/1.1 \r\n" HOST "\r\n", -400},
        {"GET /\r\n\r\n", -400},
        {"GET / HTTP/1.1\n" HOST "\r\n", -400},
        {"GET / HTTP/1.1\r" HOST "\r\n", -400},
        {"GET / http/1.1\r\n" HOST "\r\n", -400},
        {"GET / HTTP/1\r\n" HOST "\r\n", -400},
        {"GET / HTTP/1.\r\n" HOST "\r\n", -400},
        {"GET / HTTP/11\r\n" HOST "\r\n", -400},
        {"GET / HTTP/1.10\r\n" HOST "\r\n", -400},
        {"GET / HTTP/+1.1\r\n" HOST "\r\n", -400},
        {"GET / HTTP/0.9\r\n\r\n", -505},
        {"GET / HTTP/2.0\r\n" HOST "\r\n", -505},
        {"GET / HTTP/3.0\r\n" HOST "\r\n", -505},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", -505},
        {"GET /a\x01 HTTP/1.1\r\n" HOST "\r\n", -400},
        {"GET /a\x7f HTTP/1.1\r\n" HOST "\r\n", -400},
        {"GET /a#b HTTP/1.1\r\n" HOST "\r\n", -400},
        {"\x16\x03\x01\x02", -400}, /* TLS where plain HTTP is spoken */
        {"\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n", -400},
        {"\nGET / HTTP/1.1\r\n" HOST "\r\n", -400},
        {"\rGET / HTTP/1.1\r\n" HOST "\r\n", -400},
    };

    assert_refused(cases, COUNT(cases));
}

static void one_empty_line_in_front_is_skipped(void **state)
{
    (void)state;
    assert_span(parse_good("\r\nGET /x HTTP/1.1\r\n" HOST "\r\n")->path, "/x");
}

static void a_later_minor_version_counts_as_1(void **state)
{
    (void)state;
    assert_int_equal(parse_good("GET / HTTP/1.9\r\n" HOST "\r\n")->minor_version, 1);
}

static void targets_have_the_forms_of_rfc_9112(void **state)
{
    (void)state;
    static const struct {
        const char *line, *path, *query, *host;
    } good[] = {
        {"GET / HTTP/1.1", "/", NULL, "h"},
        {"GET /? HTTP/1.1", "/", "", "h"},
        {"GET /a?b?c HTTP/1.1", "/a", "b?c", "h"},
        {"GET //a//b HTTP/1.1", "//a//b", NULL, "h"},
        {"GET /\xc3\xa4 HTTP/1.1", "/\xc3\xa4", NULL, "h"},
        {"GET http://other HTTP/1.1", "/", NULL, "other"},
        {"GET HTTPS://other:1/ HTTP/1.1", "/", NULL, "other:1"},
        {"GET http://other?q HTTP/1.1", "/", "q", "other"},
        {"GET http://other/a/b?q HTTP/1.1", "/a/b", "q", "other"},
        {"GET http://[::1]:80/a HTTP/1.1", "/a", NULL, "[::1]:80"},
        {"OPTIONS * HTTP/1.1", "*", NULL, "h"},
        {"OPTIONS /a HTTP/1.1", "/a", NULL, "h"},
    };
    static const struct refusal bad[] = {
        {"GET * HTTP/1.1\r\n" HOST "\r\n", -400},
        {"OPTIONS *a HTTP/1.1\r\n" HOST "\r\n", -400},
        {"GET a HTTP/1.1\r\n" HOST "\r\n", -400},
        {"GET ?a HTTP/1.1\r\n" HOST "\r\n", -400},
        {"GET other:80 HTTP/1.1\r\n" HOST "\r\n", -400},
        {"GET http:// HTTP/1.1\r\n" HOST "\r\n", -400},
        {"GET http:///a HTTP/1.1\r\n" HOST "\r\n", -400},
        {"GET http://u@other/ HTTP/1.1\r\n" HOST "\r\n", -400},
        {"GET http://u:p@other/ HTTP/1.1\r\n" HOST "\r\n", -400},
        {"GET ftp://other/ HTTP/1.1\r\n" HOST "\r\n", -400},
        {"GET file:///etc/passwd HTTP/1.1\r\n" HOST "\r\n", -400},
        {"GET http://other/ HTTP/1.1\r\n\r\n", -400}, /* Host is required all the same */
        {"CONNECT other:443 HTTP/1.1\r\n" HOST "\r\n", -501},
        {"CONNECT / HTTP/1.1\r\n" HOST "\r\n", -501},
    };

    for (size_t i = 0; i < COUNT(good); i++) {
        char text[200];
        snprintf(text, sizeof(text), "%s\r\n" HOST "\r\n", good[i].line);
        struct request *r = parse_good(text);
        assert_span(r->path, good[i].path);
        assert_span(r->host, good[i].host);
        assert_int_equal(!r->query.data, !good[i].query);
        assert_span(r->query, good[i].query ? good[i].query : "");
    }
    assert_refused(bad, COUNT(bad));
}

static void the_host_is_one_valid_host(void **state)
{
    (void)state;
    static const char *const good[] = {"h",         "nas.local", "192.168.1.2:8443",
                                       "[fe80::1]", "a_b-c~d:",  "[::ffff:1.2.3.4]:443",
                                       "h:65535"};
    static const char *const bad[] = {"",    " ",     "a b",    "a/b",   "a@b",      "a\"b",
                                      "a,b", "a<b",   "h:8o",   ":80",   "h:123456", "[::1",
                                      "[]",  "[::g]", "[::1]x", "h:1:2", "a\\b",     "%41"};
    char text[100];
    struct request r;

    for (size_t i = 0; i < COUNT(good); i++) {
        snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", good[i]);
        assert_span(parse_good(text)->host, good[i]);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", bad[i]);
        assert_int_equal(parse(text, &r), -400);
        snprintf(text, sizeof(text), "GET / HTTP/1.0\r\nHost: %s\r\n\r\n", bad[i]);
        assert_int_equal(parse(text, &r), -400);
    }
    assert_int_equal(parse("GET / HTTP/1.1\r\n\r\n", &r), -400);
    assert_null(parse_good("GET / HTTP/1.0\r\n\r\n")->host.data);
}

static void bad_fields_are_refused(void **state)
{
    (void)state;
#define LINE "GET / HTTP/1.1\r\n" HOST
    static const struct refusal cases[] = {
        {LINE "A : b\r\n\r\n", -400},
        {LINE " A: b\r\n\r\n", -400},
        {LINE "A: b\r\n c\r\n\r\n", -400},
        {LINE "A: b\r\n\tc\r\n\r\n", -400},
        {LINE ": b\r\n\r\n", -400},
        {LINE "A\r\n\r\n", -400},
        {LINE "A b: c\r\n\r\n", -400},
        {LINE "A\xc3\xa4: b\r\n\r\n", -400},
        {LINE "A(: b\r\n\r\n", -400},
        {LINE "A: b\n\r\n", -400},
        {LINE "A: b\rC: d\r\n\r\n", -400},
        {LINE "A: b\r\r\n\r\n", -400},
        {LINE "A: b\x01"
              "c\r\n\r\n",
         -400},
        {LINE "A: b\x7f"
              "c\r\n\r\n",
         -400},
        {LINE "A: b\r\n\n", -400},
        {LINE "A: b\n\nGET / HTTP/1.1\r\n", -400},
        {LINE "A: b\r\n\r", 0},
        {LINE "A: b\r\n\rX", -400},
        {LINE "A: 0123456789abcdef0123456789\x1f\r\n\r\n", -400},
        {"GET / HTTP/1.1\r\n Host: h\r\n\r\n", -400},
    };
    struct request r;

    assert_refused(cases, COUNT(cases));
    assert_int_equal(request_parse(SPAN(LINE "A: b\0c\r\n\r\n"), &r), -400);
    assert_int_equal(request_parse(SPAN(LINE "A\0: b\r\n\r\n"), &r), -400);
    assert_int_equal(request_parse(SPAN("GET /\0 HTTP/1.1\r\n" HOST "\r\n"), &r), -400);
}

static void a_control_byte_is_found_at_every_place_of_a_value(void **state)
{
    (void)state;
    const size_t head = strlen(LINE "A: ");
    char text[200];
    struct request r;

    for (size_t length = 1; length < 70; length++)
        for (size_t at = 0; at < length; at++) {
            snprintf(text, sizeof(text), LINE "A: %0*d\r\n\r\n", (int)length, 0);
            assert_int_equal(parse(text, &r), strlen(text));
            text[head + at] = at % 2 ? '\x1f' : '\x7f';
            assert_int_equal(parse(text, &r), -400);
            text[head + at] = at % 2 ? '\xff' : '\x80';
            assert_int_equal(parse(text, &r), strlen(text));
            text[head + at] = '\t';
            assert_int_equal(parse(text, &r), strlen(text));
        }
}

static void the_length_of_a_body_is_never_in_doubt(void **state)
{
    (void)state;
#define PUT "PUT /a HTTP/1.1\r\n" HOST
    static const struct refusal cases[] = {
        {PUT "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", -400},
        {PUT "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", -400},
        {PUT "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n", -400},
        {PUT "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", -400},
        {PUT "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", -400},
        {PUT "Content-Length: 5, 5\r\n\r\n", -400},
        {PUT "Content-Length: 5,6\r\n\r\n", -400},
        {PUT "Content-Length: +5\r\n\r\n", -400},
        {PUT "Content-Length: -5\r\n\r\n", -400},
        {PUT "Content-Length: 0x5\r\n\r\n", -400},
        {PUT "Content-Length: 5a\r\n\r\n", -400},
        {PUT "Content-Length: 5 5\r\n\r\n", -400},
        {PUT "Content-Length: 5.0\r\n\r\n", -400},
        {PUT "Content-Length: \"5\"\r\n\r\n", -400},
        {PUT "Content-Length:\r\n\r\n", -400},
        {PUT "Content-Length : 5\r\n\r\n", -400},
        {PUT "Content-Length\t: 5\r\n\r\n", -400},
        {PUT "Content-Length: 9223372036854775808\r\n\r\n", -413},
        {PUT "Content-Length: 18446744073709551616\r\n\r\n", -413},
        {PUT "Content-Length: 18446744073709551621\r\n\r\n", -413},
        {PUT "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", -400},
        {PUT "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n", -400},
        {PUT "Transfer-Encoding: identity\r\n\r\n", -501},
        {PUT "Transfer-Encoding: gzip, chunked\r\n\r\n", -501},
        {PUT "Transfer-Encoding: chunked, chunked\r\n\r\n", -501},
        {PUT "Transfer-Encoding: chunked, identity\r\n\r\n", -501},
        {PUT "Transfer-Encoding: chunked;a=b\r\n\r\n", -501},
        {PUT "Transfer-Encoding: xchunked\r\n\r\n", -501},
        {PUT "Transfer-Encoding: \x0b"
             "chunked\r\n\r\n",
         -400},
        {PUT "Transfer-Encoding: \"chunked\"\r\n\r\n", -501},
        {PUT "Transfer-Encoding:\r\n\r\n", -501},
        {PUT "Transfer-Encoding : chunked\r\n\r\n", -400},
        {PUT "Transfer-Encoding:\r\n chunked\r\n\r\n", -400},
        {PUT "X: y\nTransfer-Encoding: chunked\r\n\r\n", -400},
        {PUT "X: y\rTransfer-Encoding: chunked\r\n\r\n", -400},
        {"PUT /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", -400},
        {"PUT /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", -400},
    };
    assert_refused(cases, COUNT(cases));

    struct request *r = parse_good(PUT "Content-Length: 9223372036854775807\r\n\r\n");
    assert_true(r->has_content_length && r->has_body && !r->chunked);
    assert_true(r->content_length == INT64_MAX);
    r = parse_good(PUT "Content-Length: 000\r\n\r\n");
    assert_true(r->has_content_length && !r->has_body);
    r = parse_good(PUT "transfer-encoding:CHUNKED\r\n\r\n");
    assert_true(r->chunked && r->has_body && !r->has_content_length);
    r = parse_good(PUT "\r\n");
    assert_true(!r->chunked && !r->has_body && !r->has_content_length);
    /* A second request behind the head is not looked at. */
    assert_int_equal(parse(PUT "\r\nGARBAGE\n\n\r", r), strlen(PUT "\r\n"));
}

static void keep_alive_follows_version_and_connection(void **state)
{
    (void)state;
    static const struct {
        const char *version, *fields;
        bool keep_alive;
    } cases[] = {
        {"1.1", "", true},
        {"1.1", "Connection: close\r\n", false},
        {"1.1", "Connection: CLOSE\r\n", false},
        {"1.1", "Connection: keep-alive, close\r\n", false},
        {"1.1", "Connection: TE\r\nConnection: close\r\n", false},
        {"1.1", "Connection: upgrade , te\r\n", true},
        {"1.1", "Connection: closed\r\n", true},
        {"1.1", "Connection:\r\n", true},
        {"1.0", "", false},
        {"1.0", "Connection: keep-alive\r\n", true},
        {"1.0", "Connection: TE,Keep-Alive\r\n", true},
        {"1.0", "Connection: keep-alive\r\nConnection: close\r\n", false},
        {"1.0", "Connection: upgrade\r\n", false},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[200];
        snprintf(text, sizeof(text), "GET / HTTP/%s\r\n" HOST "%s\r\n", cases[i].version,
                 cases[i].fields);
        assert_int_equal(parse_good(text)->keep_alive, cases[i].keep_alive);
    }
}

static void only_100_continue_can_be_expected(void **state)
{
    (void)state;
    struct request r;

    assert_true(
        parse_good(PUT "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\n")->expect_continue);
    assert_false(
        parse_good(PUT "Expect: 100-continue\r\nContent-Length: 0\r\n\r\n")->expect_continue);
    assert_int_equal(parse(PUT "Expect: 200-ok\r\nContent-Length: 1\r\n\r\n", &r), -417);
    assert_int_equal(parse(PUT "Expect:\r\nContent-Length: 1\r\n\r\n", &r), -417);
    assert_false(parse_good("PUT /a HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
                     ->expect_continue);
}

static void too_much_is_414_or_431(void **state)
{
    (void)state;
    static char text[3 * LIMIT_HEAD_BYTES];
    struct request r;
    const size_t line = strlen("GET /");

    memset(text, 'a', sizeof(text));
    memcpy(text, "GET /", line);
    assert_int_equal(request_parse(span_of(text, LIMIT_HEAD_BYTES - 1), &r), 0);
    assert_int_equal(request_parse(span_of(text, LIMIT_HEAD_BYTES), &r), -414);
    assert_int_equal(request_parse(span_of(text, sizeof(text)), &r), -414);

    const size_t head = strlen(LINE "A: ");
    memcpy(text, LINE "A: ", head);
    assert_int_equal(request_parse(span_of(text, LIMIT_HEAD_BYTES - 1), &r), 0);
    assert_int_equal(request_parse(span_of(text, LIMIT_HEAD_BYTES), &r), -431);
    /* A head of exactly the limit is good, with a body behind it; one byte more is not. */
    memcpy(text + LIMIT_HEAD_BYTES - 4, "\r\n\r\n", 4);
    assert_int_equal(request_parse(span_of(text, sizeof(text)), &r), LIMIT_HEAD_BYTES);
    memcpy(text + LIMIT_HEAD_BYTES - 4, "a\r\n\r\n", 5);
    assert_int_equal(request_parse(span_of(text, sizeof(text)), &r), -431);
}

static void fields_are_counted(void **state)
{
    (void)state;
    char text[2000] = LINE;
    struct request r;

    for (int i = 1; i < LIMIT_FIELDS; i++)
        strcat(text, "A: b\r\n");
    strcat(text, "\r\n");
    assert_int_equal(parse(text, &r), strlen(text));
    assert_int_equal(r.field_count, LIMIT_FIELDS);
    strcpy(text + strlen(text) - 2, "A: b\r\n\r\n");
    assert_int_equal(parse(text, &r), -431);
}

/* Every prefix of a good head, in memory that ends where it ends (for the address sanitizer). */
static void byte_by_byte_gives_the_same_result(void **state)
{
    (void)state;
    const struct span whole = SPAN("\r\nPUT /a/b?c HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\n"
                                   "Cookie: 0123456789abcdef0123456789abcdef; x=y\r\n\r\n");
    size_t scanned = 0;
    struct request r;

    for (size_t length = 0; length <= whole.len; length++) {
        char *copy = malloc(length + 1);
        assert_non_null(copy);
        memcpy(copy + 1, whole.data, length);
        struct span prefix = span_of(copy + 1, length);
        int result = request_parse(prefix, &r);
        size_t end = request_find_end(prefix, &scanned);
        assert_int_equal(result, length < whole.len ? 0 : (int)whole.len);
        assert_int_equal(end, length < whole.len ? 0 : whole.len);
        assert_int_equal(scanned, length);
        free(copy);
    }
}

static void the_end_is_found_wherever_parsing_gives_a_verdict(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t end;
    } cases[] = {
        {"", 0},
        {"GET", 0},
        {"GET / HTTP/1.1\r\n", 0},
        {"GET / HTTP/1.1\r\nA: b\r\n\r", 0},
        {"GET / HTTP/1.1\r\nA: b\r\n\r\nbody", 24},
        {"GET / HTTP/1.1\nA: b\r\n", 15},
        {"GET / HTTP/1.1\r\nA: b\n", 21},
        {"\n", 1},
        {"\r\n", 0},
        {"\r\n\r\n", 4},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct span text = span_str(cases[i].text);
        size_t all = 0, one = 0, end = 0;
        struct request r;
        assert_int_equal(request_find_end(text, &all), cases[i].end);
        for (size_t length = 1; length <= text.len && end == 0; length++)
            end = request_find_end(span_first(text, length), &one);
        assert_int_equal(end, cases[i].end);
        if (end > 0)
            assert_int_not_equal(request_parse(span_first(text, end), &r), 0);
    }

    static char full[LIMIT_HEAD_BYTES + 10];
    size_t scanned = 0;
    memset(full, 'a', sizeof(full));
    assert_int_equal(request_find_end(span_of(full, LIMIT_HEAD_BYTES - 1), &scanned), 0);
    assert_int_equal(request_find_end(span_of(full, sizeof(full)), &scanned), LIMIT_HEAD_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_browsers_get_is_taken_apart),
        cmocka_unit_test(every_known_field_has_its_place),
        cmocka_unit_test(only_lists_may_be_repeated),
        cmocka_unit_test(methods_are_case_sensitive_tokens),
        cmocka_unit_test(bad_request_lines_are_refused),
        cmocka_unit_test(one_empty_line_in_front_is_skipped),
        cmocka_unit_test(a_later_minor_version_counts_as_1),
        cmocka_unit_test(targets_have_the_forms_of_rfc_9112),
        cmocka_unit_test(the_host_is_one_valid_host),
        cmocka_unit_test(bad_fields_are_refused),
        cmocka_unit_test(a_control_byte_is_found_at_every_place_of_a_value),
        cmocka_unit_test(the_length_of_a_body_is_never_in_doubt),
        cmocka_unit_test(keep_alive_follows_version_and_connection),
        cmocka_unit_test(only_100_continue_can_be_expected),
        cmocka_unit_test(too_much_is_414_or_431),
        cmocka_unit_test(fields_are_counted),
        cmocka_unit_test(byte_by_byte_gives_the_same_result),
        cmocka_unit_test(the_end_is_found_wherever_parsing_gives_a_verdict),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
