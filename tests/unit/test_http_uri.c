/* Paths, queries, forms and cookies: decoded once, and nothing slips through. */
#include "assert_span.h"

#include <errno.h>
#include <stdio.h>

#include "http/cookie.h"
#include "http/form.h"
#include "http/uri.h"

static void paths_become_names_below_the_root(void **state)
{
    (void)state;
    static const struct {
        const char *raw, *path;
        bool directory;
    } cases[] = {
        {"/", "", true},
        {"//", "", true},
        {"/.", "", true},
        {"/./", "", true},
        {"/a", "a", false},
        {"/a/", "a", true},
        {"//a//b//", "a/b", true},
        {"/a/b.txt", "a/b.txt", false},
        {"/a/./b", "a/b", false},
        {"/a/.", "a", true},
        {"/a/..", "", true},
        {"/a/../", "", true},
        {"/a/../b", "b", false},
        {"/a/b/..", "a", true},
        {"/a/b/c/../../d", "a/d", false},
        {"/a/%2e/b", "a/b", false},
        {"/a/%2E%2e/b", "b", false},
        {"/a/.%2e/b", "b", false},
        {"/...", "...", false},
        {"/..a/.b/c..", "..a/.b/c..", false},
        {"/a%20b", "a b", false},
        {"/a+b", "a+b", false},
        {"/%41%7a", "Az", false},
        {"/%C3%a4", "\xc3\xa4", false},
        {"/\xc3\xa4", "\xc3\xa4", false},
        {"/%ff", "\xff", false},
        {"/%252e%252e/%252f", "%2e%2e/%2f", false}, /* once, not twice */
        {"/a\\..\\b", "a\\..\\b", false},           /* a name like any other here */
        {"/%3Fa%23b%3B", "?a#b;", false},
        {"/a;b=c/d", "a;b=c/d", false},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        char out[LIMIT_PATH_BYTES];
        struct span path;
        bool directory;
        assert_int_equal(uri_decode_path(span_str(cases[i].raw), out, &path, &directory), 0);
        assert_span(path, cases[i].path);
        assert_int_equal(directory, cases[i].directory);
        assert_int_equal(path.data[path.len], '\0');
    }
}

/* Names may have any byte in them but two; as they are these are no part of a URI. */
static void control_bytes_are_taken_where_they_are_encoded(void **state)
{
    (void)state;
    for (int c = 1; c < 0x80; c++) {
        char raw[16], out[LIMIT_PATH_BYTES];
        struct span path;
        bool directory;
        if (c >= ' ' && c != 0x7f)
            continue;
        snprintf(raw, sizeof(raw), "/a%%%02xb/x", (unsigned)c);
        assert_int_equal(uri_decode_path(span_str(raw), out, &path, &directory), 0);
        assert_int_equal(path.len, 5);
        assert_int_equal(path.data[1], c);
        snprintf(raw, sizeof(raw), "/a%cb/x", c);
        assert_int_equal(uri_decode_path(span_str(raw), out, &path, &directory), -400);
    }
}

static void bad_paths_are_refused(void **state)
{
    (void)state;
    static const char *const raw[] = {
        "",           "a",       "*",       "/..",     "/../",       "/../a",      "/a/../..",
        "/a/../../a", "/%2e%2e", "/.%2E/a", "/./..",   "//..",       "/%",         "/%4",
        "/%4g",       "/%g4",    "/% 1",    "/%u0041", "/%+1",       "/%0x",       "/%00",
        "/a%00.jpg",  "/%2f",    "/a%2Fb",  "/..%2fa", "/%2e%2e%2f", "/%0a/..%2f", "/%0a%00",
        "/a\tb",      "/a\rb",   "/a\x01",  "/a\nb",   "/a\x7f",     "/a/b/%",
    };

    for (size_t i = 0; i < COUNT(raw); i++) {
        char out[LIMIT_PATH_BYTES];
        struct span path;
        bool directory;
        assert_int_equal(uri_decode_path(span_str(raw[i]), out, &path, &directory), -400);
    }
}

static void long_paths_are_414(void **state)
{
    (void)state;
    static char raw[3 * LIMIT_PATH_BYTES + 1], out[LIMIT_PATH_BYTES];
    struct span path;
    bool directory;

    memset(raw, 'a', sizeof(raw));
    raw[0] = '/';
    /* The limit has room for a NUL, and counts what is decoded. */
    assert_int_equal(uri_decode_path(span_of(raw, LIMIT_PATH_BYTES), out, &path, &directory), 0);
    assert_int_equal(path.len, LIMIT_PATH_BYTES - 1);
    assert_int_equal(uri_decode_path(span_of(raw, LIMIT_PATH_BYTES + 1), out, &path, &directory),
                     -414);
    raw[LIMIT_PATH_BYTES - 1] = '/';
    assert_int_equal(uri_decode_path(span_of(raw, LIMIT_PATH_BYTES + 1), out, &path, &directory),
                     -414);
    for (size_t i = 0; i < LIMIT_PATH_BYTES - 1; i++)
        memcpy(raw + 1 + 3 * i, "%61", 3);
    assert_int_equal(
        uri_decode_path(span_of(raw, 3 * LIMIT_PATH_BYTES - 2), out, &path, &directory), 0);
    assert_int_equal(path.len, LIMIT_PATH_BYTES - 1);
}

static void encoding_is_safe_and_decodes_to_the_same(void **state)
{
    (void)state;
    char all[255], encoded[3 * 256 + 1], decoded[LIMIT_PATH_BYTES];
    struct buf b;
    struct span path;
    bool directory;

    buf_init_fixed(&b, encoded, sizeof(encoded));
    uri_encode_path(&b, SPAN("a b/(1)+%?#&'\"<>:\\\xc3\xa4~;=@,!$*|^`{}[]\r\n"));
    assert_span(buf_span(&b),
                "a%20b/(1)%2B%25%3F%23%26%27%22%3C%3E%3A%5C%C3%A4~;=@,!$*%7C%5E%60%7B%7D%5B"
                "%5D%0D%0A");

    size_t count = 0;
    for (int c = 1; c < 256; c++)
        if (c != '/')
            all[count++] = (char)c;
    buf_init_fixed(&b, encoded, sizeof(encoded));
    buf_append_char(&b, '/');
    uri_encode_path(&b, span_of(all, count));
    assert_false(buf_failed(&b));
    assert_int_equal(uri_decode_path(buf_span(&b), decoded, &path, &directory), 0);
    assert_true(span_equal(path, span_of(all, count)));
}

static void query_parameters_are_found_and_decoded(void **state)
{
    (void)state;
    static const struct {
        const char *query, *name, *value; /* NULL: false */
    } cases[] = {
        {"format=json", "format", "json"},
        {"a=1&format=json&b=2", "format", "json"},
        {"format=a&format=b", "format", "a"},
        {"format", "format", ""},
        {"format=", "format", ""},
        {"f%6Frmat=x", "format", "x"},
        {"q=a+b%2Bc%20d", "q", "a b+c d"},
        {"q=a=b=c", "q", "a=b=c"},
        {"&&q=1&", "q", "1"},
        {"a+b=1", "a b", "1"},
        {"", "q", NULL},
        {"formats=x", "format", NULL},
        {"forma=x", "format", NULL},
        {"x=format", "format", NULL},
        {"FORMAT=x", "format", NULL},
        {"q=%", "q", NULL},
        {"q=%4", "q", NULL},
        {"q=%zz", "q", NULL},
        {"q=%00", "q", NULL},
        {"%=1&q=2", "q", "2"},
        {"q=12345678", "q", "12345678"},
        {"q=123456789", "q", NULL}, /* more than the 8 bytes given below */
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        char out[8];
        struct span value = SPAN("untouched");
        bool found = uri_query_get(span_str(cases[i].query), span_str(cases[i].name), out,
                                   sizeof(out), &value);
        assert_int_equal(found, cases[i].value != NULL);
        assert_span(value, found ? cases[i].value : "untouched");
    }
    assert_false(uri_query_get((struct span){0}, SPAN("q"), NULL, 0, &(struct span){0}));
    assert_true(uri_query_has(SPAN("a&b=%zz"), SPAN("a")));
    assert_true(uri_query_has(SPAN("a&b=%zz"), SPAN("b")));
    assert_false(uri_query_has(SPAN("a&b=%zz"), SPAN("c")));
    assert_false(uri_query_has((struct span){0}, SPAN("c")));
}

static void form_fields_are_found_in_bodies_of_limited_size(void **state)
{
    (void)state;
    static char body[LIMIT_FORM_BYTES + 1];
    char out[100];
    struct span value;

    assert_true(form_get(SPAN("user=ann&password=p%26%3d+%C3%A4&next=%2F"), SPAN("password"), out,
                         sizeof(out), &value));
    assert_span(value, "p&= \xc3\xa4");
    memset(body, '&', sizeof(body));
    memcpy(body, "a=b", 3);
    assert_true(form_get(span_of(body, LIMIT_FORM_BYTES), SPAN("a"), out, sizeof(out), &value));
    assert_false(form_get(span_of(body, sizeof(body)), SPAN("a"), out, sizeof(out), &value));

    assert_true(form_is_urlencoded(SPAN("application/x-www-form-urlencoded")));
    assert_true(form_is_urlencoded(SPAN("Application/X-WWW-Form-Urlencoded ; charset=UTF-8")));
    assert_false(form_is_urlencoded(SPAN("multipart/form-data; boundary=x")));
    assert_false(form_is_urlencoded((struct span){0}));
}

static void the_first_cookie_with_exactly_the_name_is_found(void **state)
{
    (void)state;
    static const struct {
        const char *field, *value; /* of "sid"; NULL: none */
    } cases[] = {
        {"sid=abc", "abc"},
        {"a=1; sid=abc; b=2", "abc"},
        {"sid=1; sid=2", "1"},
        {"a=1;sid=abc", "abc"},
        {"sid=", ""},
        {"sid=a=b", "a=b"},
        {"sid=\"q\"", "\"q\""},
        {" sid=x ", "x"},
        {"", NULL},
        {"sid", NULL},
        {"SID=x", NULL},
        {"xsid=x", NULL},
        {"sidx=x", NULL},
        {"a=sid=x", NULL},
        {"a=\"; sid=x\"", "x\""},
        {";;; ;sid=x", "x"},
        {"sid =x", NULL},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct span value = SPAN("untouched");
        bool found = cookie_get(span_str(cases[i].field), SPAN("sid"), &value);
        assert_int_equal(found, cases[i].value != NULL);
        assert_span(value, found ? cases[i].value : "untouched");
    }
    assert_false(cookie_get((struct span){0}, SPAN("sid"), &(struct span){0}));
}

static void parameters_that_are_there_more_than_once(void **state)
{
    struct span rest = SPAN("a=1&name=one&n%61me=two%20%2F&names=x&name&name=%zz&name=last"), value;
    char memory[8];
    (void)state;

    assert_int_equal(uri_query_next(&rest, SPAN("name"), memory, sizeof(memory), &value), 1);
    assert_span(value, "one");
    assert_int_equal(uri_query_next(&rest, SPAN("name"), memory, sizeof(memory), &value), 1);
    assert_span(value, "two /");
    assert_int_equal(uri_query_next(&rest, SPAN("name"), memory, sizeof(memory), &value), 1);
    assert_span(value, "");
    assert_int_equal(uri_query_next(&rest, SPAN("name"), memory, sizeof(memory), &value), -EINVAL);
    assert_int_equal(uri_query_next(&rest, SPAN("name"), memory, 3, &value), -EINVAL);
    assert_int_equal(uri_query_next(&rest, SPAN("name"), memory, sizeof(memory), &value), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_become_names_below_the_root),
        cmocka_unit_test(control_bytes_are_taken_where_they_are_encoded),
        cmocka_unit_test(bad_paths_are_refused),
        cmocka_unit_test(long_paths_are_414),
        cmocka_unit_test(encoding_is_safe_and_decodes_to_the_same),
        cmocka_unit_test(query_parameters_are_found_and_decoded),
        cmocka_unit_test(form_fields_are_found_in_bodies_of_limited_size),
        cmocka_unit_test(the_first_cookie_with_exactly_the_name_is_found),
        cmocka_unit_test(parameters_that_are_there_more_than_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
