/* What a PROPPATCH is to change, what of it can be, and what is answered. */
#include "assert_span.h"

#include <errno.h>
#include <stdio.h>

#include "dav/proppatch_answer.h"

static struct proppatch_request request;

#define UPDATE(inside) "<D:propertyupdate xmlns:D='DAV:' xmlns:x='y'>" inside "</D:propertyupdate>"
#define SET(inside) "<D:set><D:prop>" inside "</D:prop></D:set>"
#define REMOVE(inside) "<D:remove><D:prop>" inside "</D:prop></D:remove>"
#define WIN32(name, value) "<w:" name " xmlns:w='urn:schemas-microsoft-com:'>" value "</w:" name ">"

static void parse(const char *body)
{
    int r = proppatch_parse(span_str(body), &request);

    if (r != 0)
        fail_msg("\"%s\" gives %d", body, r);
}

/* --- what it says --- */

static void in_its_order(void **state)
{
    (void)state;
    parse(UPDATE(SET("<x:a>1</x:a><b>2</b>") REMOVE("<x:a>ignored</x:a>") SET("<x:a/>")));
    assert_int_equal(request.count, 4);
    assert_span(request.steps[0].property.ns, "y");
    assert_span(request.steps[0].property.local, "a");
    assert_span(request.steps[0].property.value, "1");
    assert_span(request.steps[1].property.ns, "");
    assert_span(request.steps[1].property.value, "2");
    assert_true(request.steps[2].removes);
    assert_span(request.steps[2].property.value, "");
    assert_false(request.steps[3].removes);
    proppatch_finish(&request);
}

static void values(void **state)
{
    (void)state;
    static const struct {
        const char *body, *value, *lang;
    } rows[] = {
        {UPDATE(SET("<x:a> b&lt;&#x1f600;c </x:a>")),
         " b&lt;\xf0\x9f\x98\x80"
         "c ",
         ""},
        {UPDATE(SET("<x:a><![CDATA[<&>]]><!-- no --><?no?></x:a>")), "&lt;&amp;&gt;", ""},
        {UPDATE(SET("<x:a><x:b c='1\"' x:d='2'/><e/></x:a>")),
         "<x:b xmlns:x=\"y\" c=\"1&quot;\" x:d=\"2\"></x:b><e></e>", ""},
        {UPDATE(SET("<x:a xml:lang='de'><x:b xml:lang='en'/></x:a>")),
         "<x:b xmlns:x=\"y\" xml:lang=\"en\"></x:b>", "de"},
        {UPDATE("<D:set xml:lang='fr'><D:prop><x:a>1</x:a></D:prop></D:set>"), "1", "fr"},
        {UPDATE("<D:set xml:lang='fr'><D:prop><x:a xml:lang=''>1</x:a></D:prop></D:set>"), "1", ""},
        {UPDATE("<D:set><z><D:prop><x:c/></D:prop></z><D:prop><x:a>1</x:a></D:prop></D:set>"), "1",
         ""},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        parse(rows[i].body);
        assert_int_equal(request.count, 1);
        assert_span(request.steps[0].property.value, rows[i].value);
        assert_span(request.steps[0].property.lang, rows[i].lang);
        proppatch_finish(&request);
    }
}

static void refused(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "",
        "<propertyupdate/>",
        UPDATE(""),
        UPDATE("<D:set/>"),
        UPDATE("<D:set><D:prop/></D:set>"),
        UPDATE("<D:prop><x:a/></D:prop>"),
        UPDATE("<set><prop><x:a/></prop></set>"),
        "<D:propfind xmlns:D='DAV:'>" SET("<a/>") "</D:propfind>",
        "<D:propertyupdate xmlns:D='DAV:'>" SET("<a/>"),
        UPDATE(SET("<a:a/>")),
        "<!DOCTYPE a>" UPDATE(SET("<x:a/>")),
    };

    for (size_t i = 0; i < COUNT(bodies); i++)
        if (proppatch_parse(span_str(bodies[i]), &request) != -EINVAL)
            fail_msg("\"%s\" is not refused", bodies[i]);
}

/* --- limits --- */

static int parse_many(unsigned count, size_t value_bytes, size_t namespace_bytes)
{
    struct buf b;

    buf_init_growing(&b, 1024 * 1024);
    buf_append_str(&b, "<D:propertyupdate xmlns:D='DAV:' xmlns:n='");
    for (size_t i = 0; i < namespace_bytes; i++)
        buf_append_char(&b, 'n');
    buf_append_str(&b, "'><D:set><D:prop>");
    for (unsigned i = 0; i < count; i++) {
        buf_printf(&b, "<n:a%u>", i);
        for (size_t j = 0; j < value_bytes; j++)
            buf_append_char(&b, 'v');
        buf_printf(&b, "</n:a%u>", i);
    }
    buf_append_str(&b, "</D:prop></D:set></D:propertyupdate>");
    int r = proppatch_parse(buf_span(&b), &request);
    buf_finish(&b);
    return r;
}

static void limits(void **state)
{
    (void)state;
    assert_int_equal(parse_many(LIMIT_PROPPATCH_PROPERTIES, 1, 1), 0);
    assert_int_equal(request.count, LIMIT_PROPPATCH_PROPERTIES);
    proppatch_finish(&request);
    assert_int_equal(parse_many(LIMIT_PROPPATCH_PROPERTIES + 1, 1, 1), -E2BIG);
    assert_int_equal(parse_many(100, 500, LIMIT_DEAD_NAME_BYTES - 3), 0);
    assert_int_equal(request.steps[99].property.value.len, 500);
    proppatch_finish(&request);
    assert_int_equal(parse_many(1, 1, LIMIT_DEAD_NAME_BYTES - 1), -E2BIG);
    assert_int_equal(parse_many(2, 33000, 1), -E2BIG); /* of the document */
}

/* A short document may have a long value: each of these declares the namespace anew. */
static void long_value(void **state)
{
    (void)state;
    struct buf b;

    buf_init_growing(&b, 64 * 1024);
    buf_append_str(&b, "<D:propertyupdate xmlns:D='DAV:' xmlns:n='");
    for (size_t i = 0; i < 20000; i++)
        buf_append_char(&b, 'n');
    buf_append_str(&b, "'><D:set><D:prop><before>1</before><a>");
    for (unsigned i = 0; i < 1000; i++)
        buf_append_str(&b, "<n:b/>");
    buf_append_str(&b, "</a><after>2</after></D:prop></D:set></D:propertyupdate>");
    assert_int_equal(proppatch_parse(buf_span(&b), &request), 0);
    assert_int_equal(request.count, 3);
    assert_span(request.steps[0].property.value, "1");
    assert_int_equal(request.steps[0].status, 0);
    assert_int_equal(request.steps[1].status, 507);
    assert_span(request.steps[2].property.value, "2");
    proppatch_finish(&request);
    buf_finish(&b);
}

/* --- what can be done --- */

static void assert_effect(const char *change, bool is_folder, int status)
{
    char body[1024];
    struct proppatch_effect effect;

    snprintf(body, sizeof(body), UPDATE("%s"), change);
    parse(body);
    proppatch_find_effect(&request, is_folder, 1700000000, &effect);
    proppatch_decide(&request);
    if (request.steps[0].status != status)
        fail_msg("%s: %d", change, request.steps[0].status);
    proppatch_finish(&request);
}

static void statuses(void **state)
{
    (void)state;
#define EXECUTABLE "executable xmlns='http://apache.org/dav/props/'"
    assert_effect(SET("<x:a>1</x:a>"), false, 200);
    assert_effect(REMOVE("<x:a/>"), false, 200);
    assert_effect(SET("<D:getetag>1</D:getetag>"), false, 403);
    assert_effect(REMOVE("<D:getetag/>"), false, 403);
    assert_effect(SET("<D:displayname>x</D:displayname>"), false, 403);
    assert_effect(SET("<D:unknown/>"), false, 403);
    assert_effect(SET("<D:getlastmodified>1600000000</D:getlastmodified>"), true, 200);
    assert_effect(SET("<D:getlastmodified>soon</D:getlastmodified>"), false, 409);
    assert_effect(SET("<D:getlastmodified/>"), false, 409);
    assert_effect(SET("<D:getlastmodified>-1</D:getlastmodified>"), false, 409);
    assert_effect(SET("<D:getlastmodified>99999999999999999</D:getlastmodified>"), false, 409);
    assert_effect(REMOVE("<D:getlastmodified/>"), false, 403);
    assert_effect(REMOVE("<D:lastmodified/>"), false, 200);
    assert_effect(SET("<" EXECUTABLE ">T</executable>"), false, 200);
    assert_effect(SET("<" EXECUTABLE ">T</executable>"), true, 403);
    assert_effect(SET("<" EXECUTABLE ">yes</executable>"), false, 409);
    assert_effect(REMOVE("<" EXECUTABLE "/>"), false, 403);
    assert_effect(SET("<other xmlns='http://apache.org/dav/props/'/>"), false, 403);
    assert_effect(SET(WIN32("Win32FileAttributes", "00000020")), false, 200);
    assert_effect(SET(WIN32("Win32CreationTime", "nonsense")), false, 200);
    assert_effect(SET(WIN32("Win32LastModifiedTime", "nonsense")), false, 200);
    assert_effect(REMOVE(WIN32("Win32LastModifiedTime", "")), false, 200);
    assert_effect(SET("<favorite xmlns='http://owncloud.org/ns'>1</favorite>"), false, 403);
    assert_effect(REMOVE("<favorite xmlns='http://owncloud.org/ns'/>"), false, 200);
    /* and where another one fails */
    assert_effect(SET("<x:a>1</x:a><D:getetag/>"), false, 424);
}

static void times(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        int64_t seconds;
    } rows[] = {
        {"1600000000", 1600000000},
        {"1600000000.75", 1600000000},
        {"Sun, 13 Sep 2020 12:26:40 GMT", 1600000000},
        {" \n2020-09-13T12:26:40Z\t", 1600000000},
        {"2020-09-13T14:26:40.5+02:00", 1600000000},
    };
    char body[512];
    struct proppatch_effect effect;

    for (size_t i = 0; i < COUNT(rows); i++) {
        snprintf(body, sizeof(body), UPDATE(SET("<D:lastmodified>%s</D:lastmodified>")),
                 rows[i].value);
        parse(body);
        proppatch_find_effect(&request, false, 1700000000, &effect);
        assert_ptr_equal(effect.mtime_by, &request.steps[0]);
        assert_int_equal(effect.mtime_s, rows[i].seconds);
        proppatch_finish(&request);
    }
    /* The last one counts. */
    parse(UPDATE(SET("<D:lastmodified>1</D:lastmodified><x:a/>")
                     SET(WIN32("Win32LastModifiedTime", "Sun, 13 Sep 2020 12:26:40 GMT")
                             WIN32("Win32LastAccessTime", "Thu, 01 Jan 1970 00:00:05 GMT"))));
    proppatch_find_effect(&request, true, 1700000000, &effect);
    assert_ptr_equal(effect.mtime_by, &request.steps[2]);
    assert_int_equal(effect.mtime_s, 1600000000);
    assert_ptr_equal(effect.atime_by, &request.steps[3]);
    assert_int_equal(effect.atime_s, 5);
    assert_true(effect.has_dead && !effect.executable_by);
    assert_false(proppatch_is_win32(&request));
    proppatch_finish(&request);
}

static void win32(void **state)
{
    (void)state;
    parse(UPDATE(SET(WIN32("Win32FileAttributes", "20") WIN32("Z", ""))));
    assert_true(proppatch_is_win32(&request));
    proppatch_finish(&request);
}

/* --- the answer --- */

static void assert_answer(const char *change, const char *path, bool is_folder, bool keeps_nothing,
                          const char *inside)
{
    const struct proppatch_answer answer = {&request, span_str(path), is_folder, keeps_nothing};
    char body[1024], expected[2048];
    struct proppatch_effect effect;
    struct buf out;

    snprintf(body, sizeof(body), UPDATE("%s"), change);
    parse(body);
    proppatch_find_effect(&request, is_folder, 1700000000, &effect);
    if (keeps_nothing)
        request.steps[0].status = 507;
    proppatch_decide(&request);
    proppatch_answer_make(&answer, &out);
    assert_false(buf_failed(&out));
    snprintf(expected, sizeof(expected),
             "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<D:multistatus xmlns:D=\"DAV:\">\n"
             "<D:response>%s</D:response>\n</D:multistatus>\n",
             inside);
    assert_span(buf_span(&out), expected);
    buf_finish(&out);
    proppatch_finish(&request);
}

#define STAT(inside, status) \
    "<D:propstat><D:prop>" inside "</D:prop><D:status>HTTP/1.1 " status "</D:status>"

static void answers(void **state)
{
    (void)state;
    assert_answer(
        SET("<x:a>1</x:a><D:lastmodified>1</D:lastmodified><b/>") REMOVE("<x:a/><xml:c/>"), "f/a b",
        false, false,
        "<D:href>/f/a%20b</D:href>" STAT("<x:a xmlns:x=\"y\"/><D:lastmodified/><b/><xml:c/>",
                                         "200 OK") "</D:propstat>");
    assert_answer(
        SET("<x:a/><D:getetag/><D:getlastmodified/>"), "f", true, false,
        "<D:href>/f/</D:href>" STAT(
            "<D:getetag/>",
            "403 Forbidden") "<D:error><D:cannot-modify-protected-property/></D:error></"
                             "D:propstat>" STAT(
                                 "<D:getlastmodified/>",
                                 "409 Conflict") "</D:propstat>" STAT("<x:a "
                                                                      "xmlns:x="
                                                                      "\"y\"/>",
                                                                      "424 Failed "
                                                                      "Dependency") "</"
                                                                                    "D:propstat>");
    assert_answer(SET("<x:a/>"), "", true, true,
                  "<D:href>/</D:href>" STAT(
                      "<x:a xmlns:x=\"y\"/>",
                      "507 Insufficient Storage") "<D:responsedescription>This file system keeps "
                                                  "no properties."
                                                  "</D:responsedescription></D:propstat>");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_its_order), cmocka_unit_test(values),     cmocka_unit_test(refused),
        cmocka_unit_test(limits),       cmocka_unit_test(long_value), cmocka_unit_test(statuses),
        cmocka_unit_test(times),        cmocka_unit_test(win32),      cmocka_unit_test(answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
