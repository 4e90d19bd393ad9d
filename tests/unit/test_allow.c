/* Which methods are allowed on what. */
#include "assert_span.h"

#include "http/allow.h"

static bool has(struct span list, const char *method)
{
    while (list.data)
        if (span_equal(span_trim(span_split(&list, ',')), span_str(method)))
            return true;
    return false;
}

static void readers_change_nothing(void **state)
{
    (void)state;
    static const char *const changing[] = {"PUT",  "DELETE",    "MKCOL", "COPY",
                                           "MOVE", "PROPPATCH", "LOCK",  "UNLOCK"};

    for (unsigned what = 0; what < ALLOW_KINDS; what++) {
        for (size_t i = 0; i < COUNT(changing); i++)
            assert_false(has(allow_methods(what, false), changing[i]));
        assert_true(has(allow_methods(what, false), "OPTIONS"));
        assert_int_equal(has(allow_methods(what, false), "GET"), what != ALLOW_NOTHING);
        assert_int_equal(has(allow_methods(what, false), "PROPFIND"), what != ALLOW_NOTHING);
    }
}

static void each_kind(void **state)
{
    (void)state;
    static const struct {
        const char *method;
        bool root, folder, file, nothing;
    } rows[] = {
        {"OPTIONS", true, true, true, true},    {"GET", true, true, true, false},
        {"HEAD", true, true, true, false},      {"PUT", false, false, true, true},
        {"DELETE", false, true, true, false},   {"MKCOL", false, false, false, true},
        {"COPY", false, true, true, false},     {"MOVE", false, true, true, false},
        {"PROPFIND", true, true, true, false},  {"POST", false, false, false, false},
        {"PROPPATCH", true, true, true, false}, {"LOCK", true, true, true, true},
        {"UNLOCK", true, true, true, false},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *method = rows[i].method;
        assert_int_equal(has(allow_methods(ALLOW_ROOT, true), method), rows[i].root);
        assert_int_equal(has(allow_methods(ALLOW_FOLDER, true), method), rows[i].folder);
        assert_int_equal(has(allow_methods(ALLOW_FILE, true), method), rows[i].file);
        assert_int_equal(has(allow_methods(ALLOW_NOTHING, true), method), rows[i].nothing);
        assert_int_equal(has(allow_methods(ALLOW_SERVER, true), method),
                         strcmp(method, "POST") != 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_change_nothing),
        cmocka_unit_test(each_kind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
