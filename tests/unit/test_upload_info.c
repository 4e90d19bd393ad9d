/* What is kept beside an unfinished upload: what is written is read, and nothing else is. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "files/upload_info.h"

#define BOOT "01234567-89ab-cdef-0123-456789abcdef"
#define FIRST "fastfile-upload 3\nmark 000000000000042 " BOOT "\n"
#define LEAST FIRST "protocol ietf\nuser \npath x\nend\n"

static const struct upload_info full = {
    .mark = {UPLOAD_LENGTH_MAX, BOOT},
    .protocol = UPLOAD_TUS,
    .user = SPAN("alice"),
    .path = SPAN("a folder/na\xc3\xafve\n100%\x7f\x1b.txt\nend"),
    .has_length = true,
    .length = UPLOAD_LENGTH_MAX,
    .has_mtime = true,
    .mtime = 1234567890,
    .if_match = SPAN("\"a\", \"b\""),
    .if_none_match = SPAN("*"),
    .if_unmodified_since = SPAN("Sun, 06 Nov 1994 08:49:37 GMT"),
    .dav_if = SPAN("</x> (<opaquelocktoken:1> [\"a\"]) (Not <DAV:no-lock>)"),
    .repr_digest = SPAN("sha-256=:AAAA:"),
    .oc_checksum = SPAN("MD5:00"),
    .metadata = SPAN("path YQ==,empty"),
};

static const struct upload_info least = {.mark = {42, BOOT}, .user = SPAN(""), .path = SPAN("x")};

static void there_and_back(void **state)
{
    const struct upload_info *infos[] = {&full, &least};
    char text[2048];
    struct buf b;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const struct upload_info *was = infos[i];
        struct upload_info is;
        buf_init_fixed(&b, text, sizeof(text));
        upload_info_format(&b, was);
        assert_false(buf_failed(&b));
        assert_int_equal(upload_info_parse(text, b.len, &is), 0);
        assert_int_equal(is.mark.offset, was->mark.offset);
        assert_string_equal(is.mark.boot, was->mark.boot);
        assert_int_equal(is.protocol, was->protocol);
        assert_true(span_equal(is.user, was->user));
        assert_true(span_equal(is.path, was->path));
        assert_int_equal(is.path.data[is.path.len], '\0');
        assert_int_equal(is.has_length, was->has_length);
        assert_int_equal(is.length, was->length);
        assert_int_equal(is.has_mtime, was->has_mtime);
        assert_int_equal(is.mtime, was->mtime);
        assert_true(span_equal(is.if_match, was->if_match));
        assert_true(span_equal(is.if_none_match, was->if_none_match));
        assert_true(span_equal(is.if_unmodified_since, was->if_unmodified_since));
        assert_true(span_equal(is.dav_if, was->dav_if));
        assert_true(span_equal(is.repr_digest, was->repr_digest));
        assert_true(span_equal(is.oc_checksum, was->oc_checksum));
        assert_true(span_equal(is.metadata, was->metadata));
        assert_int_equal(!is.metadata.data, !was->metadata.data);
    }
}

static int parse(const char *text, size_t len)
{
    static char copy[UPLOAD_INFO_BYTES_MAX + 2];
    struct upload_info info;

    assert_true(len <= sizeof(copy));
    memcpy(copy, text, len);
    return upload_info_parse(copy, len, &info);
}

static void the_text(void **state)
{
    char text[256];
    struct buf b;

    (void)state;
    buf_init_fixed(&b, text, sizeof(text));
    upload_info_format(&b, &least);
    assert_true(span_equal(buf_span(&b), SPAN(LEAST)));
}

/* A mark that is written over the old one: all the rest stays where it is. */
static void another_mark(void **state)
{
    struct upload_mark mark = {UPLOAD_LENGTH_MAX, "fedcba98-7654-3210-fedc-ba9876543210"};
    char text[256], line[UPLOAD_MARK_BYTES + 1];
    struct upload_info info;
    struct buf b;

    (void)state;
    buf_init_fixed(&b, line, sizeof(line));
    upload_info_format_mark(&b, &mark);
    assert_int_equal(b.len, UPLOAD_MARK_BYTES);
    memcpy(text, LEAST, sizeof(LEAST));
    memcpy(text + UPLOAD_MARK_AT, line, UPLOAD_MARK_BYTES);
    assert_int_equal(upload_info_parse(text, sizeof(LEAST) - 1, &info), 0);
    assert_int_equal(info.mark.offset, mark.offset);
    assert_string_equal(info.mark.boot, mark.boot);
    assert_true(span_equal(info.path, SPAN("x")));
}

static void every_part_of_it(void **state)
{
    char text[2048];
    struct buf b;

    (void)state;
    buf_init_fixed(&b, text, sizeof(text));
    upload_info_format(&b, &full);
    for (size_t len = 0; len < b.len; len++)
        assert_int_equal(parse(text, len), -EBADMSG);
    assert_int_equal(parse(text, b.len), 0);
}

static void what_is_not_ours(void **state)
{
    static const char *const texts[] = {
        "",
        LEAST "x",
        LEAST "\n",
        "fastfile-upload 3\nmark 42 " BOOT "\nprotocol ietf\nuser \npath x\nend\n",
        "fastfile-upload 3\nmark 0000000000000042 " BOOT "\nprotocol ietf\nuser \npath x\nend\n",
        "fastfile-upload 3\nmark 00000000000004x " BOOT "\nprotocol ietf\nuser \npath x\nend\n",
        "fastfile-upload 3\nmark 000000000000042-" BOOT "\nprotocol ietf\nuser \npath x\nend\n",
        "fastfile-upload 3\nmark 000000000000042 A" BOOT "\nprotocol ietf\nuser \npath x\nend\n",
        "fastfile-upload 3\nmark 000000000000042 A1234567-89ab-cdef-0123-456789abcdef\nprotocol "
        "ietf\nuser \npath x\nend\n",
        "fastfile-upload 3\nprotocol ietf\nuser \npath x\nend\n",
        "fastfile-upload 3\r\nprotocol ietf\nuser \npath x\nend\n",
        FIRST "protocol http\nuser \npath x\nend\n",
        FIRST "user \nprotocol ietf\npath x\nend\n",
        FIRST "protocol ietf\nuser\npath x\nend\n",
        FIRST "protocol ietf\nuser a\tb\001\npath x\nend\n",
        FIRST "protocol ietf\nuser \npath \nend\n",
        FIRST "protocol ietf\nuser \npath /x\nend\n",
        FIRST "protocol ietf\nuser \npath x/\nend\n",
        FIRST "protocol ietf\nuser \npath x//y\nend\n",
        FIRST "protocol ietf\nuser \npath x/./y\nend\n",
        FIRST "protocol ietf\nuser \npath ../y\nend\n",
        FIRST "protocol ietf\nuser \npath x/..\nend\n",
        FIRST "protocol ietf\nuser \npath x\x7f\nend\n",
        FIRST "protocol ietf\nuser \npath x\ty\nend\n",
        FIRST "protocol ietf\nuser \npath a b\nend\n",
        FIRST "protocol ietf\nuser \npath \xc3\xa4\nend\n",
        FIRST "protocol ietf\nuser \npath %61\nend\n", /* one way to write it */
        FIRST "protocol ietf\nuser \npath %c3\nend\n",
        FIRST "protocol ietf\nuser \npath a%2Fb\nend\n",
        FIRST "protocol ietf\nuser \npath a%00b\nend\n",
        FIRST "protocol ietf\nuser \npath a%0\nend\n",
        FIRST "protocol ietf\nuser \npath a%\nend\n",
        FIRST "protocol ietf\nuser \npath a%G0\nend\n",
        FIRST "protocol ietf\nuser \npath %2E%2E/x\nend\n",
        FIRST "protocol ietf\nuser \npath .fastfile/uploads/x\nend\n",
        FIRST "protocol ietf\nuser \npath a/.fastfile-x\nend\n",
        FIRST "protocol ietf\nuser \npath x\nlength \nend\n",
        FIRST "protocol ietf\nuser \npath x\nlength -1\nend\n",
        FIRST "protocol ietf\nuser \npath x\nlength 01\nend\n",
        FIRST "protocol ietf\nuser \npath x\nlength 1000000000000000\nend\n",
        FIRST "protocol ietf\nuser \npath x\nlength 99999999999999999999\nend\n",
        FIRST "protocol ietf\nuser \npath x\nlength 1\nlength 1\nend\n",
        FIRST "protocol ietf\nuser \npath x\nmtime 1\nlength 1\nend\n",
        FIRST "protocol ietf\nuser \npath x\nunknown 1\nend\n",
    };

    (void)state;
    assert_int_equal(parse(LEAST, sizeof(LEAST) - 1), 0);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (parse(texts[i], strlen(texts[i])) != -EBADMSG)
            fail_msg("taken: %s", texts[i]);
    /* A NUL ends nothing. */
    static const char nul[] = FIRST "protocol ietf\nuser \npath x\0y\nend\n";
    assert_int_equal(parse(nul, sizeof(nul) - 1), -EBADMSG);
}

static void too_long(void **state)
{
    static char text[UPLOAD_INFO_BYTES_MAX + 2];

    (void)state;
    memset(text, 'a', sizeof(text));
    assert_int_equal(parse(text, sizeof(text) - 1), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),   cmocka_unit_test(the_text),
        cmocka_unit_test(another_mark),     cmocka_unit_test(every_part_of_it),
        cmocka_unit_test(what_is_not_ours), cmocka_unit_test(too_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
