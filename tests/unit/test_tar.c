/* Heads of tar entries. That they can be read again whatever is in them: fuzz_archive.c. */
#include "assert_span.h"

#include <stdlib.h>

#include "files/tar.h"

static char memory[TAR_HEAD_BYTES];

static struct span head_of(struct span path, bool is_folder, uint64_t size, int64_t mtime_s)
{
    const struct archive_entry entry = {
        .path = path, .is_folder = is_folder, .mode = 0100640, .mtime_s = mtime_s, .size = size};
    struct buf out;

    buf_init_fixed(&out, memory, sizeof(memory));
    tar_append_head(&out, &entry);
    assert_false(buf_failed(&out));
    return buf_span(&out);
}

/* The records in front of the entry's own block; "" where there are none. */
static struct span records_of(struct span head)
{
    if (head.len == TAR_BLOCK_BYTES)
        return SPAN("");
    assert_int_equal(head.data[156], 'x');
    size_t size = strtoul(head.data + 124, NULL, 8);
    assert_int_equal(head.len, 2 * TAR_BLOCK_BYTES + size + tar_padding(size));
    return span_of(head.data + TAR_BLOCK_BYTES, size);
}

static void an_ordinary_file(void **state)
{
    struct span head = head_of(SPAN("sub/a.txt"), false, 1234, 1600000000);

    (void)state;
    assert_int_equal(head.len, TAR_BLOCK_BYTES);
    assert_string_equal(head.data, "sub/a.txt");
    assert_string_equal(head.data + 100, "0000640"); /* without the kind of file */
    assert_string_equal(head.data + 108, "0000000"); /* nobody's in particular */
    assert_string_equal(head.data + 116, "0000000");
    assert_string_equal(head.data + 124, "00000002322");
    assert_string_equal(head.data + 136, "13727410000");
    assert_int_equal(head.data[156], '0');
    assert_memory_equal(head.data + 257, "ustar\0", 6);
    assert_memory_equal(head.data + 263, "00", 2);
    assert_string_equal(head.data + 345, "");
}

static void a_folder_has_a_slash(void **state)
{
    struct span head = head_of(SPAN("sub"), true, 0, 0);

    (void)state;
    assert_string_equal(head.data, "sub/");
    assert_int_equal(head.data[156], '5');
}

static void a_path_of_two_parts(void **state)
{
    char path[256];

    (void)state;
    memset(path, 'd', 155);
    path[155] = '/';
    memset(path + 156, 'n', 100);
    struct span head = head_of(span_of(path, 256), false, 0, 0);
    assert_span(records_of(head), "");
    assert_memory_equal(head.data, path + 156, 100);
    assert_memory_equal(head.data + 345, path, 155);
    /* A folder's slash is one byte too many. */
    assert_true(records_of(head_of(span_of(path, 256), true, 0, 0)).len > 0);
    path[155] = 'd';
    assert_true(records_of(head_of(span_of(path, 256), false, 0, 0)).len > 0);
}

static void what_ustar_cannot_say(void **state)
{
    (void)state;
    assert_span(records_of(head_of(SPAN("Gr\xc3\xbc\xc3\x9f"
                                        "e"),
                                   false, 0, 0)),
                "16 path=Gr\xc3\xbc\xc3\x9f"
                "e\n");
    assert_span(records_of(head_of(SPAN("d\xc3\xa9"), true, 0, 0)), "13 path=d\xc3\xa9/\n");
    /* Bytes that are no text are left as they are, which all readers do too. */
    assert_span(records_of(head_of(SPAN("\xff"), false, 0, 0)), "");
    assert_span(records_of(head_of(SPAN("a"), false, 077777777777, 0)), "");
    assert_span(records_of(head_of(SPAN("a"), false, 0100000000000, 0)), "19 size=8589934592\n");
    assert_span(records_of(head_of(SPAN("a"), false, 0, -1)), "12 mtime=-1\n");
}

static void a_long_name_that_is_no_text(void **state)
{
    char path[120];

    (void)state;
    memset(path, 0xff, sizeof(path));
    struct span records = records_of(head_of(span_of(path, sizeof(path)), false, 0, 0));
    assert_true(span_starts_with(records, SPAN("21 hdrcharset=BINARY\n130 path=\xff")));
}

static void padding(void **state)
{
    (void)state;
    assert_int_equal(tar_padding(0), 0);
    assert_int_equal(tar_padding(1), 511);
    assert_int_equal(tar_padding(512), 0);
    assert_int_equal(tar_padding((UINT64_C(1) << 40) + 513), 511);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ordinary_file),
        cmocka_unit_test(a_folder_has_a_slash),
        cmocka_unit_test(a_path_of_two_parts),
        cmocka_unit_test(what_ustar_cannot_say),
        cmocka_unit_test(a_long_name_that_is_no_text),
        cmocka_unit_test(padding),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
