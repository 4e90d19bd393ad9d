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

/* --- tags that stay --- */

static struct span format(const struct stat *st, int64_t now_s)
{
    static char bytes[2][ETAG_BYTES];
    static unsigned turn;

    return etag_format(st, &(struct timespec){now_s, 0}, bytes[turn++ % 2]);
}

static bool keeps_its_tag(const struct stat *before, const struct stat *after, int64_t now_s)
{
    char bytes[ETAG_BYTES];
    struct timespec now = {now_s, 0};

    struct span tag = etag_format(before, &now, bytes);
    etag_keep(before, after, &now);
    return span_equal(tag, format(after, now_s));
}

static void kept(void **state)
{
    const struct stat old = {.st_ino = 5, .st_size = 9, .st_mtim = {1, 2}, .st_ctim = {3, 4}};
    struct stat renamed = old, again = old;

    (void)state;
    renamed.st_ctim = (struct timespec){1000, 1};
    again.st_ctim = (struct timespec){2000, 1};
    assert_false(span_equal(format(&old, 3000), format(&renamed, 3000)));
    /* It is strong from the first moment on, and however often that happens. */
    assert_true(keeps_its_tag(&old, &renamed, 1000));
    assert_int_equal(format(&renamed, 1000).data[0], '"');
    assert_true(keeps_its_tag(&renamed, &again, 2000));
    assert_true(span_equal(format(&old, 3000), format(&again, 3000)));
    /* Any other change is one. */
    struct stat other = again;
    other.st_ctim.tv_nsec++;
    assert_false(span_equal(format(&old, 3000), format(&other, 3000)));
    other = again;
    other.st_size++;
    assert_false(span_equal(format(&old, 3000), format(&other, 3000)));
}

static void not_kept(void **state)
{
    const struct stat old = {.st_ino = 6, .st_size = 9, .st_mtim = {1, 2}, .st_ctim = {500, 4}};
    struct stat next = old;

    (void)state;
    next.st_ctim = (struct timespec){600, 1};
    assert_false(keeps_its_tag(&old, &next, 500)); /* it was young */
    next.st_size = 8;
    assert_false(keeps_its_tag(&old, &next, 600));
    next = old;
    next.st_ctim = (struct timespec){600, 2};
    next.st_mtim.tv_nsec++;
    assert_false(keeps_its_tag(&old, &next, 600));
    next = old;
    next.st_ctim = (struct timespec){600, 3};
    next.st_ino = 7;
    assert_false(keeps_its_tag(&old, &next, 600));
}

/* Whatever is forgotten has another tag, and never that of something else. */
static void many_kept(void **state)
{
    unsigned count = 0;

    (void)state;
    for (unsigned i = 0; i < 4 * ETAG_KEPT_STATES; i++) {
        const struct stat old = {.st_ino = 100 + i, .st_mtim = {1, 2}, .st_ctim = {3, 4}};
        struct stat renamed = old;
        renamed.st_ctim = (struct timespec){1000, 1};
        assert_true(keeps_its_tag(&old, &renamed, 1000));
    }
    for (unsigned i = 0; i < 4 * ETAG_KEPT_STATES; i++) {
        const struct stat old = {.st_ino = 100 + i, .st_mtim = {1, 2}, .st_ctim = {3, 4}};
        struct stat renamed = old;
        renamed.st_ctim = (struct timespec){1000, 1};
        count += span_equal(format(&old, 3000), format(&renamed, 3000));
    }
    assert_in_range(count, ETAG_KEPT_STATES / 2, ETAG_KEPT_STATES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(age),      cmocka_unit_test(form),      cmocka_unit_test(kept),
        cmocka_unit_test(not_kept), cmocka_unit_test(many_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
