/* CRC-32: known values, and the processor's instructions against the tables. */
#include "assert_span.h"

#include "files/crc32.h"

static void known_values(void **state)
{
    (void)state;
    assert_int_equal(crc32_update(0, SPAN("")), 0);
    assert_int_equal(crc32_update(0, SPAN("a")), 0xe8b7be43);
    /* The value by which CRCs are told apart. */
    assert_int_equal(crc32_update(0, SPAN("123456789")), 0xcbf43926);
    assert_int_equal(crc32_update_portable(0, SPAN("123456789")), 0xcbf43926);
}

/* One bit after the other, as the standard has it. */
static uint32_t by_definition(const unsigned char *data, size_t len)
{
    uint32_t crc = 0xffffffff;

    for (size_t i = 0; i < len; i++)
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ ((crc ^ data[i] >> bit) & 1 ? 0xedb88320 : 0);
    return ~crc;
}

static void any_length_in_any_pieces(void **state)
{
    static unsigned char data[1200];
    uint32_t random = 1;
    (void)state;

    for (size_t i = 0; i < sizeof(data); i++) {
        random = random * 1664525 + 1013904223;
        data[i] = (unsigned char)(random >> 24);
    }
    for (size_t len = 0; len <= sizeof(data); len++) {
        size_t start = len % 17, end = start + len < sizeof(data) ? start + len : sizeof(data);
        struct span all = span_of(data + start, end - start);
        uint32_t expected = by_definition(data + start, all.len);
        assert_int_equal(crc32_update(0, all), expected);
        assert_int_equal(crc32_update_portable(0, all), expected);
        size_t cut = all.len * (len % 8) / 8;
        uint32_t first = crc32_update(0, span_first(all, cut));
        assert_int_equal(crc32_update(first, span_skip(all, cut)), expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_values),
        cmocka_unit_test(any_length_in_any_pieces),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
