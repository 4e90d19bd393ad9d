/* Names of a selection. That they can stand in a path whatever is given: fuzz_archive_names.c. */
#include "assert_span.h"
#include "base/buf.h"
#include "base/limits.h"
#include "files/archive_names.h"

static void each_once_and_in_order(void **state)
{
    struct archive_names n;

    (void)state;
    archive_names_init(&n);
    assert_int_equal(archive_names_read(&n, SPAN("archive=zip&name=b&x=1&name=a+c")), 0);
    assert_int_equal(archive_names_read(&n, SPAN("name=%FF&name=b&&name=a%26&name=%0A")), 0);
    archive_names_settle(&n);
    assert_int_equal(n.count, 5);
    assert_span(n.list[0], "\n");
    assert_span(n.list[1], "a c");
    assert_span(n.list[2], "a&");
    assert_span(n.list[3], "b");
    assert_span(n.list[4], "\xff");
    assert_int_equal(n.list[3].data[1], '\0');
    archive_names_finish(&n);
}

static void none(void **state)
{
    struct archive_names n;

    (void)state;
    archive_names_init(&n);
    assert_int_equal(archive_names_read(&n, SPAN("")), 0);
    assert_int_equal(archive_names_read(&n, SPAN("archive=zip&names=x")), 0);
    archive_names_settle(&n);
    assert_int_equal(n.count, 0);
    archive_names_finish(&n);
}

static void what_is_no_name(void **state)
{
    static const struct {
        const char *given;
        int status;
    } cases[] = {
        {"name", 400},           {"name=", 400},
        {"name=.", 400},         {"name=..", 400},
        {"name=a%2Fb", 400},     {"name=a/b", 400},
        {"name=%00", 400},

        {"name=%4", 400},        {"name=a&name=", 400},
        {"name=.fastfile", 404}, {"name=.FASTFILE-x", 404},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct archive_names n;
        archive_names_init(&n);
        assert_int_equal(archive_names_read(&n, span_str(cases[i].given)), cases[i].status);
        archive_names_settle(&n);
        archive_names_finish(&n);
    }
}

/* As many as there may be, each as long as there is room for. */
static void as_many_as_there_may_be(void **state)
{
    struct archive_names n;
    struct buf b;

    (void)state;
    buf_init_growing(&b, LIMIT_ARCHIVE_BODY_BYTES);
    for (unsigned i = 0; i < LIMIT_ARCHIVE_NAMES; i++)
        buf_printf(&b, "&name=%054u", LIMIT_ARCHIVE_NAMES - i);
    assert_false(buf_failed(&b));
    archive_names_init(&n);
    assert_int_equal(archive_names_read(&n, buf_span(&b)), 0);
    assert_int_equal(archive_names_read(&n, SPAN("name=x")), 413);
    archive_names_settle(&n);
    assert_int_equal(n.count, LIMIT_ARCHIVE_NAMES);
    for (size_t i = 1; i < n.count; i++)
        assert_true(strcmp(n.list[i - 1].data, n.list[i].data) < 0);
    archive_names_finish(&n);
    buf_finish(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_once_and_in_order),
        cmocka_unit_test(none),
        cmocka_unit_test(what_is_no_name),
        cmocka_unit_test(as_many_as_there_may_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
