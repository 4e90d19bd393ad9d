/* When a tag may be strong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "files/etag.h"

static void age(void **state)
{
    static const struct {
        struct timespec changed, now;
        bool young;
    } cases[] = {
        {{100, 500000000}, {100, 500000000}, true},
        {{100, 500000000}, {100, 519999999}, true},
        {{100, 500000000}, {100, 520000000}, false},
        {{100, 990000000}, {101, 5000000}, true},
        {{100, 990000000}, {101, 10000000}, false},
        /* the clock was set back */
        {{100, 500000000}, {99, 0}, true},
        /* whole seconds: perhaps nothing finer is kept */
        {{100, 0}, {100, 20000000}, true},
        {{100, 0}, {101, 999000000}, true},
        {{100, 0}, {102, 0}, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct stat st = {.st_ctim = cases[i].changed};
        assert_int_equal(etag_is_young(&st, &cases[i].now), cases[i].young);
    }
}

static void form(void **state)
{
    struct stat st = {.st_ino = 0xabc, .st_size = 16, .st_mtim = {1, 2}, .st_ctim = {3, 4}};
    struct timespec now = {3, 5};
    char bytes[ETAG_BYTES];
    static const char strong[] = "\"abc-10-3b9aca02-b2d05e04\"";

    (void)state;
    struct span tag = etag_format(&st, &now, bytes);
    assert_int_equal(tag.len, strlen(strong) + 2);
    assert_memory_equal(tag.data, "W/", 2);
    assert_memory_equal(tag.data + 2, strong, strlen(strong));
    now.tv_sec = 4;
    tag = etag_format(&st, &now, bytes);
    assert_int_equal(tag.len, strlen(strong));
    assert_memory_equal(tag.data, strong, strlen(strong));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(age), cmocka_unit_test(form)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
