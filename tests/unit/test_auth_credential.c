/* Credentials out of fields and forms, their digests, and the primitives below them. */
#include "assert_span.h"

#include <errno.h>

#include "auth/credential.h"

#define TOKEN "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_AbCdE"

static const struct span none = {0};

static struct span bytes_of(const struct credential *c)
{
    return span_of(c->bytes, c->len);
}

static void base64_is_strict(void **state)
{
    static const struct {
        const char *text;
        int result;
        const char *decoded;
    } cases[] = {
        {"", 0, ""},
        {"Zg==", 1, "f"},
        {"Zg", 1, "f"},
        {"Zm8=", 2, "fo"},
        {"Zm8", 2, "fo"},
        {"Zm9v", 3, "foo"},
        {"Zm9vYmFy", 6, "foobar"},
        {"Zg=", -EINVAL, NULL},
        {"Zm9v=", -EINVAL, NULL},
        {"Zm9v====", -EINVAL, NULL},
        {"Z", -EINVAL, NULL},
        {"Zh==", -EINVAL, NULL}, /* bits left over */
        {"Zm9=", -EINVAL, NULL},
        {"Zm 9v", -EINVAL, NULL},
        {"Zm9v\n", -EINVAL, NULL},
        {"Zm-_", -EINVAL, NULL}, /* the other alphabet */
        {"====", -EINVAL, NULL},
        {"=", -EINVAL, NULL},
        {"Zm9vYmFyYg", -ENOBUFS, NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char out[6];
        int n = base64_decode(span_str(cases[i].text), out, sizeof(out));

        assert_int_equal(n, cases[i].result);
        if (n >= 0)
            assert_span(span_of(out, (size_t)n), cases[i].decoded);
    }
}

static void basic_is_decoded(void **state)
{
    static const struct {
        const char *field, *user, *password;
    } cases[] = {
        {"Basic YWxpY2U6c2VzYW1l", "alice", "sesame"},
        {"bAsIc   YWxpY2U6c2VzYW1l", "alice", "sesame"},
        {"Basic YTpiOmM=", "a", "b:c"},
        {"Basic Og==", "", ""},
        {"Basic w7w6w7Y", "\xc3\xbc", "\xc3\xb6"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct credential c;

        assert_int_equal(credential_from_fields(span_str(cases[i].field), none, &c), 0);
        assert_int_equal(c.kind, CREDENTIAL_BASIC);
        assert_span(credential_user(&c), cases[i].user);
        assert_span(credential_password(&c), cases[i].password);
        assert_true(credential_valid(&c));
    }
}

static void malformed_authorization_is_an_error(void **state)
{
    static const char *const cases[] = {
        "",
        "Basic",
        "Basic ",
        "Basic YWxpY2U=" /* no colon */,
        "Basic *",
        "Basic YWxpY2U6c2VzYW1l x",
        "Bearer YWxpY2U6c2VzYW1l",
        "Digest username=\"a\"",
        "BasicYWxpY2U6c2VzYW1l",
        "Basic YTpiAA==" /* NUL */,
        "Basic YTpiCg==" /* LF */,
        "Basic YTp/" /* DEL */,
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct credential c;

        assert_int_equal(credential_from_fields(span_str(cases[i]), SPAN(TOKEN), &c), -EINVAL);
    }
}

static void too_long_a_password_is_an_error(void **state)
{
    char field[6 + 4 * LIMIT_CREDENTIAL_BYTES];
    struct credential c;
    size_t fits = LIMIT_CREDENTIAL_BYTES / 3 * 4;

    (void)state;
    memcpy(field, "Basic ", 6);
    memset(field + 6, 'a', sizeof(field) - 6);
    memcpy(field + 6, "OmZv", 4);
    for (size_t i = 10; i < sizeof(field); i += 4)
        memcpy(field + i, "Zm9v", 4);
    assert_int_equal(credential_from_fields(span_of(field, 6 + fits), none, &c), 0);
    assert_int_equal(c.len, LIMIT_CREDENTIAL_BYTES / 3 * 3);
    assert_int_equal(credential_from_fields(span_of(field, 6 + fits + 4), none, &c), -EINVAL);
}

static void authorization_wins_over_the_cookie(void **state)
{
    struct credential c;

    (void)state;
    assert_int_equal(credential_from_fields(SPAN("Basic YTpi"), SPAN(TOKEN), &c), 0);
    assert_int_equal(c.kind, CREDENTIAL_BASIC);
    assert_int_equal(credential_from_fields(none, SPAN(TOKEN), &c), 0);
    assert_int_equal(c.kind, CREDENTIAL_SESSION);
    assert_span(bytes_of(&c), TOKEN);
}

static void what_is_no_token_is_no_credential(void **state)
{
    static const char *const cases[] = {
        "",
        "x",
        TOKEN "x",
        "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789+/AbCdE",
        "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789 _AbCdE",
    };
    struct credential c;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(credential_from_fields(none, span_str(cases[i]), &c), 0);
        assert_int_equal(c.kind, CREDENTIAL_NONE);
        assert_true(credential_valid(&c));
    }
    assert_int_equal(credential_from_fields(none, none, &c), 0);
    assert_int_equal(c.kind, CREDENTIAL_NONE);
}

static void a_form_makes_a_login(void **state)
{
    struct credential c, session;
    uint8_t digest[DIGEST_BYTES], zero[DIGEST_BYTES] = {0};

    (void)state;
    assert_int_equal(credential_from_login(SPAN("alice"), SPAN("a:b"), none, &c), 0);
    assert_int_equal(c.kind, CREDENTIAL_LOGIN);
    assert_span(bytes_of(&c), "alice:a:b");
    assert_true(digest_equal(c.previous, zero));

    assert_int_equal(credential_from_fields(none, SPAN(TOKEN), &session), 0);
    credential_digest(&session, digest);
    assert_int_equal(credential_from_login(SPAN("alice"), SPAN("x"), SPAN(TOKEN), &c), 0);
    assert_span(bytes_of(&c), "alice:x");
    assert_true(digest_equal(c.previous, digest));

    assert_int_equal(credential_from_login(none, none, none, &c), 0); /* a form without fields */
    assert_span(bytes_of(&c), ":");
    assert_int_equal(credential_from_login(SPAN("a:b"), SPAN("x"), none, &c), -EINVAL);
    assert_int_equal(credential_from_login(SPAN("a\n"), SPAN("x"), none, &c), -EINVAL);
    assert_int_equal(credential_from_login(SPAN("a"), SPAN("x\0"), none, &c), -EINVAL);
}

static void a_login_fits_or_is_an_error(void **state)
{
    char text[LIMIT_CREDENTIAL_BYTES + 1];
    struct credential c;

    (void)state;
    memset(text, 'a', sizeof(text));
    struct span user = span_of(text, 5);
    for (size_t len = 0; len <= sizeof(text); len++) {
        int expected = len <= LIMIT_CREDENTIAL_BYTES - 6 ? 0 : -EINVAL;

        assert_int_equal(credential_from_login(user, span_of(text, len), none, &c), expected);
        assert_int_equal(credential_from_login(span_of(text, len), user, none, &c), expected);
    }
}

static void another_process_cannot_pass_nonsense(void **state)
{
    struct credential c = {.kind = CREDENTIAL_BASIC, .len = 3, .bytes = "a:b"};

    (void)state;
    assert_true(credential_valid(&c));
    c.kind = CREDENTIAL_LOGIN;
    assert_true(credential_valid(&c));
    c.kind = CREDENTIAL_SESSION;
    assert_false(credential_valid(&c));
    c.kind = CREDENTIAL_NONE;
    assert_false(credential_valid(&c));
    c.kind = 17;
    assert_false(credential_valid(&c));
    c = (struct credential){.kind = CREDENTIAL_BASIC, .len = LIMIT_CREDENTIAL_BYTES + 1};
    assert_false(credential_valid(&c));
    c = (struct credential){.kind = CREDENTIAL_BASIC, .len = 4, .bytes = "a:\0b"};
    assert_false(credential_valid(&c));
}

static void digests_tell_kinds_apart(void **state)
{
    struct credential a = {.kind = CREDENTIAL_BASIC, .len = 3, .bytes = "a:b"}, b = a;
    uint8_t x[DIGEST_BYTES], y[DIGEST_BYTES], zero[DIGEST_BYTES] = {0};

    (void)state;
    credential_digest(&a, x);
    memcpy(b.bytes + 3, "rest", 4); /* beyond its length */
    credential_digest(&b, y);
    assert_true(digest_equal(x, y));
    b.kind = CREDENTIAL_SESSION;
    credential_digest(&b, y);
    assert_false(digest_equal(x, y));
    b = (struct credential){.kind = CREDENTIAL_NONE};
    credential_digest(&b, y);
    assert_true(digest_equal(y, zero));
}

static void sha256_and_hmac_are_the_standard_ones(void **state)
{
    struct digest_key key;
    uint8_t digest[DIGEST_BYTES], back[DIGEST_BYTES];
    char hex[2 * DIGEST_BYTES];

    (void)state;
    digest_sha256(SPAN("a"), SPAN("bc"), digest);
    digest_to_hex(digest, hex);
    assert_span(span_of(hex, sizeof(hex)),
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(digest_from_hex(span_of(hex, sizeof(hex)), back), 0);
    assert_true(digest_equal(digest, back));
    hex[5] = 'A';
    assert_int_equal(digest_from_hex(span_of(hex, sizeof(hex)), back), -EINVAL);
    assert_int_equal(digest_from_hex(span_of(hex, 62), back), -EINVAL);

    /* printf 'what do ya want' | openssl dgst -sha256 -mac HMAC -macopt hexkey:0101...01 (32 bytes)
     */
    memset(key.bytes, 1, sizeof(key.bytes));
    digest_hmac(&key, 'w', SPAN("hat do ya want"), digest);
    digest_to_hex(digest, hex);
    assert_span(span_of(hex, sizeof(hex)),
                "18ef4f5b4ca4d8610008f7cf9bf6e9ce2834b4195cb6d4ba272915f865e7bcea");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_is_strict),
        cmocka_unit_test(basic_is_decoded),
        cmocka_unit_test(malformed_authorization_is_an_error),
        cmocka_unit_test(too_long_a_password_is_an_error),
        cmocka_unit_test(authorization_wins_over_the_cookie),
        cmocka_unit_test(what_is_no_token_is_no_credential),
        cmocka_unit_test(a_form_makes_a_login),
        cmocka_unit_test(a_login_fits_or_is_an_error),
        cmocka_unit_test(another_process_cannot_pass_nonsense),
        cmocka_unit_test(digests_tell_kinds_apart),
        cmocka_unit_test(sha256_and_hmac_are_the_standard_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
