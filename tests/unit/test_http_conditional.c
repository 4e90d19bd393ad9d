/* Dates, entity tags, and preconditions. */
#include "assert_span.h"

#include <errno.h>
#include <string.h>

#include "http/conditional.h"
#include "http/date.h"

static const int64_t nov_6_1994 = 784111777, now_2026 = 1795341600;

static void dates_are_formatted(void **state)
{
    (void)state;
    static const struct {
        int64_t seconds;
        uint32_t nanoseconds;
        const char *http, *iso;
    } cases[] = {
        {784111777, 0, "Sun, 06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37.000Z"},
        {0, 999999, "Thu, 01 Jan 1970 00:00:00 GMT", "1970-01-01T00:00:00.000Z"},
        {-1, 999999999, "Wed, 31 Dec 1969 23:59:59 GMT", "1969-12-31T23:59:59.999Z"},
        {951782400, 123456789, "Tue, 29 Feb 2000 00:00:00 GMT", "2000-02-29T00:00:00.123Z"},
        {951868800, 1000000, "Wed, 01 Mar 2000 00:00:00 GMT", "2000-03-01T00:00:00.001Z"},
        {1709164800, 0, "Thu, 29 Feb 2024 00:00:00 GMT", "2024-02-29T00:00:00.000Z"},
        {4107542400, 0, "Mon, 01 Mar 2100 00:00:00 GMT", "2100-03-01T00:00:00.000Z"},
        {4294967296, 0, "Sun, 07 Feb 2106 06:28:16 GMT", "2106-02-07T06:28:16.000Z"},
        {253402300799, 0, "Fri, 31 Dec 9999 23:59:59 GMT", "9999-12-31T23:59:59.000Z"},
        {253402300800, 0, "Fri, 31 Dec 9999 23:59:59 GMT", "9999-12-31T23:59:59.000Z"},
        {INT64_MAX, 0, "Fri, 31 Dec 9999 23:59:59 GMT", "9999-12-31T23:59:59.000Z"},
        {-62167219200, 0, "Sat, 01 Jan 0000 00:00:00 GMT", "0000-01-01T00:00:00.000Z"},
        {INT64_MIN, 0, "Sat, 01 Jan 0000 00:00:00 GMT", "0000-01-01T00:00:00.000Z"},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        char http[DATE_HTTP_BYTES], iso[DATE_ISO_BYTES];
        assert_span(date_format_http(cases[i].seconds, http), cases[i].http);
        assert_span(date_format_iso(cases[i].seconds, cases[i].nanoseconds, iso), cases[i].iso);
    }
}

static void the_three_formats_are_parsed(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t seconds;
    } cases[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
        {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
        {"Sun Nov  6 08:49:37 1994", 784111777},
        {"Wed Nov 16 08:49:37 1994", 784975777},
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Tue, 29 Feb 2000 00:00:00 GMT", 951782400},
        {"Sat, 31 Dec 2016 23:59:60 GMT", 1483228800},
        {"Fri, 31 Dec 9999 23:59:59 GMT", 253402300799},
        {"Wednesday, 01-Jan-70 00:00:00 GMT", 3155760000}, /* 2070: 44 years ahead */
        {"Saturday, 01-Jan-77 00:00:00 GMT", 220924800},   /* 2077 would be 51 */
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t seconds = -1;
        assert_int_equal(date_parse_http(span_str(cases[i].text), now_2026, &seconds), 0);
        assert_true(seconds == cases[i].seconds);
    }
}

static void dates_of_xml_are_parsed(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t seconds;
    } cases[] = {
        {"1994-11-06T08:49:37Z", 784111777},
        {"1994-11-06t08:49:37z", 784111777},
        {"1994-11-06T08:49:37.999Z", 784111777},
        {"1994-11-06T09:49:37+01:00", 784111777},
        {"1994-11-05T23:19:37.5-09:30", 784111777},
        {"1970-01-01T00:00:00Z", 0},
        {"1969-12-31T23:59:59Z", -1},
        {"2016-12-31T23:59:60Z", 1483228800},
        {"2000-02-29T00:00:00Z", 951782400},
    };
    static const char *const others[] = {
        "",
        "1994-11-06",
        "1994-11-06T08:49:37",
        "1994-11-06 08:49:37Z",
        "1994-11-06T08:49Z",
        "1994-11-06T08:49:37.Z",
        "1994-11-06T08:49:37.1.2Z",
        "1994-11-06T08:49:37Z ",
        " 1994-11-06T08:49:37Z",
        "94-11-06T08:49:37Z",
        "1994-00-06T08:49:37Z",
        "1994-13-06T08:49:37Z",
        "1994-11-00T08:49:37Z",
        "1994-11-31T08:49:37Z",
        "2023-02-29T00:00:00Z",
        "1994-11-06T24:00:00Z",
        "1994-11-06T08:60:00Z",
        "1994-11-06T08:49:61Z",
        "1994-11-06T08:49:37+1:00",
        "1994-11-06T08:49:37+01",
        "1994-11-06T08:49:37+24:00",
        "1994-11-06T08:49:37+01:60",
        "+994-11-06T08:49:37Z",
    };
    int64_t seconds = -2;

    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(date_parse_iso(span_str(cases[i].text), &seconds), 0);
        assert_true(seconds == cases[i].seconds);
    }
    for (size_t i = 0; i < COUNT(others); i++)
        assert_int_equal(date_parse_iso(span_str(others[i]), &seconds), -EINVAL);
}

static void everything_else_is_no_date(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "0",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 +0000",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        " Sun, 06 Nov 1994 08:49:37 GMT",
        "sun, 06 nov 1994 08:49:37 gmt",
        "Sun,06 Nov 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Mon, 06 Nov 1994 08:49:37 GMT", /* it was a Sunday */
        "Xxx, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Xxx 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 32 Nov 1994 08:49:37 GMT",
        "Thu, 31 Nov 1994 08:49:37 GMT",
        "Wed, 29 Feb 2023 00:00:00 GMT",
        "Mon, 29 Feb 2100 00:00:00 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:00 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 1994 8:49:37 GMT",
        "Sun, 06 Nov 1994 08-49-37 GMT",
        "Sun, 06 Nov -994 08:49:37 GMT",
        "Sun, 06-Nov-94 08:49:37 GMT",
        "Sunday, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov  6 08:49:37 1994 GMT",
        "Sun Nov  6 08:49:37 94",
        "1994-11-06T08:49:37Z",
    };

    for (size_t i = 0; i < COUNT(texts); i++) {
        int64_t seconds;
        assert_int_equal(date_parse_http(span_str(texts[i]), now_2026, &seconds), -EINVAL);
    }
}

static void ten_millennia_survive_a_round_trip(void **state)
{
    (void)state;
    for (int64_t s = -62167219200; s <= 253402300799; s += 7 * 90001) {
        char text[DATE_HTTP_BYTES];
        int64_t parsed;
        assert_int_equal(date_parse_http(date_format_http(s, text), 0, &parsed), 0);
        assert_true(parsed == s);
    }
}

static void entity_tag_lists_are_strict(void **state)
{
    (void)state;
    static const struct {
        const char *list, *etag;
        int strong, weak;
    } cases[] = {
        {"\"a\"", "\"a\"", 1, 1},
        {"\"a\"", "\"b\"", 0, 0},
        {"\"A\"", "\"a\"", 0, 0},
        {"\"a\", \"b\"", "\"b\"", 1, 1},
        {"\"a\",\"b\"", "\"b\"", 1, 1},
        {"\"a\" \t,\t \"b\"", "\"b\"", 1, 1},
        {",\"a\",,\"b\",", "\"b\"", 1, 1},
        {"W/\"a\"", "\"a\"", 0, 1},
        {"\"a\"", "W/\"a\"", 0, 1},
        {"W/\"a\"", "W/\"a\"", 0, 1},
        {"W/\"a\", \"a\"", "\"a\"", 1, 1},
        {"\"\"", "\"\"", 1, 1},
        {"\"a,b\"", "\"a,b\"", 1, 1},
        {"\"a,b\"", "\"b\"", 0, 0},
        {"\"\xc3\xa4!#'\"", "\"\xc3\xa4!#'\"", 1, 1},
        {"\"a\"", "", 0, 0},
        {"", "\"a\"", -EINVAL, -EINVAL},
        {",", "\"a\"", -EINVAL, -EINVAL},
        {"a", "\"a\"", -EINVAL, -EINVAL},
        {"\"a", "\"a\"", -EINVAL, -EINVAL},
        {"a\"", "\"a\"", -EINVAL, -EINVAL},
        {"\"", "\"a\"", -EINVAL, -EINVAL},
        {"w/\"a\"", "\"a\"", -EINVAL, -EINVAL},
        {"W\"a\"", "\"a\"", -EINVAL, -EINVAL},
        {"W/ \"a\"", "\"a\"", -EINVAL, -EINVAL},
        {"W/", "\"a\"", -EINVAL, -EINVAL},
        {"'a'", "\"a\"", -EINVAL, -EINVAL},
        {"\"a\" \"b\"", "\"a\"", -EINVAL, -EINVAL},
        {"\"a\";\"b\"", "\"a\"", -EINVAL, -EINVAL},
        {"\"a b\"", "\"a b\"", -EINVAL, -EINVAL},
        {"\"a\", b", "\"a\"", -EINVAL, -EINVAL},
        {"\"a\", *", "\"a\"", -EINVAL, -EINVAL},
        {"*", "\"a\"", -EINVAL, -EINVAL},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct span list = span_str(cases[i].list), etag = span_str(cases[i].etag);
        assert_int_equal(conditional_match_list(list, etag, ETAG_STRONG), cases[i].strong);
        assert_int_equal(conditional_match_list(list, etag, ETAG_WEAK), cases[i].weak);
    }
}

#define TIME "Sun, 06 Nov 1994 08:49:37 GMT"
#define EARLIER "Sun, 06 Nov 1994 08:49:36 GMT"
#define LATER "Sun, 06 Nov 1994 08:49:38 GMT"

/* Evaluates one request against a file with the tag "a" (or W/"a"), last changed at TIME. */
struct precondition {
    const char *match, *unmodified, *none_match, *modified;
    int read, write; /* results for GET and for PUT */
};

static void assert_preconditions(const struct precondition *cases, size_t count,
                                 struct validators v)
{
    for (size_t i = 0; i < count; i++) {
        static const enum http_method methods[] = {METHOD_GET,    METHOD_HEAD,     METHOD_PUT,
                                                   METHOD_DELETE, METHOD_PROPFIND, METHOD_OPTIONS};
        const struct precondition *c = &cases[i];
        struct request r = {0};
        if (c->match)
            r.if_match = span_str(c->match);
        if (c->unmodified)
            r.if_unmodified_since = span_str(c->unmodified);
        if (c->none_match)
            r.if_none_match = span_str(c->none_match);
        if (c->modified)
            r.if_modified_since = span_str(c->modified);
        for (size_t m = 0; m < COUNT(methods); m++) {
            r.method = methods[m];
            int expected = m < 2 ? c->read : m == 5 ? 0 : c->write;
            int result = conditional_evaluate(&r, &v);
            if (result != expected) {
                print_error("case %zu, method %zu: %d, not %d\n", i, m, result, expected);
                fail();
            }
        }
    }
}

static void preconditions_of_a_file_with_a_strong_tag(void **state)
{
    (void)state;
    static const struct precondition cases[] = {
        {NULL, NULL, NULL, NULL, 0, 0},
        /* If-Match */
        {"\"a\"", NULL, NULL, NULL, 0, 0},
        {"\"b\"", NULL, NULL, NULL, 412, 412},
        {"\"b\", \"a\"", NULL, NULL, NULL, 0, 0},
        {"W/\"a\"", NULL, NULL, NULL, 412, 412},
        {"*", NULL, NULL, NULL, 0, 0},
        {"a", NULL, NULL, NULL, 412, 412},
        {"", NULL, NULL, NULL, 412, 412},
        {"\"a\" \"b\"", NULL, NULL, NULL, 412, 412},
        /* If-Unmodified-Since, which If-Match overrides */
        {NULL, TIME, NULL, NULL, 0, 0},
        {NULL, LATER, NULL, NULL, 0, 0},
        {NULL, EARLIER, NULL, NULL, 412, 412},
        {NULL, "yesterday", NULL, NULL, 0, 0},
        {"\"a\"", EARLIER, NULL, NULL, 0, 0},
        {"\"b\"", LATER, NULL, NULL, 412, 412},
        /* If-None-Match */
        {NULL, NULL, "\"a\"", NULL, 304, 412},
        {NULL, NULL, "W/\"a\"", NULL, 304, 412},
        {NULL, NULL, "\"b\"", NULL, 0, 0},
        {NULL, NULL, "\"b\", W/\"a\"", NULL, 304, 412},
        {NULL, NULL, "*", NULL, 304, 412},
        {NULL, NULL, "a", NULL, 0, 412},
        {NULL, NULL, "", NULL, 0, 412},
        /* If-Modified-Since, which If-None-Match overrides; for GET and HEAD only */
        {NULL, NULL, NULL, TIME, 304, 0},
        {NULL, NULL, NULL, LATER, 304, 0},
        {NULL, NULL, NULL, EARLIER, 0, 0},
        {NULL, NULL, NULL, "0", 0, 0},
        {NULL, NULL, "\"b\"", TIME, 0, 0},
        {NULL, NULL, "\"a\"", EARLIER, 304, 412},
        /* both kinds: the first that fails decides */
        {"\"a\"", NULL, "\"a\"", NULL, 304, 412},
        {"\"b\"", NULL, "\"a\"", NULL, 412, 412},
        {NULL, EARLIER, NULL, TIME, 412, 412},
        {NULL, TIME, NULL, TIME, 304, 0},
    };

    assert_preconditions(cases, COUNT(cases),
                         (struct validators){true, SPAN("\"a\""), nov_6_1994, now_2026, false});
}

static void a_weak_tag_never_satisfies_if_match(void **state)
{
    (void)state;
    static const struct precondition cases[] = {
        {"\"a\"", NULL, NULL, NULL, 412, 412},   {"W/\"a\"", NULL, NULL, NULL, 412, 412},
        {"*", NULL, NULL, NULL, 0, 0},           {NULL, NULL, "\"a\"", NULL, 304, 412},
        {NULL, NULL, "W/\"a\"", NULL, 304, 412},
    };

    assert_preconditions(cases, COUNT(cases),
                         (struct validators){true, SPAN("W/\"a\""), nov_6_1994, now_2026, false});
}

static void preconditions_of_a_file_that_is_not_there(void **state)
{
    (void)state;
    static const struct precondition cases[] = {
        {NULL, NULL, NULL, NULL, 0, 0},        {"*", NULL, NULL, NULL, 412, 412},
        {"\"a\"", NULL, NULL, NULL, 412, 412}, {NULL, NULL, "*", NULL, 0, 0},
        {NULL, NULL, "\"a\"", NULL, 0, 0},     {NULL, NULL, "a", NULL, 0, 412},
        {NULL, EARLIER, NULL, NULL, 0, 0},     {NULL, NULL, NULL, TIME, 0, 0},
    };

    assert_preconditions(cases, COUNT(cases), (struct validators){.now = now_2026});
}

/* Within the second of its last change it may have changed once more. */
static void a_date_is_proof_when_its_second_is_over(void **state)
{
    (void)state;
    static const struct {
        const char *since;
        int64_t now_after; /* seconds after the last change */
        bool even;
        int write; /* GET gets all of them */
    } cases[] = {
        {TIME, -1, false, 412}, {TIME, 0, false, 412},    {TIME, 1, false, 0},
        {TIME, 0, true, 412},   {TIME, 1, true, 412},     {TIME, 2, true, 0},
        {LATER, 0, false, 0},   {EARLIER, 9, false, 412}, {"yesterday", 0, false, 0},
        {TIME, 1000, true, 0},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct validators v = {
            .exists = true,
            .mtime = nov_6_1994,
            .now = nov_6_1994 + cases[i].now_after,
            .even = cases[i].even,
        };
        struct request r = {.method = METHOD_PUT, .if_unmodified_since = span_str(cases[i].since)};
        assert_int_equal(conditional_evaluate(&r, &v), cases[i].write);
        r.method = METHOD_GET;
        bool is_earlier = strcmp(cases[i].since, EARLIER) == 0;
        assert_int_equal(conditional_evaluate(&r, &v), is_earlier ? 412 : 0);
        assert_int_equal(conditional_date_is_proof(&v), cases[i].now_after > cases[i].even);
    }
    assert_false(conditional_date_is_proof(&(struct validators){true, .mtime = INT64_MAX}));
    assert_true(conditional_date_is_proof(&(struct validators){true, .mtime = INT64_MIN}));
}

static void if_range_wants_exactly_this_version(void **state)
{
    (void)state;
    static const struct {
        const char *field, *etag;
        int64_t now_after; /* seconds after the last change */
        bool holds;
    } cases[] = {
        {NULL, "\"a\"", 100, true},
        {"\"a\"", "\"a\"", 100, true},
        {"\"a\"", "\"a\"", 0, true},
        {"\"b\"", "\"a\"", 100, false},
        {"W/\"a\"", "\"a\"", 100, false},
        {"\"a\"", "W/\"a\"", 100, false},
        {"W/\"a\"", "W/\"a\"", 100, false},
        {"\"a\", \"b\"", "\"a\"", 100, false},
        {"*", "\"a\"", 100, false},
        {"", "\"a\"", 100, false},
        {"a", "\"a\"", 100, false},
        {"\"a\"", "", 100, false},
        {TIME, "\"a\"", 100, true},
        {TIME, "", 100, true},
        {TIME, "\"a\"", 1, true},
        {TIME, "\"a\"", 0, false},
        {EARLIER, "\"a\"", 100, false},
        {LATER, "\"a\"", 100, false},
        {"Sunday, 06-Nov-94 08:49:37 GMT", "\"a\"", 100, true},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct validators v = {true, span_str(cases[i].etag), nov_6_1994,
                               nov_6_1994 + cases[i].now_after, false};
        struct request r = {0};
        if (cases[i].field)
            r.if_range = span_str(cases[i].field);
        assert_int_equal(conditional_if_range(&r, &v), cases[i].holds);
        v.exists = false;
        assert_int_equal(conditional_if_range(&r, &v), !cases[i].field);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates_are_formatted),
        cmocka_unit_test(the_three_formats_are_parsed),
        cmocka_unit_test(dates_of_xml_are_parsed),
        cmocka_unit_test(everything_else_is_no_date),
        cmocka_unit_test(ten_millennia_survive_a_round_trip),
        cmocka_unit_test(entity_tag_lists_are_strict),
        cmocka_unit_test(preconditions_of_a_file_with_a_strong_tag),
        cmocka_unit_test(a_weak_tag_never_satisfies_if_match),
        cmocka_unit_test(preconditions_of_a_file_that_is_not_there),
        cmocka_unit_test(a_date_is_proof_when_its_second_is_over),
        cmocka_unit_test(if_range_wants_exactly_this_version),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
