/* The chunked coding, in one piece and in many. */
#include "assert_span.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "http/body.h"

/* Feeds `text` in pieces of at most `piece` bytes and collects the data. Returns the last result;
 * `*ret_used` is how much was consumed. Each piece stands in memory of its own size. */
static int decode(struct span text, size_t piece, struct buf *data, size_t *ret_used)
{
    struct chunked state = {0};
    int result = 0;

    *ret_used = 0;
    while (text.len > 0 && result == 0) {
        size_t length = text.len < piece ? text.len : piece;
        char *copy = malloc(length);
        assert_non_null(copy);
        memcpy(copy, text.data, length);
        struct span rest = span_of(copy, length);
        while (rest.len > 0 && result == 0) {
            size_t consumed;
            struct span got;
            result = chunked_decode(&state, rest, &consumed, &got);
            assert_true(consumed <= rest.len);
            assert_true(result < 0 || consumed > 0);
            if (result == 0 && got.len == 0)
                assert_int_equal(consumed, rest.len);
            buf_append(data, got);
            rest = span_skip(rest, consumed);
            *ret_used += consumed;
        }
        free(copy);
        text = span_skip(text, length);
    }
    return result;
}

static void good_bodies_are_decoded_in_pieces_of_any_size(void **state)
{
    (void)state;
    static const struct {
        const char *text, *data, *behind;
    } cases[] = {
        {"0\r\n\r\n", "", ""},
        {"000\r\n\r\n", "", ""},
        {"5\r\nhello\r\n0\r\n\r\n", "hello", ""},
        {"5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1\r\n", "hello", "GET / HTTP/1.1\r\n"},
        {"1\r\na\r\n0002\r\nbc\r\n0\r\n\r\n", "abc", ""},
        {"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789", ""},
        {"2\r\n\r\n\r\n0\r\n\r\n", "\r\n", ""},
        {"3;a=b\r\nabc\r\n0;last\r\n\r\n", "abc", ""},
        {"3 \t;a=\"b c\"\r\nabc\r\n0\r\n\r\n", "abc", ""},
        {"3\r\nabc\r\n0\r\nTrailer: x\r\nAnother:\r\n\r\nX", "abc", "X"},
        {"0000000000000001\r\na\r\n0\r\n\r\n", "a", ""},
    };

    for (size_t i = 0; i < COUNT(cases); i++)
        for (size_t piece = 1; piece <= strlen(cases[i].text); piece++) {
            char memory[100];
            struct buf data;
            size_t used;
            buf_init_fixed(&data, memory, sizeof(memory));
            assert_int_equal(decode(span_str(cases[i].text), piece, &data, &used), 1);
            assert_span(buf_span(&data), cases[i].data);
            assert_string_equal(cases[i].text + used, cases[i].behind);
        }
}

static void bad_bodies_are_refused_in_pieces_of_any_size(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "\r\n",
        "\n",
        "x\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "-1\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        ";a\r\n",
        "5\nhello\r\n0\r\n\r\n", /* bare LF behind the size */
        "5\r\nhello\n0\r\n\r\n", /* and behind the data */
        "5\r\nhello\r\n0\n\r\n", /* and in the last chunk */
        "5\r\nhello\r\n0\r\n\n", /* and at the end */
        "5\rhello\r\n0\r\n\r\n",
        "5\r\rhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n", /* blanks without an extension */
        "5 5\r\nhello\r\n0\r\n\r\n",
        "5;a\nhello\r\n0\r\n\r\n", /* an extension that ends in LF */
        "5;a\rb\r\nhello\r\n0\r\n\r\n",
        "5;a\x01\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello!\r\n0\r\n\r\n", /* too much data */
        "5\r\nhell\r\n0\r\n\r\n",   /* too little */
        "5\r\nhello0\r\n\r\n",
        "8000000000000000\r\n", /* 2^63 */
        "FFFFFFFFFFFFFFFF\r\n",
        "10000000000000005\r\nhello\r\n", /* 2^64 + 5 */
        "00000000000000005\r\nhello\r\n", /* 17 digits */
        "0\r\n Folded: x\r\n\r\n",
        "0\r\nA: b\n\r\n",
        "0\r\nA: b\r\r\n",
        "0\r\nA: \x7f\r\n\r\n",
        "0\r\n: x\r\n\r\n",
        "0\r\n\rX",
    };

    for (size_t i = 0; i < COUNT(texts); i++)
        for (size_t piece = 1; piece <= strlen(texts[i]); piece++) {
            char memory[100];
            struct buf data;
            size_t used;
            buf_init_fixed(&data, memory, sizeof(memory));
            if (decode(span_str(texts[i]), piece, &data, &used) == -400)
                continue;
            print_error("not refused in pieces of %zu: \"%s\"\n", piece, texts[i]);
            fail();
        }
}

static void a_refusal_is_final_and_so_is_the_end(void **state)
{
    (void)state;
    struct chunked bad = {0}, done = {0};
    size_t consumed;
    struct span data;

    assert_int_equal(chunked_decode(&bad, SPAN("x"), &consumed, &data), -400);
    assert_int_equal(chunked_decode(&bad, SPAN("0\r\n\r\n"), &consumed, &data), -400);
    assert_int_equal(chunked_decode(&done, SPAN("0\r\n\r\n"), &consumed, &data), 1);
    assert_int_equal(chunked_decode(&done, SPAN("5\r\nhello"), &consumed, &data), 1);
    assert_int_equal(consumed, 0);
}

static void the_largest_chunk_may_begin(void **state)
{
    (void)state;
    struct chunked c = {0};
    size_t consumed;
    struct span data;

    assert_int_equal(chunked_decode(&c, SPAN("7fffffffffffffff\r\nabc"), &consumed, &data), 0);
    assert_span(data, "abc");
    assert_true(c.left == INT64_MAX - 3);
}

static void extensions_and_trailers_are_bounded(void **state)
{
    (void)state;
    static char text[2 * LIMIT_TRAILER_BYTES];
    struct buf none;
    size_t used;
    int length;

    buf_init_fixed(&none, NULL, 0);
    for (int extra = 0; extra < 2; extra++) {
        /* The ';' is not counted. */
        length =
            snprintf(text, sizeof(text), "0;%0*d\r\n\r\n", LIMIT_CHUNK_EXTENSION_BYTES + extra, 0);
        assert_int_equal(decode(span_of(text, (size_t)length), 1000, &none, &used),
                         extra ? -400 : 1);
        length = snprintf(text, sizeof(text), "0 %*s;\r\n\r\n",
                          LIMIT_CHUNK_EXTENSION_BYTES - 2 + 2 * extra, "");
        assert_int_equal(decode(span_of(text, (size_t)length), 1000, &none, &used),
                         extra ? -400 : 1);
        length = snprintf(text, sizeof(text), "0\r\nA: b\r\nC: %0*d\r\n\r\n",
                          LIMIT_TRAILER_BYTES - 7 + extra, 0);
        assert_int_equal(decode(span_of(text, (size_t)length), 1000, &none, &used),
                         extra ? -400 : 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_bodies_are_decoded_in_pieces_of_any_size),
        cmocka_unit_test(bad_bodies_are_refused_in_pieces_of_any_size),
        cmocka_unit_test(a_refusal_is_final_and_so_is_the_end),
        cmocka_unit_test(the_largest_chunk_may_begin),
        cmocka_unit_test(extensions_and_trailers_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
