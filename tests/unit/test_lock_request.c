/* What a LOCK asks for, its owner as markup, and what clients are told of locks. */
#include "assert_span.h"

#include <errno.h>
#include <stdio.h>

#include "base/buf.h"
#include "dav/lock_answer.h"
#include "dav/lock_request.h"
#include "dav/xml.h"

#define INFO(inside) "<D:lockinfo xmlns:D='DAV:'>" inside "</D:lockinfo>"
#define TYPE "<D:locktype><D:write/></D:locktype>"
#define SCOPE "<D:lockscope><D:exclusive/></D:lockscope>"

static struct lock_request request;

static void assert_parsed(const char *body, bool is_shared, const char *owner)
{
    int r = lock_request_parse(span_str(body), &request);

    if (r != 0)
        fail_msg("\"%s\" gives %d", body, r);
    assert_false(request.is_refresh);
    assert_int_equal(request.is_shared, is_shared);
    assert_span(request.owner, owner);
}

static void asked_for(void **state)
{
    (void)state;
    assert_parsed(INFO(SCOPE TYPE), false, "");
    assert_parsed(INFO(TYPE SCOPE), false, "");
    assert_parsed(INFO(TYPE "<D:lockscope><D:shared/></D:lockscope>"), true, "");
    assert_parsed(INFO(SCOPE TYPE "<D:owner/>"), false, "");
    assert_parsed(INFO(SCOPE TYPE "<D:owner>me &amp; you</D:owner>"), false, "me &amp; you");
    assert_parsed("<lockinfo xmlns='DAV:'><lockscope><exclusive/></lockscope><locktype><write/>"
                  "</locktype><owner><href>mailto:a@b</href></owner></lockinfo>",
                  false, "<href xmlns=\"DAV:\">mailto:a@b</href>");
    /* What is not known is passed over, wherever it is. */
    assert_parsed(INFO("<x>" SCOPE "</x>" SCOPE "<y/>" TYPE), false, "");
    assert_parsed(INFO("<D:lockscope><x><D:shared/></x><D:exclusive/></D:lockscope>" TYPE), false,
                  "");
    assert_parsed(INFO("<lockscope><D:shared/></lockscope>" SCOPE TYPE), false, "");
    assert_int_equal(lock_request_parse(SPAN(""), &request), 0);
    assert_true(request.is_refresh);
}

static void refused(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "x",
        "<D:lockinfo xmlns:D='DAV:'/>",
        "<D:lockinfo xmlns:D='dav:'>" SCOPE TYPE "</D:lockinfo>",
        "<lockinfo><lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>",
        INFO(SCOPE),
        INFO(TYPE),
        INFO(SCOPE SCOPE TYPE),
        INFO(SCOPE TYPE TYPE),
        INFO("<D:lockscope><D:exclusive/><D:shared/></D:lockscope>" TYPE),
        INFO("<D:lockscope/>" TYPE),
        INFO(SCOPE "<D:locktype><D:read/></D:locktype>"),
        INFO(SCOPE "<D:locktype><write/></D:locktype>"),
        INFO(SCOPE TYPE "<D:owner/><D:owner/>"),
        INFO(SCOPE TYPE "<D:owner><x:y/></D:owner>"),
        INFO(SCOPE TYPE) "x",
        "<!DOCTYPE lockinfo>" INFO(SCOPE TYPE),
    };

    for (size_t i = 0; i < COUNT(bodies); i++)
        if (lock_request_parse(span_str(bodies[i]), &request) != -EINVAL)
            fail_msg("\"%s\"", bodies[i]);
}

/* Whoever puts it somewhere need not know what was declared around it. */
static void owners(void **state)
{
    (void)state;
    static const struct {
        const char *inside, *expected;
    } rows[] = {
        {"<D:href>a</D:href>", "<D:href xmlns:D=\"DAV:\">a</D:href>"},
        {"<D:a><D:b/></D:a><D:c/>",
         "<D:a xmlns:D=\"DAV:\"><D:b></D:b></D:a><D:c xmlns:D=\"DAV:\"></D:c>"},
        {"<a xmlns='n'><b/><c xmlns=''/><d/></a>",
         "<a xmlns=\"n\"><b></b><c xmlns=\"\"></c><d></d></a>"},
        {"<a xmlns:p='n' p:x='1' x='2' p:y='3'/>",
         "<a xmlns:p=\"n\" p:x=\"1\" x=\"2\" p:y=\"3\"></a>"},
        {"<p:a xmlns:p='n'><p:b xmlns:p='m'/><p:c/></p:a>",
         "<p:a xmlns:p=\"n\"><p:b xmlns:p=\"m\"></p:b><p:c></p:c></p:a>"},
        {"<a xml:lang='de'/>", "<a xml:lang=\"de\"></a>"},
        {"<!-- no --><?no no?><![CDATA[<&>]]>", "&lt;&amp;&gt;"},
        {"<a b='&quot;&#9;&#10;&lt;'/>", "<a b=\"&quot;&#9;&#10;&lt;\"></a>"},
        {"&#228;&#13;", "\xc3\xa4&#13;"},
    };
    char body[1024], again[1024];

    for (size_t i = 0; i < COUNT(rows); i++) {
        snprintf(body, sizeof(body), INFO(SCOPE TYPE "<D:owner>%s</D:owner>"), rows[i].inside);
        assert_parsed(body, false, rows[i].expected);
        /* Without what was around it, it means the same. */
        snprintf(again, sizeof(again),
                 "<lockinfo:lockinfo xmlns:lockinfo='DAV:'><lockinfo:lockscope>"
                 "<lockinfo:exclusive/></lockinfo:lockscope><lockinfo:locktype><lockinfo:write/>"
                 "</lockinfo:locktype><lockinfo:owner>%s</lockinfo:owner></lockinfo:lockinfo>",
                 rows[i].expected);
        assert_parsed(again, false, rows[i].expected);
    }
}

static int parse_owner(size_t len)
{
    struct buf b;

    buf_init_growing(&b, 2 * LIMIT_XML_BYTES);
    buf_append_str(&b, "<D:lockinfo xmlns:D='DAV:'>" SCOPE TYPE "<D:owner>");
    for (size_t i = 0; i < len; i++)
        buf_append_char(&b, 'o');
    buf_append_str(&b, "</D:owner></D:lockinfo>");
    int r = lock_request_parse(buf_span(&b), &request);
    buf_finish(&b);
    return r;
}

static void long_owners(void **state)
{
    (void)state;
    assert_int_equal(parse_owner(LIMIT_LOCK_OWNER_BYTES), 0);
    assert_int_equal(request.owner.len, LIMIT_LOCK_OWNER_BYTES);
    assert_int_equal(parse_owner(LIMIT_LOCK_OWNER_BYTES + 1), -E2BIG);
    assert_int_equal(parse_owner(LIMIT_XML_BYTES), -E2BIG);
}

/* --- */

static const struct lock example = {
    .token = "opaquelocktoken:00000000-0000-4000-8000-000000000001",
    .user = {"alice", 5},
    .path = {"a b/c&d", 7},
    .owner = {"me", 2},
    .is_shared = true,
};

static void told(void **state)
{
    (void)state;
    char memory[1024];
    struct buf b;

    buf_init_fixed(&b, memory, sizeof(memory));
    lock_answer_append(&b, &example, 60, false);
    assert_span(buf_span(&b),
                "<D:activelock><D:locktype><D:write/></D:locktype><D:lockscope><D:shared/>"
                "</D:lockscope><D:depth>0</D:depth><D:owner>me</D:owner>"
                "<D:timeout>Second-60</D:timeout><D:locktoken><D:href>"
                "opaquelocktoken:00000000-0000-4000-8000-000000000001</D:href></D:locktoken>"
                "<D:lockroot><D:href>/a%20b/c%26d</D:href></D:lockroot></D:activelock>");
    struct lock other = example;
    other.is_shared = false;
    other.is_infinite = true;
    other.owner = SPAN("");
    b.len = 0;
    lock_answer_append(&b, &other, 3600, true);
    assert_span(buf_span(&b),
                "<D:activelock><D:locktype><D:write/></D:locktype><D:lockscope><D:exclusive/>"
                "</D:lockscope><D:depth>infinity</D:depth><D:timeout>Second-3600</D:timeout>"
                "<D:locktoken><D:href>opaquelocktoken:00000000-0000-4000-8000-000000000001"
                "</D:href></D:locktoken></D:activelock>");
}

static int count_locks(void *context, struct xml_reader *r, const struct xml_name *name,
                       const struct xml_attribute *attributes, size_t count)
{
    (void)r;
    (void)attributes;
    (void)count;
    *(unsigned *)context += xml_name_is(name, XML_DAV, SPAN("activelock"));
    return 0;
}

static unsigned told_of(struct locks *locks, const char *path)
{
    static const struct xml_handler handler = {.begin = count_locks};
    unsigned count = 0;
    struct buf b;

    buf_init_growing(&b, 1024 * 1024);
    buf_append_str(&b, "<x xmlns:D='DAV:'>");
    lock_answer_append_all(&b, locks, span_str(path), 1000, false);
    buf_append_str(&b, "</x>");
    assert_false(buf_failed(&b));
    assert_int_equal(xml_read(buf_span(&b), &handler, &count), 0);
    buf_finish(&b);
    return count;
}

static void told_of_all(void **state)
{
    (void)state;
    struct locks *locks;
    struct lock wish = example;

    assert_int_equal(locks_create(&locks), 0);
    wish.path = SPAN("a");
    wish.is_infinite = true;
    for (unsigned i = 0; i < LIMIT_LOCKS_PER_NAME; i++)
        assert_int_equal(locks_grant(locks, &wish, 0, 1000, NULL), 0);
    wish.path = SPAN("a/b");
    assert_int_equal(locks_grant(locks, &wish, 0, 1000, NULL), 0);
    wish.path = SPAN("c");
    assert_int_equal(locks_grant(locks, &wish, 0, 1000, NULL), 0);
    assert_int_equal(told_of(locks, "a"), LIMIT_LOCKS_PER_NAME);
    assert_int_equal(told_of(locks, "a/b"), LOCK_ANSWERS_MAX);
    assert_int_equal(told_of(locks, "c"), 1);
    assert_int_equal(told_of(locks, ""), 0);
    locks_destroy(locks);
}

static void old_office(void **state)
{
    (void)state;
    assert_true(
        lock_answer_hides_root(SPAN("Microsoft Data Access Internet Publishing Provider DAV 1.1")));
    assert_false(lock_answer_hides_root(SPAN("Microsoft Office Word 2013")));
    assert_false(lock_answer_hides_root((struct span){0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asked_for),   cmocka_unit_test(refused), cmocka_unit_test(owners),
        cmocka_unit_test(long_owners), cmocka_unit_test(told),    cmocka_unit_test(told_of_all),
        cmocka_unit_test(old_office),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
