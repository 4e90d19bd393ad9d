/* What clients keep with a file: read strictly, changed in its order. */
#include "assert_span.h"

#include <errno.h>

#include "base/limits.h"
#include "dav/dead.h"

static const struct span two = SPAN("1\0"
                                    "ns\0a\0\0one\0"
                                    "\0b\0de\0two\0");

static size_t count(struct span attribute)
{
    struct span rest = dead_begin(attribute);
    struct dead_property p;
    size_t found = 0;

    while (dead_next(&rest, &p))
        found++;
    return found;
}

static void found(void **state)
{
    (void)state;
    struct dead_property p;

    assert_int_equal(count(two), 2);
    assert_true(dead_find(two, SPAN("ns"), SPAN("a"), &p));
    assert_span(p.value, "one");
    assert_span(p.lang, "");
    assert_true(dead_find(two, SPAN(""), SPAN("b"), &p));
    assert_span(p.value, "two");
    assert_span(p.lang, "de");
    assert_false(dead_find(two, SPAN("ns"), SPAN("b"), &p));
    assert_false(dead_find(two, SPAN(""), SPAN("a"), &p));
    assert_false(dead_find(SPAN(""), SPAN("ns"), SPAN("a"), &p));
}

/* What is cut off anywhere is none of ours, but between two. */
static void strict(void **state)
{
    (void)state;
    for (size_t len = 0; len < two.len; len++) {
        size_t expected = len == 2 + sizeof("ns\0a\0\0one") ? 1 : 0;
        assert_int_equal(count(span_first(two, len)), expected);
    }
    assert_int_equal(count(SPAN("2\0ns\0a\0\0one\0")), 0);
    assert_int_equal(count(SPAN("1\0ns\0\0\0one\0")), 0); /* no name */
    assert_int_equal(count(SPAN("1\0ns\0a\0\0one\0x")), 0);
    assert_int_equal(count(SPAN("1ns\0a\0\0one\0")), 0);
}

static void assert_changed(struct span attribute, const struct dead_property *change, bool removes,
                           struct span expected)
{
    char memory[256];
    struct buf out;

    buf_init_fixed(&out, memory, sizeof(memory));
    dead_change(attribute, change, removes, &out);
    assert_false(buf_failed(&out));
    assert_true(span_equal(buf_span(&out), expected));
}

static void changed(void **state)
{
    (void)state;
    const struct dead_property a = {SPAN("ns"), SPAN("a"), SPAN("en"), SPAN("new")};
    const struct dead_property b = {SPAN(""), SPAN("b"), SPAN(""), SPAN("")};
    const struct dead_property c = {SPAN("ns"), SPAN("c"), SPAN(""), SPAN("3")};

    assert_changed(two, &a, false, SPAN("1\0ns\0a\0en\0new\0\0b\0de\0two\0"));
    assert_changed(two, &b, false, SPAN("1\0ns\0a\0\0one\0\0b\0\0\0"));
    assert_changed(two, &c, false,
                   SPAN("1\0ns\0a\0\0one\0\0b\0de\0two\0ns\0c\0\0"
                        "3\0"));
    assert_changed(two, &a, true, SPAN("1\0\0b\0de\0two\0"));
    assert_changed(two, &c, true, two);
    assert_changed(SPAN("1\0ns\0a\0\0one\0"), &a, true, SPAN(""));
    assert_changed(SPAN(""), &a, true, SPAN(""));
    assert_changed(SPAN("somebody else's"), &b, false, SPAN("1\0\0b\0\0\0"));
    /* Only others write one twice. */
    assert_changed(SPAN("1\0ns\0a\0\0one\0ns\0a\0\0two\0"), &a, false, SPAN("1\0ns\0a\0en\0new\0"));
}

static void name_one(size_t i, char name[16], struct dead_property *ret_property)
{
    struct buf b;

    buf_init_fixed(&b, name, 16);
    buf_append_char(&b, 'p');
    buf_append_u64(&b, i);
    *ret_property = (struct dead_property){SPAN(""), buf_span(&b), SPAN(""), SPAN("")};
}

static void add_many(size_t properties, struct buf *out)
{
    struct dead_property p;
    char name[16];

    buf_append(out, SPAN("1\0"));
    for (size_t i = 0; i < properties; i++) {
        name_one(i, name, &p);
        buf_append_char(out, '\0');
        buf_append(out, p.local);
        buf_append(out, SPAN("\0\0\0"));
    }
}

/* Each that is shown takes a parser: what has more of them is somebody else's, and becomes none of
 * ours. */
static void many(void **state)
{
    (void)state;
    char memory[2][LIMIT_DEAD_BYTES], name[16];
    struct buf full, changed;
    struct dead_property p;

    buf_init_fixed(&full, memory[0], sizeof(memory[0]));
    add_many(LIMIT_DEAD_PROPERTIES, &full);
    assert_int_equal(count(buf_span(&full)), LIMIT_DEAD_PROPERTIES);
    for (int removes = 0; removes < 2; removes++) {
        buf_init_fixed(&changed, memory[1], sizeof(memory[1]));
        name_one(LIMIT_DEAD_PROPERTIES - 1, name, &p);
        dead_change(buf_span(&full), &p, removes, &changed);
        assert_false(buf_failed(&changed));
        assert_int_equal(count(buf_span(&changed)), LIMIT_DEAD_PROPERTIES - removes);
    }
    buf_init_fixed(&changed, memory[1], sizeof(memory[1]));
    name_one(LIMIT_DEAD_PROPERTIES, name, &p);
    dead_change(buf_span(&full), &p, false, &changed);
    assert_true(buf_failed(&changed));

    full.len = 0;
    add_many(LIMIT_DEAD_PROPERTIES + 1, &full);
    assert_int_equal(count(buf_span(&full)), 0);
    assert_false(dead_find(buf_span(&full), SPAN(""), SPAN("p0"), &p));
}

static void assert_shown(struct span local, struct span value, int expected)
{
    const struct dead_property p = {SPAN("a\"b"), local, SPAN("x&y"), value};
    char memory[256];
    struct buf out;

    buf_init_fixed(&out, memory, sizeof(memory));
    buf_append(&out, SPAN("before"));
    assert_int_equal(dead_put(&out, &p), expected);
    if (expected < 0)
        assert_span(buf_span(&out), "before");
    else
        assert_span(buf_span(&out), "before<x:name xmlns:x=\"a&quot;b\" xml:lang=\"x&amp;y\">"
                                    "a<y:b xmlns:y=\"z\">&amp;</y:b></x:name>");
}

/* Others may have written it. */
static void shown(void **state)
{
    (void)state;
    struct span value = SPAN("a<y:b xmlns:y=\"z\">&amp;</y:b>");

    assert_shown(SPAN("name"), value, 0);
    assert_shown(SPAN("name"), SPAN("<b>"), -EINVAL);
    assert_shown(SPAN("name"), SPAN("</x:name><x:name>"), -EINVAL);
    assert_shown(SPAN("name"), SPAN("<D:b/>"), -EINVAL);
    assert_shown(SPAN("name"), SPAN("&nbsp;"), -EINVAL);
    assert_shown(SPAN("name"), SPAN("\xff"), -EINVAL);
    assert_shown(SPAN("name"), SPAN("<!DOCTYPE a>"), -EINVAL);
    assert_shown(SPAN("na me"), value, -EINVAL);
    assert_shown(SPAN("a:b"), value, -EINVAL);
    assert_shown(SPAN("a/><x:b"), value, -EINVAL);
    assert_shown(SPAN("1"), value, -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(found), cmocka_unit_test(strict), cmocka_unit_test(changed),
        cmocka_unit_test(many),  cmocka_unit_test(shown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
