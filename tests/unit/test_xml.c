/* Reading XML: what is told, and everything that is refused. */
#include "assert_span.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/limits.h"
#include "dav/xml.h"
#include "http/escape.h"

/* --- what is told, as a line of text --- */

struct record {
    struct buf out;
    int result; /* of the first begin() */
};

static void put_name(struct buf *out, const struct xml_name *name)
{
    buf_printf(out, "{%.*s|%.*s|%.*s}", SPAN_ARG(name->prefix), SPAN_ARG(name->ns),
               SPAN_ARG(name->local));
}

static int on_begin(void *context, struct xml_reader *r, const struct xml_name *name,
                    const struct xml_attribute *attributes, size_t count)
{
    struct record *record = context;

    buf_printf(&record->out, "<%u", xml_depth(r));
    put_name(&record->out, name);
    for (size_t i = 0; i < count; i++) {
        put_name(&record->out, &attributes[i].name);
        buf_printf(&record->out, "=%.*s", SPAN_ARG(attributes[i].value));
    }
    buf_append_char(&record->out, '>');
    return record->result;
}

static int on_end(void *context, struct xml_reader *r, const struct xml_name *name)
{
    struct record *record = context;

    (void)name;
    buf_printf(&record->out, "</%u>", xml_depth(r));
    return 0;
}

static int on_text(void *context, struct xml_reader *r, struct span text)
{
    struct record *record = context;

    (void)r;
    buf_append(&record->out, text);
    return 0;
}

static const struct xml_handler recorder = {on_begin, on_end, on_text};
static const struct xml_handler nobody = {0};

static int read_text(struct span document, struct record *record)
{
    buf_init_growing(&record->out, 1024 * 1024);
    return xml_read(document, &recorder, record);
}

static void assert_told(const char *document, const char *expected)
{
    struct record record = {0};

    assert_int_equal(read_text(span_str(document), &record), 0);
    assert_span(buf_span(&record.out), expected);
    buf_finish(&record.out);
}

static void elements(void **state)
{
    (void)state;
    assert_told("<a/>", "<1{||a}></1>");
    assert_told("<a xmlns='DAV:'><b>x&lt;&#65;</b></a>", "<1{|DAV:|a}><2{|DAV:|b}>x<A</2></1>");
    assert_told(
        "<?xml version='1.0' encoding='utf-8'?><D:a xmlns:D='DAV:'><D:b xmlns:D='other' c='d' "
        "D:e=' f '/><g/></D:a>",
        "<1{D|DAV:|a}><2{D|other|b}{||c}=d{D|other|e}= f ></2><2{||g}></2></1>");
    assert_told("<a><!-- b --><?c d?><![CDATA[<e>]]></a>", "<1{||a}><e></1>");
    assert_told("<a xml:lang='de'/>",
                "<1{||a}{xml|http://www.w3.org/XML/1998/namespace|lang}=de></1>");
    assert_told("<\xc3\xa4/>", "<1{||\xc3\xa4}></1>");
}

static void encodings(void **state)
{
    (void)state;
    static const char utf16[] = "\xff\xfe<\0a\0>\0\xe4\0<\0/\0a\0>";
    struct record record = {0};

    assert_told("\xef\xbb\xbf<a/>", "<1{||a}></1>");
    assert_told("<?xml version='1.0' encoding='ISO-8859-1'?><a>\xe4</a>", "<1{||a}>\xc3\xa4</1>");
    assert_int_equal(read_text(span_of(utf16, sizeof(utf16)), &record), 0);
    assert_span(buf_span(&record.out), "<1{||a}>\xc3\xa4</1>");
    buf_finish(&record.out);
}

static void malformed(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        " ",
        "a",
        "<a>",
        "</a>",
        "<a></b>",
        "<a/><b/>",
        "<a/>x",
        "<a b=c/>",
        "<a b='c' b='d'/>",
        "<x:a/>",
        "<a xmlns:x=''/>",
        "<a x:b='c'/>",
        "<a>&b;</a>",
        "<a>&#0;</a>",
        "<a>&#1;</a>",
        "<a>\x01</a>",
        "<a>\xff</a>",
        "<a>\xed\xa0\x80</a>",
        "<a>]]></a>",
        "<a xmlns='x&#1;y'/>",
        "<?xml version='1.0' encoding='KOI8-R'?><a/>",
        "<?xml version='1.0' encoding='UTF-16'?><a/>",
        "<!DOCTYPE a><a/>",
        "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
        "<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>",
        "<!DOCTYPE a [<!ENTITY % b SYSTEM 'http://127.0.0.1/'> %b;]><a/>",
        ("<!DOCTYPE a [<!ENTITY b '1234567890'><!ENTITY c '&b;&b;&b;&b;'><!ENTITY d "
         "'&c;&c;&c;&c;'>]><a>&d;</a>"),
    };

    for (size_t i = 0; i < COUNT(bad); i++)
        if (xml_read(span_str(bad[i]), &nobody, NULL) != -EINVAL)
            fail_msg("\"%s\" is read", bad[i]);
    /* Not one of its prefixes is a document. */
    static const char whole[] = "<a xmlns='b'><c d='e'>f</c></a>";
    for (size_t len = 0; len < sizeof(whole) - 1; len++)
        assert_int_equal(xml_read(span_of(whole, len), &nobody, NULL), -EINVAL);
}

static void handlers_end_it(void **state)
{
    (void)state;
    struct record record = {.result = -EDOM};

    assert_int_equal(read_text(SPAN("<a>x<b/></a>"), &record), -EDOM);
    assert_span(buf_span(&record.out), "<1{||a}>");
    buf_finish(&record.out);
    record.result = 1;
    assert_int_equal(read_text(SPAN("<a/>"), &record), 1);
    buf_finish(&record.out);
}

/* --- limits --- */

static void repeat(struct buf *b, const char *text, size_t times)
{
    for (size_t i = 0; i < times; i++)
        buf_append_str(b, text);
}

static int read_nested(size_t depth)
{
    struct buf b;

    buf_init_growing(&b, 1024 * 1024);
    repeat(&b, "<a>", depth);
    repeat(&b, "</a>", depth);
    int r = xml_read(buf_span(&b), &nobody, NULL);
    buf_finish(&b);
    return r;
}

static int read_attributes(size_t count)
{
    struct buf b;

    buf_init_growing(&b, 1024 * 1024);
    buf_append_str(&b, "<a");
    for (size_t i = 0; i < count; i++)
        buf_printf(&b, " a%zu=''", i);
    buf_append_str(&b, "/>");
    int r = xml_read(buf_span(&b), &nobody, NULL);
    buf_finish(&b);
    return r;
}

static int read_long(size_t bytes)
{
    struct buf b;

    buf_init_growing(&b, 1024 * 1024);
    buf_append_str(&b, "<a>");
    repeat(&b, "x", bytes - 7);
    buf_append_str(&b, "</a>");
    int r = xml_read(buf_span(&b), &nobody, NULL);
    buf_finish(&b);
    return r;
}

static void limits(void **state)
{
    (void)state;
    assert_int_equal(read_nested(LIMIT_XML_DEPTH), 0);
    assert_int_equal(read_nested(LIMIT_XML_DEPTH + 1), -E2BIG);
    assert_int_equal(read_attributes(LIMIT_XML_ATTRIBUTES), 0);
    assert_int_equal(read_attributes(LIMIT_XML_ATTRIBUTES + 1), -E2BIG);
    assert_int_equal(read_attributes(5000), -E2BIG);
    assert_int_equal(read_long(LIMIT_XML_BYTES), 0);
    assert_int_equal(read_long(LIMIT_XML_BYTES + 1), -E2BIG);
}

/* Documents that are read within the memory that there is, or refused: never anything else. */
static void memory(void **state)
{
    (void)state;
    static const char *const pieces[] = {
        "<a xmlns='b'/>", "<a xmlns:b='c' b:d='e'/>", "<a>&#65;&lt;</a>", "<?a b?>", "<!-- a -->",
    };
    struct buf b;

    for (size_t i = 0; i < COUNT(pieces); i++) {
        buf_init_growing(&b, 2 * LIMIT_XML_BYTES);
        buf_append_str(&b, "<x>");
        while (b.len + strlen(pieces[i]) + 4 <= LIMIT_XML_BYTES)
            buf_append_str(&b, pieces[i]);
        buf_append_str(&b, "</x>");
        int r = xml_read(buf_span(&b), &nobody, NULL);
        assert_true(r == 0 || r == -E2BIG);
        buf_finish(&b);
    }
    /* As many different names as fit: each is kept by the parser. */
    buf_init_growing(&b, 2 * LIMIT_XML_BYTES);
    buf_append_str(&b, "<x>");
    for (unsigned i = 0; b.len + 20 <= LIMIT_XML_BYTES; i++)
        buf_printf(&b, "<n%x/>", i);
    buf_append_str(&b, "</x>");
    assert_int_equal(xml_read(buf_span(&b), &nobody, NULL), -E2BIG);
    buf_finish(&b);
    /* Nothing is left behind that the next document would have to do without. */
    assert_int_equal(xml_read(SPAN("<a/>"), &nobody, NULL), 0);
}

/* --- writing --- */

static void escaped(void **state)
{
    (void)state;
    static const struct {
        const char *text, *xml;
    } rows[] = {
        {"plain \xc3\xa4 \xf0\x9f\x98\x80", "plain \xc3\xa4 \xf0\x9f\x98\x80"},
        {"<a href=\"b\">&amp;</a>", "&lt;a href=&quot;b&quot;&gt;&amp;amp;&lt;/a&gt;"},
        {"a\tb\nc\rd", "a&#9;b&#10;c&#13;d"},
        {"\x01\x1f\x7f", "\xef\xbf\xbd\xef\xbf\xbd&#127;"},
        {"\xc2\x80\xc2\x9f\xc2\xa0\xc3\x80\x7f\xc2",
         "&#128;&#159;\xc2\xa0\xc3\x80&#127;\xef\xbf\xbd"},
        {"a\xff\xc3", "a\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xef\xbf\xbe\xef\xbf\xbf\xef\xbf\xbc", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbc"},
        {"]]>", "]]&gt;"},
    };
    char out[200];
    struct buf b;

    for (size_t i = 0; i < COUNT(rows); i++) {
        buf_init_fixed(&b, out, sizeof(out));
        escape_xml(&b, span_str(rows[i].text));
        assert_span(buf_span(&b), rows[i].xml);
    }
}

/* Whatever the bytes, they are a document's content and a value of an attribute. */
static void escaped_is_read(void **state)
{
    (void)state;
    struct record record = {0};
    struct buf b;

    for (unsigned c = 0; c < 256; c++) {
        const char text[] = {'a', (char)c, 'b'};
        buf_init_growing(&b, 200);
        buf_append_str(&b, "<a b=\"");
        escape_xml(&b, span_of(text, 3));
        buf_append_str(&b, "\">");
        escape_xml(&b, span_of(text, 3));
        buf_append_str(&b, "</a>");
        assert_int_equal(read_text(buf_span(&b), &record), 0);
        if (c >= ' ' && c < 0x7f) {
            char expected[64];
            snprintf(expected, sizeof(expected), "<1{||a}{||b}=a%cb>a%cb</1>", c, c);
            assert_span(buf_span(&record.out), expected);
        }
        buf_finish(&record.out);
        buf_finish(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements),  cmocka_unit_test(encodings),
        cmocka_unit_test(malformed), cmocka_unit_test(handlers_end_it),
        cmocka_unit_test(limits),    cmocka_unit_test(memory),
        cmocka_unit_test(escaped),   cmocka_unit_test(escaped_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
