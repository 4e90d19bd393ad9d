/* What a PROPFIND asks for, and the answer byte by byte. */
#include "assert_span.h"

#include <errno.h>

#include "dav/propfind_answer.h"
#include "dav/xml.h"
#include "files/locks.h"

/* --- what is asked for --- */

#define DAV "xmlns='DAV:'"

static void assert_refused(const char *body, int expected)
{
    static struct propfind_request request;

    int r = propfind_parse(span_str(body), &request);
    if (r != expected)
        fail_msg("\"%s\" gives %d", body, r);
}

static void asked_for(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        enum propfind_kind kind;
        uint32_t live;
        size_t names;
    } rows[] = {
        {"", PROPFIND_ALLPROP, PROPERTIES_ALLPROP, 0},
        {"<propfind " DAV "><allprop/></propfind>", PROPFIND_ALLPROP, PROPERTIES_ALLPROP, 0},
        {"<propfind " DAV "><propname/></propfind>", PROPFIND_PROPNAME, PROPERTIES_ALL, 0},
        {"<propfind " DAV "><prop/></propfind>", PROPFIND_PROP, 0, 0},
        {"<propfind " DAV "><prop><getetag/><getetag/></prop></propfind>", PROPFIND_PROP,
         PROPERTY_BIT(PROP_GETETAG), 0},
        {"<propfind " DAV "><prop><x/><x/><x xmlns='y'/><x xmlns=''/></prop></propfind>",
         PROPFIND_PROP, 0, 3},
        {"<propfind " DAV "><allprop/><include><quota-used-bytes/><x/></include></propfind>",
         PROPFIND_ALLPROP, PROPERTIES_ALLPROP | PROPERTY_BIT(PROP_QUOTA_USED), 0},
        {"<propfind " DAV "><prop><executable xmlns='http://apache.org/dav/props/'/>"
         "<executable/></prop></propfind>",
         PROPFIND_PROP, PROPERTY_BIT(PROP_EXECUTABLE), 1},
        /* what is not known is passed over, with all that is in it */
        {"<propfind " DAV "><x><prop/></x><x:allprop xmlns:x='y'/><prop><getetag><x/></getetag>"
         "</prop></propfind>",
         PROPFIND_PROP, PROPERTY_BIT(PROP_GETETAG), 0},
    };
    static struct propfind_request request;

    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(propfind_parse(span_str(rows[i].body), &request), 0);
        assert_int_equal(request.kind, rows[i].kind);
        assert_int_equal(request.live, rows[i].live);
        assert_int_equal(request.name_count, rows[i].names);
        propfind_finish(&request);
    }
}

static void refused(void **state)
{
    (void)state;
    assert_refused("<propfind " DAV "/>", -EINVAL);
    assert_refused("<propfind><allprop/></propfind>", -EINVAL);
    assert_refused("<prop " DAV "/>", -EINVAL);
    assert_refused("<propfind " DAV "><include/></propfind>", -EINVAL);
    assert_refused("<propfind " DAV "><prop/><allprop/></propfind>", -EINVAL);
    assert_refused("<propfind " DAV "><prop/><prop/></propfind>", -EINVAL);
    assert_refused("<propfind " DAV "><prop>", -EINVAL);
    assert_refused("<propfind " DAV "><prop><a:b/></prop></propfind>", -EINVAL);
    assert_refused("<D:propfind xmlns:D='DAV:'><D:prop><a:b xmlns:a=''/></D:prop></D:propfind>",
                   -EINVAL);
}

static int parse_names(unsigned count, size_t namespace_bytes)
{
    static struct propfind_request request;
    struct buf b;

    buf_init_growing(&b, 1024 * 1024);
    buf_append_str(&b, "<propfind " DAV "><prop xmlns:x='");
    for (size_t i = 0; i < namespace_bytes; i++)
        buf_append_char(&b, 'n');
    buf_append_str(&b, "'>");
    for (unsigned i = 0; i < count; i++)
        buf_printf(&b, "<x:a%u/>", i);
    buf_append_str(&b, "</prop></propfind>");
    int r = propfind_parse(buf_span(&b), &request);
    if (r == 0) {
        assert_int_equal(request.name_count, count);
        assert_int_equal(request.names[0].ns.len, namespace_bytes);
        propfind_finish(&request);
    }
    buf_finish(&b);
    return r;
}

static void so_many_names(void **state)
{
    (void)state;
    assert_int_equal(parse_names(LIMIT_PROPFIND_NAMES, 10), 0);
    assert_int_equal(parse_names(LIMIT_PROPFIND_NAMES, LIMIT_DEAD_NAME_BYTES - 8), 0);
    assert_int_equal(parse_names(1, LIMIT_DEAD_NAME_BYTES), -E2BIG);
    assert_int_equal(parse_names(LIMIT_PROPFIND_NAMES + 1, 10), -E2BIG);
}

static void masks(void **state)
{
    (void)state;
    assert_int_equal(property_stat_mask(PROPERTY_BIT(PROP_RESOURCETYPE) |
                                        PROPERTY_BIT(PROP_DISPLAYNAME) |
                                        PROPERTY_BIT(PROP_GETCONTENTTYPE)),
                     0);
    assert_int_equal(property_stat_mask(PROPERTY_BIT(PROP_GETLASTMODIFIED)), STATX_MTIME);
    assert_int_equal(property_find(SPAN("DAV:"), SPAN("getetag")), PROP_GETETAG);
    assert_int_equal(property_find(SPAN("dav:"), SPAN("getetag")), -ENOENT);
    assert_int_equal(property_find(SPAN(""), SPAN("getetag")), -ENOENT);
}

/* --- the answer --- */

static struct propfind_request request;
static struct mime_table mime;
static char memory[64 * 1024];

static const struct folder_entry file = {
    .type = FOLDER_ENTRY_FILE,
    .mode = 0755,
    .size = 5,
    .mtime_s = 784111777,
    .ctime_s = 784111777,
    .ctime_ns = 1,
    .btime_s = 784111777,
    .ino = 16,
};
static const struct folder_entry folder = {
    .type = FOLDER_ENTRY_FOLDER, .mtime_s = 784111777, .btime_s = ENTRY_NO_BTIME};

#define HEAD                                       \
    "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n" \
    "<D:multistatus xmlns:D=\"DAV:\" xmlns:A=\"http://apache.org/dav/props/\">\n"
#define FOUND "</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>"
#define MISSING "</D:prop><D:status>HTTP/1.1 404 Not Found</D:status></D:propstat>"

static int ignore(void *context, struct xml_reader *r, const struct xml_name *name)
{
    (void)context;
    (void)r;
    (void)name;
    return 0;
}

static struct span kept = SPAN("");

/* `inside` is what stands between href's end and the end of the response. */
static void assert_answer(const char *body, const struct folder_entry *entry, bool is_brief,
                          const char *inside)
{
    static const struct xml_handler handler = {.end = ignore};
    struct propfind_format format = {
        .request = &request,
        .mime = &mime,
        .is_brief = is_brief,
        .before = {1700000000, 0},
        .has_quota = true,
        .available_bytes = 1000,
        .used_bytes = 24,
    };
    bool is_file = entry->type == FOLDER_ENTRY_FILE;
    const struct propfind_resource resource = {
        .folder = SPAN("/f/"),
        .name = is_file ? SPAN("a b.txt") : SPAN(""),
        .title = is_file ? SPAN("a b.txt") : SPAN("f"),
        .entry = entry,
        .dead = kept,
    };
    char expected[8192];
    struct buf out, wanted;

    assert_int_equal(propfind_parse(span_str(body), &request), 0);
    assert_int_equal(propfind_format_init(&format), 0);
    buf_init_fixed(&out, memory, sizeof(memory));
    propfind_answer_begin(&out);
    propfind_answer_one(&out, &format, &resource);
    propfind_answer_end(&out);
    assert_false(buf_failed(&out));
    buf_init_fixed(&wanted, expected, sizeof(expected) - 1);
    buf_printf(&wanted, HEAD "<D:response><D:href>%s</D:href>%s</D:response>\n</D:multistatus>\n",
               is_file ? "/f/a%20b.txt" : "/f/", inside);
    assert_false(buf_failed(&wanted));
    expected[wanted.len] = '\0';
    assert_span(buf_span(&out), expected);
    assert_int_equal(xml_read(buf_span(&out), &handler, NULL), 0);
    propfind_format_finish(&format);
    propfind_finish(&request);
}

static void answers(void **state)
{
    (void)state;
    assert_answer("", &file, false,
                  "<D:propstat><D:prop><D:creationdate>1994-11-06T08:49:37Z</D:creationdate>"
                  "<D:displayname>a b.txt</D:displayname><D:getcontentlength>5</D:getcontentlength>"
                  "<D:getcontenttype>text/plain; charset=utf-8</D:getcontenttype>"
                  "<D:getetag>\"10-5-ae1b981bc490a00-ae1b981bc490a01\"</D:getetag>"
                  "<D:getlastmodified>Sun, 06 Nov 1994 08:49:37 GMT</D:getlastmodified>"
                  "<D:resourcetype/><D:lockdiscovery/><D:supportedlock/>" FOUND);
    assert_answer("", &folder, false,
                  "<D:propstat><D:prop><D:displayname>f</D:displayname>"
                  "<D:getlastmodified>Sun, 06 Nov 1994 08:49:37 GMT</D:getlastmodified>"
                  "<D:resourcetype><D:collection/></D:resourcetype><D:lockdiscovery/>"
                  "<D:supportedlock/>" FOUND);
    assert_answer("<propfind " DAV "><propname/></propfind>", &folder, false,
                  "<D:propstat><D:prop><D:displayname/><D:getlastmodified/><D:resourcetype/>"
                  "<D:lockdiscovery/><D:supportedlock/><D:quota-available-bytes/>"
                  "<D:quota-used-bytes/>" FOUND);
}

static void asked_by_name(void **state)
{
    (void)state;
    static const char body[] = "<propfind " DAV "><prop><getcontentlength/><quota-used-bytes/>"
                               "<executable xmlns='http://apache.org/dav/props/'/>"
                               "<x xmlns='y&amp;\"'/><z xmlns=''/></prop></propfind>";

    assert_answer(body, &file, false,
                  "<D:propstat><D:prop><D:getcontentlength>5</D:getcontentlength>"
                  "<A:executable>T</A:executable>" FOUND
                  "<D:propstat><D:prop><D:quota-used-bytes/><x:x xmlns:x=\"y&amp;&quot;\"/>"
                  "<z/>" MISSING);
    assert_answer(body, &folder, false,
                  "<D:propstat><D:prop><D:quota-used-bytes>24</D:quota-used-bytes>" FOUND
                  "<D:propstat><D:prop><D:getcontentlength/><A:executable/>"
                  "<x:x xmlns:x=\"y&amp;&quot;\"/><z/>" MISSING);
    assert_answer(body, &folder, true,
                  "<D:propstat><D:prop><D:quota-used-bytes>24</D:quota-used-bytes>" FOUND);
    assert_answer("<propfind " DAV "><prop/></propfind>", &file, false,
                  "<D:propstat><D:prop>" FOUND);
    assert_answer("<propfind " DAV "><prop><xml:x/></prop></propfind>", &file, false,
                  "<D:propstat><D:prop>" FOUND "<D:propstat><D:prop><xml:x/>" MISSING);
    struct folder_entry other = folder;
    other.flags = ENTRY_ELSEWHERE;
    assert_answer(
        "<propfind " DAV "><prop><quota-available-bytes/></prop></propfind>", &other, false,
        "<D:propstat><D:prop>" FOUND "<D:propstat><D:prop><D:quota-available-bytes/>" MISSING);
}

/* What clients keep with it, of which one is not well-formed. */
static void dead(void **state)
{
    (void)state;
    kept = SPAN("1\0"
                "y&\0x\0de\0a<b/>\0"
                "\0z\0\0\0"
                "y\0broken\0\0<b>\0"
                "y\0last\0\0&lt;\0");
    assert_answer("<propfind " DAV "><propname/></propfind>", &folder, false,
                  "<D:propstat><D:prop><D:displayname/><D:getlastmodified/><D:resourcetype/>"
                  "<D:lockdiscovery/><D:supportedlock/><D:quota-available-bytes/>"
                  "<D:quota-used-bytes/><x:x xmlns:x=\"y&amp;\"></x:x><z></z>"
                  "<x:broken xmlns:x=\"y\"></x:broken><x:last xmlns:x=\"y\"></x:last>" FOUND);
    assert_answer("", &folder, false,
                  "<D:propstat><D:prop><D:displayname>f</D:displayname>"
                  "<D:getlastmodified>Sun, 06 Nov 1994 08:49:37 GMT</D:getlastmodified>"
                  "<D:resourcetype><D:collection/></D:resourcetype><D:lockdiscovery/>"
                  "<D:supportedlock/><x:x xmlns:x=\"y&amp;\" xml:lang=\"de\">a<b/></x:x><z></z>"
                  "<x:last xmlns:x=\"y\">&lt;</x:last>" FOUND);
    static const char body[] = "<propfind " DAV "><prop><x xmlns='y&amp;'/><x xmlns='y'/>"
                               "<broken xmlns='y'/><z xmlns=''/><getetag/></prop></propfind>";
    assert_answer(
        body, &folder, false,
        "<D:propstat><D:prop><x:x xmlns:x=\"y&amp;\" xml:lang=\"de\">a<b/></x:x>"
        "<z></z>" FOUND
        "<D:propstat><D:prop><D:getetag/><x:x xmlns:x=\"y\"/><x:broken xmlns:x=\"y\"/>" MISSING);
    assert_answer(body, &folder, true,
                  "<D:propstat><D:prop><x:x xmlns:x=\"y&amp;\" xml:lang=\"de\">a<b/></x:x>"
                  "<z></z>" FOUND);
    /* Somebody else's. */
    kept = SPAN("1\0y\0x\0\0");
    assert_answer("<propfind " DAV "><prop><x xmlns='y'/></prop></propfind>", &folder, false,
                  "<D:propstat><D:prop>" FOUND "<D:propstat><D:prop><x:x xmlns:x=\"y\"/>" MISSING);
    kept = SPAN("");
}

/* A tag as long as another change may not show, and no time that is still to come. */
static void young(void **state)
{
    (void)state;
    struct folder_entry entry = file;

    entry.mtime_s = 1800000000;
    entry.ctime_s = 1700000000;
    entry.ctime_ns = 0;
    entry.mode = 0655;
    assert_answer(
        "<propfind " DAV "><prop><getetag/><getlastmodified/>"
        "<executable xmlns='http://apache.org/dav/props/'/></prop></propfind>",
        &entry, false,
        "<D:propstat><D:prop><D:getetag>W/\"10-5-18fae27693b40000-17979cfe362a0000\"</D:getetag>"
        "<D:getlastmodified>Tue, 14 Nov 2023 22:13:20 GMT</D:getlastmodified>"
        "<A:executable>F</A:executable>" FOUND);
}

/* Of itself, of what is in it, and of what is deeper. */
static void locked(void **state)
{
    (void)state;
    static const char body[] =
        "<propfind " DAV "><prop><lockdiscovery/><supportedlock/></prop></propfind>";
    struct propfind_format format = {
        .request = &request, .mime = &mime, .can_lock = true, .locked = SPAN("real"), .now_ms = 1};
    struct lock wish = {.path = SPAN("real/in/a b")};
    struct propfind_resource resources[] = {
        {.folder = SPAN("/f/"), .entry = &folder},
        {.folder = SPAN("/f/"), .name = SPAN("in"), .entry = &folder, .is_member = true},
        {.folder = SPAN("/f/in/"),
         .name = SPAN("a b"),
         .entry = &file,
         .is_member = true,
         .below = SPAN("in")},
        {.folder = SPAN("/f/in/"),
         .name = SPAN("a b"),
         .entry = &file,
         .is_member = true,
         .below = SPAN("out")},
    };
    struct buf out;

    assert_int_equal(locks_create(&format.locks), 0);
    assert_int_equal(locks_grant(format.locks, &wish, 60, 1, NULL), 0);
    assert_int_equal(propfind_parse(span_str(body), &request), 0);
    assert_int_equal(propfind_format_init(&format), 0);
    for (size_t i = 0; i < COUNT(resources); i++) {
        buf_init_fixed(&out, memory, sizeof(memory) - 1);
        propfind_answer_one(&out, &format, &resources[i]);
        assert_false(buf_failed(&out));
        memory[out.len] = '\0';
        assert_int_equal(strstr(memory, wish.token) != NULL, i == 2);
        assert_int_equal(strstr(memory, "<D:lockdiscovery/>") != NULL, i != 2);
        assert_non_null(strstr(memory, "<D:supportedlock><D:lockentry>"));
    }
    assert_non_null(strstr(memory, "/f/in/a%20b"));
    propfind_format_finish(&format);
    propfind_finish(&request);
    locks_destroy(format.locks);
}

static void quota_stalls(void **state)
{
    (void)state;
    assert_true(property_quota_stalls(SPAN("WebDAVFS/3.0.0 (03008000) Darwin/24.4.0 (arm64)")));
    assert_true(property_quota_stalls(SPAN("WebDAVFS/3.0.0 (03008000) Darwin/25.0.0 (x86_64)")));
    static const struct span others[] = {
        SPAN("WebDAVFS/3.0.0 (03008000) Darwin/24.3.0 (arm64)"),
        SPAN("WebDAVFS/3.0.0 (03008000) Darwin/9.8.0 (i386)"),
        SPAN("WebDAVFS/3.0.0 (03008000) Darwin/"),
        SPAN("WebDAVFS/3.0.0 (03008000) Darwin/24"),
        SPAN("WebDAVFS/3.0.0 (03008000)"),
        SPAN("Cyberduck/9.1.4 Darwin/24.4.0 (aarch64)"),
        {0},
    };
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_false(property_quota_stalls(others[i]));
}

/* --- */

static int set_up(void **state)
{
    (void)state;
    return mime_init(&mime, SPAN(""));
}

static int tear_down(void **state)
{
    (void)state;
    mime_finish(&mime);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asked_for),    cmocka_unit_test(refused), cmocka_unit_test(so_many_names),
        cmocka_unit_test(masks),        cmocka_unit_test(answers), cmocka_unit_test(asked_by_name),
        cmocka_unit_test(young),        cmocka_unit_test(dead),    cmocka_unit_test(locked),
        cmocka_unit_test(quota_stalls),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
