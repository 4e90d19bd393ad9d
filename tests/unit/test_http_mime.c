/* Media types. */
#include "assert_span.h"

#include <stdio.h>

#include "http/mime.h"

static void assert_type(const struct mime_table *table, const char *name, const char *type)
{
    assert_span(mime_lookup(table, span_str(name)), type);
}

static void common_types_are_built_in(void **state)
{
    (void)state;
    struct mime_table table;

    assert_int_equal(mime_init(&table, (struct span){0}), 0);
    assert_type(&table, "a.html", "text/html; charset=utf-8");
    assert_type(&table, "a.css", "text/css; charset=utf-8");
    assert_type(&table, "a.js", "text/javascript; charset=utf-8");
    assert_type(&table, "a.json", "application/json");
    assert_type(&table, "a.JPG", "image/jpeg");
    assert_type(&table, "a.tar.gz", "application/gzip");
    assert_type(&table, "a/b.c/film.Mp4", "video/mp4");
    assert_type(&table, "a.docx",
                "application/vnd.openxmlformats-officedocument.wordprocessingml.document");
    assert_type(&table, "a.otf", "font/otf");
    mime_finish(&table);
}

static void names_without_known_extension_are_octets(void **state)
{
    (void)state;
    static const char *const names[] = {"",
                                        ".",
                                        "a",
                                        "a.",
                                        ".html",
                                        "a/.html",
                                        "a.html/b",
                                        "a.unknown",
                                        "html",
                                        "a.html ",
                                        "a.html.",
                                        "a/b",
                                        "a.0123456789012345678901234567890123456789"};
    struct mime_table table;

    assert_int_equal(mime_init(&table, (struct span){0}), 0);
    for (size_t i = 0; i < COUNT(names); i++)
        assert_type(&table, names[i], "application/octet-stream");
    mime_finish(&table);
}

static void the_systems_types_come_first(void **state)
{
    (void)state;
    const struct span text = SPAN("# a comment\n"
                                  "\n"
                                  "text/x-one\tone  ONCE # html\n"
                                  "application/x-two two one\n"
                                  "application/none\n"
                                  "not-a-type jpg\n"
                                  "bad/ty(pe png\n"
                                  "bad/ gif\n"
                                  "/bad mp4\n"
                                  "application/x-html html\n"
                                  "   application/x-last last");
    struct mime_table table;

    assert_int_equal(mime_init(&table, text), 0);
    assert_type(&table, "a.one", "text/x-one; charset=utf-8");
    assert_type(&table, "a.once", "text/x-one; charset=utf-8");
    assert_type(&table, "a.two", "application/x-two");
    assert_type(&table, "a.html", "application/x-html");
    assert_type(&table, "a.last", "application/x-last");
    assert_type(&table, "a.jpg", "image/jpeg");
    assert_type(&table, "a.png", "image/png");
    assert_type(&table, "a.gif", "image/gif");
    assert_type(&table, "a.mp4", "video/mp4");
    mime_finish(&table);
}

static void hundreds_of_extensions_are_all_found(void **state)
{
    (void)state;
    static char text[64 * 1024];
    struct mime_table table;
    char name[32], type[32];
    size_t length = 0;

    for (int i = 0; i < 1500; i++)
        length += (size_t)sprintf(text + length, "x/t%d e%d\n", i, i);
    assert_int_equal(mime_init(&table, span_of(text, length)), 0);
    memset(text, 'X', sizeof(text)); /* the table keeps nothing of it */
    for (int i = 0; i < 1500; i++) {
        sprintf(name, "file.E%d", i);
        sprintf(type, "x/t%d", i);
        assert_type(&table, name, type);
    }
    mime_finish(&table);
}

static void types_that_may_run_script_are_active(void **state)
{
    (void)state;
    static const char *const active[] = {"text/html",
                                         "text/html; charset=utf-8",
                                         "TEXT/HTML ;x",
                                         "application/xhtml+xml",
                                         "image/svg+xml",
                                         "text/xml",
                                         "application/xml",
                                         "application/anything+xml",
                                         "text/javascript; charset=utf-8",
                                         "application/javascript",
                                         "multipart/related",
                                         "message/rfc822"};
    static const char *const passive[] = {"",
                                          "text/plain",
                                          "text/plain; a=text/html",
                                          "application/pdf",
                                          "image/png",
                                          "application/json",
                                          "text/css",
                                          "video/mp4",
                                          "application/octet-stream",
                                          "+xml",
                                          "text/htmlx"};

    for (size_t i = 0; i < COUNT(active); i++)
        assert_true(mime_is_active(span_str(active[i])));
    for (size_t i = 0; i < COUNT(passive); i++)
        assert_false(mime_is_active(span_str(passive[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(common_types_are_built_in),
        cmocka_unit_test(names_without_known_extension_are_octets),
        cmocka_unit_test(the_systems_types_come_first),
        cmocka_unit_test(hundreds_of_extensions_are_all_found),
        cmocka_unit_test(types_that_may_run_script_are_active),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
