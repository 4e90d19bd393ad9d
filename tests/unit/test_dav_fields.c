/* Depth, Timeout, Lock-Token, Brief. */
#include "assert_span.h"

#include <errno.h>

#include "http/dav_fields.h"

static void depths(void **state)
{
    (void)state;
    static const struct {
        const char *field;
        enum dav_depth depth;
        bool no_root;
    } good[] = {
        {"0", DAV_DEPTH_0, false},
        {"1", DAV_DEPTH_1, false},
        {"infinity", DAV_DEPTH_INFINITY, false},
        {"Infinity", DAV_DEPTH_INFINITY, false},
        {"1,noroot", DAV_DEPTH_1, true},
        {"infinity, NoRoot", DAV_DEPTH_INFINITY, true},
    };
    static const char *const bad[] = {"",           "2",        "-1",  "00",
                                      "01",         "0,noroot", "1,",  "1,x",
                                      "infinity,1", "inf",      "1 1", "1,noroot,noroot",
                                      ",noroot",    "infinite", "0 ,"};
    enum dav_depth depth = DAV_DEPTH_1;
    bool no_root = true;

    assert_int_equal(dav_depth_parse((struct span){0}, &depth, &no_root), 0);
    assert_int_equal(depth, DAV_DEPTH_NONE);
    assert_false(no_root);
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_int_equal(dav_depth_parse(span_str(good[i].field), &depth, &no_root), 0);
        assert_int_equal(depth, good[i].depth);
        assert_int_equal(no_root, good[i].no_root);
    }
    for (size_t i = 0; i < COUNT(bad); i++)
        if (dav_depth_parse(span_str(bad[i]), &depth, &no_root) != -EINVAL)
            fail_msg("\"%s\" is a depth", bad[i]);
}

static void timeouts(void **state)
{
    (void)state;
    static const struct {
        const char *field;
        uint32_t seconds;
    } good[] = {
        {"Second-3600", 3600},
        {"second-0", 0},
        {"Infinite", UINT32_MAX},
        {"Infinite, Second-4100000000", UINT32_MAX},
        {"Second-10,Infinite", 10},
        {"Second-4294967295", UINT32_MAX},
        {"Second-4294967296", UINT32_MAX},
        {"Second-99999999999999999999999999", UINT32_MAX},
    };
    static const char *const bad[] = {"",          "3600",      "Second-",     "Second--1",
                                      "Second-1,", "Second-1x", "Second-1, x", "Minute-1",
                                      ",Second-1", "Second 1"};
    uint32_t seconds = 1;

    assert_int_equal(dav_timeout_parse((struct span){0}, &seconds), 0);
    assert_int_equal(seconds, 0);
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_int_equal(dav_timeout_parse(span_str(good[i].field), &seconds), 0);
        assert_int_equal(seconds, good[i].seconds);
    }
    for (size_t i = 0; i < COUNT(bad); i++)
        if (dav_timeout_parse(span_str(bad[i]), &seconds) != -EINVAL)
            fail_msg("\"%s\" is a timeout", bad[i]);
}

static void lock_tokens(void **state)
{
    (void)state;
    static const char *const bad[] = {"",    "<>",    "<a",    "a>",       "<a b>",
                                      "a b", "<<a>>", "\"a\"", "<a>, <b>", "\xc3\xa4"};
    struct span token;

    assert_int_equal(dav_lock_token_parse(SPAN("<opaquelocktoken:1-2>"), &token), 0);
    assert_span(token, "opaquelocktoken:1-2");
    assert_int_equal(dav_lock_token_parse(SPAN("urn:uuid:3"), &token), 0);
    assert_span(token, "urn:uuid:3");
    for (size_t i = 0; i < COUNT(bad); i++)
        if (dav_lock_token_parse(span_str(bad[i]), &token) != -EINVAL)
            fail_msg("\"%s\" is a token", bad[i]);
}

static void brief(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value;
        bool brief, preferred;
    } rows[] = {
        {"Brief", "t", true, false},
        {"Brief", "f", false, false},
        {"Prefer", "return=minimal", true, true},
        {"prefer", "wait=5, RETURN = \"minimal\"; x=y", true, true},
        {"Prefer", "return=representation", false, false},
        {"Prefer", "minimal, return", false, false},
        {"X", "t", false, false},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct request request = {
            .field_count = 1,
            .fields = {{span_str(rows[i].name), span_str(rows[i].value)}},
        };
        bool preferred;
        assert_int_equal(dav_is_brief(&request, &preferred), rows[i].brief);
        assert_int_equal(preferred, rows[i].preferred);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(depths),
        cmocka_unit_test(timeouts),
        cmocka_unit_test(lock_tokens),
        cmocka_unit_test(brief),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
