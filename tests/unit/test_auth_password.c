/* Hashing, verifying and making passwords. */
#include "assert_span.h"

#include <errno.h>

#include "auth/password.h"

/* openssl passwd -6, -5 and -1 -salt abcdefgh sesame */
#define SHA512     \
    "$6$abcdefgh$" \
    "Bk2D4uYVcw0FbFPsWa0iJZ1DNfy8v6OjKcRcuBfMkWD1KdADPVnmQf5cr0O8HfAYpq1XrrjdgIRINkwgSKJ8/1"
#define SHA256     \
    "$5$abcdefgh$" \
    "4PbtPZdUc33o7LmNsM4HTsjYbIhyCeh4aCe.rEbHkq1"
#define MD5        \
    "$1$abcdefgh$" \
    "5XhrJpGu.bBXAZh4lT8oY/"

static void a_password_matches_its_hash_only(void **state)
{
    char hash[PASSWORD_HASH_BYTES], again[PASSWORD_HASH_BYTES];

    (void)state;
    assert_int_equal(password_hash(SPAN("open sesame"), hash), 0);
    assert_int_equal(strncmp(hash, "$y$", 3), 0);
    assert_true(password_hash_supported(span_str(hash)));
    assert_int_equal(password_verify("open sesame", hash), 1);
    assert_int_equal(password_verify("open sesamE", hash), 0);
    assert_int_equal(password_verify("", hash), 0);
    assert_int_equal(password_hash(SPAN("open sesame"), again), 0);
    assert_string_not_equal(hash, again); /* salted */
}

static void other_methods_are_understood(void **state)
{
    static const char *const hashes[] = {SHA512, SHA256, MD5};

    (void)state;
    for (size_t i = 0; i < COUNT(hashes); i++) {
        assert_true(password_hash_supported(span_str(hashes[i])));
        assert_int_equal(password_verify("sesame", hashes[i]), 1);
        assert_int_equal(password_verify("Sesame", hashes[i]), 0);
    }
}

static void what_is_no_hash_is_not_supported(void **state)
{
    static const char *const cases[] = {"", "*", "!", "x", "secret", "ab1234567890.", "$", "$zz$x"};
    char longest[PASSWORD_HASH_BYTES + 1];

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_false(password_hash_supported(span_str(cases[i])));
    memset(longest, '$', sizeof(longest));
    assert_false(password_hash_supported(span_of(longest, sizeof(longest))));
    assert_int_not_equal(password_verify("x", "*0"), 1);
    assert_int_not_equal(password_verify("*0", "*0"), 1);
}

static void the_dummy_never_matches(void **state)
{
    char setting[PASSWORD_HASH_BYTES];

    (void)state;
    assert_int_equal(password_dummy_setting(setting), 0);
    assert_int_equal(password_verify("", setting), 0);
    assert_int_equal(password_verify(setting, setting), 0);
}

static void passwords_that_cannot_be_hashed_are_refused(void **state)
{
    char hash[PASSWORD_HASH_BYTES], text[LIMIT_CREDENTIAL_BYTES];

    (void)state;
    memset(text, 'x', sizeof(text));
    assert_int_equal(password_hash(span_of(text, sizeof(text)), hash), -EINVAL);
    assert_int_equal(password_hash(SPAN("a\0b"), hash), -EINVAL);
    assert_int_equal(password_hash(span_of(text, sizeof(text) - 1), hash), 0);
}

static void random_passwords_are_readable_and_different(void **state)
{
    char a[PASSWORD_RANDOM_BYTES], b[PASSWORD_RANDOM_BYTES];

    (void)state;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(password_random(a), 0);
        assert_int_equal(strlen(a), sizeof(a) - 1);
        assert_null(strpbrk(a, "lo01 "));
        assert_int_equal(a[5] == '-' && a[11] == '-' && a[17] == '-', 1);
        assert_int_equal(password_random(b), 0);
        assert_string_not_equal(a, b);
    }
}

static void app_passwords_may_be_typed_in_any_way(void **state)
{
    char app[PASSWORD_APP_BYTES];
    uint8_t digest[DIGEST_BYTES], again[DIGEST_BYTES];

    (void)state;
    assert_int_equal(password_app_random(app), 0);
    assert_int_equal(strlen(app), sizeof(app) - 1);
    assert_true(password_app_digest(SPAN("abcd-efgh-ijkl-mnop-qrst-uvwx-yz23"), digest));
    assert_true(password_app_digest(SPAN("ABCDEFGHIJKLMNOPQRSTUVWXYZ23"), again));
    assert_true(digest_equal(digest, again));
    assert_true(password_app_digest(span_str(app), again));
    assert_false(digest_equal(digest, again));

    static const char *const others[] = {"",
                                         "sesame",
                                         "abcdefghijklmnopqrstuvwxyz2",
                                         "abcdefghijklmnopqrstuvwxyz234",
                                         "abcdefghijklmnopqrstuvwxyz21",
                                         "-",
                                         "a b"};
    for (size_t i = 0; i < COUNT(others); i++)
        assert_false(password_app_digest(span_str(others[i]), again));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_password_matches_its_hash_only),
        cmocka_unit_test(other_methods_are_understood),
        cmocka_unit_test(what_is_no_hash_is_not_supported),
        cmocka_unit_test(the_dummy_never_matches),
        cmocka_unit_test(passwords_that_cannot_be_hashed_are_refused),
        cmocka_unit_test(random_passwords_are_readable_and_different),
        cmocka_unit_test(app_passwords_may_be_typed_in_any_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
