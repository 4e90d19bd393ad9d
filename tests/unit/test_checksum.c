/* What senders say of the hash of their content: which fields count, which are refused, which
 * ignored. */
#include "assert_span.h"

#include <errno.h>
#include <string.h>

#include "files/checksum.h"

/* Of "hello". */
#define SHA256_HEX "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define SHA256_BASE64 "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="
#define SHA512_BASE64                                               \
    "m3HSJL1i83hdltRq0+o9czGb+8KJDKra4t/3JRlnPKcjI8PZm6XBHXx6zG4Uu" \
    "MXaDEZjR1wuXDre9G9zvN7AQw=="
#define MD5_HEX "5d41402abc4b2a76b9719d911017c592"
#define SHA1_HEX "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"
/* Of something else. */
#define WRONG_SHA256_BASE64 "MPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="
#define WRONG_MD5_HEX "5d41402abc4b2a76b9719d911017c593"

enum { NOTHING, RIGHT, WRONG, BAD };

static struct request request;

static void add_field(const char *name, const char *value)
{
    if (name)
        request.fields[request.field_count++] =
            (struct http_field){span_str(name), span_str(value)};
}

/* The verdict on "hello", which comes in pieces. */
static int verdict_of(void)
{
    static const char *const pieces[] = {"h", "", "ell", "o"};
    struct checksums c;
    int r = checksums_init(&c, &request), verdict = BAD;

    if (r == 0) {
        verdict = NOTHING;
        for (size_t i = 0; i < COUNT(pieces); i++)
            assert_int_equal(checksums_update(&c, span_str(pieces[i])), 0);
        if (c.count > 0) {
            r = checksums_match(&c);
            assert_in_range(r, 0, 1);
            verdict = r == 1 ? RIGHT : WRONG;
        }
    } else {
        assert_int_equal(r, -EINVAL);
    }
    checksums_finish(&c);
    return verdict;
}

static void fields(void **state)
{
    static const struct {
        const char *name, *value;
        int verdict;
    } cases[] = {
        {NULL, NULL, NOTHING},
        {"Digest", "sha-256=" WRONG_SHA256_BASE64, NOTHING},
        {"Want-Repr-Digest", "sha-256=10", NOTHING},

        /* dictionaries */
        {"Repr-Digest", "sha-256=:" SHA256_BASE64 ":", RIGHT},
        {"repr-digest", "sha-256=:" SHA256_BASE64 ":", RIGHT},
        {"Content-Digest", "sha-256=:" SHA256_BASE64 ":", RIGHT},
        {"Content-Digest", "sha-512=:" SHA512_BASE64 ":", RIGHT},
        {"Content-Digest", "sha-256=:" WRONG_SHA256_BASE64 ":", WRONG},
        {"Repr-Digest", "sha-256=:" SHA256_BASE64 ":;x=1;y", RIGHT},
        {"Repr-Digest", "sha-256=:" SHA256_BASE64 ":, sha-512=:" SHA512_BASE64 ":", RIGHT},
        {"Repr-Digest", "sha-512=:" SHA512_BASE64 ":\t,\tsha-256=:" WRONG_SHA256_BASE64 ":", WRONG},
        {"Repr-Digest", "md5=:XUFAKrxLKna5cZ2REBfFkg==:, unixsum=:AAA=:", NOTHING},
        {"Repr-Digest", "other=1, sha-256=:" SHA256_BASE64 ":, b", RIGHT},
        {"Repr-Digest", "SHA-256=:" WRONG_SHA256_BASE64 ":", NOTHING}, /* keys are in lower case */
        {"Repr-Digest", "", NOTHING},
        {"Repr-Digest", "sha-256=" SHA256_BASE64, BAD},
        {"Repr-Digest", "sha-256=:" SHA256_BASE64, BAD},
        {"Repr-Digest", "sha-256=\"" SHA256_BASE64 "\"", BAD},
        {"Repr-Digest", "sha-256", BAD},
        {"Repr-Digest", "sha-256=", BAD},
        {"Repr-Digest", "sha-256=:", BAD},
        {"Repr-Digest", "sha-256=::", BAD},
        {"Repr-Digest", "sha-256=:" SHA512_BASE64 ":", BAD},
        {"Repr-Digest", "sha-512=:" SHA256_BASE64 ":", BAD},
        {"Repr-Digest", "sha-256=:" SHA256_HEX ":", BAD},
        {"Repr-Digest", "sha-256=:LPJNul*wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:", BAD},
        {"Repr-Digest", ", sha-256=:" SHA256_BASE64 ":", BAD},
        {"Repr-Digest", "=:AAAA:", BAD},

        /* ownCloud's */
        {"OC-Checksum", "MD5:" MD5_HEX, RIGHT},
        {"OC-Checksum", "md5:" MD5_HEX, RIGHT},
        {"OC-Checksum", "MD5:5D41402ABC4B2A76B9719D911017C592", RIGHT},
        {"OC-Checksum", "SHA1:" SHA1_HEX, RIGHT},
        {"OC-Checksum", "SHA256:" SHA256_HEX, RIGHT},
        {"OC-Checksum", "SHA1:" SHA1_HEX " MD5:" MD5_HEX " ADLER32:062c0215", RIGHT},
        {"OC-Checksum", "SHA1:" SHA1_HEX "  MD5:" WRONG_MD5_HEX, WRONG},
        {"OC-Checksum", "ADLER32:062c0215", NOTHING},
        {"OC-Checksum", "SHA3-256:00", NOTHING},
        {"OC-Checksum", "", NOTHING},
        {"OC-Checksum", "MD5:" SHA1_HEX, BAD},
        {"OC-Checksum", "MD5", BAD},
        {"OC-Checksum", "MD5:", BAD},
        {"OC-Checksum", "MD5:5d41402abc4b2a76b9719d911017c59", BAD},
        {"OC-Checksum", "MD5:5d41402abc4b2a76b9719d911017c59g", BAD},
        {"OC-Checksum", "MD5:5d41402abc4b2a76b9719d911017c5@2", BAD},
        {"OC-Checksum", "SHA1: " SHA1_HEX, BAD},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        request.field_count = 0;
        add_field(cases[i].name, cases[i].value);
        int verdict = verdict_of();
        if (verdict != cases[i].verdict)
            fail_msg("%s: %s: %d, not %d", cases[i].name, cases[i].value, verdict,
                     cases[i].verdict);
    }
}

static void several_fields(void **state)
{
    (void)state;
    request.field_count = 0;
    add_field("OC-Checksum", "MD5:" MD5_HEX);
    add_field("Content-Digest", "sha-256=:" SHA256_BASE64 ":");
    assert_int_equal(verdict_of(), RIGHT);
    add_field("Repr-Digest", "sha-256=:" WRONG_SHA256_BASE64 ":");
    assert_int_equal(verdict_of(), WRONG);
    request.fields[0].value = SPAN("MD5:x");
    assert_int_equal(verdict_of(), BAD); /* also what was begun is given back */
}

/* All that there can be at once is checked, and more is refused. */
static void many(void **state)
{
    struct checksums c;

    (void)state;
    request.field_count = 0;
    add_field("Repr-Digest", "sha-256=:" SHA256_BASE64 ":, sha-512=:" SHA512_BASE64 ":");
    add_field("Content-Digest", "sha-256=:" SHA256_BASE64 ":, sha-512=:" SHA512_BASE64 ":");
    add_field("OC-Checksum", "SHA1:" SHA1_HEX " SHA256:" SHA256_HEX " MD5:" MD5_HEX);
    assert_int_equal(checksums_init(&c, &request), 0);
    assert_int_equal(c.count, CHECKSUMS_MAX);
    assert_int_equal(checksums_update(&c, SPAN("hello")), 0);
    assert_int_equal(checksums_match(&c), 1);
    checksums_finish(&c);
    assert_int_equal(c.count, 0);
    checksums_finish(&c);
    request.fields[2].value = SPAN("SHA1:" SHA1_HEX " SHA256:" SHA256_HEX " MD5:" WRONG_MD5_HEX);
    assert_int_equal(verdict_of(), WRONG);
    add_field("OC-Checksum", "MD5:" MD5_HEX);
    assert_int_equal(verdict_of(), BAD);
}

/* A list in two lines is one list (RFC 9110 section 5.3). */
static void fields_in_two_lines(void **state)
{
    (void)state;
    request.field_count = 0;
    add_field("Repr-Digest", "sha-512=:" SHA512_BASE64 ":");
    add_field("Repr-Digest", "sha-256=:" WRONG_SHA256_BASE64 ":");
    assert_int_equal(verdict_of(), WRONG);
    request.fields[1].value = SPAN("sha-256=x");
    assert_int_equal(verdict_of(), BAD);
}

static void no_content(void **state)
{
    struct checksums c;

    (void)state;
    request.field_count = 0;
    add_field("OC-Checksum", "MD5:d41d8cd98f00b204e9800998ecf8427e");
    assert_int_equal(checksums_init(&c, &request), 0);
    assert_int_equal(checksums_match(&c), 1);
    checksums_finish(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields),     cmocka_unit_test(several_fields),
        cmocka_unit_test(many),       cmocka_unit_test(fields_in_two_lines),
        cmocka_unit_test(no_content),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
